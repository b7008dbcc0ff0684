"""What a gate is given, and how gates are asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from menace.errors import MenaceError
from menace.patches import GateReport

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from menace.patches import Claim
    from menace.self_coding_engine.proposal import CodingTask, Proposal


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposal and what it was made on.

    Attributes
    ----------
    task
        With the checkout, the target and its present text.
    proposal
        With the new text.
    """

    task: CodingTask
    proposal: Proposal

    @property
    def root(self) -> Path:
        """The checkout, which is only read."""
        return self.task.root

    @property
    def target(self) -> str:
        """The file that the proposal changes, relative to the checkout."""
        return self.proposal.target

    @property
    def claim(self) -> Claim:
        """What has to be shown."""
        return self.proposal.claim

    @property
    def before(self) -> str:
        """The present text."""
        return self.task.source

    @property
    def after(self) -> str:
        """The new text."""
        return self.proposal.source


class Gate(Protocol):
    """Judges candidates by one question."""

    @property
    def name(self) -> str:
        """What its reports are called."""
        ...

    def judge(self, candidate: Candidate) -> GateReport:
        """Find out. A :class:`~menace.errors.MenaceError` counts as a refusal."""
        ...


def run_gates(gates: Iterable[Gate], candidate: Candidate) -> tuple[GateReport, ...]:
    """Ask gates in order, up to the first that refuses.

    A gate that cannot find out refuses: what was not shown to hold is not taken to hold.

    Returns
    -------
    tuple of GateReport
        One per gate that was asked, with the seconds it took; only the last may have refused.
    """
    reports: list[GateReport] = []
    for gate in gates:
        began = time.perf_counter()
        try:
            report = gate.judge(candidate)
        except MenaceError as error:
            figures = {"error": type(error).__name__}
            report = GateReport(gate.name, False, f"it could not be found out: {error}", figures)
        reports.append(replace(report, seconds=time.perf_counter() - began))
        if report.passed is False:
            break
    return tuple(reports)
