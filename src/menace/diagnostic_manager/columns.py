"""Schema and missing values: what was seen of a source's columns against what comes in now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from menace.diagnostic_manager.severity import score, severity_of
from menace.records import Issue, IssueKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from menace.records import Json

EMPTY = "empty"
SCHEMA_BROKEN = 0.9
SCHEMA_WIDENED = 0.5
SCHEMA_ADDED = 0.3
SMALLEST_NULL_CHANGE = 0.1
SEVERE_NULL_CHANGE = 0.5


def column_kinds(frame: pd.DataFrame) -> dict[str, str]:
    """Name → ``"number"`` (booleans too), ``"text"`` (all else), or ``"empty"`` of each column.

    A column without a single value is ``"empty"``: what it holds cannot be told from it.
    """
    return {
        str(name): EMPTY
        if column.isna().all()
        else "number"
        if column.dtype.kind in "biuf"
        else "text"
        for name, column in frame.items()
    }


def null_rates(frame: pd.DataFrame) -> dict[str, float]:
    """Name → share of missing values, 0..1; empty for a frame without rows."""
    if len(frame) == 0:
        return {}
    return {str(name): float(column.isna().mean()) for name, column in frame.items()}


def schema_issues(
    bot: str, before: Mapping[str, str], now: Mapping[str, str], row: int
) -> list[Issue]:
    """Compare the columns seen before with those of new rows, as :func:`column_kinds` gives them.

    Returns
    -------
    list of Issue
        None or one, which names all columns. Severity: 0.9 if a column is missing or turned from
        numbers to text, 0.5 if one turned from text to numbers, 0.3 if columns were only added. A
        column without values fits any kind. With nothing seen before there is nothing to compare.
    """
    if not before:
        return []
    missing = sorted(before.keys() - now.keys())
    added = sorted(now.keys() - before.keys())
    changed = {
        name: [before[name], now[name]]
        for name in sorted(before.keys() & now.keys())
        if before[name] != now[name] and EMPTY not in {before[name], now[name]}
    }
    if missing or any(kinds[1] == "text" for kinds in changed.values()):
        severity = SCHEMA_BROKEN
    elif changed:
        severity = SCHEMA_WIDENED
    elif added:
        severity = SCHEMA_ADDED
    else:
        return []
    evidence: Json = {"missing": missing, "added": added, "changed": changed}
    return [Issue(bot, IssueKind.SCHEMA_CHANGE, severity, evidence, row)]


def null_rate_issues(
    bot: str,
    before: Mapping[str, float],
    now: Mapping[str, float],
    row: int,
    *,
    rows: int | None = None,
) -> list[Issue]:
    """Compare the share of missing values per column with that of new rows.

    Parameters
    ----------
    before, now
        Name → share, 0..1; columns in only one of them are left to :func:`schema_issues`.
    rows
        So many rows ``now`` was counted on; ``None`` if that is not known, and the certainty is
        then not judged.

    Returns
    -------
    list of Issue
        None or one, which names every column whose share moved by 0.1 or more. Severity of the
        worst: ``min(score(|change|, 0.5), score(z, 5))`` with
        ``z = |change| / √(q (1 − q) / rows)``, q being the share before, held one row away from 0
        and 1.
    """
    changed: dict[str, list[float]] = {}
    severity = 0.0
    for name in sorted(before.keys() & now.keys()):
        change = abs(now[name] - before[name])
        if change < SMALLEST_NULL_CHANGE:
            continue
        changed[name] = [before[name], now[name]]
        found = score(change, SEVERE_NULL_CHANGE)
        if rows:
            share = min(max(before[name], 1 / (rows + 2)), 1 - 1 / (rows + 2))
            z = change / math.sqrt(share * (1 - share) / rows)
            found = severity_of(change, SEVERE_NULL_CHANGE, z)
        severity = max(severity, found)
    if not changed:
        return []
    return [Issue(bot, IssueKind.NULL_RATE, severity, {"columns": changed}, row)]
