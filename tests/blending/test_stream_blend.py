"""The blend over a stream: what follows the world, what looks ahead (nothing), what is refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.blending import (
    FOUNDATION,
    LagFeatures,
    RecentRates,
    RefitRhythm,
    StreamBlend,
    dominant_period,
)
from menace.errors import ConfigError
from menace.model_automation_pipeline.blend_member import train_member

if TYPE_CHECKING:
    import numpy.typing as npt

    Batches = list[npt.NDArray[np.float64]]
    Labels = list[npt.NDArray[np.intp]]

ROWS = 60


def world(batches: int, *, turns_at: int, classes: int = 2) -> tuple[Batches, Labels]:
    rng = np.random.default_rng(3)
    rows: Batches = []
    labels: Labels = []
    for batch in range(batches):
        x = rng.normal(size=(ROWS, 3))
        score = x[:, 0] + 0.3 * x[:, 1]
        code = np.digitize(score, np.linspace(-0.7, 0.7, classes - 1))
        labels.append((code + (batch >= turns_at)) % classes)
        rows.append(x)
    return rows, labels


def errors(blend: StreamBlend, rows: Batches, labels: Labels, *, refit: bool) -> list[float]:
    found = []
    for x, y in zip(rows, labels, strict=True):
        odds = blend.predict(x)
        scores = np.hstack([np.zeros((len(odds), 1)), odds])
        found.append(float((scores.argmax(axis=1) != y).mean()))
        blend.learn(y)
        if refit:
            blend.refit()
    return found


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_and_refits_follow_a_world_that_turned(classes: int) -> None:
    rows, labels = world(24, turns_at=14, classes=classes)

    def later(*, refit: bool) -> float:
        blend = StreamBlend(
            rows[:12], labels[:12], classes=classes, train=train_member, recipes=FOUNDATION[:3]
        )
        found = errors(blend, rows[12:], labels[12:], refit=refit)
        assert np.mean(found[:2]) < 0.35  # before it turned
        return float(np.mean(found[-4:]))

    assert later(refit=True) < 0.4
    if classes == 2:
        assert later(refit=False) < 0.3  # a negative weight turns the old models round


def test_a_blend_is_the_same_from_the_same_data() -> None:
    rows, labels = world(14, turns_at=99)

    def served() -> npt.NDArray[np.float64]:
        blend = StreamBlend(rows[:12], labels[:12], classes=2, train=train_member)
        return blend.predict(rows[12])

    np.testing.assert_array_equal(served(), served())


def test_labels_before_a_prediction_are_refused() -> None:
    rows, labels = world(5, turns_at=99)
    blend = StreamBlend(rows, labels, classes=2, train=train_member, recipes=FOUNDATION[:1])
    with pytest.raises(ConfigError, match="waits for its labels"):
        blend.learn(labels[0])
    with pytest.raises(ConfigError, match="batches"):
        StreamBlend(rows[:2], labels[:2], classes=2, train=train_member)


def test_one_class_alone_is_no_obstacle() -> None:
    rows, labels = world(6, turns_at=99)
    alone = [np.zeros_like(label) for label in labels]
    blend = StreamBlend(rows, alone, classes=2, train=train_member, recipes=FOUNDATION[:2])
    assert (blend.predict(rows[0]) < 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 20))
def test_lags_do_not_depend_on_how_rows_are_cut(seed: int, cut: int, span: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(40, 2))
    rows[3, 1] = math.nan
    whole = LagFeatures(rows, span=span)
    all_at_once = whole.encode(rows)
    parts = LagFeatures(rows, span=span)
    first = parts.encode(rows[:cut])
    parts.move_on(rows[:cut])
    np.testing.assert_allclose(np.vstack([first, parts.encode(rows[cut:])]), all_at_once)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_rates_are_rates_and_know_nothing_of_their_own_batch(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    rows, truth = rng.normal(size=(50, 3)), rng.integers(0, classes, 50)
    rates = RecentRates(rows, truth, classes=classes)
    before = rates.encode(rows)
    assert before.shape == (50, rates.width)
    rates.learn(rows, truth)
    after = rates.encode(rows)
    assert ((after >= 0) & (after <= 1)).all()
    np.testing.assert_array_equal(before, RecentRates(rows, truth, classes=classes).encode(rows))


def test_a_category_and_noise_have_no_period() -> None:
    assert dominant_period(np.random.default_rng(0).normal(size=2000), longest=300) is None
    assert dominant_period(np.ones(100), longest=50) is None


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 1.0), st.floats(0.001, 2.0))
def test_with_a_steady_loss_refits_come_at_the_optimal_interval(loss: float, cost: float) -> None:
    rate = 0.004
    rhythm, age = RefitRhythm(rate=rate), 0
    while not rhythm.due(cost=cost):
        rhythm.served(loss)
        age += 1
    # The debt of age a is rate · loss · a (a + 1) / 2.
    optimum = math.sqrt(2 * cost / (rate * loss))
    assert abs(age - optimum) <= 1.5


def test_a_rhythm_begins_anew_and_refuses_no_rate() -> None:
    rhythm = RefitRhythm()
    rhythm.served(0.5)
    rhythm.refitted()
    assert rhythm.debt == 0
    with pytest.raises(ConfigError):
        RefitRhythm(rate=0.0)
