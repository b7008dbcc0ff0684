from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import DataError
from menace.synergy import METRICS, SettledCycle, Shock, SynergyMetrics
from menace.synergy.metrics import rolling_change, theil_sen_slope

figures = st.floats(-100, 100)
shocks = st.builds(
    Shock,
    drift_severity=st.floats(0, 1),
    loss_before=st.none() | st.floats(0, 2),
    loss_peak=st.none() | st.floats(0, 2),
    loss_volatility=st.floats(0, 3),
)
histories = st.lists(
    st.builds(
        SettledCycle,
        entry_id=st.just(0),
        roi_delta=st.floats(-5, 5),
        gain_usd=figures,
        cpu_seconds=st.floats(0, 100),
        shares=st.dictionaries(st.sampled_from("abcd"), st.floats(-5, 5)),
        shock=shocks,
        loss_settled=st.none() | st.floats(0, 2),
    ),
    max_size=30,
)


def cycle(number: int, roi_delta: float = 0.0, **changes: object) -> SettledCycle:
    return SettledCycle(entry_id=number, roi_delta=roi_delta, **changes)  # type: ignore[arg-type]


def observed(*cycles: SettledCycle) -> SynergyMetrics:
    metrics = SynergyMetrics()
    for one in cycles:
        metrics.observe(one)
    return metrics


def numbered(cycles: list[SettledCycle]) -> list[SettledCycle]:
    return [
        SettledCycle(
            number, c.roi_delta, c.gain_usd, c.cpu_seconds, c.shares, c.shock, c.loss_settled
        )
        for number, c in enumerate(cycles, start=1)
    ]


def test_parts_that_bring_more_together_than_each_is_wont_to_have_synergy() -> None:
    metrics = observed(cycle(1, 0.4, shares={"lags": 0.4}), cycle(2, 0.2, shares={"trees": 0.2}))
    measured = metrics.observe(cycle(3, 1.0, shares={"lags": 0.5, "trees": 0.5}))
    assert measured["synergy_roi"] == pytest.approx(1.0 - (0.4 + 0.2))
    assert metrics.expected == pytest.approx({"lags": 0.9 * 0.4 + 0.05, "trees": 0.9 * 0.2 + 0.05})


def test_efficiency_is_the_gain_per_cpu_second_over_its_usual_value_less_one() -> None:
    metrics = observed(cycle(1, gain_usd=4.0, cpu_seconds=2.0))
    assert metrics.observe(cycle(2, gain_usd=3.0, cpu_seconds=1.0))["synergy_efficiency"] == 0.5
    usual = 0.9 * 2.0 + 0.1 * 3.0
    measured = metrics.observe(cycle(3, gain_usd=1.05, cpu_seconds=1.0))
    assert measured["synergy_efficiency"] == pytest.approx(1.05 / usual - 1)


@pytest.mark.parametrize(
    ("usual_usd", "gain_usd", "expected"),
    [(1.0, 99.0, 5.0), (1.0, -99.0, -1.0), (0.0, 1.0, 5.0), (0.0, -1.0, -1.0), (0.0, 0.0, 0.0)],
)
def test_efficiency_stays_within_its_bounds(
    usual_usd: float, gain_usd: float, expected: float
) -> None:
    metrics = observed(cycle(1, gain_usd=usual_usd, cpu_seconds=1.0))
    measured = metrics.observe(cycle(2, gain_usd=gain_usd, cpu_seconds=1.0))
    assert measured["synergy_efficiency"] == expected


def test_a_loss_that_used_to_be_negative_gain_does_not_turn_the_sign_round() -> None:
    metrics = observed(cycle(1, gain_usd=-2.0, cpu_seconds=1.0))
    better = metrics.observe(cycle(2, gain_usd=-1.0, cpu_seconds=1.0))
    assert better["synergy_efficiency"] == 0.5


def test_resilience_is_the_share_of_lost_quality_won_back_against_the_usual_share() -> None:
    shock = Shock(drift_severity=0.9, loss_before=0.1, loss_peak=0.5, loss_volatility=0.2)
    metrics = observed(cycle(1, shock=shock, loss_settled=0.3))
    better = metrics.observe(cycle(2, shock=shock, loss_settled=0.1))
    assert better["synergy_resilience"] == pytest.approx(1.0 - 0.5)
    rejected = metrics.observe(cycle(3, shock=shock, loss_settled=None))
    assert rejected["synergy_resilience"] == pytest.approx(0.0 - (0.9 * 0.5 + 0.1 * 1.0))


def test_without_a_drift_issue_nothing_is_said_about_resilience() -> None:
    metrics = observed(cycle(1, 0.5), cycle(2, 0.7))
    assert metrics.cycles[-1][1]["synergy_resilience"] is None
    assert metrics.deltas()["synergy_resilience"] == 0.0


def test_a_bot_that_gains_more_the_harder_it_is_shaken_is_antifragile() -> None:
    def shaken(number: int, severity: float, roi_delta: float) -> SettledCycle:
        return cycle(number, roi_delta, shock=Shock(severity, 0.1, 0.2, loss_volatility=0.5))

    calm = [shaken(n, severity, 0.0) for n, severity in enumerate((0.0, 0.2, 0.4), start=1)]
    metrics = observed(*calm)
    assert metrics.averages["roi_over_stress"] == 0.0
    harder = [shaken(n, 0.2 * n, 0.3 * n) for n in range(4, 9)]
    measured = [metrics.observe(one)["synergy_antifragility"] for one in harder]
    assert measured[-1] is not None
    assert measured[-1] > 0.5


def test_the_slope_is_a_median_that_outliers_do_not_move() -> None:
    line = [(0.1 * n, 2.0 * 0.1 * n) for n in range(10)]
    assert theil_sen_slope([*line, (0.55, 1e6), (0.25, -1e6)]) == pytest.approx(2.0)
    assert theil_sen_slope([(0.0, 1.0), (0.0, 2.0), (1.0, 3.0)]) is None


def test_the_rolling_change_compares_three_with_the_three_before() -> None:
    assert rolling_change([]) == 0.0
    assert rolling_change([4.0]) == 0.0
    assert rolling_change([9.0, 1.0, 1.5]) == 0.5
    assert rolling_change([9.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) == 3.0


def test_a_cycle_that_was_observed_already_changes_nothing() -> None:
    metrics = observed(cycle(1, 0.5, shares={"a": 0.5}), cycle(2, 0.7, shares={"a": 0.7}))
    before = metrics.to_json()
    again = metrics.observe(cycle(2, 0.7, shares={"a": 0.7}))
    assert again == metrics.cycles[-1][1]
    assert metrics.to_json() == before


def test_what_is_kept_stays_bounded() -> None:
    metrics = observed(*(cycle(n, shares={f"module {n}": 0.0}) for n in range(1, 1200)))
    assert len(metrics.cycles) == 100
    assert len(metrics.expected) == 1000
    assert "module 1199" in metrics.expected
    assert len(metrics.stresses) == 20


@given(histories)
def test_metrics_that_are_kept_as_json_go_on_as_if_they_had_not_been(
    history: list[SettledCycle],
) -> None:
    whole, kept = SynergyMetrics(), SynergyMetrics()
    for one in numbered(history):
        assert kept.observe(one) == whole.observe(one)
        kept = SynergyMetrics.from_json(json.loads(json.dumps(kept.to_json(), allow_nan=False)))
        assert kept == whole
        assert kept.deltas() == whole.deltas()


@given(histories)
def test_metrics_are_finite_and_within_their_bounds(history: list[SettledCycle]) -> None:
    metrics = SynergyMetrics()
    for one in numbered(history):
        measured = metrics.observe(one)
        assert tuple(measured) == METRICS
        assert all(value is None or math.isfinite(value) for value in measured.values())
        efficiency, resilience = measured["synergy_efficiency"], measured["synergy_resilience"]
        assert efficiency is None or -1 <= efficiency <= 5
        assert resilience is None or -1 <= resilience <= 1


@pytest.mark.parametrize("name", ["roi_delta", "gain_usd", "cpu_seconds", "loss_settled"])
def test_a_figure_that_is_not_finite_is_refused_and_changes_nothing(name: str) -> None:
    metrics = observed(cycle(1, 0.5))
    before = metrics.to_json()
    with pytest.raises(DataError, match=name):
        metrics.observe(SettledCycle(**{"entry_id": 2, "roi_delta": 0.0, name: math.nan}))  # type: ignore[arg-type]
    assert metrics.to_json() == before


@pytest.mark.parametrize(
    "document", [{"cycles": [[1, 2.0]]}, {"stresses": [[1.0]]}, {"averages": 3}]
)
def test_a_garbled_document_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(DataError, match="synergy metrics"):
        SynergyMetrics.from_json(document)
