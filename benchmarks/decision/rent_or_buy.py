"""Rent-or-buy on the plain loss, plain and tuned, given the calibration part's fresh errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.decision.error_table import FIRST_MODEL
from benchmarks.decision.replay import cheapest_of
from menace.sandbox_runner.rent_or_buy import RentOrBuy

if TYPE_CHECKING:
    from benchmarks.decision.replay import Past, Policy, PolicyMaker

MULTIPLES = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Of a retrain's cost: the thresholds that the tuned rule chooses from."""


def fresh_errors(past: Past) -> list[float]:
    """Errors of the calibration part's models on the first batch after their training."""
    return [past.error(m, m + 1) for m in range(FIRST_MODEL, past.first - 1)]


def rent_or_buy(past: Past, cost: float, _seed: int) -> Policy:
    """Retrain when the debt reaches the cost of a retrain."""
    return RentOrBuy(cost, fresh_errors(past))


def tuned_rent_or_buy(past: Past, cost: float, seed: int) -> Policy:
    """Retrain at the multiple of the cost that was cheapest over the calibration part."""
    makers = [_at(multiple * cost) for multiple in MULTIPLES]
    return cheapest_of(past.calibration(), cost, makers)(past, cost, seed)


def _at(threshold: float) -> PolicyMaker:
    return lambda past, _cost, _seed: RentOrBuy(threshold, fresh_errors(past))
