"""What each strategy cost, tick by tick, beside what menace did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from menace.report import StrategyRow
from menace.sandbox_runner.strategies import HINDSIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from menace.sandbox_runner.live import LiveTick
    from menace.sandbox_runner.strategies import Played

MENACE = "menace"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The strategies' totals and their course.

    Attributes
    ----------
    rows
        In the order given, hindsight last and menace before it.
    cumulated_usd
        Strategy name → cost up to and with each tick, USD, shape ``(ticks,)``.
    """

    rows: tuple[StrategyRow, ...]
    cumulated_usd: Mapping[str, NDArray[np.float64]]


def compare_with(
    lived: Sequence[LiveTick], played: Mapping[str, Played], *, note: str
) -> Comparison:
    """Put what menace did beside what other schedules over the same models would have cost.

    Parameters
    ----------
    lived
        What menace did.
    played
        The others; the one named :data:`~menace.sandbox_runner.strategies.HINDSIGHT` is last.
    note
        What menace does, in a few words.
    """
    rows = [_row(name, plan) for name, plan in played.items()]
    own = StrategyRow(
        name=MENACE,
        loss_usd=sum(tick.loss_usd for tick in lived),
        cycle_usd=sum(tick.cycle_usd for tick in lived),
        total_usd=sum(tick.loss_usd + tick.cycle_usd for tick in lived),
        cycles=sum(tick.cycles for tick in lived),
        is_menace=True,
        note=note,
    )
    cumulated = {name: np.cumsum(plan.schedule.per_tick_usd) for name, plan in played.items()}
    cumulated[MENACE] = np.cumsum([tick.loss_usd + tick.cycle_usd for tick in lived])
    return Comparison(rows=(*rows[:-1], own, rows[-1]), cumulated_usd=cumulated)


def _row(name: str, plan: Played) -> StrategyRow:
    return StrategyRow(
        name=name,
        loss_usd=plan.schedule.loss_usd,
        cycle_usd=plan.schedule.cycle_usd,
        total_usd=plan.schedule.total_usd,
        cycles=len(plan.schedule.cycles),
        is_hindsight=name == HINDSIGHT,
        note=plan.note,
    )
