"""ROI deltas, their history and their trend."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.accounting import RoiTracker, roi_delta, roi_trend
from menace.errors import ConfigError, DataError

DELTAS = st.floats(-1e6, 1e6)


def test_a_cycle_that_earned_twice_what_was_spent() -> None:
    assert roi_delta(gain_usd=5.0, cycle_cost_usd=1.0, serving_cost_usd=1.0) == 2.0


def test_a_rejected_challenger_costs_its_cycle() -> None:
    assert roi_delta(gain_usd=0.0, cycle_cost_usd=2.0, serving_cost_usd=0.0) == -1.0


def test_without_any_cost_there_is_no_return_on_it() -> None:
    assert roi_delta(gain_usd=5.0, cycle_cost_usd=0.0, serving_cost_usd=0.0) == 0.0


@given(
    gain=st.floats(0, 1e9),
    cycle=st.floats(1e-9, 1e9),
    serving=st.floats(0, 1e9),
)
def test_break_even_is_zero_and_no_gain_loses_at_most_everything(
    gain: float, cycle: float, serving: float
) -> None:
    assert roi_delta(cycle, cycle, serving) == 0.0
    assert -1.0 <= roi_delta(0.0, cycle, serving) <= roi_delta(gain, cycle, serving)


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ((math.nan, 1.0, 1.0), "gain_usd is nan"),
        ((1.0, -1.0, 1.0), "cycle_cost_usd is -1"),
        ((1.0, 1.0, math.inf), "serving_cost_usd is inf"),
    ],
)
def test_a_wrong_figure_is_refused_by_name(figures: tuple[float, ...], named: str) -> None:
    with pytest.raises(DataError, match=named):
        roi_delta(*figures)


def test_the_first_delta_starts_the_average() -> None:
    tracker = RoiTracker(alpha=0.1)
    assert tracker.ema is None
    assert tracker.add(4.0) == 4.0
    assert tracker.add(-6.0) == pytest.approx(0.9 * 4.0 + 0.1 * -6.0)


def test_an_average_of_exactly_zero_is_a_value_and_not_unset() -> None:
    tracker = RoiTracker(alpha=0.5)
    tracker.add(0.0)
    assert tracker.ema == 0.0
    assert tracker.add(1.0) == 0.5


@given(alpha=st.floats(0.01, 1.0), deltas=st.lists(DELTAS, min_size=1, max_size=40))
def test_the_average_is_the_closed_form_of_its_recursion(alpha: float, deltas: list[float]) -> None:
    tracker = RoiTracker(alpha=alpha)
    for delta in deltas:
        tracker.add(delta)
    count = len(deltas) - 1
    expected = (1 - alpha) ** count * deltas[0] + math.fsum(
        alpha * (1 - alpha) ** (count - k) * delta for k, delta in enumerate(deltas) if k > 0
    )
    assert tracker.ema == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_only_the_newest_thousand_are_kept_but_all_are_in_the_average() -> None:
    tracker, endless = RoiTracker(), RoiTracker(keep=5000)
    for number in range(1500):
        tracker.add(float(number))
        endless.add(float(number))
    assert tracker.deltas == tuple(float(number) for number in range(500, 1500))
    assert tracker.ema == endless.ema


def test_the_short_term_mean_is_over_the_newest_five() -> None:
    tracker = RoiTracker()
    assert tracker.short_term_mean() is None
    tracker.add(1.0)
    assert tracker.short_term_mean() == 1.0
    for delta in (100.0, 1.0, 2.0, 3.0, 4.0, 5.0):
        tracker.add(delta)
    assert tracker.short_term_mean() == 3.0
    assert tracker.short_term_mean(window=1) == 5.0


@given(deltas=st.lists(DELTAS, max_size=30), later=st.lists(DELTAS, max_size=5))
def test_a_history_survives_json_and_goes_on_the_same(
    deltas: list[float], later: list[float]
) -> None:
    tracker = RoiTracker(alpha=0.3, keep=10)
    for delta in deltas:
        tracker.add(delta)
    restored = RoiTracker.from_json(json.loads(json.dumps(tracker.to_json())), alpha=0.3, keep=10)
    for delta in later:
        assert restored.add(delta) == tracker.add(delta)
    assert (restored.deltas, restored.ema) == (tracker.deltas, tracker.ema)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"roi_deltas": [1.0]},
        {"roi_deltas": None, "roi_delta_ema": None},
        {"roi_deltas": ["1"], "roi_delta_ema": None},
        {"roi_deltas": [math.nan], "roi_delta_ema": None},
        {"roi_deltas": [], "roi_delta_ema": True},
    ],
)
def test_a_history_with_a_wrong_field_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        RoiTracker.from_json(document)


@pytest.mark.parametrize("delta", [math.nan, math.inf])
def test_a_delta_that_is_not_finite_is_refused_and_changes_nothing(delta: float) -> None:
    tracker = RoiTracker()
    tracker.add(1.0)
    with pytest.raises(DataError):
        tracker.add(delta)
    assert (tracker.deltas, tracker.ema) == ((1.0,), 1.0)


def test_wrong_parameters_are_refused() -> None:
    for alpha in (0.0, -0.1, 1.5, math.nan):
        with pytest.raises(ConfigError, match="alpha"):
            RoiTracker(alpha=alpha)
    with pytest.raises(ConfigError, match="keeps 0"):
        RoiTracker(keep=0)
    with pytest.raises(DataError, match="window"):
        RoiTracker().short_term_mean(window=0)


def test_numpy_floats_are_numbers() -> None:
    assert RoiTracker().add(np.float64(0.5)) == 0.5


@pytest.mark.parametrize(
    ("points", "trend"),
    [
        ([], 0.0),
        ([3.0], 0.0),
        ([2.0, 3.0], 0.5),
        ([2.0, 1.0], -0.5),
        ([-2.0, -1.0], 0.5),
        ([-1.0, 1.0], 2.0),
        ([1.0, 3.0, 4.0, 4.0], 1.0),
        ([1.0, 2.0, 4.0], 2.0),  # the middle one is of the later half
        ([0.0, 0.0], 0.0),
        ([0.0, 5.0], 1.0),
        ([1.0, -1.0, -3.0, -3.0], -1.0),
        ([0.1, 0.2, -0.3, 0.0, 0.0, 0.0], 0.0),  # an earlier mean of 0 but for rounding
        ([0.1, 0.2, -0.3, 0.0, 0.0, 0.3], 1.0),
    ],
)
def test_the_trend_compares_the_later_half_with_the_earlier(
    points: list[float], trend: float
) -> None:
    assert roi_trend(points) == pytest.approx(trend, abs=1e-12)


@given(points=st.lists(DELTAS, max_size=30), power=st.integers(1, 60))
def test_the_trend_does_not_depend_on_the_unit(points: list[float], power: int) -> None:
    # Powers of two scale without rounding, so the trend must be the same to the bit.
    assert roi_trend([2.0**power * point for point in points]) == roi_trend(points)


def test_the_trend_of_extremes_does_not_overflow() -> None:
    assert roi_trend([-1.7e308, 1.7e308]) == 2.0


def test_a_point_that_is_not_finite_is_refused() -> None:
    with pytest.raises(DataError, match="a point is nan"):
        roi_trend([1.0, math.nan])
