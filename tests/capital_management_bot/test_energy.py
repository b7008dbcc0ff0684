from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.capital_management_bot.energy import (
    WEIGHTS,
    CapitalPosition,
    energy_score,
    position_of,
    profit_trend,
)
from menace.errors import CapitalError

RATIO = st.floats(0, 1)
USD = st.floats(0, 1e9)
PROFITS = st.lists(st.floats(-1e6, 1e6), max_size=40)
POSITIONS = st.builds(
    CapitalPosition,
    capital_usd=st.floats(-1e6, 1e9),
    spending_usd_per_day=USD,
    profit_trend=st.floats(-1, 1),
    volatility_usd=USD,
    days=st.integers(0, 30),
)
RATES = st.fixed_dictionaries(
    {"load": RATIO, "success_rate": RATIO, "deploy_eff": RATIO, "failure_rate": RATIO}
)
HEALTHY = CapitalPosition(300.0, 3.0, profit_trend=0.0, volatility_usd=100.0, days=30)
EVEN = {"load": 0.5, "success_rate": 0.5, "deploy_eff": 0.5, "failure_rate": 0.5}


def score(position: CapitalPosition, rates: dict[str, float]) -> float:
    return energy_score(position, **rates).score


@given(position=POSITIONS, rates=RATES)
def test_the_score_and_its_factors_lie_in_0_to_1(
    position: CapitalPosition, rates: dict[str, float]
) -> None:
    found = energy_score(position, **rates).to_json()
    assert all(0 <= value <= 1 for value in found.values())


@given(
    position=POSITIONS,
    rates=RATES,
    name=st.sampled_from(
        [
            "capital_usd",
            "profit_trend",
            "spending_usd_per_day",
            "volatility_usd",
            "success_rate",
            "deploy_eff",
            "load",
            "failure_rate",
        ]
    ),
    share=RATIO,
)
def test_the_score_moves_in_the_documented_direction(
    position: CapitalPosition, rates: dict[str, float], name: str, share: float
) -> None:
    falls = name in {"spending_usd_per_day", "volatility_usd", "load", "failure_rate"}
    if name in rates:
        value = rates[name]
        less, more = (
            score(position, rates),
            score(position, {**rates, name: value + share * (1 - value)}),
        )
    else:
        value = getattr(position, name)
        grown = value + share * ((1 - value) if name == "profit_trend" else 1e6)
        changed: dict[str, Any] = {name: grown}
        less, more = score(position, rates), score(replace(position, **changed), rates)
    assert (less - more if falls else more - less) >= -1e-12


def test_the_score_is_the_runway_times_the_weighted_mean() -> None:
    # runway 100 days: 1 − e^−10; steadiness 300 / 400; all else one half.
    mean = 0.25 * 0.5 + 0.15 * 0.75 + 0.2 * 0.5 + 0.2 * 0.5 + 0.1 * 0.5 + 0.1 * 0.5
    assert score(HEALTHY, EVEN) == pytest.approx((1 - math.exp(-10)) * mean)
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("capital_usd", [0.0, -5.0])
def test_without_capital_nothing_else_counts(capital_usd: float) -> None:
    best = {"load": 0.0, "success_rate": 1.0, "deploy_eff": 1.0, "failure_rate": 0.0}
    assert score(replace(HEALTHY, capital_usd=capital_usd), best) == 0.0


def test_capital_that_nobody_spends_lasts_for_ever() -> None:
    idle = replace(HEALTHY, spending_usd_per_day=0.0)
    assert idle.runway_days == math.inf
    assert energy_score(idle, **EVEN).runway == 1.0


@pytest.mark.parametrize("name", sorted(EVEN))
@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf, True, "0.5", None])
def test_a_ratio_out_of_range_is_an_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(CapitalError, match=name):
        energy_score(HEALTHY, **{**EVEN, name: value})


@given(profits=PROFITS)
def test_the_profit_trend_lies_within_1_and_turns_with_its_sign(profits: list[float]) -> None:
    trend = profit_trend(profits)
    assert -1 <= trend <= 1
    if len(profits) % 2 == 0:
        assert profit_trend(profits[::-1]) == pytest.approx(-trend, abs=1e-9)


def test_a_position_knows_only_the_days_it_is_given() -> None:
    assert position_of(5.0, [], []) == CapitalPosition(5.0, 0.0, 0.0, 0.0, 0)
    assert position_of(5.0, [2.0], [1.0]).volatility_usd == 0.0
    assert position_of(5.0, [2.0], [1.0]).runway_days == 2.5
