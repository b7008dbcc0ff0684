"""Policies that look at nothing but the calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.decision.replay import cheapest_of
from menace.sandbox_runner.calendars import NEVER, Calendar

if TYPE_CHECKING:
    from benchmarks.decision.replay import Past, Policy, PolicyMaker

INTERVALS = (*range(1, 61), NEVER)
"""Intervals, in batches, that the tuned calendar chooses from."""


def every(batches: int) -> PolicyMaker:
    """Make the maker of a calendar."""
    return lambda _past, _cost, _seed: Calendar(batches)


def tuned_calendar(past: Past, cost: float, seed: int) -> Policy:
    """Take the interval that would have been cheapest over the calibration part."""
    calendars = [every(interval) for interval in INTERVALS]
    return cheapest_of(past.calibration(), cost, calendars)(past, cost, seed)
