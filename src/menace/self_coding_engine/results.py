"""What people and callers are told about patches."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from menace.patches import PatchResult, PatchStatus

if TYPE_CHECKING:
    from menace.patches import Patch
    from menace.self_coding_engine.attempt import Outcome
    from menace.self_coding_engine.workshop import Workshop


def module_of(target: str) -> str:
    """Name the module that a patch of a file changes, as the module log knows it."""
    return f"helper:{target}"


def result_of(patch: Patch) -> PatchResult:
    """Say what became of a patch."""
    in_the_code = patch.status in {PatchStatus.CANARY, PatchStatus.KEPT}
    refused = next((r for r in reversed(patch.gates) if r.passed is False), None)
    return PatchResult(
        patch.patch_id,
        str(patch.status),
        reverted=not in_the_code,
        deltas=patch.deltas,
        gates=patch.gates,
        diff=patch.diff,
        message=patch.explanation if refused is None else f"{refused.name}: {refused.reason}",
    )


def shown(outcome: Outcome, workshop: Workshop) -> PatchResult:
    """Say what an attempt would have done, without a record of it."""
    winner = outcome.winner
    if winner is None:
        return PatchResult(None, "none", reverted=True, message=why_none(outcome))
    shown = result_of(workshop.record(winner, PatchStatus.PROPOSED, cycle_id=None))
    person = workshop.needs_a_person(winner)
    waits = None if person is None else f"{person}: it would wait for a person"
    return dataclasses.replace(shown, message=workshop.held or waits or shown.message)


def why_none(outcome: Outcome) -> str:
    """Say why an attempt ended without a patch."""
    if outcome.rejects:
        last = outcome.rejects[-1]
        refused = next(report for report in last.gates if report.passed is False)
        count = len(outcome.rejects)
        which = "the proposal was" if count == 1 else f"all {count} proposals were"
        return f"{which} refused; the last by {refused.name}: {refused.reason}"
    if outcome.failures:
        return "; ".join(f"{name}: {why}" for name, why in outcome.failures.items())
    asked = ", ".join(outcome.asked) or "nobody, for want of time"
    return f"nothing was proposed (asked: {asked})"
