"""The workshop: a checkout, a sandbox, the proposers and the gates, put together for attempts."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from menace.errors import CodingError, SandboxError
from menace.patches import Patch, PatchStatus
from menace.self_coding_engine.attempt import (
    DIGEST,
    Outcome,
    attempt,
    refused_before,
    situation_of,
)
from menace.self_coding_engine.attempt_sandbox import AttemptSandbox, hidden_places, places_of_tests
from menace.self_coding_engine.diffs import unified_diff
from menace.self_coding_engine.gates import AllowedFilesGate
from menace.self_coding_engine.gates.mutation_score import digest_with_tests
from menace.self_coding_engine.judging import make_judge
from menace.self_coding_engine.proposal import CodingTask
from menace.self_coding_engine.proposers.registry import open_proposers
from menace.self_coding_engine.sandbox import Sandbox
from menace.self_coding_engine.workbench import SandboxWorkbench

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from menace.interfaces import PatchHistory
    from menace.self_coding_engine.attempt import Judged
    from menace.self_coding_engine.cared_bot import CaredBot
    from menace.self_coding_engine.coding_memory import CodingMemory
    from menace.self_coding_engine.proposal import Proposer
    from menace.self_coding_engine.repository import Repository
    from menace.self_coding_engine.settings import CodingSettings

logger = logging.getLogger(__name__)

_IN_THE_CODE = (PatchStatus.CANARY, PatchStatus.KEPT)
HISTORY = 200
"""Earlier patches of a bot that an attempt is told of, the newest."""


class Workshop:
    """Attempts patches on one commit of a repository.

    Parameters
    ----------
    repository
        The user's; only its present commit is read.
    settings
        What may be patched and how it is judged.
    cared
        The bot, if the code is one's.
    history
        Earlier patches.
    memory
        Says whom to ask first, and how good tests were.
    proposers
        In place of those that the settings name.
    seed
        Of everything random.
    told
        Is told what is going on, a phrase at a time.

    Attributes
    ----------
    base
        The commit that everything is made on.
    held
        Why nothing may go into the code: there is no sandbox here. ``None`` where there is one.
    situation
        That of the last attempt, as the archive knows it.
    spent_seconds
        CPU-seconds that the last attempt used, also where it raised.
    """

    def __init__(
        self,
        repository: Repository,
        settings: CodingSettings,
        *,
        cared: CaredBot | None,
        history: PatchHistory,
        memory: CodingMemory,
        proposers: Sequence[Proposer] | None,
        seed: int,
        told: Callable[[str], None],
    ) -> None:
        self._repository = repository
        self._settings = settings
        self._cared = cared
        self._history = history
        self._memory = memory
        self._told = told
        self._seed = seed
        self._proposers = (
            open_proposers(settings.proposers, settings) if proposers is None else list(proposers)
        )
        self.base = repository.head()
        self.situation = ""
        self.spent_seconds = 0.0
        self.held: str | None = None
        self._sandbox: Sandbox | None = None
        try:
            self._sandbox = Sandbox.find()
        except SandboxError as error:
            self.held = f"nothing was applied: {error.message}"
            logger.warning("patches are proposed only: %s", error)
        self._task: CodingTask | None = None
        self._digest = ""

    def targets_in_turn(self, history: Sequence[Patch]) -> list[str]:
        """List the files that may be patched now, the one that was tried longest ago first.

        A file with a patch that waits for a person, or with uncommitted edits, is left out.
        """
        tried = {patch.target: patch.at for patch in history}
        waiting = {p.target for p in history if p.status is PatchStatus.WAITING}
        found = self._targets()
        free = [t for t in found if t not in waiting and self._repository.is_clean(t)]
        return sorted(free, key=lambda target: (tried.get(target, 0.0), target))

    def attempt(self, target: str, *, seconds: float, description: str = "") -> Outcome:
        """Ask the proposers for one patch of one file.

        Raises
        ------
        CodingError
            If the file is no target.
        RepositoryError
            If it has uncommitted edits, or git refuses.
        """
        self._check_target(target)
        sandbox = self._attempt_sandbox()
        with self._repository.worktree(self.base) as root:
            source = self._repository.read(self.base, target)
            self._digest = digest_with_tests(root, places_of_tests(self._settings), source)
            rows, cared = self._rows(target), self._cared
            with SandboxWorkbench(
                sandbox,
                root=root,
                target=target,
                settings=self._settings,
                seconds=seconds,
                rows=rows,
                bot=None if cared is None else cared.bot,
                judge=None if cared is None else cared.judge,
            ) as workbench:
                try:
                    self._told(f"{target}: running its tests")
                    report = workbench.run_tests(source, lines=True)
                    self._task = CodingTask(
                        root=root,
                        target=target,
                        source=source,
                        description=description,
                        report=report,
                        rows=rows,
                        bot=None if cared is None else cared.bot,
                        history=[patch for patch in self._earlier() if patch.target == target],
                        rankings=[] if cared is None else cared.rankings(),
                        seed=self._seed,
                    )
                    return self._asked(self._task, workbench, sandbox)
                finally:
                    self.spent_seconds = workbench.cpu_seconds

    def _earlier(self) -> list[Patch]:
        bot = None if self._cared is None else self._cared.bot.name
        return self._history.patches(bot, last=HISTORY)

    def _asked(
        self, task: CodingTask, workbench: SandboxWorkbench, sandbox: AttemptSandbox | None
    ) -> Outcome:
        """Ask the proposers about a task, in the order of what they have won."""
        import numpy as np

        settings = self._settings
        self.situation = situation_of(
            task, feature_file=settings.feature_file, measured=settings.measure is not None
        )
        # One stream per attempt, so that who is asked first repeats with the history.
        rng = np.random.default_rng([self._seed, len(self._earlier())])
        names = [proposer.name for proposer in self._proposers]
        turn = self._memory.archive.order(self.situation, names, rng)
        judge = make_judge(
            sandbox,
            workbench,
            settings,
            known_scores=self._memory.mutation_scores,
            told=self._told,
        )
        return attempt(
            task,
            sorted(self._proposers, key=lambda proposer: turn.index(proposer.name)),
            workbench,
            judge,
            refused=refused_before(task.history, self._digest),
            told=self._told,
        )

    def record(self, judged: Judged, status: PatchStatus, *, cycle_id: int | None) -> Patch:
        """Write a judged proposal of the last attempt as a patch."""
        proposal, task = judged.proposal, self._task
        if task is None:
            raise CodingError("there was no attempt yet.")
        before = [patch for patch in task.history if patch.status in _IN_THE_CODE]
        deltas: dict[str, float] = {}
        for report in judged.gates:
            deltas.update(report.figures.get("deltas", {}))
        return Patch(
            bot="nobody" if self._cared is None else self._cared.bot.name,
            target=proposal.target,
            proposer=proposal.proposer,
            operator=proposal.operator,
            claim=proposal.claim,
            status=status,
            at=self._now(),
            explanation=proposal.explanation,
            diff=unified_diff(task.source, proposal.source, proposal.target),
            parameters={
                **proposal.parameters,
                "situation": self.situation,
                DIGEST: self._digest,
            },
            seed=self._seed,
            cycle_id=cycle_id,
            parent_id=before[-1].patch_id if before else None,
            base_commit=self.base,
            gates=judged.gates,
            deltas=deltas,
            cpu_seconds=judged.cpu_seconds,
        )

    def needs_a_person(self, judged: Judged) -> str | None:
        """Say why a proposal that passed may not go in by itself; ``None`` if it may."""
        if self._settings.approval == "person":
            return "every patch of this code wants a person's yes"
        for report in judged.gates:
            if report.figures.get("weak"):
                return report.reason
        return None

    def _attempt_sandbox(self) -> AttemptSandbox | None:
        if self._sandbox is None:
            return None
        hidden = hidden_places(self._settings.tests, self._settings.hidden_tests)
        return AttemptSandbox(self._sandbox, hide=hidden)

    def _targets(self) -> list[str]:
        settings = self._settings
        gate = AllowedFilesGate(
            settings.targets, tests=settings.tests, hidden_tests=settings.hidden_tests
        )
        return [path for path in self._repository.paths(self.base) if gate.may_change(path)]

    def _check_target(self, target: str) -> None:
        targets = self._targets()
        if target not in targets:
            raise CodingError(
                f"{target} is none of the files that may be patched.",
                remedy=f"there are: {', '.join(targets) or 'none'}; targets are "
                f"{', '.join(self._settings.targets)}, as committed",
            )
        if not self._repository.is_clean(target):
            raise CodingError(
                f"{target} has edits that are not committed.",
                remedy="commit or undo them; menace does not touch what you have not committed",
            )

    def _rows(self, target: str) -> pd.DataFrame | None:
        if self._cared is None or target != self._settings.feature_file:
            return None
        return self._cared.rows()

    def _now(self) -> float:
        return time.time() if self._cared is None else self._cared.clock.now()
