"""``SelfCodingEngine``: patches helper code, and keeps a patch only if it proves itself."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from menace.errors import CodingError, MenaceError
from menace.helper_code import HelperCode
from menace.patches import PatchResult, PatchStatus
from menace.records import CycleState
from menace.self_coding_engine import waiting
from menace.self_coding_engine.coding_memory import CodingMemory
from menace.self_coding_engine.memory_history import MemoryPatchHistory
from menace.self_coding_engine.own_code import check_own_code
from menace.self_coding_engine.results import module_of, result_of, shown, why_none
from menace.self_coding_engine.rollout import Rollout, proves
from menace.self_coding_engine.settings import CodingSettings, check_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from menace.interfaces import Clock, PatchHistory
    from menace.patches import Patch
    from menace.records import Cycle, Json
    from menace.self_coding_engine.attempt import Outcome
    from menace.self_coding_engine.cared_bot import CaredBot
    from menace.self_coding_engine.proposal import Proposer
    from menace.self_coding_engine.proposer_archive import ProposerArchive
    from menace.self_coding_engine.repository import Repository
    from menace.self_coding_engine.workshop import Workshop

logger = logging.getLogger(__name__)

HAND_SECONDS = 60.0
"""CPU-seconds of an attempt that a person asks for, unless they say otherwise."""

NOBODY = "nobody"
"""Stands in the history for the bot of a repository that is patched without one."""


class SelfCodingEngine:
    """Patches the helper code of a bot before its pipeline runs.

    Proposals come from several proposers, none of which needs a language model; they are tried out
    in a sandbox only, pass gates (tests, hidden tests, old against new, measurements against the
    noise), and one that passes goes into the user's branch as a commit of its own. Until its cycle
    has settled it is a canary: a bad settlement takes it back by itself.

    Making an engine opens nothing.

    Parameters
    ----------
    repo
        The folder with the code, in a git work tree.
    targets
        Patterns of the files that may change, relative to it.
    tests
        The pytest command that tests it, run there.
    settings
        Everything else; ``repo``, ``targets`` and ``tests`` stand above it where they are given.
    proposers
        In place of those that the settings name.
    optimize_self
        Patch menace's own code, from a checkout, every patch with a person's yes. Read the risks
        first.
    seed
        Of everything random.

    Raises
    ------
    ConfigError
        If a setting is wrong.

    Notes
    -----
    Given to a :class:`~menace.self_improvement_engine.SelfImprovementEngine` it is bound to the
    bot: its store keeps the history, its rows judge feature code, its energy is the budget. By
    itself it remembers patches as long as it lives, and nothing settles them: they are kept.
    """

    def __init__(
        self,
        repo: str | Path | None = None,
        targets: Sequence[str] | None = None,
        tests: str | None = None,
        *,
        settings: CodingSettings | None = None,
        proposers: Sequence[Proposer] | None = None,
        optimize_self: bool = False,
        seed: int = 0,
    ) -> None:
        chosen = CodingSettings() if settings is None else settings
        given: dict[str, Any] = {
            "repository": None if repo is None else str(repo),
            "targets": None if targets is None else tuple(targets),
            "tests": tests,
        }
        chosen = dataclasses.replace(chosen, **{k: v for k, v in given.items() if v is not None})
        if optimize_self:
            chosen = dataclasses.replace(chosen, approval="person")
        check_settings(chosen, where="SelfCodingEngine")
        self.settings = chosen
        self.optimize_self = optimize_self
        self.seed = seed
        self._proposers = proposers
        self._cared: CaredBot | None = None
        self._own_history = MemoryPatchHistory()
        self._memory: CodingMemory | None = None

    @property
    def folder(self) -> Path:
        """The folder with the code, absolute."""
        return Path(self.settings.repository).expanduser().absolute()

    @property
    def helper_code(self) -> HelperCode | None:
        """Where the bot's feature helper lies; ``None`` where the settings name none."""
        if self.settings.features is None:
            return None
        return HelperCode.parse(self.folder, self.settings.features)

    @property
    def history(self) -> PatchHistory:
        """Where patches are remembered: the bot's store, or this engine's memory."""
        return self._own_history if self._cared is None else self._cared.store

    def bound_to(self, cared: CaredBot) -> Self:
        """Return an engine for the same code that works for this bot."""
        bound = copy.copy(self)
        bound._cared, bound._memory = cared, None
        return bound

    def patch(self, bot_name: str, *, energy: int, cycle_id: int | None = None) -> Json:
        """Try to improve the code within a cycle's energy.

        What goes wrong here is told in the answer: it is no reason not to retrain the model.

        Parameters
        ----------
        bot_name
            The bot whose cycle it is.
        energy
            The cycle's, 1..100; patching may use ``energy_share`` of what it buys.
        cycle_id
            The cycle that answers for the patch; one that is resumed makes no second patch.

        Returns
        -------
        dict
            ``status`` (that of the patch, ``none`` or ``failed``), ``patch_id``, ``message``,
            ``modules`` that were changed, ``cpu_seconds``, ``budget_seconds``, ``usd`` (what a
            language model cost), ``energy_used``.
        """
        per_unit = 1.0 if self._cared is None else self._cared.bot.seconds_per_energy
        budget = per_unit * max(energy * self.settings.energy_share, float(self.settings.energy))
        spent = _Spent()
        try:
            result = self._patch_in_cycle(bot_name, budget, cycle_id, spent)
        except MenaceError as error:
            logger.warning("bot %s: its code was not patched: %s", bot_name, error)
            result = PatchResult(None, "failed", reverted=True, message=str(error))
        brought = result.status in {PatchStatus.CANARY, PatchStatus.KEPT}
        found = None if result.patch_id is None else self.history.patch(result.patch_id)
        return {
            "status": str(result.status),
            "patch_id": result.patch_id,
            "message": result.message,
            "modules": [module_of(found.target)] if brought and found is not None else [],
            "cpu_seconds": spent.seconds,
            "budget_seconds": budget if spent.seconds else 0.0,
            "usd": spent.usd,
            "energy_used": min(energy - 1, math.ceil(spent.seconds / per_unit)),
        }

    def apply_patch(
        self,
        path: str | Path,
        description: str = "",
        *,
        dry_run: bool = False,
        seconds: float = HAND_SECONDS,
        told: Callable[[str], None] = lambda _phrase: None,
    ) -> PatchResult:
        """Try to patch one file now.

        Parameters
        ----------
        path
            The file: relative to the repository, or absolute.
        description
            What is wanted, in a person's words; a language model reads it.
        dry_run
            Show what would be done; nothing is changed or remembered.
        seconds
            CPU-seconds for proposing and judging, > 0.
        told
            Is told what is going on, a phrase at a time.

        Returns
        -------
        PatchResult
            ``canary`` (or ``kept``, without a bot) where a patch went in; ``rejected``,
            ``waiting`` for a person, ``proposed`` (a dry run, or no sandbox here) or ``none``.

        Raises
        ------
        CodingError
            If the file is no target, or there is a canary in it already.
        RepositoryError
            If git refuses, or the file has uncommitted edits.
        """
        target = self._relative(path)
        repository = self._opened()
        rollout = self._rollout(repository)
        if not dry_run:
            rollout.finish()
        self._check_free(rollout, target)
        workshop = self._workshop(repository, told)
        outcome = workshop.attempt(target, description=description, seconds=seconds)
        if dry_run:
            return shown(outcome, workshop)
        return self._concluded(rollout, workshop, outcome, cycle_id=None)

    def targets_in_turn(self, bot_name: str) -> list[str]:
        """List the files that may be patched now, the one that was tried longest ago first."""
        workshop = self._workshop(self._opened(), lambda _phrase: None)
        return workshop.targets_in_turn(self.history.patches(bot_name, last=200))

    def settle(self, bot_name: str) -> None:
        """Let the canaries of settled cycles stay, or take them back.

        A patch that cannot be taken back, because of later edits or because its repository is gone,
        stays a canary: the log says so, and the bot is cared for all the same.
        """
        if self._cared is None:
            return
        store = self._cared.store
        waiting = store.patches(bot_name, last=100, statuses=(PatchStatus.CANARY,))
        due = [p for p in waiting if p.cycle_id is not None and self._is_settled(p.cycle_id)]
        if not due:
            return
        try:
            rollout = self._rollout(self._opened())
        except CodingError as error:
            logger.warning("bot %s: its patches cannot be looked at: %s", bot_name, error)
            return
        for patch in due:
            try:
                self._settle(rollout, patch, store.cycle(int(patch.cycle_id or 0)))
            except MenaceError as error:
                logger.warning("bot %s: patch %s stays: %s", bot_name, patch.patch_id, error)

    def _settle(self, rollout: Rollout, patch: Patch, cycle: Cycle) -> None:
        if proves(patch, cycle) and rollout.holds(patch):
            rollout.keep(patch)
            return
        # A merge keeps every later edit, and is refused where it cannot.
        rollout.take_back(patch, merge=True)
        self._lost(patch)

    def _lost(self, patch: Patch) -> None:
        """Let the archive know that a patch did not prove itself."""
        memory = self._remembered()
        memory.archive.lost(str(patch.parameters.get("situation", "")), patch.proposer)
        memory.save()

    def revert(self, patch_id: int, *, merge: bool = False) -> PatchResult:
        """Take a patch out of the code again.

        Parameters
        ----------
        merge
            Where the file was edited since: merge, if that destroys none of those edits.

        Raises
        ------
        PatchStateError
            If there is no such patch, or it is not in the code.
        PatchConflictError
            If later edits would be lost; it names their lines.
        RepositoryError
            If git refuses, or the file has uncommitted edits.
        """
        patch = self.history.patch(patch_id)
        taken_back = self._rollout(self._opened()).take_back(patch, merge=merge)
        self._lost(patch)
        return result_of(taken_back)

    def proposers(self) -> ProposerArchive:
        """Give what was learned about who wins where."""
        return self._remembered().archive

    def _patch_in_cycle(
        self, bot_name: str, budget: float, cycle_id: int | None, spent: _Spent
    ) -> PatchResult:
        """Bring at most one patch in; what that takes is added to ``spent`` as it goes."""
        repository = self._opened()
        rollout = self._rollout(repository)
        rollout.finish()
        done = [p for p in rollout.canaries() if p.cycle_id == cycle_id and cycle_id is not None]
        if done:
            spent.seconds += done[-1].cpu_seconds
            return result_of(done[-1])
        if cycle_id is not None:
            rollout.adopt(cycle_id)
        if rollout.canaries():
            why = "a patch in the code has not settled yet"
            return PatchResult(None, "none", reverted=True, message=why)
        granted = self._granted(repository)
        if granted is not None:
            patch, source = granted
            patch = dataclasses.replace(patch, cycle_id=cycle_id)
            return self._brought(rollout, patch, source)
        if self._remembered().archive.rests():
            self._remembered().save()
            why = "earlier attempts found nothing: it rests for some cycles"
            return PatchResult(None, "none", reverted=True, message=why)
        if budget < self.settings.least_seconds:
            least = self.settings.least_seconds
            why = f"the energy buys {budget:g} s for patching, and {least:g} s is least"
            return PatchResult(None, "none", reverted=True, message=why)
        workshop = self._workshop(
            repository, lambda phrase: logger.info("%s: %s", bot_name, phrase)
        )
        result = PatchResult(None, "none", reverted=True, message="nothing was proposed")
        for target in workshop.targets_in_turn(self.history.patches(bot_name, last=200)):
            try:
                outcome = workshop.attempt(target, seconds=budget - spent.seconds)
            finally:
                spent.seconds += workshop.spent_seconds
            spent.usd += outcome.usd
            result = self._concluded(rollout, workshop, outcome, cycle_id=cycle_id)
            left = budget - spent.seconds
            if outcome.winner is not None or left < self.settings.least_seconds:
                break
        self._remembered().archive.attempted(
            found=result.status not in {"none", PatchStatus.REJECTED}
        )
        self._remembered().save()
        return result

    def _concluded(
        self, rollout: Rollout, workshop: Workshop, outcome: Outcome, *, cycle_id: int | None
    ) -> PatchResult:
        """Put an attempt on record, and its winner into the code."""
        memory, situation = self._remembered(), workshop.situation
        for proposer, seconds in outcome.asked.items():
            won = outcome.winner is not None and outcome.winner.proposal.proposer == proposer
            memory.archive.add(situation, proposer, won=won, cpu_seconds=seconds)
        self._remembered().save()
        rejects = [
            self.history.add_patch(workshop.record(judged, PatchStatus.REJECTED, cycle_id=cycle_id))
            for judged in outcome.rejects
        ]
        winner = outcome.winner
        if winner is None:
            message = why_none(outcome)
            if not rejects:
                return PatchResult(None, "none", reverted=True, message=message)
            return dataclasses.replace(result_of(rejects[-1]), message=message)
        if workshop.held is not None:
            record = workshop.record(winner, PatchStatus.PROPOSED, cycle_id=cycle_id)
            return dataclasses.replace(
                result_of(self.history.add_patch(record)), message=workshop.held
            )
        why = workshop.needs_a_person(winner)
        if why is not None:
            patch = workshop.record(winner, PatchStatus.WAITING, cycle_id=None)
            return self._asked(patch, winner.proposal.source, why)
        record = workshop.record(winner, PatchStatus.APPLYING, cycle_id=cycle_id)
        return self._brought(rollout, record, winner.proposal.source)

    def _brought(self, rollout: Rollout, patch: Patch, source: str) -> PatchResult:
        applied = rollout.apply(patch, source)
        if applied.status is PatchStatus.CANARY and self._cared is None:
            applied = rollout.keep(applied)
        return result_of(applied)

    def _asked(self, patch: Patch, source: str, why: str) -> PatchResult:
        """Leave a patch with a question to a person."""
        if self._cared is None:
            added = self.history.add_patch(patch)
            return dataclasses.replace(result_of(added), message=f"{why}; a person has to decide")
        added, question = waiting.ask(self._cared, patch, source, why)
        told = f"{why}; it waits for a person: menace approvals grant {question.approval_id}"
        return dataclasses.replace(result_of(added), message=told)

    def _granted(self, repository: Repository) -> tuple[Patch, str] | None:
        return None if self._cared is None else waiting.granted(self._cared, repository)

    def _check_free(self, rollout: Rollout, target: str) -> None:
        for patch in rollout.canaries():
            if patch.target == target:
                raise CodingError(
                    f"patch {patch.patch_id} in {target} has not proved itself yet.",
                    bot=patch.bot,
                    remedy="wait for its cycle to settle, or: "
                    f"menace patches revert {patch.patch_id}",
                )

    def _is_settled(self, cycle_id: int) -> bool:
        cared = self._cared
        return cared is not None and cared.store.cycle(cycle_id).state is CycleState.SETTLED

    def _relative(self, path: str | Path) -> str:
        """Say a file's name in the repository."""
        given = Path(path)
        if given.is_absolute():
            if not given.is_relative_to(self.folder):
                raise CodingError(
                    f"{given} is not in {self.folder}.", remedy="name one of its files"
                )
            given = given.relative_to(self.folder)
        return given.as_posix()

    def _opened(self) -> Repository:
        from menace.self_coding_engine.repository import Repository

        check_own_code(self.folder, optimize_self=self.optimize_self)
        return Repository(self.folder)

    def _rollout(self, repository: Repository) -> Rollout:
        cared = self._cared
        clock: Clock = _WallClock() if cared is None else cared.clock
        bot = NOBODY if cared is None else cared.bot.name
        return Rollout(repository, self.history, clock, bot=bot)

    def _workshop(self, repository: Repository, told: Callable[[str], None]) -> Workshop:
        from menace.self_coding_engine.workshop import Workshop

        return Workshop(
            repository,
            self.settings,
            cared=self._cared,
            history=self.history,
            memory=self._remembered(),
            proposers=self._proposers,
            seed=self.seed,
            told=told,
        )

    def _remembered(self) -> CodingMemory:
        if self._memory is None:
            self._memory = CodingMemory.load(self._cared.state_path if self._cared else None)
        return self._memory


@dataclasses.dataclass(slots=True)
class _Spent:
    """What patching used in a cycle: CPU-seconds, and USD besides."""

    seconds: float = 0.0
    usd: float = 0.0


class _WallClock:
    """The time of this machine, for an engine that works for no bot."""

    def now(self) -> float:
        return time.time()
