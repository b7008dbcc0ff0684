"""What was decided about the number of engines, in the store if there is one."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from typing import TYPE_CHECKING

from menace.config import DEFAULT_WIRING, load_dotted
from menace.records import ScalingAction

if TYPE_CHECKING:
    from menace.interfaces import Clock, Services, Store
    from menace.records import Scaling
    from menace.self_improvement_engine.autoscaler import Reading

KEPT_READINGS = 1000
KEPT_MOVES = 100
"""Changes that are remembered: far more than a day can bring with any cooldown worth having."""


class ScalingHistory:
    """Remembers readings of this process, and changes of all.

    Parameters
    ----------
    store
        Where decisions are kept. Without one, the workspace of the current folder is used, looked
        up when the first decision is due; outside any workspace they are kept in memory.
    clock
        Tells the time; by default the workspace's, or the system's.
    """

    def __init__(self, store: Store | None = None, *, clock: Clock | None = None) -> None:
        self._store, self._clock = store, clock
        self._sought = store is not None
        self._moved: deque[Scaling] = deque(maxlen=KEPT_MOVES)
        self._last_wait: int | None = None
        self.readings: deque[Reading] = deque(maxlen=KEPT_READINGS)

    @property
    def store(self) -> Store | None:
        """The store, found at the first call."""
        if not self._sought:
            self._sought = True
            services: Services | None = load_dotted(DEFAULT_WIRING)()
            if services is not None:
                self._store = services.store
                self._clock = self._clock or services.clock
        return self._store

    def now(self) -> float:
        """POSIX seconds."""
        return time.time() if self._clock is None else self._clock.now()

    def moved(self) -> list[Scaling]:
        """Newest creations and removals, oldest first; those of other processes too."""
        if self.store is None:
            return list(self._moved)
        return self.store.scalings(last=KEPT_MOVES, moved_only=True)

    def add(self, scaling: Scaling) -> Scaling:
        """Keep a decision; a wait after a wait takes its place."""
        waits = scaling.action is ScalingAction.WAIT
        if self.store is not None:
            number = self.store.add_scaling(scaling, replacing=self._last_wait if waits else None)
            self._last_wait = number if waits else None
            scaling = dataclasses.replace(scaling, scaling_id=number)
        elif not waits:
            self._moved.append(scaling)
        return scaling
