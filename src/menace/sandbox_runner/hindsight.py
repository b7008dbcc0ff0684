r"""The least that any schedule of cycles could have cost, by dynamic programming.

With :math:`V_t(i)` the least cost of ticks *t*, *t* + 1, … when model *i* serves tick *t*,

.. math:: V_t(i) = \ell_{i,t} + \min\bigl(V_{t+1}(i),\; c_t + V_{t+1}(t)\bigr),

where the second choice, a cycle at the end of tick *t*, exists only where the gate accepts the
challenger (a promotion's price is part of :math:`c_t`); after the last tick nothing is decided.
Bellman 1957, "Dynamic Programming". Time and memory are quadratic in the number of ticks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from menace.sandbox_runner.loss_table import LossTable


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a schedule did and cost.

    Attributes
    ----------
    cycles
        Ticks at whose end a cycle ran.
    served
        The model that served each counted tick.
    loss_usd, cycle_usd
        Sum of losses, and of cycle costs, USD.
    per_tick_usd
        Cost of each counted tick, its loss and the cycle at its end, USD, shape ``(counted,)``.
    """

    cycles: tuple[int, ...]
    served: tuple[int, ...]
    loss_usd: float
    cycle_usd: float
    per_tick_usd: NDArray[np.float64]

    @property
    def total_usd(self) -> float:
        """Loss and cycles together, USD."""
        return self.loss_usd + self.cycle_usd


def follow(table: LossTable, wants_cycle: Callable[[int, int], bool]) -> Schedule:
    """Say what a rule would have cost.

    Parameters
    ----------
    table
        Losses, costs and verdicts.
    wants_cycle
        Called as ``wants_cycle(tick, model)`` at the end of every counted tick but the last, with
        the model that served it. A cycle whose challenger the gate refuses costs all the same.
    """
    model = table.first - 1
    cycles, served, costs = [], [], []
    loss_usd = cycle_usd = 0.0
    for tick in range(table.first, table.ticks):
        served.append(model)
        cost = float(table.loss_usd[model, tick])
        loss_usd += cost
        if tick < table.ticks - 1 and wants_cycle(tick, model):
            cycles.append(tick)
            accepted = bool(table.accepted[model, tick])
            price = float(table.cycle_usd[tick]) + accepted * table.promotion_usd
            cycle_usd += price
            cost += price
            if accepted:
                model = tick
        costs.append(cost)
    return Schedule(tuple(cycles), tuple(served), loss_usd, cycle_usd, np.array(costs))


def hindsight(table: LossTable) -> Schedule:
    """Find the schedule with the least total cost.

    Examples
    --------
    >>> import numpy as np
    >>> from menace.sandbox_runner import LossTable
    >>> losses = np.array([[0., 1, 5, 5], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    >>> best = hindsight(LossTable.of_losses(losses, cycle_usd=2.0))
    >>> best.cycles, best.total_usd
    ((1,), 5.0)
    """
    ahead = run_advantage_usd(table)
    return follow(table, lambda tick, model: bool(ahead[model, tick] > 0))


def run_advantage_usd(table: LossTable) -> NDArray[np.float64]:
    """Say by how much running a cycle would have been cheaper than waiting, for every model.

    Both with the best that could be done afterwards: waiting may mean a cycle a tick later. In the
    symbols above, entry (i, t) is :math:`V_{t+1}(i) - c_t - V_{t+1}(t)`.

    Returns
    -------
    ndarray, shape (ticks, ticks)
        USD; positive where the cycle was worth its cost. Where the gate refuses the challenger it
        is the cycle's cost, lost. NaN where nothing is decided: ticks before the first that counts,
        the last one, and models that are not older than the tick.
    """
    ticks = table.ticks
    ahead = np.full((ticks, ticks), np.nan)
    value = table.loss_usd[:, ticks - 1].copy()
    for tick in range(ticks - 2, table.first - 1, -1):
        renewed = table.cycle_usd[tick] + np.where(
            table.accepted[:, tick], table.promotion_usd + value[tick], value
        )
        ahead[:tick, tick] = (value - renewed)[:tick]
        value = table.loss_usd[:, tick] + np.minimum(value, renewed)
    return ahead


def never(table: LossTable) -> Schedule:
    """Keep the first model for ever."""
    return follow(table, lambda _tick, _model: False)


def calendar(table: LossTable, every: int) -> Schedule:
    """Run a cycle every ``every`` ticks; 1 is *always*."""
    return follow(table, lambda tick, _model: (tick - table.first + 1) % every == 0)
