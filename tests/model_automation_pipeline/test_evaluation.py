from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from menace.errors import DataError
from menace.model_automation_pipeline.evaluation import (
    PROBABILITY_FLOOR,
    Z_LIMIT,
    compare,
    row_losses,
)
from menace.records import Metric

RAW = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.0, 0.5, 0.5]])


def test_error_rate_is_one_where_the_most_probable_class_is_wrong() -> None:
    losses = row_losses(Metric.ERROR_RATE, np.array([0.0, 1.0, 1.0]), RAW)
    assert losses.tolist() == [0.0, 1.0, 0.0]


def test_log_loss_is_that_of_the_true_class_and_bounded() -> None:
    losses = row_losses(Metric.LOG_LOSS, np.array([0.0, 2.0, 0.0]), RAW)
    assert losses == pytest.approx([-math.log(0.7), -math.log(0.8), -math.log(PROBABILITY_FLOOR)])


def test_a_class_that_the_model_does_not_know_is_wrong_and_costs_the_most() -> None:
    unknown = np.array([-1.0, -1.0, -1.0])
    assert row_losses(Metric.ERROR_RATE, unknown, RAW).tolist() == [1.0, 1.0, 1.0]
    worst = -math.log(PROBABILITY_FLOOR)
    assert row_losses(Metric.LOG_LOSS, unknown, RAW) == pytest.approx([worst] * 3)


def test_distances_are_in_units_of_the_target_and_their_squares() -> None:
    truth, raw = np.array([1.0, -2.0]), np.array([3.0, -2.5])
    assert row_losses(Metric.ABSOLUTE_ERROR, truth, raw).tolist() == [2.0, 0.5]
    assert row_losses(Metric.SQUARED_ERROR, truth, raw).tolist() == [4.0, 0.25]


def test_a_prediction_that_is_not_finite_has_a_loss_that_is_not_finite() -> None:
    raw = np.array([[np.nan, np.nan]])
    for metric in (Metric.ERROR_RATE, Metric.LOG_LOSS):
        assert not np.isfinite(row_losses(metric, np.array([0.0]), raw)).any()


LOSSES = st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=3, max_size=40).filter(
    lambda pairs: np.std([a - b for a, b in pairs]) > 1e-6
)


@given(LOSSES)
def test_the_comparison_is_the_paired_t_statistic_with_a_normal_tail(
    pairs: list[tuple[float, float]],
) -> None:
    champion, challenger = np.array(pairs).T
    compared = compare(champion, challenger)
    assert compared.mean_gain == pytest.approx(np.mean(champion - challenger))
    assert compared.z == pytest.approx(stats.ttest_rel(champion, challenger).statistic, rel=1e-6)
    assert compared.p == pytest.approx(stats.norm.sf(compared.z), rel=1e-9)
    reverse = compare(challenger, champion)
    assert reverse.mean_gain == pytest.approx(-compared.mean_gain)
    assert reverse.p == pytest.approx(1.0 - compared.p)


def test_a_gain_without_spread_is_certain_and_none_is_a_coin_toss() -> None:
    certain = compare(np.ones(5), np.zeros(5))
    assert (certain.standard_error, certain.z, certain.p) == (0.0, Z_LIMIT, 0.0)
    even = compare(np.ones(5), np.ones(5))
    assert (even.z, even.p) == (0.0, 0.5)


def test_losses_that_are_not_finite_are_told_and_written_as_null() -> None:
    broken = compare(np.ones(3), np.array([1.0, np.nan, 0.0]))
    assert not broken.finite
    document = json.loads(json.dumps(broken.to_json(), allow_nan=False))
    assert document["mean_gain"] is None


def test_a_finite_challenger_beats_a_champion_that_is_not() -> None:
    assert compare(np.array([np.nan, 1.0]), np.array([1.0, 1.0])).mean_gain > 0


@pytest.mark.parametrize(("champion", "challenger"), [([1.0], [1.0]), ([1.0, 0.0], [1.0])])
def test_rows_that_do_not_pair_are_refused(champion: list[float], challenger: list[float]) -> None:
    with pytest.raises(DataError):
        compare(np.array(champion), np.array(challenger))
