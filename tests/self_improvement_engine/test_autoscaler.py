"""The pure decision about the number of engines, and a simulated day of 10,000 calls."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import ConfigError
from menace.records import Scaling, ScalingAction
from menace.self_improvement_engine.autoscaler import (
    DAY_SECONDS,
    Reading,
    ScalingRules,
    count_reversals,
    judge_scaling,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from menace.self_improvement_engine.autoscaler import Verdict

CREATE, REMOVE, WAIT = ScalingAction.CREATE, ScalingAction.REMOVE, ScalingAction.WAIT
CALLS = 10_000
RULES = ScalingRules()
MOST_REVERSALS_A_DAY = 8


def at_once(energy: float, trend: float, engines: int = 2, rules: ScalingRules = RULES) -> Verdict:
    return judge_scaling(rules, Reading(0.0, energy, trend), engines=engines)


@dataclasses.dataclass
class Day:
    """What came of a simulated run."""

    counts: list[int]
    moved: list[Scaling]

    @property
    def reversals(self) -> int:
        return count_reversals(self.moved, now=DAY_SECONDS)


def simulated(
    trend: Callable[[int], float],
    energy: Callable[[int, int], float],
    *,
    rules: ScalingRules = RULES,
    calls: int = CALLS,
    engines: int = 1,
) -> Day:
    """Call the decision all day; ``energy`` sees the call's number and the engines there are."""
    readings: deque[Reading] = deque(maxlen=1000)
    day = Day([], [])
    for call in range(calls):
        reading = Reading(call * DAY_SECONDS / CALLS, energy(call, engines), trend(call))
        verdict = judge_scaling(
            rules, reading, engines=engines, earlier=readings, moved=day.moved[-100:]
        )
        readings.append(reading)
        if verdict.action is not WAIT:
            engines += 1 if verdict.action is CREATE else -1
            day.moved.append(Scaling(verdict.action, verdict.reason, reading.at))
        day.counts.append(engines)
    return day


def noise(seed: int, *, mean: float = 0.0, size: float = 1.0) -> Sequence[float]:
    return list(mean + size * np.random.default_rng(seed).normal(size=CALLS))


@pytest.mark.parametrize(
    ("energy", "trend", "engines", "action"),
    [
        (0.9, 0.1, 1, CREATE),
        (0.8, 0.1, 1, WAIT),
        (0.9, 0.1, 5, WAIT),
        (0.9, 0.0, 2, REMOVE),
        (0.9, -1.0, 2, REMOVE),
        (0.5, 0.1, 2, WAIT),
        (0.3, 0.1, 2, REMOVE),
        (0.3, 0.1, 1, WAIT),
        (0.0, -1.0, 1, WAIT),
    ],
)
def test_the_rule_holds_at_the_first_look(
    energy: float, trend: float, engines: int, action: ScalingAction
) -> None:
    assert at_once(energy, trend, engines).action is action


def test_an_engine_has_to_be_worth_its_cost() -> None:
    rules = ScalingRules(cost_per_engine=0.5)
    assert at_once(0.9, 0.5, 1, rules).action is WAIT
    assert at_once(0.9, 0.5, 2, rules).action is WAIT
    assert at_once(0.9, 0.6, 1, rules).action is CREATE


@pytest.mark.parametrize(
    "rules",
    [
        lambda: ScalingRules(min_engines=-1),
        lambda: ScalingRules(min_engines=6),
        lambda: ScalingRules(create_energy=0.3),
        lambda: ScalingRules(create_energy=1.1),
        lambda: ScalingRules(remove_energy=-0.1),
        lambda: ScalingRules(roi_threshold=float("nan")),
        lambda: ScalingRules(cost_per_engine=-1.0),
        lambda: ScalingRules(cooldown_seconds=float("inf")),
    ],
)
def test_bounds_that_contradict_each_other_are_refused(rules: Callable[[], ScalingRules]) -> None:
    with pytest.raises(ConfigError, match="autoscaling cannot work"):
        rules()


def test_nothing_moves_while_the_last_change_cools_down() -> None:
    made = Scaling(CREATE, "", 0.0)
    for at, action in ((599.0, WAIT), (600.0, CREATE)):
        verdict = judge_scaling(RULES, Reading(at, 0.9, 1.0), engines=2, moved=[made])
        assert verdict.action is action


def test_the_cooldown_doubles_with_every_reversal_of_a_day() -> None:
    moved = [Scaling(action, "", 0.0) for action in (CREATE, REMOVE, CREATE)]
    for at, action in ((2399.0, WAIT), (2400.0, REMOVE)):
        verdict = judge_scaling(RULES, Reading(at, 0.9, -1.0), engines=2, moved=moved)
        assert verdict.action is action
    next_day = Reading(DAY_SECONDS + 1, 0.9, -1.0)
    assert judge_scaling(RULES, next_day, engines=2, moved=moved).inputs["reversals"] == 0


def test_an_expansion_is_taken_back_at_once_when_the_money_runs_out() -> None:
    made = Scaling(CREATE, "", 0.0)
    poor = Reading(1.0, 0.2, 1.0)
    assert judge_scaling(RULES, poor, engines=2, moved=[made]).action is REMOVE
    removed = Scaling(REMOVE, "", 1.0)
    again = Reading(2.0, 0.2, 1.0)
    assert judge_scaling(RULES, again, engines=3, moved=[made, removed]).action is WAIT
    later = Reading(601.0, 0.2, 1.0)
    assert judge_scaling(RULES, later, engines=3, moved=[made, removed]).action is REMOVE


def test_looks_that_disagree_move_nothing() -> None:
    earlier = [Reading(float(at), 0.9, 1.0 if at % 2 else -1.0) for at in range(100)]
    verdict = judge_scaling(RULES, Reading(100.0, 0.9, 1.0), engines=2, earlier=earlier)
    assert verdict.action is WAIT
    assert verdict.inputs["agreement"] == pytest.approx(0.5, abs=0.02)


def test_a_clock_that_was_set_back_holds_nothing_for_ever() -> None:
    ahead = [Scaling(CREATE, "", 1e9)]
    assert judge_scaling(RULES, Reading(5.0, 0.9, 1.0), engines=2, moved=ahead).action is CREATE


@pytest.mark.parametrize("seed", range(3))
def test_a_day_of_noise_around_the_threshold_makes_nothing_flap(seed: int) -> None:
    trends = noise(seed)
    day = simulated(lambda call: trends[call], lambda _call, _engines: 0.9)
    assert day.reversals <= 1
    assert len(day.moved) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_a_day_of_a_wandering_trend_reverses_a_few_times_at_most(seed: int) -> None:
    wandering = np.cumsum(noise(seed))
    day = simulated(lambda call: float(wandering[call]), lambda _call, _engines: 0.9)
    assert day.reversals <= MOST_REVERSALS_A_DAY


@pytest.mark.parametrize("rich", [0.9, 0.2])
def test_even_readings_that_turn_with_every_change_are_bounded(rich: float) -> None:
    """The worst there is: always the opposite of what was last done."""
    engines_seen = [1]

    def energy(_call: int, engines: int) -> float:
        engines_seen[0] = engines
        return rich if engines > 1 else 0.9

    day = simulated(lambda _call: -1.0 if engines_seen[0] > 1 else 1.0, energy)
    assert 4 <= day.reversals <= MOST_REVERSALS_A_DAY
    assert len(day.moved) == day.reversals + 1


def test_a_true_rise_and_a_true_fall_are_followed_through_noise() -> None:
    trends = noise(3, size=0.3)
    half = CALLS // 2

    def trend(call: int) -> float:
        return trends[call] + (1.0 if call < half else -1.0)

    day = simulated(trend, lambda _call, _engines: 0.9)
    assert day.counts[half - 1] == RULES.max_engines
    assert day.counts[-1] == RULES.min_engines
    assert day.reversals == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_day_never_overspends_the_capital_it_began_with(seed: int) -> None:
    """Every engine burns money all day and earns nothing; the trend promises the opposite."""
    trends = noise(seed, mean=0.5)
    capital_usd = [100.0]
    burn_usd = 150.0 / CALLS  # one engine alone would spend the capital in two thirds of a day

    def energy(call: int, engines: int) -> float:
        # Engines wait when there is no money for a cycle, as check_budget() has them do.
        capital_usd[0] -= min(capital_usd[0], engines * burn_usd)
        del call
        return capital_usd[0] / 100.0

    day = simulated(lambda call: trends[call], energy)
    assert capital_usd[0] >= 0
    assert day.counts[-1] == RULES.min_engines
    assert max(day.counts) <= 3
    assert day.reversals <= 1


@given(
    steps=st.lists(st.tuples(st.floats(0, 1), st.floats(-10, 10), st.floats(0, 5000)), max_size=60),
    minimum=st.integers(0, 3),
    extra=st.integers(0, 3),
    cooldown=st.sampled_from([0.0, 60.0, 600.0]),
)
def test_the_number_of_engines_stays_within_its_bounds(
    steps: list[tuple[float, float, float]], minimum: int, extra: int, cooldown: float
) -> None:
    rules = ScalingRules(
        min_engines=minimum, max_engines=minimum + extra, cooldown_seconds=cooldown
    )
    engines, now = minimum, 0.0
    readings: list[Reading] = []
    moved: list[Scaling] = []
    for energy, trend, pause in steps:
        now += pause
        reading = Reading(now, energy, trend)
        action = judge_scaling(
            rules, reading, engines=engines, earlier=readings, moved=moved
        ).action
        readings.append(reading)
        if action is not WAIT:
            if moved and action is not moved[-1].action and cooldown and energy > 0.3:
                assert now - moved[-1].at >= cooldown
            engines += 1 if action is CREATE else -1
            moved.append(Scaling(action, "", now))
        assert minimum <= engines <= minimum + extra
