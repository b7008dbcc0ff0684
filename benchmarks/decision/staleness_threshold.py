"""A threshold on staleness, in the manner of CARA (Mahadevan and Mathioudakis 2024).

Ours, and simpler than theirs: CARA estimates the staleness of a model from the similarity of its
training data to the queries; here it is measured, as the error on the newest batch above what fresh
models make. Like theirs, the threshold is the one that was cheapest on the calibration part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.decision.rent_or_buy import fresh_errors
from benchmarks.decision.replay import cheapest_of
from menace.sandbox_runner.rent_or_buy import FreshError

if TYPE_CHECKING:
    from benchmarks.decision.replay import Past, Policy, PolicyMaker

CHOICES = 40


class StalenessThreshold:
    """Retrains when the newest batch's error exceeds the pooled fresh error by the threshold."""

    def __init__(self, past: Past, threshold: float) -> None:
        self._threshold = threshold
        self._fresh = FreshError(fresh_errors(past))

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~benchmarks.decision.replay.Policy`."""
        self._fresh.take_in(past)
        return past.error(past.model, past.now) - self._fresh.mean >= self._threshold


def staleness_threshold(past: Past, cost: float, seed: int) -> Policy:
    """Tune the threshold on the calibration part: quantiles of its staleness, or infinity."""
    table = past.calibration()
    fresh = FreshError(fresh_errors(past)).mean
    staleness = table.errors[~np.isnan(table.errors)] - fresh
    thresholds = [*np.quantile(staleness, np.linspace(0.0, 1.0, CHOICES)).tolist(), float("inf")]
    makers = [_above(threshold) for threshold in thresholds]
    return cheapest_of(table, cost, makers)(past, cost, seed)


def _above(threshold: float) -> PolicyMaker:
    return lambda past, _cost, _seed: StalenessThreshold(past, threshold)
