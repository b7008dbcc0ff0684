"""The repository that holds a bot's helper code: read, patched by commits, never half-patched."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from menace.errors import RepositoryError
from menace.self_coding_engine.git_command import GitCommand
from menace.self_coding_engine.worktrees import Worktrees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase, or the application of mails",
    "sequencer": "a series of picks",
}
_ORDINARY = ("100644", "100755")
_CONVERTING = ("filter", "ident", "working-tree-encoding")


class Entry(NamedTuple):
    """What git has of a file: ``mode`` in octal, and the id of its content."""

    mode: str
    blob: str


class Repository:
    """A folder in a git repository, the work tree's top or below it.

    All paths are relative to this folder, with ``/``. Hooks, filters, the global configuration
    and every other program that a configuration may name are off.

    Parameters
    ----------
    folder
        The bot's folder.
    worktrees
        Where worktrees are made, by default in ``.git``.

    Raises
    ------
    RepositoryError
        From every method: if this is no checkout, or git refuses; with the remedy.
    """

    def __init__(self, folder: Path, *, worktrees: Path | None = None) -> None:
        self.folder = Path(folder).resolve()
        git = GitCommand(self.folder)
        try:
            found = _locate(git)
        except RepositoryError:
            if not git.trust_what_the_user_trusts():
                raise
            found = _locate(git)
        self.top, self.git_folder, common, self.prefix = found
        if (self.top / self.prefix).resolve() != self.folder:
            raise RepositoryError(
                f"git takes {self.top} for the work tree of {self.folder}.",
                remedy="git config --unset core.worktree",
            )
        self.git = git.in_folder(self.top)
        own = common / "menace" / "worktrees" if worktrees is None else Path(worktrees).resolve()
        self._worktrees = Worktrees(self.git, common=common, folder=own)

    def head(self) -> str:
        """Id of the commit that is checked out."""
        found = self.git.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}", codes=(0, 1))
        if not found:
            raise RepositoryError(
                f"the repository {self.top} has no commit yet.",
                remedy="git add and git commit the code that may be patched",
            )
        return found

    def branch(self) -> str | None:
        """Short name of the branch that is checked out; ``None`` where HEAD is detached."""
        name = self.git.text("symbolic-ref", "--quiet", "HEAD", codes=(0, 1))
        return name.removeprefix("refs/heads/") or None

    def knows(self, commit: str) -> bool:
        """Whether the repository has the commit, in a branch or not."""
        return self.git.code("cat-file", "-e", f"{commit}^{{commit}}", codes=(0, 1, 128)) == 0

    def holds(self, commit: str) -> bool:
        """Whether the commit is in the history of what is checked out."""
        return self.git.code("merge-base", "--is-ancestor", commit, self.head()) == 0

    def is_in_a_branch(self, commit: str) -> bool:
        """Whether the history of any branch has the commit, checked out or not."""
        if not self.knows(commit):
            return False
        listed = self.git.text("for-each-ref", "--count=1", "--contains", commit, "refs/heads")
        return bool(listed) or self.holds(commit)

    def parent(self, commit: str) -> str:
        """Id of the one commit that this one was made on."""
        _, *parents = self.git.text("rev-list", "--parents", "--max-count=1", commit).split()
        if len(parents) != 1:
            raise RepositoryError(
                f"commit {commit[:12]} has {len(parents)} parents, so it is no patch.",
                remedy="name a commit that a patch made",
            )
        return parents[0]

    def paths(self, commit: str) -> list[str]:
        """List all ordinary files of a commit in this folder, sorted."""
        listed = os.fsdecode(self.git.output("ls-tree", "-r", "-z", "--full-tree", commit))
        entries = (line.partition("\t") for line in listed.split("\0") if line)
        return sorted(
            path.removeprefix(self.prefix)
            for entry, _, path in entries
            if path.startswith(self.prefix) and entry.split()[0] in _ORDINARY
        )

    def read(self, commit: str, path: str) -> str:
        """Read a file's text as committed, with its own line ends.

        Raises
        ------
        RepositoryError
            If it is not in that commit, no ordinary file, or not UTF-8.
        """
        content = self.content(self.entry(commit, path).blob)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RepositoryError(
                f"{path} is not UTF-8: byte {error.start + 1}.", remedy="save it as UTF-8"
            ) from error

    def content(self, blob: str) -> bytes:
        """Read the bytes of a blob."""
        return self.git.output("cat-file", "blob", blob)

    def entry(self, commit: str, path: str) -> Entry:
        """Find an ordinary file in a commit.

        Raises
        ------
        RepositoryError
            If it is not there, a link, a folder or a submodule.
        """
        found = self._entry("ls-tree", "-z", "--full-tree", commit, path=path)
        if found is None:
            raise RepositoryError(
                f"{path} is not in commit {commit[:12]} of {self.folder}.",
                remedy=f"git add {path} and commit it, or check the path",
            )
        if found.mode not in _ORDINARY:
            raise RepositoryError(
                f"{path} is a link, a folder or a submodule.", remedy="name an ordinary file"
            )
        return found

    def staged(self, path: str) -> Entry | None:
        """Find a file in the index; ``None`` where it is missing, or a merge has left several."""
        return self._entry("ls-files", "-z", "--stage", path=path)

    def is_clean(self, path: str) -> bool:
        """Whether index and work tree have the file as HEAD has it.

        Line ends that a checkout writes as CR LF are no edit, and neither are rights.
        """
        committed, staged = self.entry(self.head(), path), self.staged(path)
        if staged is None or staged.blob != committed.blob:
            return False
        present = self.work_file(path)
        return present is not None and is_checkout_of(present, self.content(committed.blob))

    def work_file(self, path: str) -> bytes | None:
        """Read a file of the work tree as it is; ``None`` where there is no ordinary file."""
        file = self.work_path(path)
        try:
            return file.read_bytes() if file.is_file() and not file.is_symlink() else None
        except OSError as error:
            raise RepositoryError(
                f"{file} cannot be read: {error.strerror or error}.", remedy="check its rights"
            ) from error

    def work_path(self, path: str) -> Path:
        """Give the place of a file in the work tree.

        Raises
        ------
        RepositoryError
            If it lies outside, also by way of a link.
        """
        file = self.top / self._full(path)
        if file.parent.resolve() != file.parent:
            raise RepositoryError(
                f"{path} lies behind a link.", remedy="name the file where it really lies"
            )
        return file

    def check_ready(self, path: str, *, base: str) -> None:
        """See to it that a commit on ``base`` that changes one file can be brought in.

        Raises
        ------
        RepositoryError
            If HEAD is detached, a merge or the like is under way, the branch has moved on, or the
            file has uncommitted edits.
        """
        for name, what in _UNDER_WAY.items():
            if (self.git_folder / name).exists():
                raise RepositoryError(
                    f"{what} is under way in {self.top}.", remedy="git status says how to end it"
                )
        branch, head = self.branch(), self.head()
        if branch is None:
            raise RepositoryError(
                f"HEAD of {self.top} is detached, so no branch would get the patch.",
                remedy="git switch BRANCH",
            )
        if head != base:
            raise RepositoryError(
                f"branch {branch} has moved on from {base[:12]}, on which the patch was made, to "
                f"{head[:12]}.",
                remedy="patch again; what was measured holds for the old commit only",
            )
        converting = self._converting(path)
        if converting is not None:
            raise RepositoryError(
                f"git converts {path} on checkout ({converting}), and menace runs no converters.",
                remedy=f"take {path} out of that line of .gitattributes",
            )
        if not self.is_clean(path):
            raise RepositoryError(
                f"{path} has uncommitted edits.", remedy=f"commit them, or git restore {path}"
            )

    @contextmanager
    def worktree(self, commit: str) -> Iterator[Path]:
        """Check a commit out in a worktree of its own, until the block ends.

        Yields
        ------
        Path
            The place of this folder in it.
        """
        with self._worktrees.added(commit) as top:
            yield top / self.prefix

    def sweep(self) -> int:
        """Clear up after killed runs: worktrees, locks, patches that were half brought in.

        Returns
        -------
        int
            How many were found.
        """
        from menace.self_coding_engine.bringing import Bringing

        return self._worktrees.sweep() + Bringing(self).sweep()

    def commit_patch(
        self,
        base: str,
        path: str,
        source: str,
        message: str,
        trailers: Mapping[str, str],
        *,
        at: float,
    ) -> str:
        """Commit a new text of one file on ``base``, and touch nothing that the user has.

        The commit is in no branch until :meth:`bring`. The same arguments give the same id.

        Parameters
        ----------
        base
            A commit that has the file, whose rights are kept.
        source
            The file's whole new text.
        message
            The first line names the change.
        trailers
            Key → value, one line each at the message's end.
        at
            POSIX seconds; git keeps whole ones.

        Returns
        -------
        str
            The commit's id.
        """
        entry = self.entry(base, path)
        content = source.encode("utf-8")
        blob = self.git.text("hash-object", "-w", "--no-filters", "--stdin", given=content)
        if blob == entry.blob:
            raise RepositoryError(f"{path} would not change.", remedy="propose another text")
        line = os.fsencode(f"{entry.mode} {blob}\t{self._full(path)}\0")
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            own = ("-c", "core.splitIndex=false")
            self.git.output(*own, "read-tree", base, environment=index)
            self.git.output(
                *own, "update-index", "-z", "--index-info", given=line, environment=index
            )
            tree = self.git.text(*own, "write-tree", "--missing-ok", environment=index)
        date = f"@{int(at)} +0000"  # Without the @, a small number is no date.
        return self.git.text(
            *("commit-tree", tree, "-p", base),
            given=_with_trailers(message, trailers).encode("utf-8"),
            environment={"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
        )

    def bring(self, commit: str) -> None:
        """Give the current branch a commit of :meth:`commit_patch`, and the file its new text.

        After a kill at any point, calling it again ends in the same state. No other file is
        touched, edited or not.

        Raises
        ------
        RepositoryError
            As :meth:`check_ready` does, and then nothing has changed. If the file was edited
            between a kill and this call: then the branch has the commit, and the file is left.
        """
        from menace.self_coding_engine.bringing import Bringing

        Bringing(self).bring(commit)

    def trailers(self, commit: str) -> dict[str, str]:
        """Read the trailers of a commit: the lines ``Key: value`` of its last paragraph."""
        _, _, message = self.git.text("cat-file", "commit", commit).partition("\n\n")
        last = message.rstrip().rpartition("\n\n")[2]
        lines = (line.partition(": ") for line in last.splitlines())
        return {key: value for key, colon, value in lines if colon and " " not in key}

    def commit_with_trailer(self, key: str, value: str, *, since: str) -> str | None:
        """Find the newest commit after ``since`` that has this trailer."""
        grep = f"--grep=^{key}: {value}$"
        found = self.git.text("rev-list", grep, f"{since}..{self.head()}").split()
        return next((one for one in found if self.trailers(one).get(key) == value), None)

    def relative(self, full: str) -> str:
        """Turn a path from the work tree's top into one from this folder.

        Raises
        ------
        RepositoryError
            If it lies outside.
        """
        if not full.startswith(self.prefix):
            raise RepositoryError(
                f"{full} lies outside {self.folder}.", remedy="name the folder that holds it"
            )
        return full.removeprefix(self.prefix)

    def _full(self, path: str) -> str:
        pure = PurePosixPath(path)
        parts = {part.lower() for part in pure.parts}
        if pure.is_absolute() or str(pure) != path or parts & {"..", ".git"} or "\0" in path:
            raise RepositoryError(
                f"{path!r} is no plain path below {self.folder}.",
                remedy="give it relative to that folder, with /",
            )
        return self.prefix + path

    def _entry(self, *command: str, path: str) -> Entry | None:
        listed = os.fsdecode(self.git.output(*command, "--", self._full(path)))
        lines = [line.partition("\t")[0].split() for line in listed.split("\0") if line]
        if len(lines) != 1:
            return None
        mode, second, third = lines[0]
        if command[0] == "ls-tree":
            return Entry(mode, blob=third)
        return Entry(mode, blob=second) if third == "0" else None

    def _converting(self, path: str) -> str | None:
        """Name the attribute by which git would rewrite the file on checkout."""
        command = ("check-attr", "-z", *_CONVERTING, "--", self._full(path))
        said = os.fsdecode(self.git.output(*command)).split("\0")
        for name, value in zip(said[1::3], said[2::3], strict=True):
            if value not in {"unspecified", "unset"}:
                return f"{name}={value}"
        return None


def is_checkout_of(present: bytes, blob: bytes) -> bool:
    """Whether a file is what a checkout makes of a blob: the same, or with CR LF for LF."""
    return present == blob or (b"\r\n" not in blob and present == blob.replace(b"\n", b"\r\n"))


def _locate(git: GitCommand) -> tuple[Path, Path, Path, str]:
    """Find the work tree's top, the git folder, the common one, and the way down from the top."""
    if git.text("rev-parse", "--is-bare-repository") == "true":
        raise RepositoryError(
            f"{git.folder} is a bare repository, without files to patch.",
            remedy="name the folder of a checkout: git clone makes one",
        )
    top, own, common, prefix = (
        git.text("rev-parse", *wanted)
        for wanted in (
            ("--show-toplevel",),
            ("--absolute-git-dir",),
            ("--path-format=absolute", "--git-common-dir"),
            ("--show-prefix",),
        )
    )
    return Path(top).resolve(), Path(own), Path(common), prefix


def _with_trailers(message: str, trailers: Mapping[str, str]) -> str:
    """Put the trailers into a paragraph of their own, the last one, which is where git looks."""
    text = message.replace("\0", "").strip() or "Patch helper code"
    lines = [f"{key}: {' '.join(value.split())}" for key, value in trailers.items()]
    return "\n\n".join([text, *(["\n".join(lines)] if lines else [])]) + "\n"
