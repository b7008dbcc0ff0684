"""Events, written in the transaction that makes them true, and read back until delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.records import Event
from menace.storage.documents import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

    from menace.records import Json

KEPT_EVENTS = 10_000
"""Newest undelivered events of a bot that are kept, whether or not anybody ever takes them."""

# Looked after so seldom, the limit costs nothing. A prime, so that a bot whose events always come
# at the same places among those of others gets its turn too.
_EVENTS_PER_PRUNING = 1009

_INSERT = (
    "INSERT INTO outbox (bot_id, topic, at, payload, delivered) VALUES (?, ?, ?, ?, 0)"
    " RETURNING event_id"
)
_PRUNE = (
    "DELETE FROM outbox WHERE bot_id = ? AND delivered = 0 AND event_id <= (SELECT event_id"
    " FROM outbox WHERE bot_id = ? AND delivered = 0 ORDER BY event_id DESC LIMIT 1 OFFSET ?)"
)
_PENDING = (
    "SELECT o.topic, b.name, o.at, o.payload, o.event_id FROM outbox o"
    " JOIN bots b ON b.bot_id = o.bot_id WHERE o.delivered = 0 ORDER BY o.event_id LIMIT ?"
)
_PENDING_OF_BOT = (
    "SELECT o.topic, b.name, o.at, o.payload, o.event_id FROM outbox o"
    " JOIN bots b ON b.bot_id = o.bot_id WHERE o.delivered = 0 AND o.bot_id = ?"
    " ORDER BY o.event_id LIMIT ?"
)
_FORGET_DELIVERED = (
    "DELETE FROM outbox WHERE delivered = 1 AND event_id < (SELECT max(event_id) FROM outbox)"
)


def add_event(cursor: DBAPICursor, bot_id: int, topic: str, at: float, payload: Json) -> None:
    """Write one event, and now and then forget the bot's oldest that nobody has taken."""
    cursor.execute(_INSERT, (bot_id, topic, at, to_text(payload, what=f"the event {topic}")))
    (event_id,) = cursor.fetchone() or (0,)
    if event_id % _EVENTS_PER_PRUNING == 0:
        cursor.execute(_PRUNE, (bot_id, bot_id, KEPT_EVENTS))


def pending(cursor: DBAPICursor, bot_id: int | None, limit: int) -> list[Event]:
    """Read events that were not delivered yet, oldest first."""
    if bot_id is None:
        cursor.execute(_PENDING, (limit,))
    else:
        cursor.execute(_PENDING_OF_BOT, (bot_id, limit))
    return [
        Event(topic, bot, at, from_text(payload), event_id)
        for topic, bot, at, payload, event_id in cursor.fetchall()
    ]


def mark_delivered(cursor: DBAPICursor, event_ids: Sequence[int]) -> None:
    """Forget events that were delivered.

    The newest event of the outbox is kept, marked, until there is a newer one: SQLite gives the
    number after the highest there is, and an event's number must never come again.
    """
    cursor.executemany(
        "UPDATE outbox SET delivered = 1 WHERE event_id = ?", [(number,) for number in event_ids]
    )
    cursor.execute(_FORGET_DELIVERED)
