"""Rent-or-buy on the plain loss: run a cycle when what staleness has cost reaches its price."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from menace.sandbox_runner.strategy import Past


class FreshError:
    """Mean loss of models on the first tick that they served: what freshness is worth.

    Pooled over every model that was put in force, and those of a calibration part, if there is one.

    Parameters
    ----------
    known
        Such losses that are known beforehand.
    """

    def __init__(self, known: Iterable[float] = ()) -> None:
        self._seen = list(known)

    def take_in(self, past: Past) -> None:
        """Note the loss of a model that has just served its first tick."""
        if past.age == 1:
            self._seen.append(past.error(past.model, past.now))

    @property
    def mean(self) -> float:
        """The mean, in units of loss per row; 0 before any was seen."""
        return float(np.mean(self._seen)) if self._seen else 0.0


class RentOrBuy:
    """Runs a cycle when the accumulated excess over the pooled fresh loss reaches the threshold.

    Karlin et al. 1988, "Competitive snoopy caching". The excess is signed and never accumulates
    below 0; a model's first tick accumulates none, since it is what freshness is measured by.

    Parameters
    ----------
    threshold
        In units of one tick's rows losing 1 each: the price of a cycle.
    fresh
        Losses of fresh models that are known beforehand.
    """

    def __init__(self, threshold: float, fresh: Iterable[float] = ()) -> None:
        self._threshold = threshold
        self._fresh = FreshError(fresh)
        self._debt = 0.0

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~menace.sandbox_runner.strategy.Strategy`."""
        self._fresh.take_in(past)
        if past.age == 1:
            self._debt = 0.0
            return self._threshold <= 0.0
        excess = past.error(past.model, past.now) - self._fresh.mean
        self._debt = max(0.0, self._debt + excess)
        return self._debt >= self._threshold
