from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import RepositoryError
from menace.self_coding_engine.bringing import Bringing
from menace.self_coding_engine.repository import Repository
from self_coding_engine.git_repositories import (
    FASTER,
    HELPER,
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
    from collections.abc import Callable
    from pathlib import Path

EDITED = HELPER.replace("return rows", "return list(rows)")
USERS_STATUS = "AM added.py\nMM other.py\n M third.py\n?? new.py"

# Kills itself before the N-th thing by which it changes a file, a lock or git's state.
KILLED_AT = """
    import os, signal, sys
    from pathlib import Path
    import menace.self_coding_engine.bringing
    from menace.self_coding_engine.repository import Repository

    left = int(sys.argv[3])

    def watch(event, arguments):
        global left
        if event == "open":
            touches = isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+")
        elif event == "subprocess.Popen":
            touches = {"update-index", "update-ref"} & set(arguments[1])
        else:
            touches = event in (
                "os.rename", "os.link", "os.remove", "os.mkdir", "os.utime", "fcntl.flock"
            )
        if touches:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    repository = Repository(Path(sys.argv[1]))
    sys.addaudithook(watch)
    repository.bring(sys.argv[2])
"""


def killed_at(step: int, folder: Path, commit: str) -> bool:
    """Bring a commit in, in a process that is killed before its N-th step; False if it had none."""
    program = [sys.executable, "-c", textwrap.dedent(KILLED_AT), str(folder), commit, str(step)]
    finished = subprocess.run(program, capture_output=True, text=True, check=False)
    assert finished.returncode in {0, -9}, finished.stderr
    return finished.returncode == -9


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a repository in which a person has edits of every kind, but of the target."""
    folder = make_repository(
        tmp_path_factory.mktemp("edited") / "bot",
        helpers__days=HELPER,
        other="a = 1\n",
        third="b = 1\n",
    )
    write(folder, "other.py", "a = 2\n")
    write(folder, "added.py", "c = 1\n")
    git(folder, "add", "other.py", "added.py")
    write(folder, "other.py", "a = 3\n")
    write(folder, "added.py", "c = 2\r\n")
    write(folder, "third.py", b"b = '\xff'")
    write(folder, "new.py", "d = 1")
    assert status(folder) == USERS_STATUS
    return folder


@pytest.fixture
def folder(edited: Path, tmp_path: Path) -> Path:
    return copied(edited, tmp_path / "bot")


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, symlinks=True)
    return to


def others(folder: Path) -> dict[str, bytes]:
    return {name: text for name, text in contents(folder).items() if name != TARGET}


def staged_others(folder: Path) -> list[str]:
    return [line for line in git(folder, "ls-files", "-s").splitlines() if TARGET not in line]


def leftovers(folder: Path) -> list[str]:
    """What menace or git has left lying about."""
    found = [*(folder / ".git").rglob("*.lock"), *folder.rglob(".*.menace")]
    found += (folder / ".git" / "menace").glob("*.index")
    found += (folder / ".git" / "menace").glob("*.fresh*")
    return [str(path.relative_to(folder)) for path in found]


def assert_brought(folder: Path, commit: str) -> None:
    assert git(folder, "rev-parse", "main") == commit
    assert (folder / TARGET).read_text() == FASTER
    assert status(folder) == USERS_STATUS
    assert leftovers(folder) == []


def test_a_commit_comes_into_branch_index_and_file_and_nothing_else_changes(folder: Path) -> None:
    repository = Repository(folder)
    before, staged = others(folder), staged_others(folder)
    commit = patched(repository)

    repository.bring(commit)

    assert_brought(folder, commit)
    assert (others(folder), staged_others(folder)) == (before, staged)
    assert "menace: bring in a patch" in git(folder, "reflog", "-1")
    assert git(folder, "fsck", "--no-dangling") == ""
    repository.bring(commit)
    assert_brought(folder, commit)


def test_a_commit_that_was_brought_in_is_not_brought_in_over_later_edits(folder: Path) -> None:
    repository = Repository(folder)
    commit = patched(repository)
    repository.bring(commit)
    for text in (HELPER, EDITED):
        write(folder, TARGET, text)
        repository.bring(commit)
        assert (folder / TARGET).read_text() == text


@pytest.mark.slow
def test_after_a_kill_at_any_step_bringing_again_ends_in_the_same_state(
    edited: Path, tmp_path: Path
) -> None:
    commit = patched(Repository(edited))
    before, staged = others(edited), staged_others(edited)
    step = 0
    while True:
        step += 1
        folder = copied(edited, tmp_path / str(step))
        was_killed = killed_at(step, folder, commit)

        text, came = (folder / TARGET).read_text(), git(folder, "rev-parse", "main") == commit
        assert text in ({HELPER, FASTER} if came else {HELPER})
        assert git(folder, "fsck", "--no-dangling") == ""
        swept = copied(folder, tmp_path / f"{step}-swept")
        Repository(swept).sweep()
        Repository(folder).bring(commit)

        assert_brought(folder, commit)
        if came:
            assert_brought(swept, commit)
        else:
            assert (swept / TARGET).read_text() == HELPER
            assert (status(swept), leftovers(swept)) == (USERS_STATUS, [])
        for place in (folder, swept):
            assert (others(place), staged_others(place)) == (before, staged)
            shutil.rmtree(place)
        if not was_killed:
            break
    assert step > 15


@pytest.mark.slow
def test_a_hand_edit_between_a_kill_and_the_next_start_stays(edited: Path, tmp_path: Path) -> None:
    commit = patched(Repository(edited))
    step, met = 0, set()
    while True:
        step += 1
        folder = copied(edited, tmp_path / str(step))
        if not killed_at(step, folder, commit):
            break
        text = (folder / TARGET).read_text().replace("return rows", "return list(rows)")
        write(folder, TARGET, text)
        repository = Repository(folder)

        for attempt in (repository.sweep, partial(repository.bring, commit)):
            try:
                attempt()
                met.add("done before")
            except RepositoryError as error:
                met.add(error.message.split(" ", 1)[1].split(" while")[0])
            assert (folder / TARGET).read_text() == text
        # The person settles it; then there is nothing more to do.
        git(folder, "commit", "-q", "-m", "Mine", "--", TARGET)
        repository.sweep()
        if repository.holds(commit):
            repository.bring(commit)
        assert (folder / TARGET).read_text() == text
        assert (status(folder), leftovers(folder)) == (USERS_STATUS, [])
        shutil.rmtree(folder)
    assert met >= {"has uncommitted edits.", "was edited"}


def test_two_texts_of_one_size_do_not_share_a_second(folder: Path) -> None:
    # Python takes cached bytecode for current if size and whole seconds are the same.
    file = folder / TARGET
    before = file.stat()
    repository = Repository(folder)

    repository.bring(patched(repository))

    assert file.stat().st_size == before.st_size
    assert int(file.stat().st_mtime) > int(before.st_mtime)


def detach(folder: Path) -> None:
    git(folder, "switch", "-q", "--detach")


def move_on(folder: Path) -> None:
    git(folder, "commit", "-q", "--allow-empty", "-m", "Mine")


def other_branch(folder: Path) -> None:
    git(folder, "switch", "-q", "-c", "side")
    move_on(folder)


def merge(folder: Path) -> None:
    (folder / ".git" / "MERGE_HEAD").write_text(git(folder, "rev-parse", "HEAD") + "\n")


def rebase(folder: Path) -> None:
    (folder / ".git" / "rebase-merge").mkdir()


def edit(folder: Path) -> None:
    write(folder, TARGET, EDITED)


def stage(folder: Path) -> None:
    edit(folder)
    git(folder, "add", TARGET)


def stage_and_undo(folder: Path) -> None:
    stage(folder)
    write(folder, TARGET, HELPER)


def delete(folder: Path) -> None:
    (folder / TARGET).unlink()


def replace_by_link(folder: Path) -> None:
    delete(folder)
    (folder / TARGET).symlink_to("../other.py")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (detach, "HEAD of .* is detached.*git switch"),
        (move_on, "branch main has moved on"),
        (other_branch, "branch side has moved on"),
        (merge, "a merge is under way"),
        (rebase, "a rebase is under way"),
        (edit, "has uncommitted edits.*git restore"),
        (stage, "has uncommitted edits"),
        (stage_and_undo, "has uncommitted edits"),
        (delete, "has uncommitted edits"),
        (replace_by_link, "has uncommitted edits"),
    ],
)
def test_what_is_not_ready_is_refused_and_left_as_it_is(
    folder: Path, change: Callable[[Path], None], said: str
) -> None:
    repository = Repository(folder)
    commit = patched(repository)
    change(folder)
    before: Any = contents(folder), status(folder), git(folder, "show-ref")

    with pytest.raises(RepositoryError, match=said):
        repository.bring(commit)

    assert (contents(folder), status(folder), git(folder, "show-ref")) == before
    assert leftovers(folder) == []


def test_commits_that_are_no_patch_are_refused(folder: Path) -> None:
    repository = Repository(folder)
    write(folder, TARGET, FASTER)
    git(folder, "commit", "-q", "-a", "-m", "Two files")
    two_files = git(folder, "rev-parse", "HEAD")

    with pytest.raises(RepositoryError, match="more than the text of one file"):
        repository.bring(two_files)
    with pytest.raises(RepositoryError, match="0 parents"):
        repository.bring(repository.parent(two_files))
    with pytest.raises(RepositoryError, match="git rev-list failed"):
        repository.bring("f" * 40)


def test_another_git_command_at_work_is_waited_for_and_then_reported(folder: Path) -> None:
    repository = Repository(folder)
    commit = patched(repository)
    lock = folder / ".git" / "index.lock"
    lock.write_bytes(b"")

    with pytest.raises(RepositoryError, match=r"holds .*index\.lock.*delete that lock file"):
        Bringing(repository, lock_seconds=0.0).bring(commit)

    assert lock.exists()
    lock.unlink()
    repository.bring(commit)
    assert_brought(folder, commit)


def test_a_branch_lock_that_somebody_left_is_named(folder: Path) -> None:
    repository = Repository(folder)
    commit = patched(repository)
    lock = folder / ".git" / "refs" / "heads" / "main.lock"
    lock.write_bytes(b"")

    with pytest.raises(RepositoryError, match=r"main\.lock.*delete that lock file"):
        repository.bring(commit)

    lock.unlink()
    assert (status(folder), leftovers(folder)) == (USERS_STATUS, [])
    repository.bring(commit)
    assert_brought(folder, commit)


def test_of_two_patches_that_come_at_once_one_does(folder: Path) -> None:
    repository = Repository(folder)
    commits = [patched(repository), patched(repository, EDITED)]

    def attempt(commit: str) -> str:
        try:
            Repository(folder).bring(commit)
        except RepositoryError as error:
            return "moved on" if "moved on" in error.message else str(error)
        return commit

    with ThreadPoolExecutor(2) as pool:
        came = list(pool.map(attempt, commits))
    assert sorted(came)[1] == "moved on"
    assert came[0] in commits or came[1] in commits
    assert (status(folder), leftovers(folder)) == (USERS_STATUS, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone can give a file away")
def test_the_files_owner_stays(folder: Path) -> None:
    os.chown(folder / TARGET, 65534, 65534)
    repository = Repository(folder)

    repository.bring(patched(repository))

    assert (folder / TARGET).stat().st_uid == 65534


def test_an_edit_of_the_same_second_and_size_does_not_become_invisible(folder: Path) -> None:
    git(folder, "config", "core.trustctime", "false")
    file, index = folder / "twin.py", folder / ".git" / "index"
    write(folder, "twin.py", "a = 1\n")
    second = (1_700_000_000, 1_700_000_000)
    os.utime(file, second)
    git(folder, "add", "twin.py")
    os.utime(index, second)
    write(folder, "twin.py", "a = 2\n")
    os.utime(file, second)

    repository = Repository(folder)
    repository.bring(patched(repository))

    assert "AM twin.py" in status(folder)


def test_a_split_index_is_followed(folder: Path) -> None:
    git(folder, "update-index", "--split-index")
    repository = Repository(folder)
    commit = patched(repository)

    repository.bring(commit)

    assert_brought(folder, commit)


def test_a_packed_branch_moves(folder: Path) -> None:
    git(folder, "pack-refs", "--all")
    git(folder, "gc", "-q")
    repository = Repository(folder)
    commit = patched(repository)

    repository.bring(commit)

    assert_brought(folder, commit)


def test_later_commits_of_the_user_stay_on_top(folder: Path) -> None:
    repository = Repository(folder)
    commit = patched(repository)
    repository.bring(commit)
    commit_all(folder, "Mine")

    repository.bring(commit)
    assert repository.sweep() == 0
    assert git(folder, "log", "-1", "--format=%s") == "Mine"
    assert (folder / TARGET).read_text() == FASTER
