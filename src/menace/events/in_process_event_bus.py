"""Delivers events to functions of the same process."""

from __future__ import annotations

import logging
import threading
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from menace.records import Event

logger = logging.getLogger(__name__)


class InProcessEventBus:
    """Calls subscribers in the publishing thread, in the order in which they subscribed.

    Safe to share between threads. A subscriber may subscribe, unsubscribe and publish.

    Examples
    --------
    >>> from menace.records import Event
    >>> bus, seen = InProcessEventBus(), []
    >>> unsubscribe = bus.subscribe("cycle.*", lambda event: seen.append(event.topic))
    >>> bus.publish([Event("cycle.settled", "alpha", 0.0), Event("model.promoted", "alpha", 0.0)])
    >>> unsubscribe()
    >>> bus.publish([Event("cycle.failed", "alpha", 1.0)])
    >>> seen
    ['cycle.settled']
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: dict[int, tuple[str, Callable[[Event], None]]] = {}
        self._next_number = 0

    def subscribe(self, pattern: str, subscriber: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``subscriber`` for every topic that matches.

        Parameters
        ----------
        pattern
            A topic, in which ``*`` stands for any text and ``?`` for one character: ``cycle.*``.
        subscriber
            Called with each event. May be called twice for one, after a crash.

        Returns
        -------
        callable
            Ends the subscription; calling it again does nothing.
        """
        with self._lock:
            number = self._next_number
            self._next_number += 1
            self._subscriptions[number] = (pattern, subscriber)

        def unsubscribe() -> None:
            with self._lock:
                self._subscriptions.pop(number, None)

        return unsubscribe

    def has_subscribers(self) -> bool:
        """Whether a subscription has not ended, whatever its topics.

        Examples
        --------
        >>> bus = InProcessEventBus()
        >>> unsubscribe = bus.subscribe("cycle.*", print)
        >>> bus.has_subscribers()
        True
        >>> unsubscribe()
        >>> bus.has_subscribers()
        False
        """
        with self._lock:
            return bool(self._subscriptions)

    def publish(self, events: Iterable[Event]) -> None:
        """Deliver, in order. A subscriber that raises is logged and does not stop the others."""
        for event in events:
            with self._lock:
                subscriptions = tuple(self._subscriptions.values())
            for pattern, subscriber in subscriptions:
                if fnmatchcase(event.topic, pattern):
                    _deliver(event, subscriber)


def _deliver(event: Event, subscriber: Callable[[Event], None]) -> None:
    # Beside the cycle's boundary the only broad except: the event is committed, a subscriber is
    # code of somebody else, and whatever it raises must harm neither the loop nor the others.
    try:
        subscriber(event)
    except Exception:
        logger.exception(
            "subscriber %r failed on event %s of bot %s", subscriber, event.topic, event.bot
        )
