"""Cycles step by step, and the ledger that closes them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from menace.errors import CycleConflictError, StoreError
from menace.records import Cycle, CycleState, LedgerEntry
from menace.storage.documents import from_text, to_text
from menace.storage.outbox import add_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

    from menace.records import Json, SettlementProgress

_COLUMNS = (
    "SELECT c.cycle_id, b.name, c.state, c.energy, c.row, c.started_at, c.decision_id, c.attempts,"
    " c.replaced_version, c.version, c.cpu_seconds, c.cost_usd, c.settled_rows, c.gain_usd,"
    " c.serving_cost_usd, c.ended_at, c.outcome, c.error, c.details"
    " FROM cycles c JOIN bots b ON b.bot_id = c.bot_id "
)
_ONE = _COLUMNS + "WHERE c.cycle_id = ?"
_LAST = _COLUMNS + "WHERE c.bot_id = ? ORDER BY c.cycle_id DESC LIMIT ?"
# As many places as there are states; a shorter choice repeats one of its own.
_LAST_IN_STATES = (
    _COLUMNS + "WHERE c.bot_id = ? AND c.state IN (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ORDER BY c.cycle_id DESC LIMIT ?"
)
# The condition of the index unsettled_cycles, word for word: few cycles wait, however many there
# have been.
_LAST_UNSETTLED = _LAST_IN_STATES.replace(" ORDER", " AND c.state <> 'settled' ORDER")
_UNDER_WAY = (
    "SELECT cycle_id, state FROM cycles WHERE bot_id = ?"
    " AND state IN ('decided', 'patching', 'training', 'evaluated')"
)
_OPEN = (
    "INSERT INTO cycles (bot_id, state, energy, row, started_at, decision_id, attempts,"
    " replaced_version, cpu_seconds, cost_usd, settled_rows, gain_usd, serving_cost_usd, details)"
    " VALUES (?, 'decided', ?, ?, ?, ?, 0, (SELECT version FROM models"
    " WHERE bot_id = ? AND status = 'champion'), 0, 0, 0, 0, 0, ?)"
    " ON CONFLICT DO NOTHING RETURNING cycle_id"
)
_CHANGEABLE = (
    "energy",
    "row",
    "decision_id",
    "attempts",
    "replaced_version",
    "version",
    "cpu_seconds",
    "cost_usd",
    "settled_rows",
    "gain_usd",
    "serving_cost_usd",
    "ended_at",
    "outcome",
    "error",
)
_CHANGE = (
    "UPDATE cycles SET state = ?, energy = ?, row = ?, decision_id = ?, attempts = ?,"
    " replaced_version = ?, version = ?, cpu_seconds = ?, cost_usd = ?, settled_rows = ?,"
    " gain_usd = ?, serving_cost_usd = ?, ended_at = ?, outcome = ?, error = ?, details = ?"
    " WHERE cycle_id = ? AND state = ?"
)
_LEDGER_COLUMNS = (
    "SELECT l.cycle_id, b.name, l.at, l.gain_usd, l.cycle_cost_usd, l.serving_cost_usd, l.rows,"
    " l.roi_delta, l.entry_id FROM ledger l JOIN bots b ON b.bot_id = l.bot_id "
)
_LEDGER = _LEDGER_COLUMNS + "WHERE l.entry_id > ? ORDER BY l.entry_id DESC LIMIT ?"
_LEDGER_OF_BOT = (
    _LEDGER_COLUMNS + "WHERE l.entry_id > ? AND l.bot_id = ? ORDER BY l.entry_id DESC LIMIT ?"
)
_ALL = 2**62

ENDS = frozenset(
    {CycleState.PROMOTED, CycleState.REJECTED, CycleState.ROLLED_BACK, CycleState.FAILED}
)
"""States that say how a cycle ended; what follows is only its settlement."""


def open_cycle(
    cursor: DBAPICursor,
    bot_id: int,
    bot: str,
    *,
    energy: int,
    row: int,
    at: float,
    decision_id: int | None,
    details: Json,
) -> Cycle:
    """Begin a cycle; the schema lets only one per bot be under way."""
    text = to_text(details, what="the cycle's details", bot=bot)
    cursor.execute(_OPEN, (bot_id, energy, row, at, decision_id, bot_id, text))
    opened = cursor.fetchone()
    if opened is None:
        raise CycleConflictError(
            "a cycle is under way already.", bot=bot, remedy=f"menace status; menace why {bot}"
        )
    (cycle_id,) = opened
    add_event(cursor, bot_id, "cycle.decided", at, {"cycle_id": cycle_id, "energy": energy})
    return read_cycle(cursor, cycle_id)


def read_cycle(cursor: DBAPICursor, cycle_id: int) -> Cycle:
    """Read one cycle."""
    cursor.execute(_ONE, (cycle_id,))
    row = cursor.fetchone()
    if row is None:
        raise StoreError(
            f"there is no cycle {cycle_id}.", cycle_id=cycle_id, remedy="menace history BOT"
        )
    return _cycle(row)


def last_cycles(
    cursor: DBAPICursor, bot_id: int, last: int, states: Sequence[CycleState] | None
) -> list[Cycle]:
    """Read the newest cycles, in these states if given, oldest first."""
    if states is None:
        cursor.execute(_LAST, (bot_id, last))
    elif not states:
        return []
    else:
        wanted = sorted({str(CycleState(state)) for state in states})
        padding = [wanted[0]] * (len(CycleState) - len(wanted))
        chosen = _LAST_IN_STATES if CycleState.SETTLED in wanted else _LAST_UNSETTLED
        cursor.execute(chosen, (bot_id, *wanted, *padding, last))
    return [_cycle(row) for row in reversed(cursor.fetchall())]


def change_cycle(
    cursor: DBAPICursor,
    cycle_id: int,
    *,
    expected: CycleState,
    state: CycleState,
    at: float,
    changes: dict[str, Any],
) -> Cycle:
    """Move a cycle from ``expected`` to ``state``, with its event.

    A state that says how the cycle ended becomes its ``outcome`` too, and ``at`` its ``ended_at``,
    unless ``changes`` say otherwise.
    """
    unknown = sorted(set(changes) - {*_CHANGEABLE, "details"})
    if unknown:
        raise StoreError(
            f"a cycle has no field {unknown[0]!r} that could be changed.",
            cycle_id=cycle_id,
            remedy=f"fields that can: {', '.join((*_CHANGEABLE, 'details'))}",
        )
    before = read_cycle(cursor, cycle_id)
    if before.state != expected:
        raise CycleConflictError(
            f"cycle {cycle_id} is {before.state.value}, not {expected.value}.",
            bot=before.bot,
            cycle_id=cycle_id,
            remedy="read the cycle again; another process has moved it",
        )
    if state in ENDS:
        changes = {"outcome": state.value, "ended_at": before.ended_at or at} | changes
    after = dataclasses.replace(before, state=CycleState(state), **changes)
    details = to_text(after.details, what="the cycle's details", bot=before.bot)
    values = (getattr(after, name) for name in _CHANGEABLE)
    cursor.execute(_CHANGE, (after.state.value, *values, details, cycle_id, expected.value))
    _add_cycle_event(cursor, after, at)
    return after


def fail_under_way(cursor: DBAPICursor, bot_id: int, *, at: float, error: str) -> None:
    """Fail the bot's cycle that is under way, if there is one; the schema lets there be one."""
    cursor.execute(_UNDER_WAY, (bot_id,))
    found = cursor.fetchone()
    if found is not None:
        change_cycle(
            cursor,
            found[0],
            expected=CycleState(found[1]),
            state=CycleState.FAILED,
            at=at,
            changes={"error": error},
        )


def add_progress(
    cursor: DBAPICursor, bot_id: int, bot: str, progress: Sequence[SettlementProgress]
) -> None:
    """Add what one tick brought to the settlement of each cycle."""
    for item in progress:
        cursor.execute(
            "UPDATE cycles SET settled_rows = settled_rows + ?, gain_usd = gain_usd + ?,"
            " serving_cost_usd = serving_cost_usd + ?"
            " WHERE cycle_id = ? AND bot_id = ? AND state <> 'settled'",
            (item.rows, item.gain_usd, item.serving_cost_usd, item.cycle_id, bot_id),
        )
        if cursor.rowcount != 1:
            raise CycleConflictError(
                f"cycle {item.cycle_id} is settled already, or not of this bot.",
                bot=bot,
                cycle_id=item.cycle_id,
                remedy="observe again: the tick was made from an older state",
            )


def settle(
    cursor: DBAPICursor, bot_id: int, entry: LedgerEntry, *, expected: CycleState, outcome: str
) -> bool:
    """Write the ledger entry and close the cycle; False if that was done before."""
    before = read_cycle(cursor, entry.cycle_id)
    if before.bot != entry.bot:
        raise StoreError(
            f"cycle {entry.cycle_id} is of bot {before.bot!r}.",
            bot=entry.bot,
            cycle_id=entry.cycle_id,
            remedy="settle it under that bot's name",
        )
    if before.state is CycleState.SETTLED:
        return False
    change_cycle(
        cursor,
        entry.cycle_id,
        expected=expected,
        state=CycleState.SETTLED,
        at=entry.at,
        changes={"outcome": outcome, "ended_at": before.ended_at or entry.at},
    )
    cursor.execute(
        "INSERT INTO ledger (cycle_id, bot_id, at, gain_usd, cycle_cost_usd, serving_cost_usd,"
        " rows, roi_delta) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.cycle_id,
            bot_id,
            entry.at,
            entry.gain_usd,
            entry.cycle_cost_usd,
            entry.serving_cost_usd,
            entry.rows,
            entry.roi_delta,
        ),
    )
    return True


def read_ledger(
    cursor: DBAPICursor, bot_id: int | None, after: int, last: int | None
) -> list[LedgerEntry]:
    """Read entries with ``entry_id > after``, oldest first."""
    limit = _ALL if last is None else last
    if bot_id is None:
        cursor.execute(_LEDGER, (after, limit))
    else:
        cursor.execute(_LEDGER_OF_BOT, (after, bot_id, limit))
    return [LedgerEntry(*row) for row in reversed(cursor.fetchall())]


def _cycle(row: Sequence[Any]) -> Cycle:
    values = list(row)
    values[2], values[-1] = CycleState(values[2]), from_text(values[-1])
    return Cycle(*values)


def _add_cycle_event(cursor: DBAPICursor, cycle: Cycle, at: float) -> None:
    cursor.execute("SELECT bot_id FROM cycles WHERE cycle_id = ?", (cycle.cycle_id,))
    (bot_id,) = cursor.fetchone() or (0,)
    payload: Json = {"cycle_id": cycle.cycle_id, "energy": cycle.energy}
    if cycle.version is not None:
        payload["version"] = cycle.version
    if cycle.outcome is not None:
        payload["outcome"] = cycle.outcome
    if cycle.error is not None:
        payload["error"] = cycle.error
    if cycle.state is CycleState.SETTLED:
        payload |= {"gain_usd": cycle.gain_usd, "cost_usd": cycle.cost_usd}
    add_event(cursor, bot_id, f"cycle.{cycle.state.value}", at, payload)
