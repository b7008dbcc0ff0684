"""What running a cycle would have been worth against waiting, for every model and tick.

After the fact both are known for each model that could have served: the losses of all later models
are in the table, and dynamic programming says what the best sequel would have cost. So a history
teaches not from the path that was taken alone, but from every champion that there could have been.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

from menace.sandbox_runner.hindsight import run_advantage_usd
from menace.self_improvement_policy.prior import LARGEST_ADVANTAGE, Evidence, LearnedPrior
from menace.self_improvement_policy.staleness import StalenessEstimator
from menace.self_improvement_policy.state import AGE_EDGES, DEBT_EDGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from menace.sandbox_runner.loss_table import LossTable
    from menace.self_improvement_policy.prior import Cell

STRIDES = (1, 2, 3, 5, 10)
"""Ticks between the models of an archive: bots that run many cycles and bots that run few."""

LONGEST_TAIL_TICKS = 10
"""So many ticks at the end, or a fifth of all, teach nothing: there was no time left to earn."""


def counterfactual_evidence(
    table: LossTable, *, tick_usd: float, models: int = 13, strides: Sequence[int] = STRIDES
) -> LearnedPrior:
    """Compare running with waiting, for every model of an archive, at every tick.

    Parameters
    ----------
    table
        Losses, costs and verdicts of all models.
    tick_usd
        What a tick costs whose rows lose 1 each, USD, > 0.
    models
        Models that an archive holds, champion included.
    strides
        One pass over the table for each, with a model every so many ticks.

    Returns
    -------
    LearnedPrior
        The weight of a cell is the number of different ticks that it was met at. Ticks whose cycle
        costs nothing teach nothing: there a cycle is always right.
    """
    met: dict[Cell, set[int]] = defaultdict(set)
    advantages: dict[Cell, list[float]] = defaultdict(list)
    ahead = run_advantage_usd(table)
    last = table.ticks - 1 - min(LONGEST_TAIL_TICKS, (table.ticks - table.first) // 5)
    for stride in strides:
        for tick, model, estimator in _archives(table, tick_usd, models, stride, last):
            price = float(table.cycle_usd[tick]) + table.promotion_usd
            advantage = float(ahead[model, tick])
            if price <= 0 or math.isnan(advantage):
                continue
            debt = estimator.debt * tick_usd / price
            cell = bisect_right(DEBT_EDGES, debt), bisect_right(AGE_EDGES, estimator.age_ticks)
            met[cell].add(tick)
            advantages[cell].append(
                max(-LARGEST_ADVANTAGE, min(LARGEST_ADVANTAGE, advantage / price))
            )
    return LearnedPrior(
        {
            cell: Evidence(float(len(met[cell])), math.fsum(values) / len(values))
            for cell, values in advantages.items()
        }
    )


def _archives(
    table: LossTable, tick_usd: float, models: int, stride: int, last: int
) -> Iterator[tuple[int, int, StalenessEstimator]]:
    """Yield every tick with each archived model in the champion's place."""
    estimator, archive = StalenessEstimator(), list[int]()
    for tick in range(table.first, last):
        if (tick - table.first) % stride == 0:
            archive = [*archive, tick - 1][-models:]
        losses = {model: float(table.loss_usd[model, tick]) / tick_usd for model in archive}
        estimator.observe(losses, champion=archive[-1])
        for model in archive:
            estimator.champion = model
            yield tick, model, estimator
