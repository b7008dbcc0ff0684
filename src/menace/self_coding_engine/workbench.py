"""The workbench: where texts of a file are tried out, in the sandbox and within a budget."""

from __future__ import annotations

import io
import json
import math
import shlex
import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from menace.errors import CodingError
from menace.helper_code import hidden_columns
from menace.self_coding_engine.sandbox import Sandbox, SandboxLimits
from menace.self_coding_engine.testing import TestServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import pandas as pd

    from menace.records import BotConfig
    from menace.self_coding_engine.attempt_sandbox import AttemptSandbox
    from menace.self_coding_engine.gates import QualityComparison
    from menace.self_coding_engine.proposal import TestReport
    from menace.self_coding_engine.proposers.feature_selection import FeatureJudge, Folds
    from menace.self_coding_engine.sandbox import SandboxRun
    from menace.self_coding_engine.settings import CodingSettings

FEATURE_LIMITS = SandboxLimits(
    wall_seconds=120.0, cpu_seconds=60.0, memory_bytes=2 << 30, output_bytes=512 << 20
)
MEASURE_LIMITS = SandboxLimits(wall_seconds=120.0, cpu_seconds=60.0, memory_bytes=2 << 30)


class SandboxWorkbench:
    """Tries texts of one file out; a context manager.

    Parameters
    ----------
    sandbox
        Where they run; without one every answer is ``None``.
    root
        A checkout, which is only read.
    target
        The file, relative to it.
    settings
        Tests, measure and feature helper.
    seconds
        The budget in CPU-seconds: of the sandbox and of the calling thread.
    rows, bot, judge
        For :meth:`validate`: the bot's labelled rows and what scores features on them.
    """

    def __init__(
        self,
        sandbox: AttemptSandbox | None,
        *,
        root: Path,
        target: str,
        settings: CodingSettings,
        seconds: float,
        rows: pd.DataFrame | None = None,
        bot: BotConfig | None = None,
        judge: FeatureJudge | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._root = root
        self._target = target
        self._settings = settings
        self._rows, self._bot, self._judge = rows, bot, judge
        self._budget = seconds
        self._turn_ends_at = 0.0
        self._began = time.thread_time()
        self._resources = ExitStack()
        self._server: TestServer | None = None
        self._scratch: Path | None = None
        self._row_files: Path | None = None
        self._hidden_server: TestServer | None = None
        self._prepared: Folds | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    @property
    def cpu_seconds(self) -> float:
        """What was used so far."""
        used = time.thread_time() - self._began
        if self._sandbox is not None:
            used += self._sandbox.cpu_seconds
        if self._hidden_server is not None:
            used += self._hidden_server.cpu_seconds
        return used

    @property
    def judge(self) -> FeatureJudge | None:
        """What judges features on the bot's rows, for proposers that look at many."""
        return self._judge

    @property
    def test_server(self) -> TestServer | None:
        """The server that runs the tests; ``None`` without a sandbox."""
        if self._server is None and self._sandbox is not None:
            self._server = self._resources.enter_context(
                TestServer(
                    self._sandbox,
                    folder=self._root,
                    target=self._target,
                    tests=self._settings.tests,
                )
            )
        return self._server

    def limit_turn(self, share: float) -> None:
        """Let ``seconds_left`` count down this share of what is left in all."""
        self._turn_ends_at = self.seconds_in_all() * (1.0 - share)

    def seconds_in_all(self) -> float:
        """CPU-seconds that are left for all turns and for judging."""
        return max(0.0, self._budget - self.cpu_seconds)

    def seconds_left(self) -> float:
        """CPU-seconds that are left of the turn."""
        return max(0.0, self.seconds_in_all() - self._turn_ends_at)

    def run_tests(
        self,
        source: str,
        *,
        lines: bool = False,
        only: Sequence[str] | None = None,
        stop_at_first: bool = False,
    ) -> TestReport | None:
        """Run the tests (of these names) with this text in place of the target."""
        if self.seconds_in_all() <= 0.0 or self.test_server is None:
            return None
        return self.test_server.run(source, lines=lines, only=only, stop_at_first=stop_at_first)

    def run_hidden_tests(self, source: str) -> TestReport | None:
        """Run the tests that no proposer sees."""
        tests = self._settings.hidden_tests
        if tests is None or self._sandbox is None or self.seconds_in_all() <= 0.0:
            return None
        if self._hidden_server is None:
            plain = Sandbox(self._sandbox.program)  # the only one that shows them
            self._hidden_server = self._resources.enter_context(
                TestServer(plain, folder=self._root, target=self._target, tests=tests)
            )
        return self._hidden_server.run(source)

    def measure(self, source: str) -> float | None:
        """Measure the user's figure with this text, lower is better.

        Raises
        ------
        CodingError
            If the command fails or its last line is no number.
        """
        command = self._settings.measure
        if command is None or self._sandbox is None or self.seconds_in_all() <= 0.0:
            return None
        folder = self._copy()
        (folder / self._target).write_text(source, encoding="utf-8", newline="")
        words = shlex.split(command)
        if words[0] in {"python", "python3"}:
            words[0] = "{python}"
        run = self._sandbox.run(words, folder=folder, limits=MEASURE_LIMITS)
        printed = run.output.decode("utf-8", "replace").strip().splitlines()
        if run.reason != "exited" or run.code != 0:
            raise CodingError(
                f"the measure {command!r} {_ended(run)}.",
                remedy="run it by hand in the repository; it must print a number on its last line",
            )
        try:
            figure = float(printed[-1])
        except (IndexError, ValueError) as error:
            raise CodingError(
                f"the measure {command!r} printed no number on its last line.",
                remedy="print one number there, lower is better",
            ) from error
        return figure if math.isfinite(figure) else math.inf

    def validate(self, source: str) -> float | None:
        """Mean loss by forward validation of the bot's model over features made by this text.

        Raises
        ------
        CodingError
            If the feature helper fails on the bot's rows.
        """
        if self._judge is None or self._rows is None or self._bot is None:
            return None
        if self.seconds_in_all() <= 0.0:
            return None
        features = self.features(source)
        folds = self._folds()
        return None if features is None or folds is None else folds.losses(features).mean

    def compare_quality(self, before: str, after: str) -> QualityComparison | None:
        """Compare the user's figure, or else the bot's loss on later rows, under two texts.

        The loss is compared row by row where it shows small differences (the log loss of a
        classifier), and must not be worse in the bot's own metric.

        Returns
        -------
        QualityComparison or None
            ``None`` where there is neither a measure nor a feature helper with rows.

        Raises
        ------
        CodingError
            If a text fails where the figure is measured.
        """
        from menace.self_coding_engine.gates import QualityComparison
        from menace.self_coding_engine.loss_comparison import loss_comparison
        from menace.self_coding_engine.measuring import compare_figures

        if self._settings.measure is not None:
            return QualityComparison.of_figures(compare_figures(self.measure, before, after))
        folds, made = self._folds(), (self.features(before), self.features(after))
        if folds is None or made[0] is None or made[1] is None:
            return None
        old, new = (folds.losses(columns) for columns in made)
        return loss_comparison(old, new, folds)

    def _folds(self) -> Folds | None:
        """Prepare the bot's rows once for all texts."""
        judge, rows, bot = self._judge, self._rows, self._bot
        if self._prepared is None and judge is not None and rows is not None and bot is not None:
            self._prepared = judge.on(rows, bot)
        return self._prepared

    def features(self, source: str, *, function: str | None = None) -> pd.DataFrame | None:
        """Make the features of the bot's rows with this text, in the sandbox.

        Parameters
        ----------
        function
            By default the one that the settings name.

        Returns
        -------
        DataFrame or None
            As many rows as the bot's; ``None`` where there is nothing to make them of or in.
        """
        import pandas as pd

        helper, rows, bot = self._settings.features, self._rows, self._bot
        if helper is None or rows is None or bot is None or self._sandbox is None:
            return None
        file, _, usual = helper.partition(":")
        if file != self._target:
            return None
        seen = rows.drop(columns=list(hidden_columns(bot)), errors="ignore")
        order = {
            "rows": str(self._rows_file(seen)),
            "types": {str(name): str(kind) for name, kind in seen.dtypes.items()},
            "root": str(self._root),
            "target": self._target,
            "function": function or usual,
            "source": source,
        }
        program = Path(__file__).with_name("feature_program.py")
        run = self._sandbox.run(
            ["{python}", str(program)],
            folder=self._root,
            bind=(program, self._rows_file(seen).parent),
            limits=replace(FEATURE_LIMITS, cpu_seconds=max(5.0, self.seconds_in_all())),
            input=json.dumps(order).encode("utf-8") + b"\n",
        )
        if run.reason != "exited" or run.code != 0:
            raise CodingError(
                f"the feature helper {helper} {_ended(run)}.",
                bot=bot.name,
                remedy="it takes the bot's rows without the target and returns as many rows",
            )
        if not run.output.strip():  # a helper that makes no columns yet
            return pd.DataFrame(index=range(len(rows)))
        try:
            return pd.read_csv(io.BytesIO(run.output))
        except ValueError as error:
            raise CodingError(
                f"what the feature helper {helper} returned cannot be read: {error}.",
                bot=bot.name,
                remedy="return a DataFrame of numbers and texts",
            ) from error

    def _rows_file(self, seen: pd.DataFrame) -> Path:
        """Write the rows once, where the sandbox can read them."""
        if self._row_files is None:
            folder = self._temporary("menace-rows-")
            seen.to_csv(folder / "rows.csv", index=False)
            self._row_files = folder / "rows.csv"
        return self._row_files

    def _copy(self) -> Path:
        """Copy the checkout once, so that a text can stand in its target's place."""
        if self._scratch is None:
            self._scratch = self._temporary("menace-measure-") / "code"
            shutil.copytree(
                self._root, self._scratch, symlinks=True, ignore=shutil.ignore_patterns(".git")
            )
        return self._scratch

    def _temporary(self, prefix: str) -> Path:
        return Path(
            self._resources.enter_context(tempfile.TemporaryDirectory(prefix=prefix))
        ).resolve()


def _ended(run: SandboxRun) -> str:
    """Say how a run went wrong, with the end of what it said."""
    how = f"ended with code {run.code}" if run.reason == "exited" else f"was ended: {run.reason}"
    said = run.errors.decode("utf-8", "replace").strip().splitlines()
    tail = f" ({said[-1][:300]})" if said else ""
    seen = f"; it tried: {', '.join(run.violations[:3])}" if run.violations else ""
    return how + tail + seen
