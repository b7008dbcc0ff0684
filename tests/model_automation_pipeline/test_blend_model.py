from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import PackageError
from menace.model_automation_pipeline.blend_model import BLEND_FILE, blend_weights
from menace.model_automation_pipeline.budget import CpuBudget
from menace.model_automation_pipeline.families import (
    BLEND,
    DEFAULTS,
    LIGHTGBM,
    LINEAR,
    Candidate,
    Rows,
    blended,
    default_candidate,
    load,
)
from menace.model_automation_pipeline.features import FeatureEncoder
from menace.model_automation_pipeline.fitting import fit_within, made_affordable
from menace.model_automation_pipeline.package import load_predictor, pack
from menace.model_automation_pipeline.target import Target
from menace.records import BotConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from menace.model_automation_pipeline.families import Model

    MakeRows = Callable[..., pd.DataFrame]

LINES = Candidate(LINEAR, {**DEFAULTS[LINEAR], "half_life": 0.3})
TREES = Candidate(LIGHTGBM, {**DEFAULTS[LIGHTGBM], "categories": 1.0, "bagging_fraction": 0.7})
BOTH = blended([(3.0, TREES), (1.0, LINES)])


def fitted(frame: pd.DataFrame, candidate: Candidate) -> tuple[Model, Rows]:
    target = Target.detect(frame, BotConfig("a", None, "y"))
    encoder = FeatureEncoder.fit(frame, target="y")
    budget = CpuBudget(1e6, counted=True)
    rows = Rows.of(frame, encoder, target, budget)
    model, _ = fit_within(candidate, rows, seed=1, budget=budget, limit_seconds=1e6)
    return model, rows


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_blend_says_the_weighted_average_before_and_after_it_was_packaged(
    rows: MakeRows, task: str
) -> None:
    frame = rows(300, task)
    model, encoded = fitted(frame, BOTH)
    trees, lines = (fitted(frame, part)[0].raw(encoded.matrix) for _, part in BOTH.members)
    np.testing.assert_allclose(model.raw(encoded.matrix), 0.75 * trees + 0.25 * lines)

    files = pack(
        model=model, candidate=BOTH, encoder=encoded.encoder, target=encoded.target, facts={}
    )
    predictor = load_predictor(files)
    assert predictor.candidate == BOTH
    np.testing.assert_array_equal(predictor.model.raw(encoded.matrix), model.raw(encoded.matrix))


@pytest.mark.parametrize(
    "listed",
    [
        "nonsense",
        [],
        [{"family": LINEAR, "weight": 0.5}],
        [{"family": LINEAR, "weight": 2.0}, {"family": LIGHTGBM, "weight": -1.0}],
        [{"family": "mystery", "weight": 1.0}],
        [{"family": BLEND, "weight": 1.0}],
        [{"weight": 1.0}],
        [{"family": LIGHTGBM, "weight": 1.0 / 9}] * 9,
    ],
)
def test_a_blend_that_is_not_what_it_must_be_is_refused(rows: MakeRows, listed: Any) -> None:
    model, encoded = fitted(rows(100), BOTH)
    files = {**model.files(), BLEND_FILE: json.dumps(listed).encode()}
    with pytest.raises(PackageError):
        load(BLEND, files, encoded.target, encoded.encoder.width)


def test_a_blend_that_is_too_dear_loses_its_lightest_members(rows: MakeRows) -> None:
    _, encoded = fitted(rows(400), LINES)
    slow = Candidate(LIGHTGBM, {**TREES.params, "learning_rate": 0.03, "rounds": 500})
    three = blended([(0.5, slow), (0.3, LINES), (0.2, TREES)])
    assert made_affordable(three, encoded, 1e6) is three
    faster = made_affordable(three, encoded, 1e-3)
    assert faster.params["rounds"] < slow.params["rounds"]
    assert faster.params["learning_rate"] == pytest.approx(0.3)
    assert made_affordable(default_candidate(), encoded, 1e6) == default_candidate()


def test_a_deadline_is_shared_by_the_members(rows: MakeRows) -> None:
    _, encoded = fitted(rows(400), LINES)
    slow = Candidate(LIGHTGBM, {**TREES.params, "rounds": 4000})
    budget = CpuBudget(1.0, counted=True)
    _, candidate = fit_within(
        blended([(0.5, slow), (0.5, slow)]), encoded, seed=1, budget=budget, limit_seconds=0.3
    )
    made = [part.params["rounds"] for _, part in candidate.members]
    assert 0 < made[0] < 4000
    assert made[1] == pytest.approx(made[0], rel=0.2)
    assert budget.counted_seconds < 0.35


@given(
    st.lists(st.lists(st.floats(-9, 9), min_size=4, max_size=4), min_size=1, max_size=6),
    st.integers(1, 4),
)
def test_chosen_weights_are_an_average_that_is_no_worse_than_the_best(
    said: list[list[float]], most: int
) -> None:
    truth = np.array([1.0, -2.0, 0.5, 3.0])
    raws = [np.array(values) for values in said]

    def loss(raw: np.ndarray) -> float:
        return float(np.square(raw - truth).mean())

    weights = blend_weights(raws, loss, most=most)
    assert 1 <= len(weights) <= most
    assert sum(weights.values()) == pytest.approx(1.0)
    assert min(weights.values()) > 0.0
    blend = np.sum([weight * raws[at] for at, weight in weights.items()], axis=0)
    assert loss(blend) <= min(loss(raw) for raw in raws) * (1 + 1e-9) + 1e-12
