"""A workbench whose figures and tests are expressions, evaluated in Python processes."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from menace.errors import CodingError
from menace.self_coding_engine.proposal import CaseReport, TestReport

if TYPE_CHECKING:
    from collections.abc import Sequence


class PrintedWorkbench:
    """Runs ``SOURCE`` and then prints ``FIGURE``, and ``all_true`` of the expressions in ``TESTS``.

    Parameters
    ----------
    figure
        Lower is better; ``None``: there is no measure.
    tests
        Each is one test.
    runs
        Texts that may be run in all.
    """

    def __init__(
        self, *, figure: str | None = None, tests: Sequence[str] = ("True",), runs: int = 500
    ) -> None:
        self.figure, self.tests, self.runs = figure, tests, runs

    def seconds_left(self) -> float:
        """Runs that are left."""
        return float(max(0, self.runs))

    def run_tests(self, source: str, *, lines: bool = False) -> TestReport | None:
        """Evaluate the tests in one process."""
        if self.runs <= 0:
            return None
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        report = "\n".join(
            f"try: print(bool({test}))\nexcept Exception: print(False)" for test in self.tests
        )
        printed = self._printed(source, report)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        if printed is None or len(printed) != len(self.tests):
            cases = tuple(CaseReport(test, False) for test in self.tests)
        else:
            cases = tuple(
                CaseReport(test, line == "True")
                for test, line in zip(self.tests, printed, strict=True)
            )
        return TestReport(cases, True, cpu_seconds=used)

    def measure(self, source: str) -> float | None:
        """Evaluate the figure."""
        if self.figure is None or self.runs <= 0:
            return None
        printed = self._printed(source, f"print({self.figure})")
        if not printed:
            raise CodingError("the measure printed nothing.")
        return float(printed[-1])

    def validate(self, source: str) -> float | None:
        """Nothing: there are no rows."""
        return None

    def _printed(self, source: str, tail: str) -> list[str] | None:
        self.runs -= 1
        run = subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"{source}\n{tail}"],
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
        )
        return run.stdout.split() if run.returncode == 0 else None
