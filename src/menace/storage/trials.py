"""Trials of a bot's searches, so that the next search goes on where the last one stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.records import Metric, SearchTrial
from menace.storage.documents import from_text, to_text
from menace.storage.observations import check_last

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

    from menace.storage.sql_store import Database

KEPT = 400
"""Trials kept for a bot: the newest so many. The world has moved since the others."""

_OF_CYCLE = "SELECT 1 FROM trials WHERE cycle_id = ? LIMIT 1"
_ADD = (
    "INSERT INTO trials (bot_id, cycle_id, row, family, params, ratio, metric)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_FORGET = (
    "DELETE FROM trials WHERE bot_id = ? AND trial_id <= (SELECT trial_id FROM trials"
    " WHERE bot_id = ? ORDER BY trial_id DESC LIMIT 1 OFFSET ?)"
)
_LAST = (
    "SELECT family, params, ratio, metric, row, cycle_id FROM trials WHERE bot_id = ?"
    " AND (cycle_id IS NULL OR cycle_id <> ?) ORDER BY trial_id DESC LIMIT ?"
)


class SQLSearchTrials:
    """The :class:`menace.interfaces.SearchTrials` on a SQL database; a part of the store."""

    _database: Database

    def _bot_id(self, cursor: DBAPICursor, name: str) -> int:
        raise NotImplementedError

    def add_trials(
        self, bot: str, trials: Sequence[SearchTrial], *, cycle_id: int | None = None
    ) -> int:
        """Append a search's trials; those of a cycle once only."""
        rows = [
            (
                cycle_id,
                trial.row,
                trial.family,
                to_text(dict(trial.params), what="a trial's parameters", bot=bot),
                float(trial.ratio),
                trial.metric.value,
            )
            for trial in trials
        ]
        with self._database.write() as cursor:
            bot_id = self._bot_id(cursor, bot)
            if cycle_id is not None:
                cursor.execute(_OF_CYCLE, (cycle_id,))
                if cursor.fetchone() is not None:
                    return 0
            for row in rows:
                cursor.execute(_ADD, (bot_id, *row))
            cursor.execute(_FORGET, (bot_id, bot_id, KEPT))
        return len(rows)

    def trials(self, bot: str, *, last: int, without_cycle: int | None = None) -> list[SearchTrial]:
        """Read the ``last`` trials, oldest first, without those of one cycle."""
        with self._database.read() as cursor:
            bot_id = self._bot_id(cursor, bot)
            cursor.execute(_LAST, (bot_id, without_cycle or 0, check_last(last)))
            rows = cursor.fetchall()
        return [
            SearchTrial(family, from_text(params), ratio, Metric(metric), row, cycle)
            for family, params, ratio, metric, row, cycle in reversed(rows)
        ]
