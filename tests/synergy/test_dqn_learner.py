from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.errors import ConfigError, StateFileError
from menace.self_improvement_engine import DQNSynergyLearner, SynergyWeightLearner
from menace.synergy import METRICS
from menace.synergy.dqn_learner import SYNERGY_SETTINGS, DqnSettings

if TYPE_CHECKING:
    from pathlib import Path

Cycles = list[tuple[float, dict[str, float]]]


def cycles(count: int, seed: int = 5) -> Cycles:
    rng = np.random.default_rng(seed)
    return [
        (float(rng.normal()), dict(zip(METRICS, rng.normal(size=4).tolist(), strict=True)))
        for _ in range(count)
    ]


def everything(learner: DQNSynergyLearner) -> dict[str, object]:
    return {
        "weights": learner.weights,
        "learned_through": learner.learned_through,
        "generator": learner.agent.rng.bit_generator.state,
        **{name: array.tobytes() for name, array in learner.agent.arrays().items()},
    }


def learned(path: Path | None, history: Cycles, **options: object) -> DQNSynergyLearner:
    learner = DQNSynergyLearner(path, seed=3, **options)  # type: ignore[arg-type]
    for number, (roi_delta, deltas) in enumerate(history, start=learner.learned_through + 1):
        learner.learned_through = number
        learner.update(roi_delta, deltas)
    return learner


def test_a_weight_moves_by_the_rate_times_the_predicted_value() -> None:
    learner, (first, second, third) = DQNSynergyLearner(lr=0.5, seed=3), cycles(3)
    learner.update(*first)
    learner.update(*second)
    before = dict(learner.weights)
    learner.update(*third)
    predicted = learner.predicted(third[1])
    assert learner.weights == pytest.approx(
        {name: min(max(before[name] + 0.5 * predicted[name], 0), 10) for name in before}
    )


def test_every_action_is_rewarded_by_the_roi_times_its_metrics_change() -> None:
    (roi_delta, deltas), following = cycles(2)
    learner = DQNSynergyLearner()
    learner.update(roi_delta, deltas)
    learner.update(*following)
    kept = learner.agent.memory.arrays()
    assert kept["actions"].tolist() == [0, 1, 2, 3]
    assert kept["rewards"].tolist() == [roi_delta * deltas[metric] for metric in METRICS]
    assert (kept["states"] == [deltas[metric] for metric in METRICS]).all()
    assert (kept["next_states"] == [following[1][metric] for metric in METRICS]).all()


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 40), max_size=4), gamma=st.sampled_from([0.0, 0.6]))
def test_a_run_that_is_stopped_and_resumed_ends_as_one_that_was_not_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], gamma: float
) -> None:
    history, path = cycles(40), tmp_path_factory.mktemp("run") / "synergy.json"
    learning = DqnSettings(hidden=(8,), gamma=gamma, batch_rows=8, memory_rows=60, target_every=9)
    whole = learned(None, history, settings=learning)
    begin = 0
    for end in [*sorted(cuts), len(history)]:
        stopped = learned(path, history[begin:end], settings=learning)
        begin = end
    assert everything(stopped) == everything(whole)
    assert everything(DQNSynergyLearner(path, settings=learning)) == everything(whole)


def test_a_kill_between_the_two_files_leaves_the_pair_before(tmp_path: Path) -> None:
    history, path = cycles(12), tmp_path / "synergy.json"
    for number in range(1, len(history)):
        learned(path, history[number - 1 : number])
        before = path.read_bytes()
        shutil.copytree(tmp_path, tmp_path.with_name("after"), dirs_exist_ok=True)
        learned(path, history[number : number + 1])
        path.write_bytes(before)  # as a kill leaves it: new arrays, and the JSON before them
        assert everything(DQNSynergyLearner(path)) == everything(learned(None, history[:number]))
        resumed = learned(path, history[number : number + 1])
        assert everything(resumed) == everything(learned(None, history[: number + 1]))
        shutil.rmtree(tmp_path)
        tmp_path.with_name("after").replace(tmp_path)


def test_the_backup_is_a_whole_pair_too(tmp_path: Path) -> None:
    history, path = cycles(9), tmp_path / "synergy.json"
    learned(path, history)
    path.with_name("synergy.json.bak").replace(path)
    assert everything(DQNSynergyLearner(path)) == everything(learned(None, history[:-1]))


def test_only_three_files_of_arrays_are_kept_and_nothing_is_pickled(tmp_path: Path) -> None:
    learned(tmp_path / "synergy.json", cycles(10))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "synergy.0.safetensors",
        "synergy.1.safetensors",
        "synergy.2.safetensors",
        "synergy.json",
        "synergy.json.bak",
    ]
    json.loads((tmp_path / "synergy.json").read_text())


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_arrays_are_named_and_never_reset(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "synergy.json"
    learned(path, cycles(4))
    arrays = tmp_path / json.loads(path.read_text())["arrays"]
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    if damage == "remove":
        arrays.unlink()
    else:
        arrays.write_bytes(content[: None if damage == "flip" else -8])
    with pytest.raises(StateFileError, match=r"1\.safetensors"):
        DQNSynergyLearner(path)


def test_the_files_of_another_network_or_learner_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "synergy.json"
    learned(path, cycles(2))
    with pytest.raises(StateFileError, match="online"):
        DQNSynergyLearner(path, settings=DqnSettings(hidden=(5,), memory_rows=400))
    with pytest.raises(StateFileError, match="synergy_weights"):
        SynergyWeightLearner(path)


def test_what_cannot_be_written_leaves_the_pair_before_it(tmp_path: Path) -> None:
    history, path = cycles(4), tmp_path / "synergy.json"
    learner = learned(path, history[:3])
    blocked = tmp_path / "synergy.1.safetensors"  # the fourth pair's
    blocked.unlink()
    (blocked / "inside").mkdir(parents=True)
    with pytest.raises(StateFileError, match=r"1\.safetensors"):
        learner.update(*history[3])
    assert everything(DQNSynergyLearner(path)) == everything(learned(None, history[:3]))


def test_wild_changes_are_cut_off_before_the_network_sees_them() -> None:
    learner = DQNSynergyLearner()
    for _ in range(2):
        learner.update(1.0, {"synergy_roi": 1e12, "synergy_efficiency": -1e12})
    assert learner.agent.memory.arrays()["states"][0].tolist() == [5.0, -5.0, 0.0, 0.0]
    assert np.isfinite(learner.agent.online.parameters).all()


def test_no_updates_per_cycle_is_refused() -> None:
    with pytest.raises(ConfigError, match="updates_per_cycle"):
        DQNSynergyLearner(updates_per_cycle=0)
    assert SYNERGY_SETTINGS.gamma == 0.0
