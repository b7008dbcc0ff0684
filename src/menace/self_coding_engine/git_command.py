"""Git's command line, asked so that nothing of the user's or of the repository's own is run.

A repository's configuration may name programs: hooks, a file-system monitor, filters, text
converters, signers, transports. Patching is menace's own doing, at times of its own choice, so
none of them belongs in it. What the user's global configuration holds is left out for the same
reason, and because a patch must not depend on who happens to run it.
"""

from __future__ import annotations

import os
import re
import subprocess
from copy import copy
from typing import TYPE_CHECKING

from menace.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

AUTHOR = "menace"
EMAIL = "menace@localhost"
TIMEOUT_SECONDS = 120.0

_OLDEST = (2, 32)
"""The first version that can be told to read no global configuration."""

_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    # An object that a partial clone lacks is not fetched: a transport is a program, too.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_AUTHOR_NAME": AUTHOR,
    "GIT_AUTHOR_EMAIL": EMAIL,
    "GIT_COMMITTER_NAME": AUTHOR,
    "GIT_COMMITTER_EMAIL": EMAIL,
}
_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "core.pager=cat",
    "submodule.recurse=false",
    "commit.gpgSign=false",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "merge.conflictStyle=merge",
    "i18n.commitEncoding=UTF-8",
)
_INHERITED = ("PATH", "TMPDIR")
_PROGRAMS_OF_FILTERS = re.compile(r"filter\..*\.(clean|smudge|process)", re.DOTALL)


class GitCommand:
    """Runs git in one folder; its settings stand above those of the repository.

    Parameters
    ----------
    folder
        Where to run.
    timeout_seconds
        After which a command is stopped.

    Raises
    ------
    RepositoryError
        From every method: if git is missing or too old, refuses, or takes too long.
    """

    def __init__(self, folder: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.folder = folder
        self._timeout_seconds = timeout_seconds
        self._settings: list[tuple[str, str]] = []
        version = self.text("version")
        found = re.search(r"(\d+)\.(\d+)", version)
        if found is None or tuple(map(int, found.groups())) < _OLDEST:
            raise RepositoryError(
                f"{version} is too old.", remedy="install git {}.{} or newer".format(*_OLDEST)
            )

    def in_folder(self, folder: Path) -> GitCommand:
        """Give the same for another folder."""
        other = copy(self)
        other.folder = folder
        return other

    def output(
        self,
        *arguments: str,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
        codes: Sequence[int] = (0,),
    ) -> bytes:
        """Run a command and give its output."""
        return self.run(*arguments, given=given, environment=environment, codes=codes).stdout

    def text(
        self,
        *arguments: str,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
        codes: Sequence[int] = (0,),
    ) -> str:
        """Run a command and give its output without the last line's end."""
        said = self.output(*arguments, given=given, environment=environment, codes=codes)
        return os.fsdecode(said).removesuffix("\n")

    def code(self, *arguments: str, codes: Sequence[int] = (0, 1)) -> int:
        """Run a command and give its exit code, one of ``codes``."""
        return self.run(*arguments, codes=codes).returncode

    def trust_what_the_user_trusts(self) -> bool:
        """Take ``safe.directory`` over from the user's own configuration; False if it is unset.

        It is the one setting that only they can make, and says nothing but whom they trust.
        """
        finished = subprocess.run(
            ["git", "config", "--null", "--get-all", "safe.directory"],  # noqa: S607
            cwd="/",
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=self._timeout_seconds,
            check=False,
        )
        values = os.fsdecode(finished.stdout).split("\0")[:-1]
        self._settings += [("safe.directory", value) for value in values]
        return bool(values)

    def without_filters(self) -> Mapping[str, str]:
        """Give the variables that switch off every filter which the configuration names.

        For the commands that write files of a checkout.
        """
        listed = os.fsdecode(self.output("config", "--null", "--name-only", "--list"))
        programs = {name for name in listed.split("\0") if _PROGRAMS_OF_FILTERS.fullmatch(name)}
        off = [(name, "") for name in sorted(programs)]
        required = {name.rpartition(".")[0] + ".required" for name in programs}
        return _as_variables([*self._settings, *off, *((name, "false") for name in required)])

    def run(
        self,
        *arguments: str,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
        codes: Sequence[int] = (0,),
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command.

        Parameters
        ----------
        given
            Its input.
        environment
            Further variables.
        codes
            Exit codes that are no error.
        """
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        command = ["git", "--no-pager", *settings, *arguments]
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        own = _ENVIRONMENT | _as_variables(self._settings)
        try:
            finished = subprocess.run(  # noqa: S603
                command,
                cwd=self.folder,
                input=given,
                capture_output=True,
                env=inherited | own | dict(environment or {}),
                timeout=self._timeout_seconds,
                # Ctrl-C and a kill of menace's group must not leave one of git's locks behind.
                start_new_session=True,
                check=False,
            )
        except FileNotFoundError as error:
            if not self.folder.is_dir():
                raise RepositoryError(
                    f"there is no folder {self.folder}.", remedy="check the path"
                ) from error
            raise RepositoryError("git is not installed.", remedy="install git") from error
        except OSError as error:
            raise RepositoryError(
                f"git cannot be run in {self.folder}: {error.strerror or error}.",
                remedy="check the rights of the folder and of git",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise RepositoryError(
                f"git {arguments[0]} took over {self._timeout_seconds:g} s in {self.folder}.",
                remedy="see what keeps it: git status in that folder",
            ) from error
        if finished.returncode not in codes:
            raise self._refusal(arguments[0], finished)
        return finished

    def _refusal(
        self, command: str, finished: subprocess.CompletedProcess[bytes]
    ) -> RepositoryError:
        said = os.fsdecode(finished.stderr).strip() or f"exit code {finished.returncode}"
        for sign, sentence, remedy in (
            (
                "dubious ownership",
                f"{self.folder} belongs to another user, and git does not trust it.",
                f"run menace as that user, or: git config --global --add safe.directory "
                f"{self._told_folder(said)}",
            ),
            (
                "not a git repository",
                f"{self.folder} is in no git repository.",
                f"git init {self.folder}, then add and commit the code that may be patched",
            ),
            (
                "must be run in a work tree",
                f"{self.folder} has no work tree: it is a bare repository, or inside .git.",
                "name the folder of a checkout: git clone makes one",
            ),
            (
                ".lock': File exists",
                f"git {command}: {_in_one_line(said)}",
                "wait until the other git command has ended; if there is none, it was killed: "
                "delete that lock file",
            ),
        ):
            if sign in said:
                return RepositoryError(sentence, remedy=remedy)
        return RepositoryError(
            f"git {command} failed in {self.folder}: {_in_one_line(said)}",
            remedy="try the same in that folder: git status; git fsck",
        )

    def _told_folder(self, said: str) -> str:
        found = re.search(r"repository at '([^']+)'", said)
        return found.group(1) if found else str(self.folder)


def _as_variables(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Write settings as variables: on the command line a name cannot have a ``=`` in it."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _in_one_line(said: str) -> str:
    told = " ".join(said.split()).removeprefix("fatal: ").removeprefix("error: ")
    return told[:500].rstrip(".") + "."
