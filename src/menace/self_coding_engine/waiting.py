"""Patches that wait for a person: the question, and what becomes of them once it is answered."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from menace.errors import RepositoryError
from menace.patches import GateReport, PatchStatus
from menace.records import ApprovalState

if TYPE_CHECKING:
    from menace.patches import Patch
    from menace.records import Approval
    from menace.self_coding_engine.cared_bot import CaredBot
    from menace.self_coding_engine.repository import Repository

logger = logging.getLogger(__name__)

SOURCE = "source"
"""The parameter under which a waiting patch keeps its text."""


def subject_of(patch: Patch) -> str:
    """Name the question about a patch."""
    return f"patch {patch.patch_id} of {patch.bot}"


def ask(cared: CaredBot, patch: Patch, source: str, why: str) -> tuple[Patch, Approval]:
    """Put a patch on record, and a question about it.

    Parameters
    ----------
    source
        The whole new text of its target.
    why
        Why a person has to decide, as a phrase.
    """
    kept = dataclasses.replace(patch, parameters={**patch.parameters, SOURCE: source})
    added = cared.store.add_patch(kept)
    question = cared.store.ask_approval(
        subject_of(added),
        at=cared.clock.now(),
        inputs={"patch": added.patch_id, "target": added.target, "why": why},
    )
    return added, question


def granted(cared: CaredBot, repository: Repository) -> tuple[Patch, str] | None:
    """Find the oldest patch that a person has granted, and use the grant up.

    One that was refused, or whose file was edited since and committed, is rejected on the way. One
    that cannot go in now (uncommitted edits, a merge under way) keeps its grant.

    Returns
    -------
    patch, source
        The patch, based on the present commit, and the whole new text of its target.
    """
    store, now = cared.store, cared.clock.now()
    for patch in store.patches(cared.bot.name, last=100, statuses=(PatchStatus.WAITING,)):
        asked = store.approvals(last=1, subject=subject_of(patch))
        if asked and asked[0].state is ApprovalState.REFUSED:
            _reject(cared, patch, "a person refused it")
        # A grant that is used up while its patch still waits was used by a process that died.
        if not asked or asked[0].state not in {ApprovalState.GRANTED, ApprovalState.USED}:
            continue
        head = repository.head()
        try:
            same = repository.read(head, patch.target) == repository.read(
                str(patch.base_commit), patch.target
            )
        except RepositoryError as error:
            _reject(cared, patch, f"its file cannot be read any more: {error.message}")
            continue
        if not same:
            _reject(cared, patch, "its file was edited since it was proposed")
            continue
        try:
            repository.check_ready(patch.target, base=head)
        except RepositoryError as error:
            # The grant stays good for when the branch can take it.
            logger.warning("patch %s of %s waits on: %s", patch.patch_id, patch.bot, error)
            continue
        if asked[0].state is ApprovalState.GRANTED:
            store.move_approval(
                asked[0].approval_id,
                expected=ApprovalState.GRANTED,
                state=ApprovalState.USED,
                at=now,
            )
        approved = dataclasses.replace(patch, approved_by="a person", base_commit=head)
        return approved, str(patch.parameters[SOURCE])
    return None


def _reject(cared: CaredBot, patch: Patch, why: str) -> None:
    refusal = GateReport("a person", passed=False, reason=why)
    cared.store.move_patch(
        int(patch.patch_id or 0),
        expected=PatchStatus.WAITING,
        status=PatchStatus.REJECTED,
        at=cared.clock.now(),
        gates=(*patch.gates, refusal),
    )
