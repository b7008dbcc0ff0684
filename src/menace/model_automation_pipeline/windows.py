"""Which rows a cycle learns from: the bot's window, or a sample of all history before it as well.

Of all history the newest :data:`LOOK_BACK` × ``max_history_rows`` rows are looked at, so that time
and memory stay bounded. Where that is more than ``max_history_rows``, the rows before the window
are thinned to every *k*-th, counted back from the window: the same rows for the same position.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from menace.records import BotConfig

LOOK_BACK = 5
LEAST_MORE = 1.25
"""History counts as more than the window when it has so many times its rows."""


def history_size(bot: BotConfig, labelled_rows: int, most_rows: int) -> int:
    """Say how many rows a cycle over all history would learn from.

    Parameters
    ----------
    labelled_rows
        Rows whose label has been seen.
    most_rows
        ``max_history_rows`` of the settings.

    Returns
    -------
    int
        Those of the window where there is hardly more.

    Examples
    --------
    >>> from menace.records import BotConfig
    >>> bot = BotConfig("alpha", None, "y", window_rows=1000)
    >>> [history_size(bot, rows, 20_000) for rows in (600, 1100, 3000, 90_000)]
    [600, 1000, 3000, 20000]
    """
    recent = min(bot.window_rows, labelled_rows)
    size = min(labelled_rows, most_rows)
    return size if size >= LEAST_MORE * recent else recent


def thinned(older: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Keep every *k*-th row, counted from the newest, so that at most ``rows`` stay."""
    if rows < 1:
        return older.iloc[:0]
    step = math.ceil(len(older) / rows) if len(older) else 1
    return older.iloc[(len(older) - 1) % step :: step]
