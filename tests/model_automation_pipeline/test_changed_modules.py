from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.model_automation_pipeline.changed_modules import (
    changed_modules,
    configuration_changes,
    promise,
    reverted,
)
from menace.model_automation_pipeline.families import Candidate

PARAMS = st.fixed_dictionaries(
    {
        name: st.sampled_from([1.0, 2.0])
        for name in ("learning_rate", "rounds", "num_leaves", "min_data_in_leaf", "lambda_l2")
    }
)
NUMBER = {"name": "x", "kind": "number"}
COLOUR = {"name": "colour", "kind": "category", "categories": ["red", "blue"]}
DAY = {"name": "day", "kind": "time", "parts": ["hour", "weekday"]}
CHAMPION: dict[str, Any] = {
    "target": "label",
    "family": "lightgbm",
    "params": {"learning_rate": 0.1, "rounds": 100, "num_leaves": 31, "lambda_l2": 0.0},
    "training": {"first_row": 0, "last_row": 500, "rows": 500},
    "features": [NUMBER, COLOUR, DAY],
    "search": None,
}


def with_params(**changes: float) -> dict[str, Any]:
    return {"params": {**CHAMPION["params"], **changes}}


@pytest.mark.parametrize(
    ("changes", "modules"),
    [
        ({}, []),
        ({"training": {"first_row": 100, "last_row": 600, "rows": 500}}, ["window"]),
        (with_params(learning_rate=0.2), ["params:learning"]),
        (with_params(rounds=50, num_leaves=8), ["params:learning", "params:trees"]),
        (with_params(feature_fraction=0.5), ["params:regularisation"]),
        ({"family": "linear", "params": {"strength": 1.0}}, ["family:linear"]),
        ({"search": {"trials": 3}}, ["search"]),
        ({**with_params(rounds=50), "search": {"trials": 3}}, ["params:learning"]),
        ({"features": [NUMBER, COLOUR]}, ["features:time"]),
        ({"features": [NUMBER, COLOUR, DAY, {**NUMBER, "name": "y"}]}, ["features:number"]),
        (
            {"features": [{**NUMBER, "kind": "category"}, COLOUR, DAY]},
            ["features:category", "features:number"],
        ),
        ({"features": [NUMBER, {**COLOUR, "categories": ["green"]}, DAY]}, []),
        ({"features": [NUMBER, COLOUR, {**DAY, "parts": ["hour"]}]}, ["features:time"]),
        ({"target": "other"}, ["model"]),
    ],
)
def test_what_differs_from_the_champion_is_what_changed(
    changes: dict[str, Any], modules: list[str]
) -> None:
    assert changed_modules(CHAMPION, {**CHAMPION, **changes}) == modules


def test_a_first_model_changes_the_whole() -> None:
    assert changed_modules(None, CHAMPION) == ["model"]


def test_a_model_of_the_users_own_has_a_window_at_least() -> None:
    one = {"target": "y", "family": "callable", "params": {}, "training": {"last_row": 1}}
    assert changed_modules(one, {**one, "training": {"last_row": 2}}) == ["window"]


@given(old=PARAMS, new=PARAMS)
def test_without_a_change_that_part_is_the_champions_and_the_rest_the_challengers(
    old: dict[str, float], new: dict[str, float]
) -> None:
    champion, challenger = Candidate("lightgbm", old), Candidate("lightgbm", new)
    changes = configuration_changes(champion, challenger)
    without = reverted(champion, challenger)
    assert set(without) == changes
    for module, candidate in without.items():
        assert configuration_changes(candidate, challenger) == {module}
        assert configuration_changes(candidate, champion) == changes - {module}


def test_without_a_change_of_family_the_champion_is_left() -> None:
    champion = Candidate("linear", {"strength": 1.0})
    challenger = Candidate("lightgbm", {"learning_rate": 0.1})
    assert reverted(champion, challenger) == {"family:lightgbm": champion}


@given(
    old=PARAMS,
    new=PARAMS,
    trends=st.dictionaries(
        st.sampled_from(["params:trees", "params:learning", "window"]), st.floats(-1e9, 1e9)
    ),
)
def test_promise_lies_between_the_trends_of_what_changes(
    old: dict[str, float], new: dict[str, float], trends: dict[str, float]
) -> None:
    champion, candidate = Candidate("lightgbm", old), Candidate("lightgbm", new)
    changes = configuration_changes(champion, candidate)
    bounds = [max(-1.0, min(1.0, trends.get(module, 0.0))) for module in changes] or [0.0]
    assert min(bounds) - 1e-9 <= promise(champion, candidate, trends) <= max(bounds) + 1e-9
    assert promise(champion, candidate, {}) == 0.0
