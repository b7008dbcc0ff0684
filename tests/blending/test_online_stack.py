"""The blend's weights: closed forms, directions, and what must never happen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.blending import FixedShare, OnlineStack
from menace.errors import ConfigError


def test_before_any_label_it_is_the_plain_mean() -> None:
    odds = np.random.default_rng(0).normal(size=(7, 3, 2))
    stack = OnlineStack(models=3, classes=3)
    np.testing.assert_allclose(stack.combine(odds), odds.mean(axis=1))


def test_a_bias_alone_finds_the_log_odds_of_the_base_rate() -> None:
    # With a model that says nothing, the maximum of the likelihood is log(30/70).
    odds, truth = np.zeros((100, 1, 1)), np.repeat([1, 0], [30, 70])
    stack = OnlineStack(models=1, classes=2, memory=1.0, ridge=1e-9)
    for _ in range(20):
        stack.learn(odds, truth)
    assert stack.biases[0] == pytest.approx(np.log(30 / 70), abs=1e-3)


def test_three_classes_find_their_base_rates() -> None:
    odds, truth = np.zeros((100, 1, 2)), np.repeat([0, 1, 2], [50, 30, 20])
    stack = OnlineStack(models=1, classes=3, memory=1.0, ridge=1e-9)
    for _ in range(20):
        stack.learn(odds, truth)
    np.testing.assert_allclose(stack.biases, np.log([30 / 50, 20 / 50]), atol=1e-3)


def test_with_forgetting_the_newest_world_wins() -> None:
    odds = np.zeros((100, 1, 1))
    stack = OnlineStack(models=1, classes=2, memory=0.5, ridge=0.01)
    for truth in (np.ones(100, dtype=int), np.zeros(100, dtype=int)):
        for _ in range(6):
            stack.learn(odds, truth)
    assert stack.biases[0] < -1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.floats(0.0, 1.0))
def test_a_batch_told_apart_perfectly_does_not_run_away(
    seed: int, classes: int, memory: float
) -> None:
    rng = np.random.default_rng(seed)
    stack = OnlineStack(models=2, classes=classes, memory=memory)
    for _ in range(5):
        truth = rng.integers(0, classes, 40)
        right = 4.6 * (truth[:, None] == np.arange(1, classes)) - 4.6 * (truth == 0)[:, None]
        stack.learn(np.stack([right, rng.normal(size=right.shape)], axis=1), truth)
    assert np.isfinite(stack.weights).all()
    assert np.abs(stack.weights).max() < 20


@pytest.mark.parametrize("wrong", [{"models": 0}, {"classes": 1}, {"memory": 1.5}, {"ridge": 0.0}])
def test_what_is_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    values: dict[str, float] = {"models": 2, "classes": 2, "memory": 0.8, "ridge": 5.0, **wrong}
    with pytest.raises(ConfigError):
        OnlineStack(
            models=int(values["models"]),
            classes=int(values["classes"]),
            memory=values["memory"],
            ridge=values["ridge"],
        )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 5), min_size=1, max_size=8), st.integers(1, 6))
def test_shares_are_positive_and_sum_to_one(losses: list[float], rounds: int) -> None:
    models = list(range(len(losses)))
    shares = FixedShare(share=0.1)
    for _ in range(rounds):
        shares.learn(models, np.array(losses))
    weights = shares.of(models)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0.1 / len(losses) - 1e-12


def test_a_model_that_was_bad_for_long_comes_back_quickly() -> None:
    shares = FixedShare(rate=16.0, share=0.05)
    for _ in range(200):
        shares.learn(["spring", "autumn"], np.array([0.1, 0.6]))
    for _ in range(2):
        shares.learn(["spring", "autumn"], np.array([0.6, 0.1]))
    assert shares.of(["spring", "autumn"])[1] > 0.9


def test_shares_refuse_what_is_out_of_range() -> None:
    with pytest.raises(ConfigError):
        FixedShare(rate=0.0)
    with pytest.raises(ConfigError):
        FixedShare(share=2.0)
