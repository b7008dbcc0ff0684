"""The newest rows that a bot has taken in: what features of the rows after them look back on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from menace.model_automation_pipeline.window_reading import read_newest

if TYPE_CHECKING:
    import pandas as pd

    from menace.interfaces import Services
    from menace.records import BotConfig, BotSnapshot


class RecentRows:
    """Reads a bot's newest labelled rows once for all models that are scored after them.

    Safe to share between threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[object, int, pd.DataFrame]] = {}

    def before(
        self, services: Services, bot: BotConfig, snapshot: BotSnapshot, rows: int
    ) -> pd.DataFrame | None:
        """Return the newest ``rows`` rows before the bot's position; ``None`` before the first."""
        key = (id(services), bot.source, snapshot.loop.position)
        with self._lock:
            known = self._kept.get(bot.name)
        if known is not None and known[0] == key and known[1] >= rows:
            return known[2].iloc[-rows:]
        found = read_newest(services, bot, snapshot, rows)
        if found is not None:
            with self._lock:
                self._kept[bot.name] = (key, rows, found)
        return found
