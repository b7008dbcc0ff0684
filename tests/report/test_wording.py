from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.report import CyclePoint, DecisionPoint
from menace.report.wording import (
    cycle_text,
    decision_text,
    input_phrases,
    loss_text,
    percent,
    quantity,
    tick_text,
    usd,
    usd_column,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "$0"),
        (0.0021, "$0.0021"),
        (0.002, "$0.002"),
        (0.05, "$0.05"),
        (0.35, "$0.35"),
        (0.999, "$1.00"),
        (12.345, "$12.35"),
        (999.4, "$999.40"),
        (12_300, "$12,300"),
        (9_999_999, "$9,999,999"),
        (12_345_678, "$12.35 M"),
        (-0.5, "−$0.50"),
        (1e-12, "<$0.000000001"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_money_is_readable_at_every_scale(value: float | None, text: str) -> None:
    assert usd(value) == text


@given(value=st.floats(allow_nan=True, allow_infinity=True), signed=st.booleans())
def test_money_never_says_nan_and_is_short(value: float, signed: bool) -> None:
    text = usd(value, signed=signed)
    assert "nan" not in text
    assert "inf" not in text
    if abs(value) < 1e13:
        assert len(text) <= 16


@given(value=st.floats(min_value=0.001, max_value=1e7))
def test_money_is_right_to_half_a_percent_or_half_a_cent(value: float) -> None:
    read = float(usd(value).strip("$<").replace(",", "").replace(" M", "e6"))
    assert abs(read - value) <= max(0.051 * value if value < 0.01 else 0.0051, 0.005 * value)


def test_a_gain_carries_its_sign_when_asked() -> None:
    assert usd(2.5, signed=True) == "+$2.50"
    assert usd(0, signed=True) == "$0"


def test_a_column_of_money_has_one_number_of_decimals() -> None:
    assert usd_column([12.3, 0.5, 0]) == ["$12.30", "$0.50", "$0.00"]
    assert usd_column([12_300, 0.2, 0.0]) == ["$12,300", "<$1", "$0"]
    assert usd_column([]) == []


@pytest.mark.parametrize(
    ("value", "step", "unit", "text"),
    [
        (0.25, 0.05, "$", "$0.25"),
        (0.0, 0.5, "$", "$0"),
        (20_000, 5_000, "$", "$20k"),
        (2e6, 1e6, "$", "$2 M"),
        (-4, 2, "$", "−$4"),
        (0.1, 0.1, "%", "10\u202f%"),
        (0.005, 0.005, "%", "0.5\u202f%"),
        (-0.05, 0.05, "", "−0.05"),
    ],
)
def test_axis_labels_show_the_decimals_of_their_step(
    value: float, step: float, unit: str, text: str
) -> None:
    assert tick_text(value, step, unit=unit) == text


def test_percentages_and_losses_keep_one_decimal() -> None:
    assert percent(-0.01, signed=True) == "0.0 %"
    assert percent(315.2, signed=True) == "+315 %"
    assert loss_text(0.0842, is_share=True) == "8.4 %"
    assert loss_text(0.0842, is_share=False) == "0.0842"
    assert loss_text(None, is_share=True) == "–"


def test_small_and_large_numbers_stay_short() -> None:
    assert quantity(1e-9) == "1.0e-09"
    assert quantity(1e18) == "1.00e+18"
    assert quantity(0) == "0"


def test_inputs_are_told_with_the_unit_of_their_name() -> None:
    inputs = {
        "debt_usd": 0.84,
        "age_rows": 1344,
        "elapsed_seconds": 12.5,
        "null_rate": 0.02,
        "champion_version": 3,
        "gap_percent": 12.0,
        "manual": True,
        "last_cycle_at": None,
        "issues": ["drift", "latency"],
        "factors": {"roi": 1.25},
        "nothing": [],
    }
    assert input_phrases(inputs) == [
        "debt $0.84",
        "age 1,344 rows",
        "elapsed 12.5 s",
        "null rate 2.0 %",
        "champion version 3",
        "gap 12.0 %",
        "manual yes",
        "last cycle at not known",
        "issues drift, latency",
        "factors roi 1.25",
        "nothing none",
    ]


def test_a_long_input_is_cut() -> None:
    (phrase,) = input_phrases({"error": "x" * 5000})
    assert len(phrase) < 140


def test_a_decision_tells_its_reason_and_first_inputs() -> None:
    inputs = {"debt_usd": 1.0, "age_ticks": 3, "severity": 0.5}
    text = decision_text(DecisionPoint(0, True, "policy", inputs), inputs=2)
    assert text == "run: policy (debt $1.00; age 3 ticks)"


def test_an_open_promotion_says_that_it_is_not_settled() -> None:
    assert cycle_text(CyclePoint(0, "promoted", version=4, cost_usd=0.25)) == (
        "promoted v4, cost $0.25, not settled yet"
    )
    assert cycle_text(CyclePoint(0, "rolled_back", 1.5, 2, 0.0, 3.0)) == (
        "rolled back to v2, cost $0, gain $3.00, ROI delta +1.5"
    )
