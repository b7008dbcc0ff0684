r"""A forecast of the error by age and time, in the manner of UPF (Regol et al., ICML 2025).

Ours, and simpler than theirs: UPF forecasts a distribution of the performance of each pair of model
and time, and plans on a quantile of it; here the mean is forecast, by least squares with a slight
ridge on all pairs that were seen,

.. math:: e_{i,t} \approx \beta_0 + \beta_1 (t - i) + \beta_2 t,

and the plan is the dynamic program over the forecast table to the end of the stream, whose length
the policy is told. It is made anew at every decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.decision.error_table import FIRST_MODEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.decision.replay import Past, Policy

RIDGE = 1e-3


class ErrorForecast:
    """Retrains when the plan over the forecast errors begins with a retrain."""

    def __init__(self, past: Past, cost: float) -> None:
        self._cost = cost
        self._rows: list[tuple[float, float]] = []
        self._errors: list[float] = []
        for model in range(FIRST_MODEL, past.first):
            for batch in range(model + 1, past.first):
                self._see(past, model, batch)

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~benchmarks.decision.replay.Policy`."""
        self._see(past, past.model, past.now)
        steps = np.arange(1, past.batches_left + 1)
        beta = self._fit()
        by_time = beta[0] + beta[2] * (past.now + steps)
        # value[a]: least cost from a step on, of a model that is a batches old at its start.
        oldest = past.age + len(steps)
        ages = np.arange(1, oldest + 2)
        value = np.zeros(oldest + 2)
        fresh = keep = 0.0
        for step in range(len(steps) - 1, -1, -1):
            cost = np.clip(by_time[step] + beta[1] * ages, 0.0, 1.0) + value[1:]
            fresh, keep = self._cost + float(cost[0]), float(cost[min(past.age, oldest)])
            value[:-1] = np.minimum(cost, fresh)
            value[-1] = value[-2]
        return fresh < keep

    def _see(self, past: Past, model: int, batch: int) -> None:
        self._rows.append((float(batch - model), float(batch)))
        self._errors.append(past.error(model, batch))

    def _fit(self) -> NDArray[np.float64]:
        """Coefficients of 1, age and time."""
        rows, errors = np.array(self._rows), np.array(self._errors)
        centre, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        design = (rows - centre) / scale
        level = errors.mean()
        gram = design.T @ design + RIDGE * len(errors) * np.eye(2)
        slopes = np.linalg.solve(gram, design.T @ (errors - level)) / scale
        return np.array([level - slopes @ centre, *slopes])


def error_forecast(past: Past, cost: float, _seed: int) -> Policy:
    """Make the policy."""
    return ErrorForecast(past, cost)
