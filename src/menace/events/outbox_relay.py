"""Takes committed events from the store's outbox to a bus."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from menace.interfaces import EventBus, Store


class OutboxRelay:
    """Delivers what was committed, after it was committed, at least once.

    An event is marked delivered after the bus has had it; a process that is killed in between
    delivers it again when it is back.

    Parameters
    ----------
    store
        Whose outbox is read.
    bus
        Where events go.
    batch
        Events read at a time, ≥ 1.
    """

    def __init__(self, store: Store, bus: EventBus, *, batch: int = 1000) -> None:
        self._store = store
        self._bus = bus
        self._batch = batch
        self._delivering = threading.Lock()

    def deliver(self, *, bot: str | None = None) -> int:
        """Publish pending events (of one bot) in the order in which they were committed.

        Events that a subscriber commits meanwhile may be delivered by this call or the next.

        Returns
        -------
        int
            How many were published.
        """
        # Two threads that deliver at once would publish the same events twice and out of order.
        with self._delivering:
            published = 0
            while True:
                events = self._store.pending_events(bot=bot, limit=self._batch)
                self._bus.publish(events)
                self._store.mark_delivered(
                    [event.event_id for event in events if event.event_id is not None]
                )
                published += len(events)
                if len(events) < self._batch:
                    return published
