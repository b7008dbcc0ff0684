from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from menace.records import CycleState
from menace.self_improvement_engine.learning import LARGEST_REWARD
from menace.self_improvement_policy import SelfImprovementPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]


def test_a_promotion_that_lost_money_is_taken_back_and_its_loss_stands_in_the_ledger(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(100, turned=True)  # a passing storm, which the next model learns from
    assert engine.run_cycle().status == "promoted"
    stream.grow(200, turned=False)
    engine.tick()
    cycle = workspace.store.cycles("alpha", last=10)[1]
    assert cycle.outcome == "rolled_back"
    assert cycle.state is CycleState.SETTLED
    assert cycle.replaced_version == 1
    archived = [model.version for model in workspace.store.models("alpha", last=9)]
    assert cycle.version in archived
    entry = workspace.store.ledger("alpha")[1]
    assert entry.gain_usd < 0
    assert entry.rows == 200
    assert entry.roi_delta < -1


def test_a_promotion_that_paid_stays(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, window_rows=200))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(200, turned=True)
    assert engine.run_cycle().status == "promoted"
    stream.grow(200, turned=True)
    engine.tick()
    entry = workspace.store.ledger("alpha")[1]
    assert entry.gain_usd > 0
    assert workspace.store.cycle(entry.cycle_id).outcome == "promoted"


def test_a_cycle_whose_model_was_replaced_settles_with_the_rows_it_had(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, settlement_rows=10_000))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(150, turned=True)
    engine.run_cycle()
    stream.grow(150, turned=True)
    assert engine.run_cycle().status == "promoted"
    cycles = workspace.store.cycles("alpha", last=3)
    assert [cycle.state for cycle in cycles] == [
        CycleState.SETTLED,
        CycleState.SETTLED,
        CycleState.PROMOTED,
    ]
    assert cycles[1].settled_rows == 150


def test_a_rejected_challenger_leaves_the_champion_serving_and_gains_nothing(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(
        alpha(stream, economics={"loss_usd": 1.0, "cpu_second_usd": 10.0, "promotion_usd": 500.0})
    )
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(100, turned=False)
    result = engine.run_cycle()
    assert result.status == "rejected"
    assert workspace.store.snapshot("alpha").champion_version == 1
    entry = workspace.store.ledger("alpha")[-1]
    assert entry.gain_usd == 0
    assert entry.roi_delta == pytest.approx(-1.0)
    # Having just learned that a fresh model is no better, the loop does not try again at once.
    stream.grow(100, turned=False)
    decision, _ = engine.tick()
    assert not decision


def test_a_manual_rollback_serves_at_once_and_settles_the_cycle_it_ended(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(100, turned=True)
    engine.run_cycle()
    stream.grow(50, turned=True)
    engine.tick()
    assert engine.roll_back().version == 1
    assert workspace.store.snapshot("alpha").champion_version == 1
    cycle = workspace.store.cycles("alpha", last=9)[1]
    assert (cycle.state, cycle.outcome) == (CycleState.SETTLED, "rolled_back")
    assert workspace.store.ledger("alpha")[1].rows == cycle.settled_rows


def test_a_windfall_does_not_own_the_policy(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    cheap = {"loss_usd": 1.0, "cpu_second_usd": 1e-9}
    workspace.add_bot(alpha(stream, window_rows=200, economics=cheap))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(200, turned=True)
    engine.run_cycle()
    stream.grow(200, turned=True)
    engine.tick()
    settled = workspace.store.ledger("alpha")[1]
    assert settled.roi_delta > 1e6
    assert engine.roi_deltas[1] == settled.roi_delta
    state = workspace.store.cycle(settled.cycle_id).details["policy_state"]
    learned = SelfImprovementPolicy.load(workspace.folder / "state" / "alpha.policy.json")
    assert 0 < learned.score(tuple(state)) <= LARGEST_REWARD
