"""Settled cycles reach synergy metrics, learner, reward and energy, each once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from menace.accounting import synergy_factor
from menace.self_improvement_engine import DQNSynergyLearner, SynergyWeightLearner
from menace.self_improvement_engine.engine_state import EngineState
from menace.self_improvement_policy import SelfImprovementPolicy
from menace.synergy import METRICS, SettledCycle, Shock, synergy_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]


class OwnLearner:
    """A learner of a user's own: fixed weights, and a note of what it was told."""

    def __init__(self, weight: float = 10.0) -> None:
        self.weights = dict.fromkeys(SynergyWeightLearner().weights, weight)
        self.told: list[tuple[float, dict[str, float]]] = []

    def update(self, roi_delta: float, deltas: Mapping[str, float]) -> None:
        """Note it."""
        self.told.append((roi_delta, dict(deltas)))


class Rich:
    """A capital bot that allows everything."""

    def energy_score(
        self, load: float, success_rate: float, deploy_eff: float, failure_rate: float
    ) -> float:
        """Say so."""
        return 1.0 if min(load, success_rate, deploy_eff, failure_rate) >= 0 else 0.0


def state_of(workspace: Workspace) -> EngineState:
    path = workspace.folder / "state" / "alpha.engine.json"
    return EngineState.load(path, bot="alpha", alpha=0.1)


def until_settled(workspace: Workspace, stream: DriftingStream, **options: Any) -> Any:
    """Two cycles of a bot whose world has turned in between, both settled."""
    engine = workspace.engine("alpha", **options)
    stream.grow(300, turned=False)
    engine.run_cycle()
    stream.grow(300, turned=False)
    stream.grow(300, turned=True)
    assert engine.run_cycle().status == "promoted"
    stream.grow(200, turned=True)
    engine.tick()
    assert len(workspace.store.ledger("alpha")) >= 2
    return engine


@pytest.fixture
def workspace(open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream) -> Workspace:
    opened = open_workspace()
    stream.grow(20)
    opened.add_bot(alpha(stream))
    return opened


def test_the_learner_is_told_the_rolling_change_of_each_metric(
    workspace: Workspace, tmp_path: Path
) -> None:
    path, learner = tmp_path / "engine.json", OwnLearner()
    state = EngineState.load(None, bot="alpha", alpha=0.1)
    for number, roi_delta in enumerate((0.0, 0.3, 0.9, 1.5, 1.2, 2.1), start=1):
        state.synergy.observe(SettledCycle(number, roi_delta, gain_usd=roi_delta, cpu_seconds=1.0))
    state.save(path)
    engine = workspace.engine("alpha", state_path=path, synergy_learner=learner)
    engine._update_synergy_weights(0.7)
    ((roi_delta, deltas),) = learner.told
    assert roi_delta == 0.7
    assert tuple(deltas) == METRICS
    assert deltas["synergy_roi"] == pytest.approx((1.5 + 1.2 + 2.1) / 3 - (0.0 + 0.3 + 0.9) / 3)
    assert deltas["synergy_resilience"] == 0.0


def test_settled_cycles_are_measured_stored_and_learned_from_once(
    workspace: Workspace, stream: DriftingStream
) -> None:
    learner = OwnLearner()
    until_settled(workspace, stream, synergy_learner=learner)
    entries = workspace.store.ledger("alpha")
    assert [told for told, _ in learner.told] == [
        max(-5.0, min(5.0, entry.roi_delta)) for entry in entries
    ]
    measured = state_of(workspace).synergy.cycles
    assert [number for number, _ in measured] == [entry.entry_id for entry in entries]
    for name in METRICS:
        stored = [sample.value for sample in workspace.store.samples("alpha", name, last=99)]
        assert stored == [values[name] for _, values in measured if values[name] is not None]
    workspace.engine("alpha", synergy_learner=learner).tick()
    assert len(learner.told) == len(entries)


def test_a_drift_is_noted_with_the_cycle_and_its_quality_won_back(
    workspace: Workspace, stream: DriftingStream
) -> None:
    until_settled(workspace, stream)
    second = workspace.store.cycles("alpha", last=99)[1]
    shock = Shock(**second.details["shock"])
    assert shock.drift_severity > 0.5
    assert shock.loss_before is not None
    assert shock.loss_peak is not None
    assert shock.loss_before < shock.loss_peak
    kept = state_of(workspace).synergy
    share = kept.averages["won_back"]
    assert share is not None
    assert 0.3 < share <= 1.0


def test_the_policy_is_rewarded_for_what_the_parts_do_together(
    workspace: Workspace, stream: DriftingStream
) -> None:
    policy, learner = SelfImprovementPolicy(alpha=0.5), OwnLearner()
    until_settled(workspace, stream, policy=policy, synergy_learner=learner, synergy_kappa=0.3)
    cycle, entry = workspace.store.cycles("alpha", last=99)[1], workspace.store.ledger("alpha")[1]
    roi_delta, deltas = learner.told[1]
    assert synergy_sum(learner.weights, deltas) != 0
    reward = roi_delta + 0.3 * synergy_sum(learner.weights, deltas)
    state = tuple(cycle.details["policy_state"])
    untrained = SelfImprovementPolicy().values(state)[1]
    assert entry.cycle_id == cycle.cycle_id
    assert policy.values(state)[1] == pytest.approx(untrained + 0.5 * (reward - untrained))


def test_the_energy_follows_the_same_sum(workspace: Workspace, stream: DriftingStream) -> None:
    learner = OwnLearner()
    engine = until_settled(workspace, stream, synergy_learner=learner, capital_bot=Rich())
    deltas = state_of(workspace).synergy.deltas()
    budget = engine._should_trigger().inputs["budget"]
    expected = synergy_factor(synergy_sum(learner.weights, deltas))
    assert expected != 1.0
    assert budget["synergy_factor"] == pytest.approx(expected)


def test_without_a_learner_the_weights_are_kept_beside_the_other_state(
    workspace: Workspace, stream: DriftingStream
) -> None:
    engine = until_settled(workspace, stream)
    kept = SynergyWeightLearner(workspace.folder / "state" / "alpha.synergy.json")
    assert kept.learned_through == workspace.store.ledger("alpha")[-1].entry_id
    assert kept.weights == engine.synergy_learner.weights
    assert kept.weights != SynergyWeightLearner().weights


@pytest.mark.parametrize("kept_anew", [(), ("synergy",), ("synergy", "policy")])
@pytest.mark.parametrize("kind", [SynergyWeightLearner, DQNSynergyLearner])
def test_a_kill_between_two_state_files_neither_loses_nor_doubles_an_entry(
    workspace: Workspace,
    stream: DriftingStream,
    tmp_path: Path,
    kept_anew: tuple[str, ...],
    kind: type[SynergyWeightLearner],
) -> None:
    state = workspace.folder / "state"

    def engine() -> Any:
        return workspace.engine("alpha", synergy_learner=kind(state / "alpha.synergy.json"))

    stream.grow(300, turned=False)
    engine().run_cycle()
    stream.grow(300, turned=True)
    engine().run_cycle()
    before = shutil.copytree(state, tmp_path / "before")
    settled = len(workspace.store.ledger("alpha"))
    stream.grow(200, turned=True)
    engine().tick()
    assert len(workspace.store.ledger("alpha")) == settled + 1
    whole = shutil.copytree(state, tmp_path / "whole")
    # The learner's files are written first, then the policy's, then the engine's.
    for file in before.iterdir():
        if not any(file.name.startswith(f"alpha.{part}.") for part in kept_anew):
            shutil.copy(file, state / file.name)
    engine().tick()
    assert (
        state_of(workspace).synergy
        == EngineState.load(whole / "alpha.engine.json", bot="alpha", alpha=0.1).synergy
    )
    assert kind(state / "alpha.synergy.json").weights == kind(whole / "alpha.synergy.json").weights
    states = [tuple(c.details["policy_state"]) for c in workspace.store.cycles("alpha", last=99)]
    resumed, undisturbed = (
        SelfImprovementPolicy.load(folder / "alpha.policy.json") for folder in (state, whole)
    )
    assert [resumed.values(s) for s in states] == [undisturbed.values(s) for s in states]
    assert len(workspace.store.samples("alpha", "synergy_roi", last=99)) == settled + 1
