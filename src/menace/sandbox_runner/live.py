"""The real loop over a history: reveal a tick, let the engine tick, note what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.interfaces import Store
    from menace.records import BotConfig
    from menace.self_improvement_engine import SelfImprovementEngine


@dataclass(frozen=True, slots=True)
class LiveTick:
    """One revealed tick.

    Attributes
    ----------
    row
        Rows revealed at its end.
    loss_usd
        What the serving model's losses cost, USD.
    cycle_usd
        Cost of the cycle at its end, USD; 0 without one.
    version
        The version that served.
    """

    row: int
    label: str
    rows: int
    mean_loss: float
    loss_usd: float
    cycle_usd: float
    cycles: int
    cpu_seconds: float
    version: int | None


def run_live(
    engine: SelfImprovementEngine,
    store: Store,
    bot: BotConfig,
    *,
    reveal: Callable[[int], None],
    label: Callable[[int], str],
    first: int,
    ticks: int,
    done: Callable[[], None] = lambda: None,
) -> list[LiveTick]:
    """Reveal a history tick by tick to the real loop.

    Parameters
    ----------
    engine, store
        The bot's engine, and the store that it writes to.
    bot
        The bot.
    reveal
        Called as ``reveal(tick)``, makes that tick's rows visible to the bot's source.
    label
        What people call a tick.
    first
        So many ticks are revealed already; the first model is trained on them, at no cost to
        anyone.
    ticks
        So many ticks are revealed in all.
    done
        Called after each tick.

    Returns
    -------
    list of LiveTick
        Those from ``first`` on.

    Raises
    ------
    PipelineError
        If no first model can be trained.
    """
    _, made = engine.tick()
    if store.snapshot(bot.name).champion_version is None:
        why = "there was no cycle" if made is None else made.error or made.message
        raise PipelineError(
            f"no first model can be trained on the first {first * bot.tick_rows} rows: {why}.",
            bot=bot.name,
            remedy="give data whose first rows can be learned from, or a larger window_rows",
        )
    lived = []
    for tick in range(first, ticks):
        version = store.snapshot(bot.name).champion_version
        before = store.snapshot(bot.name).totals
        reveal(tick)
        _, result = engine.tick()
        after = store.snapshot(bot.name).totals
        rows = after.outcomes - before.outcomes
        loss = after.loss_sum - before.loss_sum
        lived.append(
            LiveTick(
                row=(tick + 1) * bot.tick_rows,
                label=label(tick),
                rows=rows,
                mean_loss=loss / rows,
                loss_usd=loss * bot.economics.loss_usd,
                cycle_usd=result.cost_usd if result is not None else 0.0,
                cycles=int(result is not None),
                cpu_seconds=result.cpu_seconds if result is not None else 0.0,
                version=version,
            )
        )
        done()
    return lived
