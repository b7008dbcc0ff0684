"""Decide how many engines there should be: one more, one less, or as many as there are. Pure.

::

    create  if energy > create_energy and trend > roi_threshold and trend − cost_per_engine > 0
    remove  if energy ≤ remove_energy or trend ≤ roi_threshold

within ``min_engines .. max_engines``, and, so that a noisy trend makes nothing flap,

- only if 90 % of the readings of the last ``cooldown_seconds`` since the last change want the same,
  once there are ten of them (*agreement*), and
- not before ``cooldown_seconds × 2^reversals`` have passed since the last change (*cooldown*),
  where a reversal is a change of direction in the last 24 hours; a day at most.

With the default of 600 s that bounds a day to eight reversals, whatever the readings. An engine is
removed for want of energy at once if the last change was a creation, and otherwise after one
``cooldown_seconds``: money that runs out does not wait for agreement.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from menace.errors import ConfigError
from menace.records import ScalingAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.records import Json, Scaling

AGREEMENT = 0.9
"""Share of the recent readings that have to want a change."""

FEWEST_READINGS = 10
"""With fewer nothing can be told of noise; the cooldown alone holds changes back then."""

DAY_SECONDS = 86_400.0
MOST_REVERSALS = 32
"""Far beyond where a cooldown has grown to a day; keeps the power of two small."""


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """When to grow and when to shrink.

    Attributes
    ----------
    max_engines, min_engines
        0 ≤ min ≤ max.
    create_energy, remove_energy
        Energy scores, 0 ≤ remove < create ≤ 1.
    roi_threshold
        In units of the trend.
    cost_per_engine
        In units of the trend, ≥ 0.
    cooldown_seconds
        ≥ 0.

    Raises
    ------
    ConfigError
        If one is outside its range.
    """

    max_engines: int = 5
    min_engines: int = 1
    create_energy: float = 0.8
    remove_energy: float = 0.3
    roi_threshold: float = 0.0
    cost_per_engine: float = 0.0
    cooldown_seconds: float = 600.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        right = {
            "0 ≤ min_engines ≤ max_engines": 0 <= self.min_engines <= self.max_engines,
            "0 ≤ remove_energy < create_energy ≤ 1": (
                0 <= self.remove_energy < self.create_energy <= 1
            ),
            "a finite roi_threshold": math.isfinite(self.roi_threshold),
            "a finite cost_per_engine ≥ 0": 0 <= self.cost_per_engine < math.inf,
            "a finite cooldown_seconds ≥ 0": 0 <= self.cooldown_seconds < math.inf,
        }
        for rule, holds in right.items():
            if not holds:
                raise ConfigError(f"autoscaling cannot work with {self}.", remedy=f"give {rule}")


class Reading(NamedTuple):
    """What was read at one look: energy score 0..1, trend of ROI deltas."""

    at: float
    energy: float
    trend: float


class Verdict(NamedTuple):
    """What to do, why (a phrase without figures), and the figures."""

    action: ScalingAction
    reason: str
    inputs: Json


def wanted(rules: ScalingRules, reading: Reading) -> tuple[ScalingAction, str]:
    """Say what one reading wants by itself, and why.

    Examples
    --------
    >>> wanted(ScalingRules(), Reading(0.0, energy=0.9, trend=0.2))[1]
    'energy and trend allow one more engine'
    >>> wanted(ScalingRules(cost_per_engine=0.5), Reading(0.0, energy=0.9, trend=0.2))[1]
    'the trend is not above what an engine costs'
    """
    if reading.energy <= rules.remove_energy:
        return ScalingAction.REMOVE, "the energy score is at or below what an engine needs"
    if not reading.trend > rules.roi_threshold:
        return ScalingAction.REMOVE, "the ROI trend is at or below its threshold"
    if reading.energy <= rules.create_energy:
        return ScalingAction.WAIT, "the energy score allows no more engines"
    if reading.trend - rules.cost_per_engine <= 0:
        return ScalingAction.WAIT, "the trend is not above what an engine costs"
    return ScalingAction.CREATE, "energy and trend allow one more engine"


def judge_scaling(
    rules: ScalingRules,
    reading: Reading,
    *,
    engines: int,
    earlier: Sequence[Reading] = (),
    moved: Sequence[Scaling] = (),
) -> Verdict:
    """Decide whether to create or to remove an engine.

    Parameters
    ----------
    engines
        How many there are.
    earlier
        Former readings, oldest first; those before the last change do not count.
    moved
        Former creations and removals of the last day, oldest first.

    Examples
    --------
    >>> judge_scaling(ScalingRules(), Reading(0.0, energy=0.9, trend=0.2), engines=1).action
    <ScalingAction.CREATE: 'create'>
    >>> judge_scaling(ScalingRules(), Reading(0.0, energy=0.9, trend=0.2), engines=5).reason
    'there are as many engines as are allowed'
    """
    action, reason = wanted(rules, reading)
    last = moved[-1] if moved else None
    recent = _recent(rules, reading, earlier, last)
    agreement = sum(wanted(rules, r)[0] is action for r in recent) / len(recent)
    reversals = count_reversals(moved, now=reading.at)
    urgent = action is ScalingAction.REMOVE and reading.energy <= rules.remove_energy
    pause = _pause(rules, reversals, last, urgent=urgent)
    elapsed = None if last is None else reading.at - last.at
    inputs: Json = {
        "energy_score": reading.energy,
        "roi_trend": reading.trend,
        "projected_roi": reading.trend - rules.cost_per_engine,
        "engines": engines,
        "wanted": str(action),
        "agreement": agreement,
        "readings": len(recent),
        "reversals": reversals,
        "cooldown_seconds": pause,
        "seconds_since_change": elapsed,
    }

    def wait(why: str) -> Verdict:
        return Verdict(ScalingAction.WAIT, why, inputs)

    if action is ScalingAction.WAIT:
        return wait(reason)
    if action is ScalingAction.CREATE and engines >= rules.max_engines:
        return wait("there are as many engines as are allowed")
    if action is ScalingAction.REMOVE and engines <= rules.min_engines:
        return wait("there are as few engines as are allowed")
    # A negative time is a clock that was set back: it must not hold a change for ever.
    if elapsed is not None and 0 <= elapsed < pause:
        return wait(f"cooling down after the last change, though {reason}")
    if agreement < AGREEMENT and len(recent) >= FEWEST_READINGS and not urgent:
        return wait(f"too few of the recent looks agree that {reason}")
    return Verdict(action, reason, inputs)


def count_reversals(moved: Sequence[Scaling], *, now: float) -> int:
    """Count the changes of direction of the 24 hours before ``now``."""
    return sum(
        before.action is not after.action and after.at > now - DAY_SECONDS
        for before, after in itertools.pairwise(moved)
    )


def _recent(
    rules: ScalingRules, reading: Reading, earlier: Sequence[Reading], last: Scaling | None
) -> list[Reading]:
    begin = reading.at - rules.cooldown_seconds
    if last is not None:
        begin = max(begin, last.at)
    return [*(r for r in earlier if begin < r.at <= reading.at), reading]


def _pause(rules: ScalingRules, reversals: int, last: Scaling | None, *, urgent: bool) -> float:
    """Seconds that have to pass since the last change."""
    if urgent:
        created = last is not None and last.action is ScalingAction.CREATE
        return 0.0 if created else rules.cooldown_seconds
    longest = max(DAY_SECONDS, rules.cooldown_seconds)
    return min(longest, rules.cooldown_seconds * 2.0 ** min(reversals, MOST_REVERSALS))
