from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from menace.errors import RepositoryError
from menace.self_coding_engine.repository import Repository
from self_coding_engine.git_repositories import (
    FASTER,
    HELPER,
    TARGET,
    commit_all,
    git,
    make_repository,
    patched,
    status,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

DIES_IN_A_WORKTREE = """
    import os, signal, sys
    from pathlib import Path
    from menace.self_coding_engine.repository import Repository

    repository = Repository(Path(sys.argv[1]))
    events = iter(range(1, 10_000))

    def watch(event, arguments):
        if event in ("subprocess.Popen", "fcntl.flock", "shutil.rmtree", "os.remove"):
            if next(events) == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)

    head = repository.head()
    sys.addaudithook(watch)
    with repository.worktree(head):
        pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "bot")


def worktrees(folder: Path) -> list[str]:
    """What git and the folder of menace's own have, but the user's checkout."""
    own = folder / ".git" / "menace" / "worktrees"
    names = [path.name for path in own.iterdir()] if own.is_dir() else []
    listed = git(folder, "worktree", "list", "--porcelain").split("\n\n")
    return [*names, *listed[1:]]


def test_a_worktree_has_the_commit_and_is_gone_in_the_end(folder: Path) -> None:
    write(folder, "edited.py", "a = 1\n")
    repository = Repository(folder)
    commit = patched(repository)

    with repository.worktree(commit) as worktree:
        assert (worktree / TARGET).read_text() == FASTER
        assert not (worktree / "edited.py").exists()
        assert not worktree.is_relative_to(folder) or ".git" in worktree.parts
        (worktree / TARGET).write_text("candidate = 1\n")
        (worktree / "__pycache__").mkdir()

    assert not worktree.exists()
    assert worktrees(folder) == []
    assert (folder / TARGET).read_text() == HELPER
    assert status(folder) == "?? edited.py"


def test_a_worktree_goes_when_its_block_fails(folder: Path) -> None:
    repository = Repository(folder)
    with pytest.raises(KeyError), repository.worktree(repository.head()):
        raise KeyError("candidate")
    assert worktrees(folder) == []


def test_a_commit_that_is_not_there_leaves_no_worktree(folder: Path) -> None:
    with (
        pytest.raises(RepositoryError, match="git worktree failed"),
        Repository(folder).worktree("f" * 40),
    ):
        pass
    assert worktrees(folder) == []


def test_worktrees_live_side_by_side_where_they_are_wanted(folder: Path, tmp_path: Path) -> None:
    repository = Repository(folder, worktrees=tmp_path / "trees")
    head = repository.head()

    with repository.worktree(head) as one, repository.worktree(head) as other:
        assert one != other
        assert one.parent == other.parent == tmp_path / "trees"
        # Those in use are not swept, not even by another engine over the same repository.
        assert Repository(folder, worktrees=tmp_path / "trees").sweep() == 0
        assert (one / TARGET).read_text() == (other / TARGET).read_text() == HELPER
    assert list((tmp_path / "trees").iterdir()) == []


def test_what_killed_runs_left_is_swept_and_the_users_own_is_not(
    folder: Path, tmp_path: Path
) -> None:
    git(folder, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    git(folder, "worktree", "add", "-q", "-b", "lost", str(tmp_path / "lost"))
    shutil.rmtree(tmp_path / "lost")
    users = worktrees(folder)
    killed = left = 0
    while True:
        program = [sys.executable, "-c", textwrap.dedent(DIES_IN_A_WORKTREE)]
        finished = subprocess.run(
            [*program, str(folder), str(killed + 1)], capture_output=True, text=True, check=False
        )
        if finished.returncode == 0:
            break
        assert finished.returncode == -9, finished.stderr
        killed += 1
        left += worktrees(folder) != users

        Repository(folder).sweep()

        assert worktrees(folder) == users
        assert len(list((folder / ".git" / "worktrees").iterdir())) == 2
    assert killed >= 5
    assert left >= 3


def test_links_rights_and_submodules_are_checked_out_as_git_does(
    folder: Path, tmp_path: Path
) -> None:
    inner = make_repository(tmp_path / "inner", helper=HELPER)
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "lib")
    (folder / "link.py").symlink_to("helpers/days.py")
    write(folder, "run.sh", "#!/bin/sh\n").chmod(0o755)
    write(folder, "ünï/日本.py", "a = 1\r\n")
    commit_all(folder, "More")
    repository = Repository(folder)

    with repository.worktree(repository.head()) as worktree:
        assert (worktree / "link.py").is_symlink()
        assert (worktree / "run.sh").stat().st_mode & 0o100
        assert (worktree / "ünï" / "日本.py").read_bytes() == b"a = 1\r\n"
        assert list((worktree / "lib").iterdir()) == []
    assert worktrees(folder) == []
