"""A patch's way into the code and out again, whatever step the process was killed after."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from menace.errors import PatchStateError, RepositoryError
from menace.patches import Claim, Patch, PatchStatus
from menace.self_coding_engine.memory_history import MemoryPatchHistory
from menace.self_coding_engine.repository import Repository
from menace.self_coding_engine.rollout import Rollout
from self_coding_engine.git_repositories import FASTER, HELPER, TARGET, git, make_repository, write
from support import TestClock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Give a repository with one helper."""
    return make_repository(tmp_path / "code")


@pytest.fixture
def history() -> MemoryPatchHistory:
    """Give an empty history."""
    return MemoryPatchHistory()


@pytest.fixture
def rollout(code: Path, history: MemoryPatchHistory) -> Rollout:
    """Give what a process has right after its start."""
    return Rollout(Repository(code), history, TestClock(), bot="alpha")


def proposed(code: Path, **changes: object) -> Patch:
    made = Patch(
        bot="alpha",
        target=TARGET,
        proposer="tuning",
        operator="literal",
        claim=Claim.IMPROVES,
        status=PatchStatus.APPLYING,
        at=1_700_000_000.0,
        explanation="LIMIT 1 → 2",
        base_commit=git(code, "rev-parse", "HEAD"),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_a_patch_is_a_canary_once_it_is_in_the_branch(
    code: Path, history: MemoryPatchHistory, rollout: Rollout
) -> None:
    applied = rollout.apply(proposed(code), FASTER)
    assert applied.status is PatchStatus.CANARY
    assert applied.commit == git(code, "rev-parse", "HEAD")
    assert (code / TARGET).read_text() == FASTER
    assert rollout.canaries() == [applied]
    rollout.adopt(7)
    assert history.patch(1).cycle_id == 7
    assert rollout.keep(history.patch(1)).status is PatchStatus.KEPT


def test_killed_before_its_commit_a_patch_is_given_up(
    code: Path, history: MemoryPatchHistory, rollout: Rollout
) -> None:
    history.add_patch(proposed(code))
    rollout.finish()
    given_up = history.patch(1)
    assert given_up.status is PatchStatus.REJECTED
    assert given_up.gates[-1].reason == "the process ended before its commit existed"
    assert (code / TARGET).read_text() == HELPER


def test_a_persons_yes_outlives_a_process_that_was_killed_before_the_commit(
    code: Path, history: MemoryPatchHistory, rollout: Rollout
) -> None:
    history.add_patch(proposed(code, approved_by="a person"))
    rollout.finish()
    assert history.patch(1).status is PatchStatus.WAITING


@pytest.mark.parametrize("brought", [False, True])
def test_killed_after_its_commit_a_patch_is_brought_in_by_the_next_process(
    code: Path, history: MemoryPatchHistory, rollout: Rollout, brought: bool
) -> None:
    repository = Repository(code)
    begun = proposed(code)
    commit = repository.commit_patch(
        str(begun.base_commit), TARGET, FASTER, "faster", {"Menace-Patch": "1"}, at=begun.at
    )
    history.add_patch(dataclasses.replace(begun, commit=commit))
    if brought:
        repository.bring(commit)
    rollout.finish()
    rollout.finish()
    assert history.patch(1).status is PatchStatus.CANARY
    assert (code / TARGET).read_text() == FASTER
    assert git(code, "rev-list", "--count", "HEAD") == "2"
    assert git(code, "status", "--porcelain") == ""


def test_killed_within_a_revert_it_is_finished_by_the_next_process(
    code: Path, history: MemoryPatchHistory, rollout: Rollout
) -> None:
    applied = rollout.apply(proposed(code), FASTER)
    history.move_patch(1, expected=applied.status, status=PatchStatus.REVERTING, at=2.0)
    rollout.finish()
    assert history.patch(1).status is PatchStatus.REVERTED
    assert (code / TARGET).read_text() == HELPER


def test_a_patch_that_a_person_has_reset_is_out_already(
    code: Path, history: MemoryPatchHistory, rollout: Rollout
) -> None:
    applied = rollout.apply(proposed(code), FASTER)
    git(code, "reset", "-q", "--hard", "HEAD~1")
    assert not rollout.holds(applied)
    out = rollout.take_back(applied)
    assert (out.status, out.revert_commit) == (PatchStatus.REVERTED, None)
    assert git(code, "rev-list", "--count", "HEAD") == "1"
    assert history.patch(1) == out


def test_a_patch_in_another_branch_is_not_taken_for_gone(
    code: Path, history: MemoryPatchHistory, rollout: Rollout
) -> None:
    base = git(code, "rev-parse", "HEAD")
    applied = rollout.apply(proposed(code), FASTER)
    git(code, "switch", "-q", "-c", "other", base)
    with pytest.raises(RepositoryError):
        rollout.take_back(applied)
    assert history.patch(1).status is PatchStatus.CANARY


def test_a_branch_that_has_moved_on_refuses_a_patch_and_says_why(
    code: Path, history: MemoryPatchHistory, rollout: Rollout
) -> None:
    begun = proposed(code)
    write(code, "notes.py", "NOTE = 1\n")
    git(code, "add", "-A")
    git(code, "commit", "-qm", "a person was faster")
    refused = rollout.apply(begun, FASTER)
    assert refused.status is PatchStatus.REJECTED
    assert "has moved on" in refused.gates[-1].reason
    assert (code / TARGET).read_text() == HELPER


def test_edits_that_came_between_a_kill_and_the_restart_are_kept(
    code: Path, history: MemoryPatchHistory, rollout: Rollout
) -> None:
    repository = Repository(code)
    begun = proposed(code)
    commit = repository.commit_patch(
        str(begun.base_commit), TARGET, FASTER, "faster", {"Menace-Patch": "1"}, at=begun.at
    )
    history.add_patch(dataclasses.replace(begun, commit=commit))
    (code / TARGET).write_text(HELPER + "\n# mine\n")
    rollout.finish()
    assert history.patch(1).status is PatchStatus.REJECTED
    assert (code / TARGET).read_text() == HELPER + "\n# mine\n"


def test_a_history_in_memory_refuses_what_the_stores_refuse(history: MemoryPatchHistory) -> None:
    patch = Patch("alpha", TARGET, "tuning", "literal", Claim.SPEEDS, PatchStatus.CANARY, 1.0)
    number = history.add_patch(patch).patch_id
    assert number == 1
    with pytest.raises(PatchStateError, match="is canary, not kept"):
        history.move_patch(1, expected=PatchStatus.KEPT, status=PatchStatus.REVERTED, at=2.0)
    with pytest.raises(PatchStateError, match="there is no patch 2"):
        history.patch(2)
    history.add_patch(dataclasses.replace(patch, bot="beta", status=PatchStatus.REJECTED))
    assert [p.bot for p in history.patches(last=9)] == ["alpha", "beta"]
    assert [p.bot for p in history.patches("beta", last=9)] == ["beta"]
    assert history.patches(last=9, statuses=[PatchStatus.KEPT]) == []
    assert [p.patch_id for p in history.patches(last=1)] == [2]
