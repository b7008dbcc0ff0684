"""Decisions, findings and cycles in sentences that somebody who trains no models can read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_REASONS = {
    "manual request": "somebody asked for one",
    "first model": "the bot had no model yet",
    "interval": "the time set between two cycles is over",
    "nothing new since the last cycle": (
        "too few new labelled rows have come in since the last cycle to make a tick"
    ),
    "roll back": "an archived model leads clearly on the same rows, and going back costs nothing",
    "nothing new since the rollback": "no new rows have come in since the rollback",
    "failed": "the bot could not be looked at",
    "cycle failed": "the cycle failed",
}

_PATTERNS = (
    (r"waiting for the first (\d+) labelled rows", "it waits for its first {} labelled rows"),
    (r"cooling down after 1 failed cycles", "its last cycle failed, and new rows are awaited"),
    (
        r"cooling down after (\d+) failed cycles",
        "its last {} cycles failed, and new rows are awaited",
    ),
    (r"watched only: (.*)", "it is watched only: {}"),
    (r"budget spent: daily", "today's budget of all bots does not pay for a cycle"),
    (r"budget spent: bot", "today's budget of the bot does not pay for a cycle"),
    (r"budget spent: allocation", "what was set aside for the bot does not pay for a cycle"),
    (r"budget spent: cash", "there is not enough cash for a cycle"),
)


def reason_text(reason: str, inputs: Mapping[str, Any], *, run: bool) -> str:
    """Say why a decision was taken, as a clause that follows "because"."""
    if reason == "policy":
        return _policy_text(inputs, run=run)
    kind, _, finding = reason.partition(": ")
    if kind == "diagnostics":
        return f"the diagnosis found something severe ({finding.replace('_', ' ')})"
    for pattern, told in _PATTERNS:
        found = re.fullmatch(pattern, reason)
        if found is not None:
            return told.format(*found.groups()) + _purse_text(inputs.get("purse"), run=run)
    return _REASONS.get(reason, reason)


def _purse_text(purse: Mapping[str, Any] | None, *, run: bool) -> str:
    """Say what a cycle needed and what there was, where that made it wait."""
    from menace.report.wording import usd

    if purse is None or run:
        return ""
    return f" ({usd(purse['left_usd'])} left, {usd(purse['needed_usd'])} needed)"


def _policy_text(inputs: Mapping[str, Any], *, run: bool) -> str:
    from menace.report.wording import usd

    debt, cost = inputs.get("debt_usd"), inputs.get("cycle_cost_usd")
    if debt is None or cost is None:
        return "a cycle was expected to pay" if run else "a cycle was not expected to pay yet"
    if run and debt >= cost:
        return (
            f"the old model has cost about {usd(debt)} more than a fresh one would have, "
            f"and a cycle costs about {usd(cost)}"
        )
    if run:
        return f"cycles have paid before in such a situation (a cycle costs about {usd(cost)})"
    if debt >= cost:
        return (
            f"cycles have not paid before in such a situation, though the model's debt of "
            f"{usd(debt)} exceeds the {usd(cost)} that a cycle costs"
        )
    lost = usd(debt) if debt > 0 else "nothing"
    return (
        f"the model has cost {lost} more than a fresh one would have, "
        f"less than the {usd(cost)} that a cycle costs"
    )


def issue_text(issue: Mapping[str, Any]) -> str:
    """Say what a finding of the diagnosis is, with its figures, and how severe."""
    kind, evidence = str(issue["kind"]), issue.get("evidence") or {}
    told = _FINDINGS[kind](evidence) if evidence and kind in _FINDINGS else ""
    name = kind.replace("_", " ")
    return f"{name} (severity {issue['severity']:.2f})" + (f": {told}" if told else "")


def issue_names(issues: Sequence[Mapping[str, Any]]) -> str:
    """Name findings shortly, the most severe first."""
    ranked = sorted(issues, key=lambda issue: -issue["severity"])
    return ", ".join(f"{i['kind'].replace('_', ' ')} {i['severity']:.1f}" for i in ranked)


def _drift(evidence: Mapping[str, Any]) -> str:
    return (
        f"the loss per row went from {evidence['mean_before']:.3g} to "
        f"{evidence['mean_after']:.3g}, {evidence['rows_since']:,} rows ago"
    )


def _error_rate(evidence: Mapping[str, Any]) -> str:
    return (
        f"{evidence['error_rate']:.3g} on the newest {evidence['rows']:,} rows; "
        f"the limit is {evidence['max_error_rate']:g}"
    )


def _latency(evidence: Mapping[str, Any]) -> str:
    return (
        f"one answer in twenty takes {evidence['latency_seconds']:.3g} s or more; "
        f"the limit is {evidence['max_latency_seconds']:g} s"
    )


def _schema_change(evidence: Mapping[str, Any]) -> str:
    changed = [f"{name} ({old} → {new})" for name, (old, new) in evidence["changed"].items()]
    parts = [
        f"{label} {', '.join(names)}"
        for label, names in (
            ("missing", evidence["missing"]),
            ("added", evidence["added"]),
            ("changed", changed),
        )
        if names
    ]
    return "columns " + "; ".join(parts)


def _null_rate(evidence: Mapping[str, Any]) -> str:
    moved = evidence["columns"].items()
    return "empty values of " + ", ".join(
        f"{name} went from {old:.0%} to {new:.0%}" for name, (old, new) in moved
    )


def _anomaly(evidence: Mapping[str, Any]) -> str:
    return (
        f"{evidence['metric']} is {evidence['value']:.3g}, usually about {evidence['median']:.3g}"
    )


def _waiting(evidence: Mapping[str, Any]) -> str:
    return f"row {evidence['source_row']:,} has no label yet and holds back the labelled ones after"


def _damaged_package(evidence: Mapping[str, Any]) -> str:
    return f"version {evidence['version']} cannot be loaded: {evidence['error']}"


_FINDINGS = {
    "damaged_package": _damaged_package,
    "drift": _drift,
    "error_rate": _error_rate,
    "latency": _latency,
    "schema_change": _schema_change,
    "null_rate": _null_rate,
    "anomaly": _anomaly,
    "waiting_for_labels": _waiting,
}


def roi_text(roi_delta: float) -> str:
    """Write an ROI delta with two decimals, or whole where it is large."""
    written = f"{roi_delta:+.2f}" if abs(roi_delta) < 100 else f"{roi_delta:+,.0f}"
    return written.replace("-", "−")


def cycle_text(cycle: Mapping[str, Any]) -> str:
    """Say what came of a cycle, with its money, in one line."""
    from menace.report.wording import usd

    outcome = str(cycle["outcome"]).replace("_", " ")
    version = cycle["version"]
    made = f" version {version}" if version is not None else ""
    told = f"cycle {cycle['cycle_id']} {outcome}{made}, cost {usd(cycle['cost_usd'])}"
    if cycle["error"]:
        return f"{told}: {without_class(cycle['error'])}"
    if cycle["roi_delta"] is not None and cycle["gain_usd"] is not None:
        gain = usd(cycle["gain_usd"], signed=True)
        return (
            f"{told}; settled over {cycle['settled_rows']:,} rows: gain {gain}, "
            f"ROI delta {roi_text(cycle['roi_delta'])}"
        )
    if cycle["outcome"] == "promoted" and cycle["gain_usd"] is not None:
        gain = usd(cycle["gain_usd"], signed=True)
        return f"{told}; gain so far {gain} over {cycle['settled_rows']:,} rows, not settled yet"
    return told


def without_class(error: str) -> str:
    """Leave out the class and the bot before an error's sentence, where both are known."""
    name, separator, rest = error.partition(": ")
    plain = rest if separator and name.isidentifier() else error
    if plain.startswith("bot '"):
        plain = plain.partition("': ")[2] or plain
    return plain
