from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import PatchConflictError, PatchStateError, RepositoryError
from menace.patches import Claim, Patch, PatchStatus
from menace.records import BotConfig
from menace.self_coding_engine.repository import Repository
from menace.self_coding_engine.reverting import revert_patch
from menace.storage.registry import open_store
from self_coding_engine.git_repositories import (
    TARGET,
    commit_all,
    contents,
    git,
    make_repository,
    patched,
    status,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from menace.interfaces import Store

OLD = "".join(f"line_{number} = {number}\n" for number in range(1, 21))
PATCHED = OLD.replace("line_10 = 10\n", "line_10 = 100\nextra = 0\n")
BESIDE = f"{TARGET}.menace-merge"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store("sqlite:///menace.db", folder=tmp_path)
    store.add_bot(BotConfig(name="alpha", source=None, target="y"))
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "bot", helpers__days=OLD, other="a = 1\n")


def keep(store: Store, folder: Path, source: str = PATCHED, **changes: Any) -> Patch:
    """Bring a patch in as the engine does."""
    repository = Repository(folder)
    base = repository.head()
    values: dict[str, Any] = {
        "bot": "alpha",
        "target": TARGET,
        "proposer": "tuning",
        "operator": "literal",
        "claim": Claim.SPEEDS,
        "status": PatchStatus.KEPT,
        "at": 10.0,
        "base_commit": base,
        "commit": patched(repository, source),
    }
    patch = store.add_patch(Patch(**values | changes))
    repository.bring(patch.commit or "")
    return patch


def revert(store: Store, folder: Path, patch: Patch, **options: Any) -> Patch:
    return revert_patch(Repository(folder), store, patch.patch_id or 0, at=1e9, **options)


def text(folder: Path) -> str:
    return (folder / TARGET).read_bytes().decode()


def everything(store: Store, folder: Path) -> object:
    return contents(folder), git(folder, "show-ref"), status(folder), store.patches(last=99)


def test_a_patch_is_taken_back_by_a_commit_that_says_so(store: Store, folder: Path) -> None:
    patch = keep(store, folder)
    write(folder, "other.py", "a = 2\n")

    reverted = revert(store, folder, patch)

    assert text(folder) == OLD
    assert reverted.status is PatchStatus.REVERTED
    assert reverted == store.patch(patch.patch_id or 0)
    assert reverted.revert_commit == git(folder, "rev-parse", "main")
    assert reverted.decided_at == 1e9
    assert Repository(folder).trailers("main") == {
        "Menace-Reverts": str(patch.patch_id),
        "Menace-Bot": "alpha",
    }
    assert Repository(folder).parent("main") == patch.commit
    assert status(folder) == " M other.py"
    with pytest.raises(PatchStateError, match="is reverted, not in the code"):
        revert(store, folder, patch)


@pytest.mark.parametrize("state", [PatchStatus.PROPOSED, PatchStatus.REJECTED, PatchStatus.WAITING])
def test_what_is_not_in_the_code_cannot_be_taken_back(
    store: Store, folder: Path, state: PatchStatus
) -> None:
    patch = keep(store, folder, status=state)

    with pytest.raises(PatchStateError, match=rf"is {state}, not in the code.*patches alpha"):
        revert(store, folder, patch)
    with pytest.raises(PatchStateError, match="there is no patch 99"):
        revert_patch(Repository(folder), store, 99, at=1.0)


def edit_line(number: int, source: str) -> str:
    return source.replace(f"line_{number} = {number}\n", f"line_{number} = 'mine'\n")


@pytest.mark.parametrize("committed", [True, False])
def test_later_edits_are_refused_by_their_lines_and_nothing_changes(
    store: Store, folder: Path, committed: bool
) -> None:
    patch = keep(store, folder)
    mine = edit_line(4, edit_line(3, edit_line(18, PATCHED)))
    write(folder, TARGET, mine)
    if committed:
        commit_all(folder, "Mine")
    before = everything(store, folder)

    with pytest.raises(PatchConflictError, match="lines 3–4, 19") as raised:
        revert(store, folder, patch)

    assert raised.value.lines == (3, 4, 19)
    assert f"menace patches revert {patch.patch_id} --merge" in (raised.value.remedy or "")
    assert ("commit them first" in (raised.value.remedy or "")) is not committed
    assert everything(store, folder) == before


def test_a_deletion_is_named_by_the_line_above(store: Store, folder: Path) -> None:
    patch = keep(store, folder)
    write(folder, TARGET, PATCHED.replace("line_5 = 5\nline_6 = 6\n", ""))
    commit_all(folder, "Mine")

    with pytest.raises(PatchConflictError, match=r"patch 1: line 4; the patch did not") as raised:
        revert(store, folder, patch)
    assert raised.value.lines == (4,)


def test_a_merge_keeps_edits_that_are_apart(store: Store, folder: Path) -> None:
    patch = keep(store, folder)
    write(folder, TARGET, edit_line(18, PATCHED))
    mine = commit_all(folder, "Mine")

    reverted = revert(store, folder, patch, merge=True)

    assert text(folder) == edit_line(18, OLD)
    assert reverted.status is PatchStatus.REVERTED
    assert Repository(folder).parent("main") == mine
    assert status(folder) == ""


def test_a_merge_with_uncommitted_edits_asks_to_commit_them(store: Store, folder: Path) -> None:
    patch = keep(store, folder)
    write(folder, TARGET, edit_line(18, PATCHED))
    before = everything(store, folder)

    with pytest.raises(PatchConflictError, match=r"uncommitted edits \(line 19\).*commit them"):
        revert(store, folder, patch, merge=True)
    assert everything(store, folder) == before


def test_edits_where_the_patch_was_are_laid_beside_for_a_person(store: Store, folder: Path) -> None:
    patch = keep(store, folder)
    mine = edit_line(18, PATCHED.replace("line_10 = 100", "line_10 = 100 + 1"))
    write(folder, TARGET, mine)
    commit_all(folder, "Mine")

    with pytest.raises(PatchConflictError, match="line 10 where the patch was made") as raised:
        revert(store, folder, patch)
    assert raised.value.lines == (10,)
    assert not (folder / BESIDE).exists()

    with pytest.raises(PatchConflictError, match=r"both sides are in .*Menace-Reverts: 1"):
        revert(store, folder, patch, merge=True)

    assert text(folder) == mine
    both = (folder / BESIDE).read_text()
    for part in ("<<<<<<< helpers/days.py as it is", "100 + 1", "before patch 1", "line_10 = 10\n"):
        assert part in both
    assert "line_18 = 'mine'" in both
    assert store.patch(patch.patch_id or 0).status is PatchStatus.KEPT

    # What a person has begun there is not written over.
    write(folder, BESIDE, "begun\n")
    with pytest.raises(PatchConflictError, match="with another text"):
        revert(store, folder, patch, merge=True)
    assert (folder / BESIDE).read_text() == "begun\n"

    settled = edit_line(18, OLD.replace("line_10 = 10", "line_10 = 11"))
    write(folder, TARGET, settled)
    (folder / BESIDE).unlink()
    git(folder, "commit", "-q", "-a", "-m", f"Settle it\n\nMenace-Reverts: {patch.patch_id}")
    reverted = revert(store, folder, patch)
    assert (reverted.status, text(folder)) == (PatchStatus.REVERTED, settled)
    assert reverted.revert_commit == git(folder, "rev-parse", "main")


def test_a_patch_that_was_undone_by_hand_is_closed_without_a_commit(
    store: Store, folder: Path
) -> None:
    patch = keep(store, folder)
    write(folder, TARGET, edit_line(3, OLD))
    mine = commit_all(folder, "Mine")

    reverted = revert(store, folder, patch)

    assert (reverted.status, reverted.revert_commit) == (PatchStatus.REVERTED, None)
    assert git(folder, "rev-parse", "main") == mine
    assert text(folder) == edit_line(3, OLD)


def test_a_later_patch_of_the_file_counts_as_an_edit_and_is_named(
    store: Store, folder: Path
) -> None:
    first = keep(store, folder)
    second = keep(store, folder, edit_line(18, PATCHED))

    with pytest.raises(PatchConflictError, match=r"line 19 \(patch 2 among them\)"):
        revert(store, folder, first)
    revert(store, folder, second)
    assert text(folder) == PATCHED
    # The second patch and its way back cancel out.
    revert(store, folder, first)
    assert text(folder) == OLD


@pytest.mark.parametrize("how", ["rm", "mv"])
def test_a_file_that_is_gone_says_what_to_do(store: Store, folder: Path, how: str) -> None:
    patch = keep(store, folder)
    git(folder, how, TARGET, *(["helpers/moved.py"] if how == "mv" else []))
    commit_all(folder, "Mine")

    with pytest.raises(PatchConflictError, match=r"deleted or renamed.*Menace-Reverts: 1"):
        revert(store, folder, patch)


def test_another_branch_is_named_as_the_obstacle(store: Store, folder: Path) -> None:
    git(folder, "branch", "side")
    patch = keep(store, folder)
    git(folder, "switch", "-q", "side")

    with pytest.raises(RepositoryError, match=r"\(side\) does not hold patch 1.*--contains"):
        revert(store, folder, patch)
    assert store.patch(patch.patch_id or 0).status is PatchStatus.KEPT


def test_a_patch_is_found_by_its_text_where_history_was_rewritten(
    store: Store, folder: Path
) -> None:
    patch = keep(store, folder)
    git(folder, "commit", "-q", "--amend", "-m", "Reworded")

    revert(store, folder, patch)

    assert text(folder) == OLD


def test_a_patch_whose_commit_git_has_lost_says_so(store: Store, folder: Path) -> None:
    patch = store.add_patch(
        Patch(
            *("alpha", TARGET, "tuning", "literal", Claim.SPEEDS, PatchStatus.KEPT, 1.0),
            commit="f" * 40,
        )
    )
    with pytest.raises(RepositoryError, match=r"no longer has commit.*menace patches show 1"):
        revert(store, folder, patch)


def test_an_obstacle_in_the_repository_leaves_the_patch_where_it_stands(
    store: Store, folder: Path
) -> None:
    patch = keep(store, folder)
    git(folder, "switch", "-q", "--detach")

    with pytest.raises(RepositoryError, match="detached"):
        revert(store, folder, patch)
    assert store.patch(patch.patch_id or 0) == patch


# Kills itself where the N-th step of taking a patch back would begin.
KILLED_AT = """
    import os, signal, sys
    from pathlib import Path
    from menace.self_coding_engine.repository import Repository
    from menace.self_coding_engine.reverting import revert_patch
    from menace.storage.registry import open_store

    STEPS = {"move_patch", "commit_patch", "bring", "_prepare_file", "_lock_index",
             "_publish_index", "_replace", "_forget", "__exit__"}
    left = int(sys.argv[3])

    def watch(frame, event, argument):
        global left
        code = frame.f_code
        if event == "call" and code.co_name in STEPS and "menace" in code.co_filename:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    store = open_store("sqlite:///menace.db", folder=Path(sys.argv[1]))
    repository = Repository(Path(sys.argv[2]))
    sys.setprofile(watch)
    revert_patch(repository, store, 1, at=1e9, merge=True)
"""


def killed_at(step: int, workspace: Path, folder: Path) -> bool:
    """Take patch 1 back in a process that is killed at a step; False if it had fewer."""
    program = [sys.executable, "-c", textwrap.dedent(KILLED_AT), str(workspace), str(folder)]
    finished = subprocess.run([*program, str(step)], capture_output=True, text=True, check=False)
    assert finished.returncode in {0, -9}, finished.stderr
    return finished.returncode == -9


@pytest.mark.slow
@pytest.mark.parametrize("edited", [False, True])
def test_a_run_that_was_killed_at_any_step_is_ended_by_the_next(
    tmp_path: Path, edited: bool
) -> None:
    step, seen = 0, set()
    while True:
        step += 1
        workspace = tmp_path / str(step)
        folder = make_repository(workspace / "bot", helpers__days=OLD, other="a = 1\n")
        with closing(open_store("sqlite:///menace.db", folder=workspace)) as store:
            store.add_bot(BotConfig(name="alpha", source=None, target="y"))
            patch = keep(store, folder)
        if edited:
            write(folder, TARGET, edit_line(18, PATCHED))
            commit_all(folder, "Mine")
        write(folder, "other.py", "a = 2\n")
        was_killed = killed_at(step, workspace, folder)

        without = edit_line(18, OLD) if edited else OLD
        with closing(open_store("sqlite:///menace.db", folder=workspace)) as store:
            seen.add(store.patch(1).status)
            assert text(folder) in {without, edit_line(18, PATCHED) if edited else PATCHED}
            if was_killed:
                revert(store, folder, patch, merge=True)
            reverted = store.patch(1)
        assert reverted.status is PatchStatus.REVERTED
        assert reverted.revert_commit == git(folder, "rev-parse", "main")
        assert text(folder) == without
        assert status(folder) == " M other.py"
        assert len(git(folder, "log", "--format=%h", f"{patch.commit}..main").split()) == 1 + edited
        if not was_killed:
            break
    assert seen == {PatchStatus.KEPT, PatchStatus.REVERTING, PatchStatus.REVERTED}


def test_a_way_back_that_the_branch_has_left_behind_is_made_anew(
    store: Store, folder: Path
) -> None:
    patch = keep(store, folder)
    repository = Repository(folder)
    stale = patched(repository, OLD, message="Take back")
    begun = store.move_patch(
        patch.patch_id or 0,
        expected=PatchStatus.KEPT,
        status=PatchStatus.REVERTING,
        at=20.0,
        revert_commit=stale,
    )
    git(folder, "commit", "-q", "--allow-empty", "-m", "Mine")

    reverted = revert(store, folder, begun)

    assert text(folder) == OLD
    assert reverted.revert_commit == git(folder, "rev-parse", "main") != stale


def test_a_patch_that_was_half_brought_in_is_brought_in_first(store: Store, folder: Path) -> None:
    patch = keep(store, folder, status=PatchStatus.APPLYING)

    assert revert(store, folder, patch).status is PatchStatus.REVERTED
    assert text(folder) == OLD


def test_cr_lf_and_a_missing_last_line_end_come_back_to_the_byte(
    store: Store, folder: Path
) -> None:
    old = "a = 1\r\nb = 2\r\nc = 3"
    write(folder, TARGET, old)
    commit_all(folder, "Windows")
    patch = keep(store, folder, old.replace("b = 2", "b = 22"))
    write(folder, TARGET, old.replace("b = 2", "b = 22") + "\r\nd = 4\r\ne = 5")
    commit_all(folder, "Mine")

    with pytest.raises(PatchConflictError) as raised:
        revert(store, folder, patch)
    assert raised.value.lines == (4, 5)
    git(folder, "reset", "-q", "--hard", "HEAD~")
    revert(store, folder, patch)
    assert text(folder) == old
