"""Rent-or-buy on the plain loss: retrain when what staleness has cost reaches a retrain's price."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.decision.error_table import FIRST_MODEL
from benchmarks.decision.replay import cheapest_of

if TYPE_CHECKING:
    from benchmarks.decision.replay import Past, Policy, PolicyMaker

MULTIPLES = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Of a retrain's cost: the thresholds that the tuned rule chooses from."""


class FreshError:
    """Mean error of models on the first batch that they served: what freshness is worth.

    Pooled over all models of the calibration part and every model put in force since.
    """

    def __init__(self, past: Past) -> None:
        self._seen = [past.error(m, m + 1) for m in range(FIRST_MODEL, past.first - 1)]

    def take_in(self, past: Past) -> None:
        """Note the error of a model that has just served its first batch."""
        if past.age == 1:
            self._seen.append(past.error(past.model, past.now))

    @property
    def mean(self) -> float:
        """The mean, 0..1; 0 before any was seen."""
        return float(np.mean(self._seen)) if self._seen else 0.0


class RentOrBuy:
    """Retrains when the accumulated excess over the pooled fresh error reaches the threshold.

    Karlin et al. 1988, "Competitive snoopy caching". The excess is signed and never accumulates
    below 0; a model's first batch accumulates none, since it is what freshness is measured by.
    """

    def __init__(self, past: Past, threshold: float) -> None:
        self._threshold = threshold
        self._fresh = FreshError(past)
        self._debt = 0.0

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~benchmarks.decision.replay.Policy`."""
        self._fresh.take_in(past)
        if past.age == 1:
            self._debt = 0.0
            return self._threshold <= 0.0
        excess = past.error(past.model, past.now) - self._fresh.mean
        self._debt = max(0.0, self._debt + excess)
        return self._debt >= self._threshold


def rent_or_buy(past: Past, cost: float, _seed: int) -> Policy:
    """Retrain when the debt reaches the cost of a retrain."""
    return RentOrBuy(past, cost)


def tuned_rent_or_buy(past: Past, cost: float, seed: int) -> Policy:
    """Retrain at the multiple of the cost that was cheapest over the calibration part."""
    makers = [_at(multiple * cost) for multiple in MULTIPLES]
    return cheapest_of(past.calibration(), cost, makers)(past, cost, seed)


def _at(threshold: float) -> PolicyMaker:
    return lambda past, _cost, _seed: RentOrBuy(past, threshold)
