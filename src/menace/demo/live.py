"""The live part of the demonstration: reveal a week, let the engine tick, note what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.demo.stream import Stream
    from menace.records import BotConfig
    from menace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class LiveTick:
    """One revealed tick.

    Attributes
    ----------
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
    workspace: Workspace,
    bot: BotConfig,
    stream: Stream,
    file: Path,
    *,
    first: int,
    ticks: int,
    done: Callable[[], None] = lambda: None,
) -> list[LiveTick]:
    """Reveal the stream tick by tick to the real loop.

    Parameters
    ----------
    workspace, bot
        The bot lives in the workspace; its source is ``file``.
    stream
        What is revealed.
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
    """
    engine = workspace.engine(bot.name)
    engine.tick()
    lived = []
    for batch in range(first, ticks):
        version = workspace.store.snapshot(bot.name).champion_version
        before = workspace.store.snapshot(bot.name).totals
        stream.reveal(file, batch)
        _, result = engine.tick()
        after = workspace.store.snapshot(bot.name).totals
        rows = after.outcomes - before.outcomes
        loss = after.loss_sum - before.loss_sum
        lived.append(
            LiveTick(
                row=(batch + 1) * bot.tick_rows,
                label=stream.label(batch),
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
