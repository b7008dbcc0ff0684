"""A cycle patches its bot's code first; how it settles says whether the patch stays."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from menace.patches import Claim, Patch, PatchStatus
from menace.records import ApprovalState, Cycle, CycleState
from menace.self_coding_engine import CodingSettings, SelfCodingEngine
from menace.self_coding_engine.rollout import proves
from menace.self_improvement_engine.patching import cared_bot
from self_coding_engine.coded_bots import PRICES, WRONG, Scripted, coded
from self_coding_engine.git_repositories import git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.self_improvement_engine import SelfImprovementEngine
    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]

FILE = "helpers/prices.py"
SETTINGS = CodingSettings(energy=100, energy_share=0.0)


@pytest.fixture
def cared(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Path
) -> tuple[Workspace, SelfImprovementEngine]:
    """Give a workspace with a bot that has a model, and an engine that may mend its code."""
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, window_rows=200, economics={"cpu_second_usd": 0.001}))
    workspace.engine("alpha").run_cycle()
    code = coded(tmp_path / "code", WRONG)
    coding = SelfCodingEngine(code, proposers=[Scripted([PRICES])], settings=SETTINGS)
    return workspace, workspace.engine("alpha", self_coding_engine=coding)


@pytest.mark.slow
def test_a_patch_is_a_canary_until_its_cycle_has_paid(
    cared: tuple[Workspace, SelfImprovementEngine], stream: DriftingStream, tmp_path: Path
) -> None:
    workspace, engine = cared
    stream.grow(200, turned=True)
    result = engine.run_cycle()
    assert result.status == "promoted"
    [patch] = workspace.store.patches("alpha", last=9)
    assert (patch.status, patch.cycle_id) == (PatchStatus.CANARY, result.cycle_id)
    assert (tmp_path / "code" / FILE).read_text() == PRICES
    cycle = workspace.store.cycle(result.cycle_id or 0)
    told = cycle.details["patch"]
    assert told["status"] == "canary"
    assert told["modules"] == [f"helper:{FILE}"]
    assert told["budget_seconds"] == 100.0
    assert cycle.cost_usd > told["cost_usd"] == pytest.approx(0.1)
    assert cycle.cost_usd == result.cost_usd

    stream.grow(200, turned=True)
    engine.tick()
    assert workspace.store.ledger("alpha")[-1].gain_usd > 0
    [patch] = workspace.store.patches("alpha", last=9)
    assert patch.status is PatchStatus.KEPT
    assert f"helper:{FILE}" in dict(engine.rankings())


@pytest.mark.slow
def test_a_cycle_that_lost_money_takes_its_patch_back_by_itself(
    cared: tuple[Workspace, SelfImprovementEngine], stream: DriftingStream, tmp_path: Path
) -> None:
    workspace, engine = cared
    stream.grow(100, turned=True)  # a passing storm, which the next model learns from
    assert engine.run_cycle().status == "promoted"
    assert (tmp_path / "code" / FILE).read_text() == PRICES
    stream.grow(200, turned=False)
    engine.tick()
    assert workspace.store.ledger("alpha")[-1].gain_usd < 0
    reverted = workspace.store.patches("alpha", last=9)[0]
    assert reverted.status is PatchStatus.REVERTED
    assert reverted.revert_commit is not None
    committed = git(tmp_path / "code", "show", f"{reverted.revert_commit}:{FILE}")
    assert committed.rstrip() == WRONG.rstrip()


@pytest.mark.slow
def test_a_cycle_that_is_resumed_makes_no_second_patch(
    cared: tuple[Workspace, SelfImprovementEngine], tmp_path: Path
) -> None:
    workspace, _ = cared
    store = workspace.store
    cycle = store.open_cycle(
        "alpha", energy=20, row=300, at=1.0, decision_id=None, details={}
    ).cycle_id
    made = SelfCodingEngine(
        tmp_path / "code", proposers=[Scripted([PRICES])], settings=SETTINGS
    ).bound_to(cared_bot(workspace.services, store.bot("alpha")))
    first = made.patch("alpha", energy=20, cycle_id=cycle)
    again = made.patch("alpha", energy=20, cycle_id=cycle)
    assert first["status"] == again["status"] == "canary"
    assert first["patch_id"] == again["patch_id"]
    other = store.patches("alpha", last=9)
    assert len(other) == 1
    assert made.patch("alpha", energy=20, cycle_id=None)["message"] == (
        "a patch in the code has not settled yet"
    )


@pytest.mark.slow
def test_a_person_lets_a_patch_in_that_weak_tests_held_back(
    cared: tuple[Workspace, SelfImprovementEngine], tmp_path: Path
) -> None:
    workspace, _ = cared
    store, code = workspace.store, tmp_path / "code"
    made = SelfCodingEngine(
        code,
        proposers=[Scripted([PRICES])],
        settings=dataclasses.replace(SETTINGS, approval="person"),
    ).bound_to(cared_bot(workspace.services, store.bot("alpha")))
    held = made.patch("alpha", energy=20)
    assert held["status"] == "waiting"
    assert "menace approvals grant" in held["message"]
    assert (code / FILE).read_text() == WRONG
    assert made.targets_in_turn("alpha") == []

    [question] = store.approvals(last=9)
    assert question.inputs["target"] == FILE
    store.move_approval(
        question.approval_id,
        expected=ApprovalState.PENDING,
        state=ApprovalState.GRANTED,
        at=2.0,
    )
    (code / FILE).write_text(WRONG + "# in the middle of something\n")
    assert made.patch("alpha", energy=20)["status"] == "none"
    assert store.approvals(last=9)[0].state is ApprovalState.GRANTED
    (code / FILE).write_text(WRONG)
    assert made.patch("alpha", energy=20)["status"] == "canary"
    assert (code / FILE).read_text() == PRICES
    [patch] = store.patches("alpha", last=9)
    assert patch.approved_by == "a person"


@pytest.mark.slow
def test_a_repository_that_is_gone_stops_no_care(
    cared: tuple[Workspace, SelfImprovementEngine], stream: DriftingStream, tmp_path: Path
) -> None:
    workspace, engine = cared
    stream.grow(200, turned=True)
    assert engine.run_cycle().status == "promoted"
    (tmp_path / "code").rename(tmp_path / "elsewhere")
    stream.grow(200, turned=True)
    engine.tick()
    assert workspace.store.ledger("alpha")[-1].gain_usd > 0
    [patch] = workspace.store.patches("alpha", last=9)
    assert patch.status is PatchStatus.CANARY
    (tmp_path / "elsewhere").rename(tmp_path / "code")
    engine.tick()
    assert workspace.store.patches("alpha", last=9)[0].status is PatchStatus.KEPT


def test_what_goes_wrong_with_patching_is_told_and_the_cycle_goes_on(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Path
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    (tmp_path / "no-repository").mkdir()
    coding = SelfCodingEngine(tmp_path / "no-repository", proposers=[], settings=SETTINGS)
    result = workspace.engine("alpha", self_coding_engine=coding).run_cycle()
    assert result.status == "promoted"
    told = workspace.store.cycle(result.cycle_id or 0).details["patch"]
    assert told["status"] == "failed"
    assert "git init" in told["message"]
    assert told["cost_usd"] == 0.0


def test_too_little_energy_patches_nothing(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Path
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    coding = SelfCodingEngine(coded(tmp_path / "code", WRONG), proposers=[Scripted([PRICES])])
    result = workspace.engine("alpha", self_coding_engine=coding).run_cycle(energy=1)
    told = workspace.store.cycle(result.cycle_id or 0).details["patch"]
    assert told["status"] == "none"
    assert "3 s is least" in told["message"]


@pytest.mark.parametrize(
    ("outcome", "gain_usd", "claim", "stays"),
    [
        ("promoted", 1.0, Claim.IMPROVES, True),
        ("promoted", 0.0, Claim.REPAIRS, True),
        ("promoted", -0.01, Claim.REPAIRS, False),
        ("rolled_back", -5.0, Claim.SPEEDS, False),
        ("failed", 0.0, Claim.SPEEDS, False),
        ("rejected", 0.0, Claim.IMPROVES, False),
        ("rejected", 0.0, Claim.REPAIRS, True),
        ("rejected", 0.0, Claim.SPEEDS, True),
    ],
)
def test_the_settlement_has_the_last_word(
    outcome: str, gain_usd: float, claim: Claim, stays: bool
) -> None:
    patch = Patch("alpha", FILE, "scripted", "text 0", claim, PatchStatus.CANARY, 1.0)
    cycle = Cycle(1, "alpha", CycleState.SETTLED, 1, 10, 1.0, gain_usd=gain_usd, outcome=outcome)
    assert proves(patch, cycle) is stays


@pytest.mark.parametrize(("roi", "stays"), [(0.2, True), (-0.5, False), (None, True)])
def test_what_a_pipeline_of_the_users_own_reports_is_believed(
    roi: float | None, stays: bool
) -> None:
    patch = Patch("alpha", FILE, "scripted", "text 0", Claim.REPAIRS, PatchStatus.CANARY, 1.0)
    cycle = Cycle(
        1, "alpha", CycleState.SETTLED, 1, 10, 1.0, outcome="promoted", details={"roi": roi}
    )
    assert proves(patch, cycle) is stays
