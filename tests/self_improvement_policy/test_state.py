"""The policy's state: buckets that are valid, bounded and monotone in each figure."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import DataError
from menace.self_improvement_policy import STATE_COUNT, PolicyState, state_of
from menace.self_improvement_policy.state import (
    AGE_EDGES,
    BUCKETS,
    DEBT_EDGES,
    DRIFT_EDGES,
    ENERGY_EDGES,
    ROI_EDGES,
    TREND_EDGES,
    debt_centre,
)

REAL = st.floats(allow_nan=False)
SHARE = st.floats(0.0, 1.0)
FIGURES: dict[str, st.SearchStrategy[float]] = {
    "debt_ratio": REAL,
    "age_ticks": st.floats(0.0, allow_nan=False),
    "drift_severity": SHARE,
    "short_mean": REAL,
    "ema": REAL,
    "energy_score": SHARE,
    "module_trend": REAL,
}
EDGES = {
    "debt_ratio": DEBT_EDGES,
    "age_ticks": AGE_EDGES,
    "drift_severity": DRIFT_EDGES,
    "short_mean": ROI_EDGES,
    "ema": ROI_EDGES,
    "energy_score": ENERGY_EDGES,
    "module_trend": TREND_EDGES,
}
NAMES = tuple(FIGURES)
ANYTHING = st.fixed_dictionaries({name: st.none() | figure for name, figure in FIGURES.items()})
UNKNOWN: dict[str, Any] = dict.fromkeys(NAMES)


@given(figures=ANYTHING)
def test_every_state_is_seven_small_integers_within_their_buckets(figures: dict[str, Any]) -> None:
    state = state_of(**figures)
    assert all(type(part) is int for part in state)
    assert all(0 <= part < count for part, count in zip(state, BUCKETS, strict=True))


@given(figures=ANYTHING, name=st.sampled_from(NAMES), data=st.data())
def test_each_component_grows_with_its_own_figure_and_with_no_other(
    figures: dict[str, Any], name: str, data: st.DataObject
) -> None:
    low, high = sorted([data.draw(FIGURES[name]), data.draw(FIGURES[name])])
    below, above = state_of(**{**figures, name: low}), state_of(**{**figures, name: high})
    changed = NAMES.index(name)
    assert below[changed] <= above[changed]
    assert below[:changed] + below[changed + 1 :] == above[:changed] + above[changed + 1 :]


def test_there_are_27_000_states_and_all_can_be_reached() -> None:
    inside = {name: [-1e9 if edges[0] < 0 else 0.0, *edges] for name, edges in EDGES.items()}
    reached = {
        state_of(**dict(zip(NAMES, figures, strict=True)))
        for figures in itertools.product(*inside.values())
    }
    assert len(reached) == STATE_COUNT == math.prod(BUCKETS) == 27_000


@pytest.mark.parametrize("name", NAMES)
def test_an_edge_belongs_to_the_bucket_above_it(name: str) -> None:
    place = NAMES.index(name)
    for number, edge in enumerate(EDGES[name], start=1):
        just_below = math.nextafter(edge, -math.inf)
        assert state_of(**{**UNKNOWN, name: edge})[place] == number
        assert state_of(**{**UNKNOWN, name: just_below})[place] == number - 1


def test_a_debt_of_exactly_one_cycle_cost_has_an_edge_of_its_own() -> None:
    assert 1.0 in DEBT_EDGES


def test_unknown_figures_have_documented_buckets() -> None:
    assert state_of(**UNKNOWN) == PolicyState(
        debt=0, age=4, drift=0, short_mean=2, ema=2, energy=1, module_trend=1
    )


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_refused_by_name(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} is nan"):
        state_of(**{**UNKNOWN, name: math.nan})


@pytest.mark.parametrize(
    ("name", "figure"),
    [("age_ticks", -1), ("drift_severity", 1.1), ("energy_score", -0.1), ("energy_score", 2)],
)
def test_a_figure_outside_its_range_is_refused_by_name(name: str, figure: float) -> None:
    with pytest.raises(DataError, match=f"{name} is {figure}, outside"):
        state_of(**{**UNKNOWN, name: figure})


def test_a_free_cycle_makes_any_debt_infinite_and_that_is_a_state() -> None:
    assert state_of(**{**UNKNOWN, "debt_ratio": math.inf}).debt == BUCKETS.debt - 1
    assert state_of(**{**UNKNOWN, "debt_ratio": -math.inf}).debt == 0


def test_the_typical_debt_lies_in_its_bucket() -> None:
    for bucket in range(BUCKETS.debt):
        assert state_of(**{**UNKNOWN, "debt_ratio": debt_centre(bucket)}).debt == bucket
