"""Brings patches into the code and takes them back; every step is on record before it is taken."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from menace.errors import CodingError, RepositoryError
from menace.patches import Claim, GateReport, PatchStatus
from menace.self_coding_engine.attempt import BRANCH
from menace.self_coding_engine.reverting import revert_patch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.interfaces import Clock, PatchHistory
    from menace.patches import Patch
    from menace.records import Cycle
    from menace.self_coding_engine.repository import Repository

logger = logging.getLogger(__name__)

LAST = 1000
"""Patches of a bot that are looked through for open ones, the newest."""


class Rollout:
    """Moves a bot's patches through their states, so that a kill at any point loses no step.

    A patch is on record as ``applying`` before its commit exists, its commit is on record before
    the branch moves, and only then is it a ``canary``. :meth:`finish` goes on wherever a killed
    process stopped.

    Parameters
    ----------
    repository
        The user's.
    history
        Keeps the patches.
    clock
        Tells the time.
    bot
        Whose patches.
    """

    def __init__(
        self, repository: Repository, history: PatchHistory, clock: Clock, *, bot: str
    ) -> None:
        self._repository = repository
        self._history = history
        self._clock = clock
        self._bot = bot

    def apply(self, patch: Patch, source: str) -> Patch:
        """Bring a patch that passed its gates into the user's branch.

        Parameters
        ----------
        patch
            Not yet in the history, or waiting there; made on ``base_commit``.
        source
            The whole new text of its target.

        Returns
        -------
        Patch
            A ``canary``; ``rejected`` where git would not have it, with a gate that says why.
        """
        now = self._clock.now()
        if patch.patch_id is None:
            begun = self._history.add_patch(
                dataclasses.replace(patch, status=PatchStatus.APPLYING, at=now)
            )
        else:
            begun = self._history.move_patch(
                patch.patch_id,
                expected=PatchStatus.WAITING,
                status=PatchStatus.APPLYING,
                at=now,
                approved_by=patch.approved_by,
                base_commit=patch.base_commit,
                cycle_id=patch.cycle_id,
            )
        try:
            commit = self._repository.commit_patch(
                str(begun.base_commit),
                begun.target,
                source,
                message=begun.explanation or begun.operator,
                trailers={
                    "Menace-Patch": str(begun.patch_id),
                    "Menace-Proposer": begun.proposer,
                    "Menace-Bot": begun.bot,
                },
                at=begun.at,
            )
            begun = self._move(begun, PatchStatus.APPLYING, commit=commit)
        except RepositoryError as error:
            return self._refused(begun, error)
        return self._bring(begun)

    def finish(self) -> None:
        """Finish what a killed process began: an application, a revert."""
        self._repository.sweep()
        for patch in self._open(PatchStatus.APPLYING):
            if patch.commit is None and patch.approved_by is not None:
                self._move(patch, PatchStatus.WAITING)  # a person's yes outlives the process
            elif patch.commit is None:
                self._move(patch, PatchStatus.REJECTED, gates=(*patch.gates, _cut_short()))
            else:
                self._bring(patch)
        for patch in self._open(PatchStatus.REVERTING):
            try:
                self.take_back(patch)
            except CodingError as error:
                logger.warning(
                    "patch %s of %s is still there: %s", patch.patch_id, patch.bot, error
                )

    def adopt(self, cycle_id: int) -> None:
        """Let a cycle answer for the canaries that a person brought in since the last one."""
        for patch in self._open(PatchStatus.CANARY):
            if patch.cycle_id is None:
                self._move(patch, PatchStatus.CANARY, cycle_id=cycle_id)

    def canaries(self) -> list[Patch]:
        """Patches in the code that have not proved themselves yet, oldest first."""
        return list(self._open(PatchStatus.CANARY))

    def holds(self, patch: Patch) -> bool:
        """Whether the branch has the patch: a person may have reset it."""
        return patch.commit is not None and self._repository.holds(patch.commit)

    def keep(self, patch: Patch) -> Patch:
        """Let a canary stay."""
        return self._move(patch, PatchStatus.KEPT)

    def take_back(self, patch: Patch, *, merge: bool = False) -> Patch:
        """Take a patch out of the code again, by a commit of its own.

        Raises
        ------
        PatchConflictError
            If that would destroy later edits; the patch is then as it was.
        RepositoryError
            If git refuses.
        """
        if patch.commit is not None and not self._repository.is_in_a_branch(patch.commit):
            # A person has reset the branch: it is without the patch already.
            return self._move(patch, PatchStatus.REVERTED)
        number = int(patch.patch_id or 0)
        return revert_patch(
            self._repository, self._history, number, at=self._clock.now(), merge=merge
        )

    def _bring(self, patch: Patch) -> Patch:
        try:
            self._repository.bring(str(patch.commit))
        except RepositoryError as error:
            if not self._repository.holds(str(patch.commit)):
                return self._refused(patch, error)
            # A person edited the file between a kill and now: the branch has the patch already.
            logger.warning("patch %s of %s: %s", patch.patch_id, patch.bot, error)
        return self._move(patch, PatchStatus.CANARY)

    def _refused(self, patch: Patch, error: RepositoryError) -> Patch:
        logger.warning("patch %s of %s was not brought in: %s", patch.patch_id, patch.bot, error)
        why = GateReport(BRANCH, passed=False, reason=str(error))
        return self._move(patch, PatchStatus.REJECTED, gates=(*patch.gates, why))

    def _open(self, status: PatchStatus) -> Iterator[Patch]:
        yield from self._history.patches(self._bot, last=LAST, statuses=(status,))

    def _move(self, patch: Patch, status: PatchStatus, **changes: object) -> Patch:
        return self._history.move_patch(
            int(patch.patch_id or 0),
            expected=patch.status,
            status=status,
            at=self._clock.now(),
            **changes,
        )


def proves(patch: Patch, cycle: Cycle) -> bool:
    """Whether a settled cycle lets its canary stay.

    A promotion that earned no less than the model it replaced does; one that lost, was rolled
    back or reports a loss, or a cycle that failed, does not. A rejected challenger refutes a patch
    that promised a better model, and says nothing of one that was shown to repair or to speed up.
    """
    if cycle.outcome == "promoted":
        # A pipeline of the user's own leaves no model to compare: its reported ROI is believed.
        reported = cycle.details.get("roi") if cycle.version is None else None
        return cycle.gain_usd >= 0.0 and (reported is None or float(reported) >= 0.0)
    return cycle.outcome == "rejected" and patch.claim is not Claim.IMPROVES


def _cut_short() -> GateReport:
    return GateReport(BRANCH, passed=False, reason="the process ended before its commit existed")
