"""The history that is replayed: a bot's labelled rows, cut into ticks."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.data_sources.columns import stack
from menace.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from menace.interfaces import LabelledRows
    from menace.records import BotConfig

NEWEST_TICKS = 300
"""Ticks that are replayed unless more are asked for: the work grows with their square."""

FEWEST_TICKS = 8
"""Fewer leave nothing to compare."""

FIRST_SHARE = 0.4
"""No more of the history than this is spent on the first model."""

_READ_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class History:
    """Rows in whole ticks.

    Attributes
    ----------
    rows
        ``ticks × tick_rows`` labelled rows, in time order.
    first
        The first tick that counts: what lies before it trains the first model.
    ticks, tick_rows
        Number of ticks, and of rows in each.
    rows_before
        Labelled rows that lie before those that are replayed.
    """

    rows: pd.DataFrame
    first: int
    ticks: int
    tick_rows: int
    rows_before: int

    def label(self, tick: int, time: str | None) -> str:
        """Name a tick by the time of its first row, or by that row's number."""
        row = tick * self.tick_rows
        if time is None or time not in self.rows.columns:
            return f"row {self.rows_before + row:,}"
        return str(self.rows[time].iloc[row])


def read_history(rows: LabelledRows, bot: BotConfig, *, ticks: int | None = None) -> History:
    """Read a bot's labelled rows from the first to the last, and keep the newest ones.

    Parameters
    ----------
    rows
        Where they come from.
    bot
        Says how many rows make a tick.
    ticks
        How many ticks to keep; by default :data:`NEWEST_TICKS`.

    Raises
    ------
    DataError
        If the rows are wrong, or make fewer than :data:`FEWEST_TICKS` ticks.
    """
    most = NEWEST_TICKS if ticks is None else ticks
    if most < FEWEST_TICKS:
        raise DataError(
            f"{most} ticks were asked for.",
            bot=bot.name,
            remedy=f"give {FEWEST_TICKS} or more; the first ones only train the first model",
        )
    kept: deque[pd.DataFrame] = deque()
    seen = held = 0
    position, last_at = None, None
    while True:
        batch = rows.read_new(position, max_rows=_READ_ROWS, last_at=last_at)
        if len(batch.frame) == 0 and batch.position == position:
            break
        position = batch.position
        kept.append(batch.frame)
        seen, held = seen + len(batch.frame), held + len(batch.frame)
        # One tick more than is kept: the remainder that makes no tick lies at the end.
        while held - len(kept[0]) >= (most + 1) * bot.tick_rows:
            held -= len(kept.popleft())
    return cut_history(stack(list(kept)) if kept else None, bot, most=most, rows_before=seen - held)


def cut_history(
    rows: pd.DataFrame | None, bot: BotConfig, *, most: int, rows_before: int = 0
) -> History:
    """Cut rows into ticks: the remainder at the end is dropped, and ticks beyond the newest."""
    count = 0 if rows is None else len(rows)
    whole = (rows_before + count) // bot.tick_rows
    ticks = min(most, whole)
    if rows is None or ticks < FEWEST_TICKS:
        raise DataError(
            f"its source has {rows_before + count:,} labelled rows, which make {whole} ticks of "
            f"{bot.tick_rows:,}; a replay needs {FEWEST_TICKS}.",
            bot=bot.name,
            remedy="wait for more rows, or look at shorter ticks: --tick-rows N",
        )
    end = whole * bot.tick_rows - rows_before
    begin = end - ticks * bot.tick_rows
    return History(
        rows=rows.iloc[begin:end].reset_index(drop=True),
        first=_first_tick(bot, ticks),
        ticks=ticks,
        tick_rows=bot.tick_rows,
        rows_before=rows_before + begin,
    )


def _first_tick(bot: BotConfig, ticks: int) -> int:
    """Full windows where the history is long enough for that, but never too little to learn."""
    window = math.ceil(bot.window_rows / bot.tick_rows)
    least = math.ceil(20 / bot.tick_rows)
    return min(max(1, least, min(window, int(FIRST_SHARE * ticks))), ticks - 2)
