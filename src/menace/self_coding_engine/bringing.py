"""Brings a patch's commit into branch, index and work tree, in an order that survives a kill.

Everything that can fail is done first: a note that the commit is under way, then the file's new
text and the new index, ready under names of their own (the index is the note). Then git's index
lock is taken, so that no other git command works meanwhile; all conditions are looked at once
more; the branch moves; the index becomes the new one, which gives the lock back; and the file is
renamed into its place. A reader of the file sees the old text or the new one, whole. Where a kill
strikes between the branch and the file, the user still has the old file, and the note tells the
next run to go on.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from menace.errors import RepositoryError
from menace.self_coding_engine.file_lock import FileLock
from menace.self_coding_engine.repository import is_checkout_of
from menace.state_file import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from menace.self_coding_engine.repository import Repository

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.05


class _Change(NamedTuple):
    """A commit that changes one file."""

    commit: str
    base: str
    path: str
    mode: str
    old: bytes
    new: bytes
    old_blob: str
    new_blob: str


class Bringing:
    """See :meth:`menace.self_coding_engine.repository.Repository.bring`.

    Parameters
    ----------
    repository
        The user's.
    lock_seconds
        How long another git command may hold the index before it is reported.
    """

    def __init__(self, repository: Repository, *, lock_seconds: float = 10.0) -> None:
        self._repository = repository
        self._lock_seconds = lock_seconds
        self._git = repository.git
        self._own = repository.git_folder / "menace"
        self._index = repository.git_folder / "index"
        self._index_lock = repository.git_folder / "index.lock"

    def bring(self, commit: str) -> None:
        """Bring a commit in, or go on where a killed run stopped."""
        change = self._change(commit)
        with self._alone():
            if not self._repository.holds(change.commit):
                self._advance(change)
            elif not self._prepared_index(change.commit).exists():
                return  # Done before: the note that it is under way is removed last.
            else:
                self._follow(change)
            self._replace(change)
            self._forget(change)

    def sweep(self) -> int:
        """Finish what was half brought in, drop what never came so far; returns how many."""
        if not self._own.is_dir():
            return 0
        with self._alone():
            commits = [note.stem for note in sorted(self._own.glob("*.index"))]
            for commit in commits:
                try:
                    held = self._repository.holds(commit)
                    if not held:
                        self._forget(self._change(commit))
                except RepositoryError as error:
                    _log.warning("what was left of patch commit %s stays: %s", commit, error)
        for commit in commits:
            if self._prepared_index(commit).exists():
                try:
                    self.bring(commit)
                except RepositoryError as error:
                    _log.warning("patch commit %s is half brought in: %s", commit, error)
        return len(commits)

    def _change(self, commit: str) -> _Change:
        """Read what a commit changes.

        Raises
        ------
        RepositoryError
            If that is not the text of one ordinary file in the repository's folder.
        """
        repository = self._repository
        base = repository.parent(commit)
        commit = self._git.text("rev-parse", "--verify", f"{commit}^{{commit}}")
        command = ("diff-tree", "-r", "-z", "--raw", "--no-renames", base, commit)
        said = os.fsdecode(self._git.output(*command)).split("\0")[:-1]
        if len(said) != 2 or not said[0].endswith(" M") or len(set(said[0][1:].split()[:2])) > 1:
            raise RepositoryError(
                f"commit {commit[:12]} changes more than the text of one file.",
                remedy="name a commit that a patch made",
            )
        mode, _, old_blob, new_blob, _ = said[0][1:].split()
        old, new = repository.content(old_blob), repository.content(new_blob)
        path = repository.relative(said[1])
        return _Change(commit, base, path, mode, old, new, old_blob, new_blob)

    def _advance(self, change: _Change) -> None:
        """Move branch and index to the commit; undone on any failure before the branch moves."""
        moved = False
        try:
            self._repository.check_ready(change.path, base=change.base)
            with _told(self._own):
                self._prepared_index(change.commit).touch()
            self._prepare_file(change)
            self._lock_index(change)
            # Once more: until now, another git command could have come in between.
            self._repository.check_ready(change.path, base=change.base)
            branch = f"refs/heads/{self._repository.branch()}"
            reason = "menace: bring in a patch"
            self._git.output("update-ref", "-m", reason, branch, change.commit, change.base)
            moved = True
            self._publish_index()
        finally:
            if not moved and not self._repository.holds(change.commit):
                self._forget(change)

    def _follow(self, change: _Change) -> None:
        """Let the index follow a branch that has the commit already, unless it was staged over."""
        try:
            committed = self._repository.entry(self._repository.head(), change.path).blob
        except RepositoryError:
            committed = ""  # It was deleted since.
        staged = self._repository.staged(change.path)
        if committed != change.new_blob:
            self._forget(change)
        elif staged is not None and staged.blob == change.old_blob:
            self._lock_index(change)
            self._publish_index()

    def _replace(self, change: _Change) -> None:
        """Rename the new text into its place if the file still has the old one.

        Raises
        ------
        RepositoryError
            If it was edited meanwhile; then it is left as it is.
        """
        if not self._prepared_index(change.commit).exists():
            return  # The branch has gone on, and the file with it.
        present = self._repository.work_file(change.path)
        if present is not None and is_checkout_of(present, change.new):
            return
        if present is None or not is_checkout_of(present, change.old):
            raise RepositoryError(
                f"{change.path} was edited while a patch was being brought in. The branch has "
                f"the patch as {change.commit[:12]}; your file is as you left it.",
                remedy=f"git diff {change.path} shows both; commit what you want to keep, and "
                "menace patches revert takes the patch back",
            )
        if not self._prepared_file(change).exists():
            self._prepare_file(change)
        file = self._repository.work_path(change.path)
        with _told(file):
            self._prepared_file(change).replace(file)
            sync_folder(file.parent)

    def _prepare_file(self, change: _Change) -> None:
        """Write the new text beside the file, with its rights, owner and kind of line ends."""
        file, prepared = self._repository.work_path(change.path), self._prepared_file(change)
        with _told(prepared):
            present, rights = file.read_bytes(), file.stat()
            as_committed = present == change.old
            new = change.new if as_committed else change.new.replace(b"\n", b"\r\n")
            prepared.unlink(missing_ok=True)
            with prepared.open("wb") as stream:
                os.fchmod(stream.fileno(), rights.st_mode & 0o7777)
                with suppress(PermissionError):  # Only root can give files away.
                    os.fchown(stream.fileno(), rights.st_uid, rights.st_gid)
                stream.write(new)
                stream.flush()
                os.fsync(stream.fileno())
            # Python tells cached bytecode by whole seconds and size, so two texts of the same
            # size must not share a second.
            second = 1_000_000_000
            at = max(prepared.stat().st_mtime_ns, (rights.st_mtime_ns // second + 1) * second)
            os.utime(prepared, ns=(at, at))

    def _lock_index(self, change: _Change) -> None:
        """Prepare an index with the new text and take git's lock with it.

        The lock is a hard link to what was prepared: so it has the whole index from the first
        moment, by which one that a killed run left is known to be menace's own.
        """
        prepared = self._prepared_index(change.commit)
        fresh = prepared.with_suffix(".fresh")
        line = os.fsencode(f"{change.mode} {change.new_blob}\t{self._full(change)}\0")
        deadline = time.monotonic() + self._lock_seconds
        with _told(self._index_lock):
            while True:
                before = self._index.stat()
                fresh.with_suffix(".fresh.lock").unlink(missing_ok=True)
                fresh.write_bytes(self._index.read_bytes())
                # Git looks into files that are as new as its index, and trusts the others: a
                # younger copy would hide the user's edits of that second.
                os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
                self._git.output(
                    *("update-index", "-z", "--index-info"),
                    given=line,
                    environment={"GIT_INDEX_FILE": str(fresh)},
                )
                # A file of its own each time: what was published before is the user's index now.
                fresh.replace(prepared)
                try:
                    self._index_lock.hardlink_to(prepared)
                except FileExistsError as error:
                    if time.monotonic() > deadline:
                        raise RepositoryError(
                            f"another git command holds {self._index_lock}.",
                            remedy="wait until it has ended; if there is none, it was killed: "
                            "delete that lock file",
                        ) from error
                    time.sleep(_PAUSE_SECONDS)
                    continue
                if _same_state(self._index.stat(), before):
                    return
                self._index_lock.unlink()

    def _publish_index(self) -> None:
        with _told(self._index):
            self._index_lock.replace(self._index)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other runs of menace out, and remove git locks that a killed one has left."""
        with _told(self._own):
            self._own.mkdir(exist_ok=True)
            lock = FileLock(self._own / "lock")
            lock.acquire(wait=True)
        try:
            for note in self._own.glob("*.index"):
                self._unlock(note)
            yield
        finally:
            lock.release()

    def _unlock(self, prepared: Path) -> None:
        """Remove git's lock if it is the one that was made of ``prepared``."""
        try:
            content = prepared.read_bytes()
            # Empty is a note without an index, and a lock that another git has only just made.
            if content and self._index_lock.read_bytes() == content:
                self._index_lock.unlink()
        except FileNotFoundError:
            return

    def _forget(self, change: _Change) -> None:
        """Remove all that was prepared; the index, which is the note of it, last."""
        prepared = self._prepared_index(change.commit)
        self._unlock(prepared)
        self._prepared_file(change).unlink(missing_ok=True)
        for suffix in (".fresh.lock", ".fresh", ".index"):
            prepared.with_suffix(suffix).unlink(missing_ok=True)

    def _prepared_index(self, commit: str) -> Path:
        return self._own / f"{commit}.index"

    def _prepared_file(self, change: _Change) -> Path:
        file = self._repository.work_path(change.path)
        return file.with_name(f".{file.name}.{change.commit[:12]}.menace")

    def _full(self, change: _Change) -> str:
        return self._repository.prefix + change.path


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system refuses into menace's error."""
    try:
        yield
    except OSError as error:
        raise RepositoryError(
            f"{path} cannot be written: {error.strerror or error}.",
            remedy="check its rights and the space on its disk; then try again, nothing is lost",
        ) from error


def _same_state(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_ino, one.st_size, one.st_mtime_ns) == (
        other.st_ino,
        other.st_size,
        other.st_mtime_ns,
    )
