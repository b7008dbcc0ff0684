"""A workbench whose tests are expressions, each evaluated in a Python process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from menace.self_coding_engine.proposal import CaseReport, TestReport

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExpressionWorkbench:
    """Runs ``SOURCE`` and then ``assert EXPRESSION``."""

    def __init__(
        self, expressions: Sequence[str], *, seconds: float = 100.0, figure: float | None = None
    ) -> None:
        self.expressions, self.seconds, self.figure = expressions, seconds, figure
        self.runs = 0

    def seconds_left(self) -> float:
        """CPU-seconds that are left."""
        return self.seconds

    def run_tests(self, source: str, *, lines: bool = False) -> TestReport | None:
        """Evaluate the expressions."""
        self.runs += 1
        return TestReport(tuple(self._case(source, item) for item in self.expressions), True)

    def measure(self, source: str) -> float | None:
        """Give the figure."""
        return self.figure

    def validate(self, source: str) -> float | None:
        """Nothing: there are no rows."""
        return None

    def _case(self, source: str, expression: str) -> CaseReport:
        run = subprocess.run(
            [sys.executable, "-I", "-c", f"{source}\nassert {expression}"],
            check=False,
            capture_output=True,
            text=True,
        )
        return CaseReport(expression, run.returncode == 0, run.stderr[-500:])
