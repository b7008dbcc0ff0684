"""A bot's feature helper: a function in the user's git repository, as it was at a commit.

A helper is one file with a function that takes the bot's rows, without target and dropped columns,
and returns further columns for them::

    CONTEXT_ROWS = 24

    def features(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"warmest": rows["temp"].rolling(24, min_periods=1).max()})

``CONTEXT_ROWS`` says how many earlier rows a row's columns may depend on: so many are put before
the rows that are asked for, and cut off again from what comes back. A column that has the name of
one of the source's takes its place.

A model remembers the commit it was trained with and is served with the code of that commit, however
the file is changed later, and so is what the helper imports from its repository. What it imports
from elsewhere is that of the environment.
"""

from __future__ import annotations

import functools
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from menace.errors import HelperCodeError
from menace.helper_modules import RepositoryModules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    import pandas as pd

    from menace.records import BotConfig

DEFAULT_PATH = "helpers/features.py"
DEFAULT_FUNCTION = "features"
CONTEXT_NAME = "CONTEXT_ROWS"
MOST_CONTEXT_ROWS = 100_000

CHECKED_ROWS = 50
"""Newest rows for which a training makes sure that they depend on no more than their context."""

_KEPT = 64
_GIT_SECONDS = 60.0
_CONTEXT_REMEDY = f"use each row and rows before it only, as many as {CONTEXT_NAME} says"


def hidden_columns(bot: BotConfig) -> frozenset[str]:
    """Name the columns of a bot that its helper may neither see nor return.

    The target, and what is dropped; but not the column that orders the rows, which is dropped only
    because a model would extrapolate a raw clock.

    >>> from menace.records import BotConfig
    >>> bot = BotConfig("alpha", None, "busy", time="at", drop=("at", "leak"))
    >>> sorted(hidden_columns(bot))
    ['busy', 'leak']
    """
    return frozenset({bot.target, *bot.drop} - {bot.time})


@dataclass(frozen=True, slots=True)
class FeatureHelper:
    """A helper's function, loaded.

    Attributes
    ----------
    place
        File and commit, for messages.
    function
        Takes rows, returns columns for them.
    context_rows
        Earlier rows that a row's columns may depend on, ≥ 0.
    sha256
        Of the file's text, and of those that it imports from its repository.
    """

    place: str
    function: Callable[[pd.DataFrame], Any]
    context_rows: int
    sha256: str

    @classmethod
    def of_text(cls, source: str, *, place: str, function: str = DEFAULT_FUNCTION) -> FeatureHelper:
        """Load a helper that consists of one text; see :meth:`of_modules`."""
        modules = RepositoryModules({DEFAULT_PATH}, lambda _path: source, label=place)
        return cls.of_modules(modules, DEFAULT_PATH, function)

    @classmethod
    def of_modules(
        cls, modules: RepositoryModules, path: str, function: str = DEFAULT_FUNCTION
    ) -> FeatureHelper:
        """Load a helper, with the files of its repository that it imports.

        The texts run in this process with all its rights: they have to be the user's own, as the
        code of a callable pipeline is.

        Raises
        ------
        HelperCodeError
            If a text does not compile or fails, there is no such function, or ``CONTEXT_ROWS`` is
            wrong.
        """
        place = modules.place(path)
        module = _loaded_module(modules, path)
        found = getattr(module, function, None)
        if not callable(found):
            raise HelperCodeError(
                f"{place} has no function {function!r}.",
                remedy=f"define {function}(rows), or name another function",
            )
        context = getattr(module, CONTEXT_NAME, 0)
        if type(context) is not int or not 0 <= context <= MOST_CONTEXT_ROWS:
            raise HelperCodeError(
                f"{CONTEXT_NAME} in {place} is {context!r}.",
                remedy=f"give a whole number from 0 to {MOST_CONTEXT_ROWS}",
            )
        return cls(place, found, context, modules.sha256)

    def __call__(
        self,
        rows: pd.DataFrame,
        *,
        context: pd.DataFrame | None = None,
        hidden: Collection[str] = (),
    ) -> pd.DataFrame:
        """Make the columns of rows.

        Parameters
        ----------
        rows
            In time order.
        context
            Rows before them, newest last; more than ``context_rows`` are not looked at.
        hidden
            Columns that the helper may not see, and may not return: the target, dropped ones.

        Returns
        -------
        DataFrame
            One row for each of ``rows``, with their index.

        Raises
        ------
        HelperCodeError
            If the function fails, or returns anything else than such columns.
        """
        seen = _with_context(rows, context, self.context_rows)
        columns = [name for name in seen.columns if str(name) not in hidden]
        try:
            made = self.function(seen[columns])
        except Exception as error:
            raise HelperCodeError(
                f"{self.place}{_line(error, self.place)} failed: {type(error).__name__}: {error}.",
                remedy="make it take every batch of the source's rows, one row and none included",
            ) from error
        self._check(made, len(seen), hidden)
        cut: pd.DataFrame = made.iloc[len(made) - len(rows) :]
        return cut.set_axis(rows.index, axis="index")

    def extended(
        self,
        rows: pd.DataFrame,
        *,
        context: pd.DataFrame | None = None,
        hidden: Collection[str] = (),
    ) -> pd.DataFrame:
        """Return the rows with the helper's columns; a column of a known name is replaced."""
        import pandas as pd

        made = self(rows, context=context, hidden=hidden)
        kept = rows[[name for name in rows.columns if name not in made.columns]]
        return pd.concat([kept, made], axis="columns")

    def check_context(
        self, rows: pd.DataFrame, made: pd.DataFrame, *, hidden: Collection[str] = ()
    ) -> None:
        """Make sure that a row's columns depend on its context only: not on later rows, nor older.

        Otherwise a model would learn from columns that it is not served with.

        Parameters
        ----------
        rows, made
            Rows of a training, and what the helper made of all of them at once.

        Raises
        ------
        HelperCodeError
            Naming a column that comes out differently when it is made of fewer rows.
        """
        end = len(rows) - len(rows) // 10
        start = max(end - CHECKED_ROWS, min(self.context_rows, end))
        if start >= end:
            return
        alone = self(rows.iloc[start:end], context=rows.iloc[:start], hidden=hidden)
        for name in made.columns:
            if not _same(made[name].iloc[start:end], alone[name]):
                raise HelperCodeError(
                    f"{self.place}: the column {name!r} of a row depends on rows after it, or on "
                    f"more than {self.context_rows} rows before it.",
                    remedy=_CONTEXT_REMEDY,
                )

    def _check(self, made: Any, rows: int, hidden: Collection[str]) -> None:
        import pandas as pd

        if not isinstance(made, pd.DataFrame):
            raise HelperCodeError(
                f"{self.place} returned a {type(made).__name__}.", remedy="return a DataFrame"
            )
        if len(made) != rows:
            raise HelperCodeError(
                f"{self.place} returned {len(made)} rows for {rows}.",
                remedy="return one row for each row, in their order",
            )
        names = [str(name) for name in made.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise HelperCodeError(
                f"{self.place} returned the column {twice[0]!r} more than once.",
                remedy="give every column a name of its own",
            )
        forbidden = sorted(set(names) & set(hidden))
        if forbidden:
            raise HelperCodeError(
                f"{self.place} returned the column {forbidden[0]!r}, which no model may see.",
                remedy="give it another name, and make it of other columns",
            )


@dataclass(frozen=True, slots=True)
class HelperCode:
    """Where a bot's feature helper lies. Plain data, so that it can be sent to another process.

    Attributes
    ----------
    repository
        A folder in a git work tree.
    path
        The file, relative to that folder, with ``/``.
    function
        Its name.

    Examples
    --------
    >>> from pathlib import Path
    >>> HelperCode.parse(Path("bots/alpha"), "helpers/features.py:features").function
    'features'
    """

    repository: Path
    path: str = DEFAULT_PATH
    function: str = DEFAULT_FUNCTION

    @classmethod
    def parse(cls, repository: Path, place: str) -> HelperCode:
        """Read ``FILE:FUNCTION``.

        Raises
        ------
        HelperCodeError
            If it is something else, or the file lies outside of the repository.
        """
        path, _, function = place.partition(":")
        parts = path.split("/")
        if not path.endswith(".py") or not function.isidentifier() or {"", ".."} & set(parts):
            raise HelperCodeError(
                f"{place!r} is no file and function.",
                remedy=f"give FILE:FUNCTION, such as {DEFAULT_PATH}:{DEFAULT_FUNCTION}",
            )
        return cls(repository, path, function)

    def head(self) -> str:
        """Return the commit that the repository is on.

        Raises
        ------
        HelperCodeError
            If there is no repository, or no commit in it.
        """
        return _git(self.repository, "rev-parse", "--verify", "HEAD^{commit}").strip()

    def source(self, commit: str) -> str:
        """Read the file's text as it was at a commit.

        Raises
        ------
        HelperCodeError
            If the commit or the file in it is missing.
        """
        _check_commit(commit)
        return _git(self.repository, "show", "--no-textconv", f"{commit}:./{self.path}")

    def files(self, commit: str) -> list[str]:
        """List the Python files of the repository's folder at a commit.

        Raises
        ------
        HelperCodeError
            If the commit is missing.
        """
        _check_commit(commit)
        listed = _git(self.repository, "ls-tree", "-r", "-z", "--name-only", commit)
        return [path for path in listed.split("\0") if path.endswith(".py")]

    def at(self, commit: str) -> FeatureHelper:
        """Load the helper as it was at a commit; those used last are kept.

        Raises
        ------
        HelperCodeError
            If it is missing there, or cannot be loaded.
        """
        return _loaded(self, commit)

    def elsewhere(self, path: str, function: str) -> HelperCode:
        """Return the place of another file in the same repository."""
        return HelperCode.parse(self.repository, f"{path}:{function}")


@functools.lru_cache(maxsize=_KEPT)
def _loaded(code: HelperCode, commit: str) -> FeatureHelper:
    label = f"{code.repository} at {commit[:12]}"

    def read(path: str) -> str:
        return HelperCode(code.repository, path).source(commit)

    modules = RepositoryModules(code.files(commit), read, label=label)
    return FeatureHelper.of_modules(modules, code.path, code.function)


def _check_commit(commit: str) -> None:
    # It may come from a package: what is no number could be an option of git.
    if not commit or not set(commit) <= set("0123456789abcdef"):
        raise HelperCodeError(f"{commit!r} is no commit.", remedy="give its hexadecimal number")


def _git(repository: Path, *arguments: str) -> str:
    """Run git in a folder, with the hooks and the settings of the user and the system off."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    environment |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }
    # The folder is the user's choice, whoever owns it; only objects are read from it.
    settings = ("-c", f"core.hooksPath={os.devnull}", "-c", "safe.directory=*")
    command = ["git", *settings, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, arguments without a shell
            command,
            cwd=repository,
            env=environment,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HelperCodeError(
            f"git cannot be run in {repository}: {error}.",
            remedy="install git, and name a folder that exists",
        ) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise HelperCodeError(
            f"git {arguments[0]} {arguments[-1]} in {repository}: {(said or ['failed'])[-1]}.",
            remedy="commit the helper; a model whose commit is gone has to be made anew: "
            "menace cycle BOT",
        )
    try:
        return done.stdout.decode("utf-8")
    except UnicodeDecodeError as error:
        raise HelperCodeError(
            f"{arguments[-1]} in {repository} is not UTF-8.", remedy="save the file as UTF-8"
        ) from error


def _loaded_module(modules: RepositoryModules, path: str) -> Any:
    try:
        return modules.load(path)
    except Exception as error:
        place = modules.place(path)
        raise HelperCodeError(
            f"{place}{_line(error, place)} cannot be loaded: {type(error).__name__}: {error}.",
            remedy="let the helper import installed packages and files of its repository only",
        ) from error


def _line(error: BaseException, place: str) -> str:
    """Name the last line of the helper itself in an error's traceback."""
    if isinstance(error, SyntaxError) and error.filename == place and error.lineno:
        return f", line {error.lineno},"
    lines, frame = [], error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == place:
            lines.append(frame.tb_lineno)
        frame = frame.tb_next
    return f", line {lines[-1]}," if lines else ""


def _with_context(rows: pd.DataFrame, context: pd.DataFrame | None, most: int) -> pd.DataFrame:
    import pandas as pd

    if context is None or not len(context) or not most:
        return rows.reset_index(drop=True)
    return pd.concat([context.iloc[-most:], rows], ignore_index=True)


def _same(ones: pd.Series[Any], others: pd.Series[Any]) -> bool:
    """Compare two columns; sums taken from another row on may differ in their last digits."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_numeric_dtype(ones) and pd.api.types.is_numeric_dtype(others):
        first = ones.to_numpy(dtype=np.float64, na_value=np.nan)
        second = others.to_numpy(dtype=np.float64, na_value=np.nan)
        scale = float(np.nanmax(np.abs(first), initial=0.0)) or 1.0
        return bool(np.allclose(first, second, rtol=1e-6, atol=1e-6 * scale, equal_nan=True))
    first_texts, second_texts = ones.astype(object), others.astype(object)
    missing = ones.isna().to_numpy()
    same = (first_texts.to_numpy() == second_texts.to_numpy()) | missing
    return bool((missing == others.isna().to_numpy()).all() and same.all())
