"""Policies that look at nothing but the calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.decision.replay import cheapest_of

if TYPE_CHECKING:
    from benchmarks.decision.replay import Past, Policy, PolicyMaker

NEVER = 1_000_000
"""An interval that no stream reaches."""

INTERVALS = (*range(1, 61), NEVER)
"""Intervals, in batches, that the tuned calendar chooses from."""


class Calendar:
    """Retrains as soon as the model in force is ``every`` batches old."""

    def __init__(self, every: int) -> None:
        self.every = every

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~benchmarks.decision.replay.Policy`."""
        return past.age >= self.every


def every(batches: int) -> PolicyMaker:
    """Make the maker of a calendar."""
    return lambda _past, _cost, _seed: Calendar(batches)


def tuned_calendar(past: Past, cost: float, seed: int) -> Policy:
    """Take the interval that would have been cheapest over the calibration part."""
    calendars = [every(interval) for interval in INTERVALS]
    return cheapest_of(past.calibration(), cost, calendars)(past, cost, seed)
