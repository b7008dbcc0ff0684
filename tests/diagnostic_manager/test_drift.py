"""Drift: found when losses jump up, not when they are steady, fall, or merely have an outlier."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.diagnostic_manager import Drift, find_drift

RECENT_ROWS = 500
SEVERE = 0.9


def wrong(seed: int, *parts: tuple[int, float]) -> list[float]:
    """Make 0/1 losses, so many rows at each error rate."""
    rng = np.random.default_rng(seed)
    drawn = [rng.random(rows) < rate for rows, rate in parts]
    return [float(loss) for loss in np.concatenate(drawn)]


def severity(losses: list[float]) -> float:
    drift = find_drift(losses, recent_rows=RECENT_ROWS)
    return 0.0 if drift is None else drift.severity


def test_steady_errors_are_severe_drift_in_at_most_2_percent_of_windows() -> None:
    false_alarms = sum(severity(wrong(seed, (2000, 0.1))) >= SEVERE for seed in range(200))
    assert false_alarms <= 4


def test_a_jump_is_severe_drift_within_300_rows_in_at_least_95_percent() -> None:
    found = sum(severity(wrong(seed, (1700, 0.1), (300, 0.35))) >= SEVERE for seed in range(100))
    assert found >= 95


def test_a_jump_in_squared_errors_of_any_scale_is_found_and_steady_ones_are_not() -> None:
    false_alarms = found = 0
    for seed, scale in itertools.product(range(20), (1e-6, 1.0, 1e6)):
        rng = np.random.default_rng(seed)
        errors = rng.normal(0.0, 1.0, 2000) ** 2
        false_alarms += severity(list(scale * errors)) >= SEVERE
        errors[1700:] *= 4.0
        found += severity(list(scale * errors)) >= SEVERE
    assert false_alarms <= 1
    assert found >= 57


def test_losses_that_fall_are_no_drift() -> None:
    for seed in range(20):
        assert severity(wrong(seed, (1700, 0.35), (300, 0.1))) < 0.5


def test_a_single_monstrous_loss_is_no_drift() -> None:
    rng = np.random.default_rng(3)
    losses = rng.exponential(1.0, 2000)
    losses[1800] = 1e9
    assert severity(list(losses)) < 0.5


def test_a_change_that_lies_long_ago_does_not_count() -> None:
    for seed in range(20):
        assert severity(wrong(seed, (700, 0.1), (1300, 0.35))) < 0.5


def test_a_lasting_change_says_when_and_how_much() -> None:
    drift = find_drift(wrong(1, (1700, 0.1), (300, 0.35)), recent_rows=RECENT_ROWS)
    assert drift is not None
    assert drift.detectors == ("adwin", "page_hinkley")
    assert 250 <= drift.rows_since <= 350
    assert drift.mean_before == pytest.approx(0.1, abs=0.03)
    assert drift.mean_after == pytest.approx(0.35, abs=0.07)
    assert drift.z > 5


def test_a_flawless_model_that_begins_to_err_is_found() -> None:
    assert severity([0.0] * 1000 + wrong(2, (200, 0.3))) >= SEVERE


def test_a_series_that_never_varies_is_no_drift() -> None:
    assert find_drift([0.25] * 2000, recent_rows=RECENT_ROWS) is None


def test_below_60_rows_nothing_is_said() -> None:
    assert find_drift([0.0] * 29 + [1.0] * 30, recent_rows=RECENT_ROWS) is None


def test_a_young_champion_is_judged_by_its_own_first_rows() -> None:
    assert severity(wrong(5, (200, 0.1), (150, 0.5))) >= SEVERE


def test_severity_is_the_lesser_of_size_and_certainty() -> None:
    def drift(effect: float, z: float) -> float:
        return Drift(("adwin",), 100, 0.1, 0.2, effect, z).severity

    assert drift(effect=0.5, z=50.0) == pytest.approx(0.9)
    assert drift(effect=50.0, z=5.0) == pytest.approx(0.9)
    assert drift(effect=1.0, z=10.0) == pytest.approx(0.99)
    assert drift(effect=0.1, z=100.0) == pytest.approx(1 - 10**-0.2)


@settings(max_examples=40)
@given(
    losses=st.lists(st.floats(0, 1e12), min_size=0, max_size=200),
    recent_rows=st.integers(1, 300),
)
def test_whatever_the_losses_a_finding_is_bounded_upward_and_repeatable(
    losses: list[float], recent_rows: int
) -> None:
    drift = find_drift(losses, recent_rows=recent_rows)
    assert drift == find_drift(losses, recent_rows=recent_rows)
    if drift is not None:
        assert 0.0 <= drift.severity <= 1.0
        assert drift.effect > 0
        assert 0 < drift.rows_since < len(losses)
