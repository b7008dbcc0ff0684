from __future__ import annotations

import numpy as np
import pytest

from menace.model_automation_pipeline.evaluation import PairedComparison, compare
from menace.model_automation_pipeline.promotion import gate
from menace.records import Economics


def comparison(mean_gain: float, standard_error: float = 0.01) -> PairedComparison:
    return PairedComparison(
        rows=400,
        champion_loss=0.2,
        challenger_loss=0.2 - mean_gain,
        mean_gain=mean_gain,
        standard_error=standard_error,
        z=mean_gain / standard_error,
        p=0.5,
    )


def test_the_promotion_must_be_paid_for_by_the_settlement_rows() -> None:
    economics = Economics(loss_usd=0.5, promotion_usd=10.0)
    verdict = gate(comparison(0.0), economics=economics, settlement_rows=1000, z=0.0)
    assert verdict.minimum_gain_per_row == pytest.approx(0.02)
    assert not verdict.promote
    assert gate(comparison(0.02), economics=economics, settlement_rows=1000, z=0.0).promote


@pytest.mark.parametrize(
    "economics", [Economics(loss_usd=0.0, promotion_usd=5.0), Economics(promotion_usd=0.0)]
)
def test_without_a_price_there_is_no_minimum(economics: Economics) -> None:
    verdict = gate(comparison(0.0), economics=economics, settlement_rows=1000, z=0.0)
    assert verdict.minimum_gain_per_row == 0.0
    assert verdict.promote


@pytest.mark.parametrize(
    ("mean_gain", "z", "promoted"),
    [
        (-0.009, 1.0, True),
        (-0.011, 1.0, False),
        (0.009, -1.0, False),
        (0.011, -1.0, True),
        (-0.001, 0.0, False),
    ],
)
def test_z_is_the_evidence_that_a_rejection_or_a_promotion_needs(
    mean_gain: float, z: float, promoted: bool
) -> None:
    verdict = gate(comparison(mean_gain), economics=Economics(), settlement_rows=1000, z=z)
    assert verdict.promote is promoted
    assert verdict.upper_gain_per_row == pytest.approx(mean_gain + z * 0.01)


def test_the_expected_gain_is_the_mean_over_the_settlement_rows() -> None:
    verdict = gate(comparison(0.03), economics=Economics(loss_usd=2.0), settlement_rows=500, z=1.0)
    assert verdict.expected_gain_usd == pytest.approx(30.0)


@pytest.mark.parametrize("first", [False, True])
def test_losses_that_are_not_finite_are_rejected(first: bool) -> None:
    broken = compare(np.ones(3), np.array([0.0, np.nan, 0.0]))
    verdict = gate(broken, economics=Economics(), settlement_rows=1000, z=1.0, first=first)
    assert not verdict.promote
    assert "not finite" in verdict.reason
    assert verdict.to_json()["expected_gain_usd"] is None


def test_a_first_model_serves_even_if_it_is_no_better_than_a_constant_but_with_a_warning() -> None:
    verdict = gate(comparison(-0.1), economics=Economics(), settlement_rows=1000, z=1.0, first=True)
    assert verdict.promote
    assert verdict.warning is not None
    good = gate(comparison(0.1), economics=Economics(), settlement_rows=1000, z=1.0, first=True)
    assert good.warning is None
