"""The energy of a cycle: the formula, its bounds, and the record of every factor."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.accounting import EnergyBudget, roi_factor, validated_energy
from menace.errors import EnergyError

ROI = st.none() | st.floats(-1e6, 1e6)
INPUTS = st.fixed_dictionaries(
    {
        "energy_score": st.floats(0, 1),
        "predicted": st.floats(-1e6, 1e6),
        "short_term_mean": ROI,
        "ema": ROI,
        "synergy_factor": st.floats(0, 1e3),
    }
)


@given(inputs=INPUTS)
def test_the_energy_is_the_product_of_its_recorded_factors_clamped(inputs: dict[str, Any]) -> None:
    found = EnergyBudget().energy(**inputs)
    product = found.base * (1 + max(0.0, found.predicted)) * found.roi_factor * found.synergy_factor
    assert found.unbounded == pytest.approx(product)
    assert found.energy == min(100, max(1, round(found.unbounded)))
    assert found.base == round(inputs["energy_score"] * 5)
    assert type(found.energy) is int
    assert json.loads(json.dumps(found.to_json())) == found.to_json()


@given(
    inputs=INPUTS,
    name=st.sampled_from(["energy_score", "predicted", "short_term_mean", "ema", "synergy_factor"]),
    data=st.data(),
)
def test_the_energy_never_shrinks_when_a_figure_grows(
    inputs: dict[str, Any], name: str, data: st.DataObject
) -> None:
    bounds = {"energy_score": (0.0, 1.0), "synergy_factor": (0.0, 1e3)}.get(name, (-1e6, 1e6))
    low, high = sorted([data.draw(st.floats(*bounds)), data.draw(st.floats(*bounds))])
    budget = EnergyBudget()
    below = budget.energy(**{**inputs, name: low}).energy
    assert below <= budget.energy(**{**inputs, name: high}).energy


@pytest.mark.parametrize(
    ("inputs", "energy"),
    [
        ({"energy_score": 1.0}, 5),
        ({"energy_score": 0.0}, 1),
        ({"energy_score": 1.0, "predicted": 1.0}, 10),
        ({"energy_score": 1.0, "predicted": -1.0}, 5),
        ({"energy_score": 1.0, "predicted": 1e308}, 100),
        ({"energy": 10, "energy_score": 0.0}, 10),
        ({"energy": 10, "short_term_mean": 50.0, "ema": 50.0}, 20),
        ({"energy": 10, "short_term_mean": -50.0, "ema": -50.0}, 5),
        ({"energy": 10, "short_term_mean": 2.0, "ema": -2.0}, 10),
        ({"energy": 10, "synergy_factor": 0.0}, 1),
        ({"energy": 100, "predicted": 5.0}, 100),
    ],
)
def test_worked_examples(inputs: dict[str, Any], energy: int) -> None:
    assert EnergyBudget().energy(**inputs).energy == energy


@given(short=ROI, ema=ROI)
def test_the_roi_factor_stays_within_a_half_and_two(short: float | None, ema: float | None) -> None:
    factor = roi_factor(short, ema)
    assert 0.5 <= factor <= 2.0
    assert factor * roi_factor(
        None if short is None else -short, None if ema is None else -ema
    ) == pytest.approx(1.0)


def test_the_roi_factor_of_an_unknown_or_even_past_is_one() -> None:
    assert roi_factor(None, None) == roi_factor(0.0, None) == roi_factor(0.0, 0.0) == 1.0
    assert roi_factor(0.2, None) > 1.0 > roi_factor(None, -0.2)


@pytest.mark.parametrize("energy", [0, -1, 101, 1.0, 2.5, "3", None, True, math.nan])
def test_what_is_no_energy_is_refused(energy: Any) -> None:
    with pytest.raises(EnergyError, match=r"the energy is .*1\.\.100"):
        validated_energy(energy)
    if energy is not None:
        with pytest.raises(EnergyError):
            EnergyBudget().energy(energy=energy)


def test_whole_numbers_from_1_to_100_are_energies() -> None:
    assert [validated_energy(energy) for energy in (1, 100, np.int64(7))] == [1, 100, 7]
    assert type(validated_energy(np.int64(7))) is int


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({}, "neither an energy nor an energy score"),
        ({"energy_score": 1.2}, "energy score is 1.2"),
        ({"energy_score": math.nan}, "energy score is nan"),
        ({"energy_score": 1.0, "predicted": math.nan}, "predicted ROI is nan"),
        ({"energy_score": 1.0, "ema": math.inf}, "ROI average is inf"),
        ({"energy_score": 1.0, "short_term_mean": math.nan}, "short-term ROI mean is nan"),
        ({"energy_score": 1.0, "synergy_factor": -1.0}, "synergy factor is -1"),
    ],
)
def test_a_wrong_figure_is_refused_by_name(inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(EnergyError, match=named):
        EnergyBudget().energy(**inputs)
