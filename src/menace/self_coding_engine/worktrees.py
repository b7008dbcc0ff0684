"""One checkout per candidate, and none that outlives the run that made it."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from menace.errors import RepositoryError
from menace.self_coding_engine.file_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from menace.self_coding_engine.git_command import GitCommand

_LOCK = ".lock"


class Worktrees:
    """Detached worktrees of git's, in a folder of menace's own.

    Each has a lock beside it that its maker holds; one whose lock is free was left by a killed
    run. Nothing but these is ever removed: the user's own worktrees are not pruned.

    Parameters
    ----------
    git
        In the repository.
    common
        What all worktrees of the repository share, usually ``.git``.
    folder
        Where they are made.
    """

    def __init__(self, git: GitCommand, *, common: Path, folder: Path) -> None:
        self._git, self._common, self._folder = git, common, folder

    @contextmanager
    def added(self, commit: str) -> Iterator[Path]:
        """Check a commit out, without hooks and filters, until the block ends.

        Raises
        ------
        RepositoryError
            If git refuses, or the folder cannot be written.
        """
        name = f"menace-{secrets.token_hex(8)}"
        path = self._folder / name
        lock = FileLock(self._folder / (name + _LOCK))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(wait=True)
        except OSError as error:
            raise RepositoryError(
                f"no worktree can be made in {self._folder}: {error.strerror or error}.",
                remedy="check its rights and the space on its disk",
            ) from error
        try:
            self._git.output(
                *("worktree", "add", "--quiet", "--detach", "--", str(path), commit),
                environment=self._git.without_filters(),
            )
            yield path
        finally:
            lock.release(remove=self._remove(name))

    def sweep(self) -> int:
        """Remove what killed runs left behind; returns how many worktrees that were."""
        swept = 0
        for file in sorted(self._folder.glob(f"menace-*{_LOCK}")):
            lock = FileLock(file)
            if lock.acquire(wait=False):
                lock.release(remove=self._remove(file.name.removesuffix(_LOCK)))
                swept += 1
        return swept

    def _remove(self, name: str) -> bool:
        """Remove a worktree and git's note of it; whether nothing is left."""
        # Not `git worktree remove`: that refuses what a kill left half made.
        for folder in (self._folder / name, self._common / "worktrees" / name):
            shutil.rmtree(folder, ignore_errors=True)
        return not (self._folder / name).exists()
