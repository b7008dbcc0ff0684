"""What could have been done when a decision was due, in words and rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from menace.report.wording import usd

if TYPE_CHECKING:
    from collections.abc import Mapping


class ChoiceRow(NamedTuple):
    """One alternative, as it is shown; amounts are USD."""

    name: str
    gain: str
    error: str
    cost: str
    net: str
    note: str


def choice_name(row: Mapping[str, Any]) -> str:
    """Name an alternative.

    >>> choice_name({"kind": "roll back", "version": 7})
    'go back to version 7'
    """
    names = {
        "wait": "wait",
        "roll back": f"go back to version {row.get('version')}",
        "refit recent": "refit on the recent window",
        "refit history": "refit on all history",
        "compare windows": "train on both, keep the better",
        "search": f"search with energy {row.get('energy')}",
    }
    kind = str(row["kind"])
    return names.get(kind, kind)


def best_text(table: Mapping[str, Any]) -> str:
    """Say which alternative was judged best, and by how much.

    Parameters
    ----------
    table
        ``alternatives`` of a decision's inputs.
    """
    best = next(row for row in table["rows"] if row["kind"] == table["best"])
    return f"{choice_name(best)}, by {usd(table['lead_usd'])}"


def choice_rows(inputs: Mapping[str, Any]) -> list[ChoiceRow]:
    """List the alternatives of a decision, with what was done; empty where none were valued."""
    table = inputs.get("alternatives")
    if not table:
        return []
    done = _done(inputs)
    return [
        ChoiceRow(
            choice_name(row),
            usd(row["gain_usd"], signed=True),
            f"± {usd(row['error_usd'])}",
            usd(row["cost_usd"]),
            usd(row["net_usd"], signed=True),
            _note(row, best=table["best"], done=done),
        )
        for row in table["rows"]
    ]


def _done(inputs: Mapping[str, Any]) -> str:
    """Say which kind was done; a plan that the budget held back was not."""
    if inputs.get("roll_back"):
        return "roll back"
    purse = inputs.get("purse")
    held = purse is not None and not purse.get("allowed", True)
    plan = inputs.get("plan")
    return str(plan["kind"]) if plan and not held else "wait"


def _note(row: Mapping[str, Any], *, best: str, done: str) -> str:
    notes = []
    if row["kind"] == best:
        notes.append("judged best")
    if row["kind"] == done:
        notes.append("done")
    elif not row["eligible"]:
        unclear = row["kind"] == "roll back"
        notes.append("its lead is not clear" if unclear else "only in a cycle that runs anyway")
    return ", ".join(notes)
