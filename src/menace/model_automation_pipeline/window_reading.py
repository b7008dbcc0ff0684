"""Reads the rows that a cycle learns from: the bot's window, and history before it if wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from menace.model_automation_pipeline.windows import LOOK_BACK, history_size, thinned
from menace.self_improvement_policy.recipes import RECENT

if TYPE_CHECKING:
    import pandas as pd

    from menace.interfaces import Services
    from menace.records import BotConfig, BotSnapshot


class ReadRows(NamedTuple):
    """The bot's window, and the rows of history before it, where they are wanted.

    ``thin_to`` is the number of rows that ``older`` has yet to be thinned to; ``context`` are the
    rows before all of them that a feature helper looks back on.
    """

    window: pd.DataFrame
    older: pd.DataFrame | None
    thin_to: int | None = None
    context: pd.DataFrame | None = None


def read_rows(
    services: Services,
    bot: BotConfig,
    snapshot: BotSnapshot,
    window: str,
    *,
    context_rows: int | None = None,
) -> ReadRows | None:
    """Read what a cycle of a window choice learns from; ``None`` where nothing was read yet.

    ``context_rows`` is what the bot's feature helper looks back on, if it has one: it has to see
    all rows of history before they are thinned.
    """
    most, labelled = services.settings.max_history_rows, snapshot.loop.labelled_rows
    size = history_size(bot, labelled, most)
    if window == RECENT or size <= bot.window_rows:
        recent = read_newest(services, bot, snapshot, bot.window_rows + (context_rows or 0))
        if recent is None or not context_rows:
            return None if recent is None else ReadRows(recent, None)
        context, recent = recent.iloc[: -bot.window_rows], recent.iloc[-bot.window_rows :]
        return ReadRows(recent.reset_index(drop=True), None, context=context)
    found = read_newest(services, bot, snapshot, min(labelled, LOOK_BACK * most))
    if found is None:
        return None
    older, recent = found.iloc[: -bot.window_rows], found.iloc[-bot.window_rows :]
    recent, more = recent.reset_index(drop=True), size - bot.window_rows
    if context_rows is not None:
        return ReadRows(recent, older, thin_to=more)
    return ReadRows(recent, thinned(older, more))


def read_newest(
    services: Services, bot: BotConfig, snapshot: BotSnapshot, size: int
) -> pd.DataFrame | None:
    """Read the newest ``size`` labelled rows that the bot has taken in; ``None`` if none were."""
    position = snapshot.loop.position
    if bot.source is None or position is None:
        return None
    rows, look_back = services.rows_of(bot), size
    wanted = min(size, snapshot.loop.labelled_rows)
    start = services.store.mark_before(bot.name, position.row - look_back)
    found = rows.read_window(start, position, rows=size)
    # Rows whose label was given up lie in the source, but not in the window. Each look back is
    # twice as long as the one before, so that all of them together cost little more than the last.
    while len(found) < wanted and start is not None:
        look_back *= 2
        earlier = services.store.mark_before(bot.name, position.row - look_back)
        if earlier != start:
            start = earlier
            found = rows.read_window(start, position, rows=size)
    return found
