from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.self_improvement_policy.staleness import (
    PRIOR,
    Staleness,
    StalenessEstimator,
    StalenessPrior,
)


def aged(rate: float, *, ticks: int, every: int, level: float = 0.1) -> StalenessEstimator:
    """Feed losses that grow by ``rate`` per tick of age; every so often there is a new model."""
    estimator = StalenessEstimator()
    trained: dict[int, int] = {1: 0}
    for tick in range(1, ticks + 1):
        champion = max(trained)
        losses = {version: level + rate * (tick - at) for version, at in trained.items()}
        estimator.observe(losses, champion=champion)
        if tick % every == 0:
            trained[champion + 1] = tick
    return estimator


def test_a_lone_champion_is_as_stale_as_its_age_says_by_the_prior() -> None:
    estimator = StalenessEstimator()
    for _ in range(5):
        estimator.observe({1: 0.2}, champion=1)
    assert estimator.age_ticks == 5
    assert estimator.rate == pytest.approx(PRIOR.relative_rate * 0.2)
    assert estimator.excess == pytest.approx(5 * PRIOR.relative_rate * 0.2)
    excess = estimator.excess / PRIOR.margin
    assert estimator.debt == pytest.approx(excess**2 / (2 * estimator.rate))


def test_debt_reaches_the_cost_at_the_square_root_interval() -> None:
    exact = StalenessPrior(margin=1.0)
    cost, level = 0.05, 0.2
    interval = math.sqrt(2 * cost / (exact.relative_rate * level))
    estimator = StalenessEstimator(prior=exact)
    for _ in range(math.floor(interval)):
        estimator.observe({1: level}, champion=1)
    assert estimator.debt < cost
    estimator.observe({1: level}, champion=1)
    assert estimator.debt >= cost


def test_the_rate_is_learned_from_pairs() -> None:
    slow, fast = aged(0.0, ticks=80, every=8), aged(0.01, ticks=80, every=8)
    assert slow.relative_rate < PRIOR.relative_rate < fast.relative_rate
    assert fast.rate == pytest.approx(0.01, rel=0.35)


def test_the_difficulty_of_a_ticks_rows_cancels() -> None:
    rng = np.random.default_rng(7)
    calm, stormy = StalenessEstimator(), StalenessEstimator()
    for _ in range(40):
        weather = float(rng.uniform(0, 0.5))
        calm.observe({1: 0.30, 2: 0.25}, champion=2)
        stormy.observe({1: 0.30 + weather, 2: 0.25 + weather}, champion=2)
    # Only the level differs; the lead of the old model over the new one is the same but for it.
    assert stormy.lead(1, 2) == pytest.approx(calm.lead(1, 2), abs=1e-12)


def test_a_rejection_makes_the_champion_count_as_fresh() -> None:
    estimator = aged(0.01, ticks=30, every=50)
    assert estimator.debt > 0
    estimator.cycle_rejected()
    assert estimator.age_ticks == 0
    assert estimator.debt == 0


def test_nothing_is_owed_before_anything_was_seen() -> None:
    estimator = StalenessEstimator()
    assert (estimator.debt, estimator.excess, estimator.rate, estimator.age_ticks) == (0, 0, 0, 0)


def test_a_champion_that_leads_the_archive_owes_less_than_one_that_trails_it() -> None:
    leading, trailing = StalenessEstimator(), StalenessEstimator()
    for _ in range(10):
        leading.observe({1: 0.30, 2: 0.20}, champion=2)
        trailing.observe({1: 0.20, 2: 0.30}, champion=2)
    assert leading.excess < trailing.excess


def test_models_that_are_no_longer_scored_are_forgotten() -> None:
    estimator = StalenessEstimator()
    estimator.observe({1: 0.1, 2: 0.2, 3: 0.3}, champion=3)
    estimator.observe({3: 0.3, 4: 0.1}, champion=3)
    assert set(estimator.ages) == {3, 4}
    assert set(estimator.leads) == {(3, 4)}


@given(
    losses=st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=30
    )
)
def test_it_survives_json_and_stays_finite(losses: list[tuple[float, float, float]]) -> None:
    whole, resumed = StalenessEstimator(), StalenessEstimator()
    for row in losses:
        named = dict(enumerate(row, start=1))
        whole.observe(named, champion=3)
        resumed = StalenessEstimator.from_json(json.loads(json.dumps(resumed.to_json())))
        resumed.observe(named, champion=3)
    assert resumed.to_json() == whole.to_json()
    assert math.isfinite(whole.debt)
    assert whole.debt >= 0
    assert whole.rate > 0 or whole.level == 0
    assert whole.lead(1, 2) == pytest.approx(-whole.lead(2, 1))


@given(loss=st.floats(0.01, 1), ticks=st.integers(1, 60))
def test_debt_grows_with_age(loss: float, ticks: int) -> None:
    estimator = StalenessEstimator()
    owed = []
    for _ in range(ticks):
        estimator.observe({1: loss}, champion=1)
        owed.append(estimator.debt)
    assert owed == sorted(owed)


def test_a_decision_reads_the_figures_without_rebuilding_the_estimator() -> None:
    estimator = aged(0.01, ticks=30, every=8)
    read = Staleness.read(json.loads(json.dumps(estimator.to_json())), champion=estimator.champion)
    known = (estimator.debt, estimator.age_ticks, estimator.explain(), estimator.best_archived())
    assert read == known
    assert Staleness.read({}, champion=None) == (0.0, 0.0, StalenessEstimator().explain(), None)


def test_a_model_that_has_just_been_made_owes_nothing_and_one_that_came_back_its_own() -> None:
    estimator = StalenessEstimator()
    for _ in range(9):
        estimator.observe({1: 0.3, 2: 0.2}, champion=2)
    saved = estimator.to_json()
    fresh = Staleness.read(saved, champion=3)
    assert (fresh.debt, fresh.age_ticks) == (0.0, 0.0)
    back = Staleness.read(saved, champion=1)
    assert back.age_ticks == 9
    assert back.debt > Staleness.read(saved, champion=2).debt
