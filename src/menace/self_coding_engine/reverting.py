"""Takes a patch back, and never a hand edit with it."""

from __future__ import annotations

import difflib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from menace.errors import PatchConflictError, PatchStateError, RepositoryError
from menace.patches import PatchStatus
from menace.self_coding_engine.repository import is_checkout_of
from menace.state_file import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.interfaces import PatchHistory
    from menace.patches import Patch
    from menace.self_coding_engine.repository import Repository

TRAILER = "Menace-Reverts"
"""Says in a commit which patch it takes back; a person's own commit may say it, too."""

MERGE_SUFFIX = ".menace-merge"
"""Ends the name of the file in which a person finds what does not merge by itself."""

REVERTIBLE = (PatchStatus.APPLYING, PatchStatus.CANARY, PatchStatus.KEPT, PatchStatus.REVERTING)

_MOST_CONFLICTS = 127
_LATER_ONES = 1000


class _Texts(NamedTuple):
    """A file before the patch, right after it, as last committed, and as it is now."""

    old: bytes
    patched: bytes
    committed: bytes
    present: bytes


def revert_patch(
    repository: Repository, history: PatchHistory, patch_id: int, *, at: float, merge: bool = False
) -> Patch:
    """Take a patch back by a commit of its own; called again after a kill, it goes on.

    Parameters
    ----------
    repository
        In which the patch was made.
    history
        That knows it.
    patch_id
        Of a patch that is in the code.
    at
        POSIX seconds.
    merge
        Whether to take it out of a file that was edited since, by a three-way merge, where that
        touches none of the edits.

    Returns
    -------
    Patch
        Reverted.

    Raises
    ------
    PatchStateError
        If there is no such patch, or it is not in the code.
    PatchConflictError
        If the file was edited since: ``lines`` says where. Nothing was changed, save that what
        does not merge lies beside the file, as ``NAME.menace-merge``, if a merge was asked for.
    RepositoryError
        If the repository is not as it must be: another branch, a merge under way.
    """
    patch = history.patch(patch_id)
    if patch.status not in REVERTIBLE or patch.commit is None:
        raise PatchStateError(
            f"patch {patch_id} is {patch.status}, not in the code.",
            bot=patch.bot,
            remedy=f"menace patches {patch.bot} shows which ones are",
        )
    commit = _begun_before(repository, patch)
    if commit is None:
        commit = _commit_without(repository, history, patch, at=at, merge=merge)
    if (patch.status, patch.revert_commit) != (PatchStatus.REVERTING, commit):
        patch = history.move_patch(
            patch_id,
            expected=patch.status,
            status=PatchStatus.REVERTING,
            at=at,
            revert_commit=commit,
        )
    if commit is not None:
        repository.bring(commit)
    return history.move_patch(
        patch_id, expected=patch.status, status=PatchStatus.REVERTED, at=at, revert_commit=commit
    )


def _begun_before(repository: Repository, patch: Patch) -> str | None:
    """Find the commit that takes the patch back, if there is one: a killed run's, or a person's."""
    commit, begun = str(patch.commit), patch.revert_commit
    if not repository.knows(commit):
        raise RepositoryError(
            f"the repository no longer has commit {commit[:12]} of patch {patch.patch_id}.",
            bot=patch.bot,
            remedy="take the patch back by hand, from the diff of menace patches show "
            f"{patch.patch_id}",
        )
    if (
        begun is not None
        and repository.knows(begun)
        and (repository.holds(begun) or repository.parent(begun) == repository.head())
    ):
        return begun
    if not repository.holds(commit):
        return None
    # A run that was killed while it brought the patch in is ended first.
    repository.bring(commit)
    return repository.commit_with_trailer(TRAILER, str(patch.patch_id), since=commit)


def _commit_without(
    repository: Repository, history: PatchHistory, patch: Patch, *, at: float, merge: bool
) -> str | None:
    """Commit the file without the patch; ``None`` where it is without it already."""
    texts = _texts(repository, patch)
    restored, clean = texts.old, True
    if texts.committed != texts.patched:
        restored, clean = _merged(repository, patch, texts)
        if restored != texts.committed and not (clean and merge):
            told = _told_edits(history, patch, texts)
            if clean:
                raise _apart(patch, texts, told)
            beside = repository.work_path(patch.target + MERGE_SUFFIX) if merge else None
            raise _overlapping(patch, texts, told, restored, beside)
    if texts.present != texts.committed:
        edits = _edited_lines(texts.patched, texts.present)
        raise _refusal(
            patch,
            f"{patch.target} has uncommitted edits ({_named(edits)})",
            edits,
            remedy=f"commit them first, then: menace patches revert {patch.patch_id} --merge",
        )
    if restored == texts.committed:
        return None
    head = repository.head()
    repository.check_ready(patch.target, base=head)
    return repository.commit_patch(
        head,
        patch.target,
        _decoded(restored, patch),
        f"Take back patch {patch.patch_id} of {patch.target}",
        {TRAILER: str(patch.patch_id), "Menace-Bot": patch.bot},
        at=at,
    )


def _texts(repository: Repository, patch: Patch) -> _Texts:
    commit, head = str(patch.commit), repository.head()
    patched = repository.content(repository.entry(commit, patch.target).blob)
    old = repository.content(repository.entry(repository.parent(commit), patch.target).blob)
    try:
        committed = repository.content(repository.entry(head, patch.target).blob)
    except RepositoryError as error:
        raise _refusal(
            patch,
            f"{patch.target} was deleted or renamed since patch {patch.patch_id}",
            (),
            remedy=f"git show {commit[:12]} shows the patch; take it back by hand, and put a last "
            f"line '{TRAILER}: {patch.patch_id}' into the commit's message",
        ) from error
    if committed != patched and not repository.holds(commit):
        raise RepositoryError(
            f"what is checked out ({repository.branch() or 'no branch'}) does not hold patch "
            f"{patch.patch_id}.",
            bot=patch.bot,
            remedy=f"git branch --contains {commit[:12]} names the branches that do: switch to one",
        )
    present = repository.work_file(patch.target)
    if present is None or is_checkout_of(present, committed):
        present = committed
    return _Texts(old, patched, committed, present)


def _merged(repository: Repository, patch: Patch, texts: _Texts) -> tuple[bytes, bool]:
    """Take the patch out of the text as committed; says too whether no edits were in the way."""
    sides = {
        f"{patch.target} as it is": texts.committed,
        f"after patch {patch.patch_id}": texts.patched,
        f"before patch {patch.patch_id}": texts.old,
    }
    labels = [part for label in sides for part in ("-L", label)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / str(number) for number in range(len(sides))]
        for file, text in zip(files, sides.values(), strict=True):
            file.write_bytes(text)
        # The exit code is the number of conflicts.
        finished = repository.git.run(
            *("merge-file", "-p", "-q", *labels, *map(str, files)),
            codes=range(_MOST_CONFLICTS + 1),
        )
    return finished.stdout, finished.returncode == 0


def _told_edits(history: PatchHistory, patch: Patch, texts: _Texts) -> str:
    """Say which lines were edited since."""
    edits = _edited_lines(texts.patched, texts.present)
    told = f"{patch.target} was edited since patch {patch.patch_id}: {_named(edits)}"
    return told + _later(history, patch)


def _apart(patch: Patch, texts: _Texts, told: str) -> PatchConflictError:
    """Tell that there are edits, but none where the patch was."""
    return _refusal(
        patch,
        f"{told}; the patch did not touch these lines",
        _edited_lines(texts.patched, texts.present),
        remedy=f"menace patches revert {patch.patch_id} --merge takes the patch out and keeps them",
    )


def _overlapping(
    patch: Patch, texts: _Texts, told: str, both: bytes, beside: Path | None
) -> PatchConflictError:
    """Tell where edits and patch meet; with ``beside``, write both sides there."""
    number, name = patch.patch_id, f"{patch.target}{MERGE_SUFFIX}"
    lines = _overlap(texts) or _edited_lines(texts.patched, texts.present)
    told += f"; {_named(lines)} where the patch was made"
    if beside is None:
        remedy = f"menace patches revert {number} --merge writes both sides into {name}"
        return _refusal(patch, told, lines, remedy=remedy)
    if beside.exists() and beside.read_bytes() != both:
        told += f", and there is a {name} with another text"
        return _refusal(patch, told, lines, remedy=f"use {name} or delete it, then try again")
    replace_file(beside, both)
    return _refusal(
        patch,
        f"{told}; both sides are in {name}, and the file itself is as it was",
        lines,
        remedy=f"settle it there, move it over {patch.target}, and commit with the last line "
        f"'{TRAILER}: {number}'; then menace patches revert {number} closes it",
    )


def _later(history: PatchHistory, patch: Patch) -> str:
    """Name the patches that came into the same file later: they count as edits, too."""
    in_the_code = (PatchStatus.CANARY, PatchStatus.KEPT)
    found = history.patches(patch.bot, last=_LATER_ONES, statuses=in_the_code)
    numbers = [
        str(other.patch_id)
        for other in found
        if other.target == patch.target and (other.patch_id or 0) > (patch.patch_id or 0)
    ]
    return f" (patch {', '.join(numbers)} among them)" if numbers else ""


def _edited_lines(before: bytes, after: bytes) -> tuple[int, ...]:
    """Lines of ``after``, from 1, that differ; for a deletion, the line above the gap."""
    lines: set[int] = set()
    for _, _, first, last in _changes(before, after):
        lines.update(range(first + 1, last + 1) or [max(1, first)])
    return tuple(sorted(lines))


def _overlap(texts: _Texts) -> tuple[int, ...]:
    """Lines of the present text that were edited where the patch was, or right beside it."""
    patch = [(first, last) for first, last, _, _ in _changes(texts.patched, texts.old)]
    lines: set[int] = set()
    for first, last, now_first, now_last in _changes(texts.patched, texts.present):
        if any(first <= end and last >= begin for begin, end in patch):
            lines.update(range(now_first + 1, now_last + 1) or [max(1, now_first)])
    return tuple(sorted(lines))


def _changes(before: bytes, after: bytes) -> list[tuple[int, int, int, int]]:
    """Half-open ranges of lines that differ: of ``before``, then of ``after``."""
    sides = [text.replace(b"\r\n", b"\n").split(b"\n") for text in (before, after)]
    matcher = difflib.SequenceMatcher(a=sides[0], b=sides[1], autojunk=False)
    return [code[1:] for code in matcher.get_opcodes() if code[0] != "equal"]


def _named(lines: Sequence[int]) -> str:
    """Write line numbers as people do: ``lines 3–5, 9``."""
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    written = ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in spans)
    if not lines:
        return "no line differs"
    return f"line{'s' if len(lines) > 1 else ''} {written}"


def _refusal(
    patch: Patch, sentence: str, lines: tuple[int, ...], *, remedy: str
) -> PatchConflictError:
    error = PatchConflictError(f"{sentence}.", bot=patch.bot, remedy=remedy)
    error.lines = lines
    return error


def _decoded(text: bytes, patch: Patch) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RepositoryError(
            f"{patch.target} is no longer UTF-8.", bot=patch.bot, remedy="save it as UTF-8"
        ) from error
