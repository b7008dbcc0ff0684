from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import ConfigError, DataError, StateFileError
from menace.self_improvement_engine import SynergyWeightLearner
from menace.synergy import METRICS, synergy_sum
from menace.synergy.weight_learner import WEIGHT_OF

if TYPE_CHECKING:
    from pathlib import Path

changes = st.dictionaries(st.sampled_from(METRICS), st.floats(-1e3, 1e3))


def test_a_weight_moves_by_rate_times_roi_times_change() -> None:
    learner = SynergyWeightLearner(lr=0.2)
    learner.update(
        1.5,
        {
            "synergy_roi": 0.4,
            "synergy_efficiency": -0.5,
            "synergy_resilience": 0.0,
            "synergy_antifragility": 2.0,
        },
    )
    assert learner.weights == pytest.approx(
        {"roi": 1.12, "efficiency": 0.85, "resilience": 1.0, "antifragility": 1.6}
    )


def test_weights_stop_at_nothing_and_at_ten() -> None:
    learner = SynergyWeightLearner()
    learner.update(1e300, {"synergy_roi": 1e300, "synergy_efficiency": -1e300})
    assert learner.weights["roi"] == 10.0
    assert learner.weights["efficiency"] == 0.0


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), changes), max_size=20))
def test_weights_stay_within_their_bounds(history: list[tuple[float, dict[str, float]]]) -> None:
    learner = SynergyWeightLearner()
    for roi_delta, deltas in history:
        learner.update(roi_delta, deltas)
        assert all(0 <= weight <= 10 for weight in learner.weights.values())
        assert -4 <= synergy_sum(learner.weights, deltas) <= 4


def test_the_sum_cuts_wild_changes_off_and_weighs_the_rest() -> None:
    weights = {"roi": 10.0, "efficiency": 5.0, "resilience": 1.0, "antifragility": 0.0}
    deltas = dict(zip(METRICS, (0.5, 7.0, -0.25, 3.0), strict=True))
    assert synergy_sum(weights, deltas) == pytest.approx(0.5 + 0.5 - 0.025)


def test_at_rate_zero_the_weights_are_fixed() -> None:
    learner = SynergyWeightLearner(lr=0.0)
    learner.update(3.0, dict.fromkeys(METRICS, 1.0))
    assert set(learner.weights.values()) == {1.0}


def test_a_learner_goes_on_from_its_file(tmp_path: Path) -> None:
    whole, path = SynergyWeightLearner(), tmp_path / "deep" / "weights.json"
    for number in range(6):
        roi_delta, deltas = 0.3 * number - 0.7, dict.fromkeys(METRICS, 0.1 * number)
        whole.update(roi_delta, deltas)
        learner = SynergyWeightLearner(path)
        learner.learned_through = number
        learner.update(roi_delta, deltas)
    found = SynergyWeightLearner(str(path))
    assert found.weights == whole.weights
    assert found.learned_through == 5


@pytest.mark.parametrize("deltas", [{"synergy_roi": math.nan}, {"synergy": 1.0}])
def test_a_wrong_figure_or_metric_changes_nothing(tmp_path: Path, deltas: dict[str, float]) -> None:
    path = tmp_path / "weights.json"
    learner = SynergyWeightLearner(path)
    learner.update(1.0, {"synergy_roi": 1.0})
    before, content = dict(learner.weights), path.read_bytes()
    with pytest.raises(DataError):
        learner.update(1.0, deltas)
    with pytest.raises(DataError, match="roi_delta"):
        learner.update(math.inf, {})
    assert learner.weights == before
    assert path.read_bytes() == content


@pytest.mark.parametrize("lr", [-0.1, math.nan, math.inf])
def test_a_rate_out_of_range_is_refused(lr: float) -> None:
    with pytest.raises(ConfigError, match="lr"):
        SynergyWeightLearner(lr=lr)


def test_a_torn_file_is_named_and_never_reset(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    learner = SynergyWeightLearner(path)
    learner.update(1.0, {"synergy_roi": 1.0})
    learner.update(1.0, {"synergy_roi": 1.0})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(StateFileError, match=r"weights\.json"):
        SynergyWeightLearner(path)
    path.with_name("weights.json.bak").replace(path)
    assert SynergyWeightLearner(path).weights["roi"] == 1.1


def test_every_metric_has_its_weight() -> None:
    assert tuple(WEIGHT_OF) == METRICS
    assert list(SynergyWeightLearner().weights) == [
        "roi",
        "efficiency",
        "resilience",
        "antifragility",
    ]
