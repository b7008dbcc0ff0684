"""One program: searched, then judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.sandbox import Sandbox

if TYPE_CHECKING:
    from benchmarks.repair.programs import Program

Row = dict[str, Any]


def measure(program: Program, budget_seconds: float) -> Row:
    """Search, then judge."""
    sandbox = Sandbox.find()
    attempt = program.attempt(sandbox, budget_seconds)
    row: Row = {
        "task_id": program.task_id,
        "status": attempt.status,
        "seconds": round(attempt.seconds, 2),
        "candidates": attempt.candidates,
        "operator": attempt.operator,
        "kind": program.kind,
        **attempt.facts,
    }
    if attempt.source is not None:
        row["status"] = "correct" if program.judge(sandbox, attempt.source) else "wrong"
    elif attempt.nearly is not None:
        row["would_be_correct"] = program.judge(sandbox, attempt.nearly)
    return row
