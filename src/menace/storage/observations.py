"""Outcomes with their running totals, metric samples, and marks in the source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from menace.errors import DataError, StoreError
from menace.records import MetricSample, Outcome, SourcePosition
from menace.storage.documents import from_text, to_text
from menace.storage.outbox import add_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

_NUMBERS = ("at", "loss", "value_usd", "serving_cost_usd")

# The bot's number is written into the statement, so that the caller's tuples go to the driver as
# they are; taking every one of them apart would cost a third of the insert.
_INSERT = (
    "INSERT INTO outcomes (bot_id, prediction_id, at, prediction, truth, loss, value_usd,"
    " serving_cost_usd, latency_seconds, version) VALUES (BOT_ID, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (bot_id, prediction_id) DO NOTHING"
)
_NEWEST = "SELECT coalesce(max(outcome_id), 0) FROM outcomes WHERE bot_id = ?"
_SUMS_SINCE = (
    "SELECT count(*), sum(loss), sum(loss * loss), sum(value_usd), sum(serving_cost_usd), max(at),"
    " min(loss), min(at), coalesce(max(latency_seconds), 0), coalesce(min(latency_seconds), 0)"
    " FROM outcomes WHERE bot_id = ? AND outcome_id > ?"
)
_ADD_TO_TOTALS = (
    "UPDATE bot_state SET outcomes = outcomes + ?, loss_sum = loss_sum + ?,"
    " loss_square_sum = loss_square_sum + ?, value_usd = value_usd + ?,"
    " serving_cost_usd = serving_cost_usd + ?, last_outcome_at ="
    " CASE WHEN last_outcome_at > ? THEN last_outcome_at ELSE ? END WHERE bot_id = ?"
)
_LAST = (
    "SELECT prediction_id, at, prediction, truth, loss, value_usd, serving_cost_usd,"
    " latency_seconds, version FROM outcomes WHERE bot_id = ? ORDER BY outcome_id DESC LIMIT ?"
)


def add_outcomes(cursor: DBAPICursor, bot_id: int, bot: str, outcomes: Sequence[Outcome]) -> int:
    """Insert those that are new, add them to the totals, write the event; returns how many.

    Raises
    ------
    DataError
        If an outcome holds what is not a finite number or a loss below 0, naming it.
    """
    if not outcomes:
        return 0
    cursor.execute(_NEWEST, (bot_id,))
    newest = _row(cursor)[0]
    cursor.executemany(_INSERT.replace("BOT_ID", str(int(bot_id))), outcomes)
    # Summed by the database over what it took, whichever outcomes were known already.
    cursor.execute(_SUMS_SINCE, (bot_id, newest))
    count, *sums, last_at, least_loss, first_at, slowest, fastest = _row(cursor)
    if count == 0:
        return 0
    figures = (*sums, last_at, first_at, slowest, fastest)
    if least_loss < 0 or any(x is None or not math.isfinite(x) for x in figures):
        raise faulty_outcome(bot, outcomes) or DataError(
            "the losses or values of these outcomes add up to more than a number can hold.",
            bot=bot,
            remedy="give them in a larger unit",
        )
    cursor.execute(_ADD_TO_TOTALS, (count, *sums, last_at, last_at, bot_id))
    add_event(cursor, bot_id, "outcomes.observed", last_at, {"outcomes": count})
    return int(count)


def _row(cursor: DBAPICursor) -> Sequence[Any]:
    """Fetch the one row of an aggregate, which always has one."""
    return cursor.fetchone() or ()


def faulty_outcome(bot: str, outcomes: Sequence[Outcome]) -> DataError | None:
    """Find the first outcome that cannot be stored; the error that says why, or None."""
    for position, outcome in enumerate(outcomes, start=1):
        fault = _fault(outcome)
        if fault is not None:
            named = f" (prediction {outcome[0]!r})" if len(outcome) else ""
            return DataError(
                f"outcome {position} of {len(outcomes)}{named}: {fault}.",
                bot=bot,
                remedy="correct it and send the batch again; nothing of it was stored",
            )
    return None


def _fault(outcome: Outcome) -> str | None:
    if len(outcome) != len(Outcome._fields):
        return f"it has {len(outcome)} fields instead of {len(Outcome._fields)}"
    if type(outcome[0]) is not str:
        return f"prediction_id is {outcome[0]!r}, not text"
    for name, value in zip(Outcome._fields, outcome, strict=True):
        fault = _value_fault(name, value)
        if fault is not None:
            return f"{name} is {value!r}, {fault}"
    return None


def _value_fault(name: str, value: object) -> str | None:
    required = name not in {"latency_seconds", "version"}
    if value is None:
        return "which is missing" if required else None
    if not isinstance(value, str | int | float):
        return f"a {type(value).__name__}, not a plain number or text"
    if isinstance(value, str):
        if name in _NUMBERS or not required:
            return "not a number"
        return None if _is_encodable(value) else "not valid Unicode"
    if isinstance(value, int) and abs(value) >= 2**63:
        return "too large"
    if not math.isfinite(value):
        return "not a finite number"
    return "below 0" if name == "loss" and value < 0 else None


def _is_encodable(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def last_outcomes(cursor: DBAPICursor, bot_id: int, last: int) -> list[Outcome]:
    """Read the newest outcomes, oldest first."""
    cursor.execute(_LAST, (bot_id, last))
    return [Outcome._make(row) for row in reversed(cursor.fetchall())]


def add_samples(
    cursor: DBAPICursor, bot_id_of: Callable[[str], int], samples: Iterable[MetricSample]
) -> None:
    """Append metric samples.

    Raises
    ------
    DataError
        If a value is not a finite number.
    """
    rows = []
    for sample in samples:
        if not (isinstance(sample.value, int | float) and math.isfinite(sample.value)):
            raise DataError(
                f"metric {sample.name!r} is {sample.value!r}.",
                bot=sample.bot,
                remedy="give a finite number",
            )
        # float() makes NumPy's float64, which is a float, an ordinary one.
        rows.append(
            (
                bot_id_of(sample.bot),
                sample.name,
                sample.at,
                float(sample.value),
                sample.rows,
                sample.version,
            )
        )
    if rows:
        cursor.executemany(
            "INSERT INTO metric_samples (bot_id, name, at, value, rows, version)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )


def last_samples(
    cursor: DBAPICursor, bot_id: int, bot: str, name: str, last: int
) -> list[MetricSample]:
    """Read the newest samples of one metric, oldest first."""
    cursor.execute(
        "SELECT at, value, rows, version FROM metric_samples WHERE bot_id = ? AND name = ?"
        " ORDER BY sample_id DESC LIMIT ?",
        (bot_id, name, last),
    )
    return [MetricSample(bot, name, *row) for row in reversed(cursor.fetchall())]


def add_marks(cursor: DBAPICursor, bot_id: int, marks: Sequence[SourcePosition]) -> None:
    """Remember source positions; a row that is marked already gets the new mark."""
    if marks:
        cursor.executemany(
            "INSERT INTO source_marks (bot_id, row, mark) VALUES (?, ?, ?)"
            " ON CONFLICT (bot_id, row) DO UPDATE SET mark = excluded.mark",
            [(bot_id, mark.row, to_text(mark.mark, what="a source mark")) for mark in marks],
        )


def mark_before(cursor: DBAPICursor, bot_id: int, row: int) -> SourcePosition | None:
    """Read the last mark at or before ``row``."""
    cursor.execute(
        "SELECT row, mark FROM source_marks WHERE bot_id = ? AND row <= ?"
        " ORDER BY row DESC LIMIT 1",
        (bot_id, row),
    )
    found = cursor.fetchone()
    return None if found is None else SourcePosition(found[0], from_text(found[1]))


def check_last(last: int) -> int:
    """Return ``last``, which says how many records to read.

    Raises
    ------
    StoreError
        If it is negative: to the database that would mean all of them.
    """
    if last < 0:
        raise StoreError(f"cannot read the last {last} records.", remedy="give 0 or more")
    return last
