"""An engine's parts, put together once it is known what they run on."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from menace.accounting.module_roi_log import ModuleRoiLog, module_log_path
from menace.config import DEFAULT_WIRING, load_dotted
from menace.diagnostic_manager import DiagnosticManager
from menace.errors import MenaceError
from menace.interfaces import StagedPipeline, WindowedPipeline
from menace.records import Decision
from menace.self_improvement_engine.cycle import CanaryKeeper, CodePatcher, CycleRunner
from menace.self_improvement_engine.learning import Learner
from menace.self_improvement_engine.lease import process_identity
from menace.self_improvement_engine.observation import Observer
from menace.self_improvement_engine.patching import cared_bot
from menace.self_improvement_engine.settlement import Settler
from menace.self_improvement_policy import SelfImprovementPolicy
from menace.self_improvement_policy.prior import shipped_prior
from menace.self_improvement_policy.recipes import RECENT

if TYPE_CHECKING:
    from pathlib import Path

    from menace.interfaces import Clock, DiagnosticSource, EventBus, Services, Store
    from menace.records import BotConfig, Issue
    from menace.self_improvement_engine.engine import SelfImprovementEngine

_instances = itertools.count()
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Organs:
    """What an engine works with.

    Attributes
    ----------
    policy_path, state_path
        Where policy and engine state are kept; ``None``: only in memory.
    module_log
        The bot's own log of ROI deltas by module.
    owner
        Who holds the bot's lease: this process and this engine.
    needs_rows
        Whether the pipeline learns from the bot's labelled rows, so that it needs some.
    staged
        Whether the pipeline leaves models that can be scored and served again.
    windows
        Which rows the pipeline can be told to learn from.
    issues, diagnosed_outcomes
        The last diagnosis, and how many outcomes it saw.
    policy_written_ns
        When the policy's file was last written, as far as this process has taken it up.
    last_no
        The last decision, if it said no: repeated looks at the same rows repeat it in its place.
    """

    services: Services
    bot: BotConfig
    policy: SelfImprovementPolicy
    policy_path: Path | None
    state_path: Path | None
    diagnostics: DiagnosticSource
    observer: Observer
    patcher: CodePatcher | None
    runner: CycleRunner
    settler: Settler
    learner: Learner
    module_log: ModuleRoiLog
    owner: str
    needs_rows: bool
    staged: bool
    windows: tuple[str, ...] = (RECENT,)
    issues: tuple[Issue, ...] = ()
    diagnosed_outcomes: int = -1
    policy_written_ns: int | None = None
    last_no: Decision | None = None

    @classmethod
    def of(
        cls,
        engine: SelfImprovementEngine,
        services: Services,
        bot: BotConfig,
        *,
        state_path: Path | None,
    ) -> Organs:
        """Put an engine's parts together: what it was given, and the defaults for the rest."""
        from menace.model_automation_pipeline import ModelAutomationPipeline
        from menace.model_automation_pipeline.window_pipeline import WindowPipeline
        from menace.self_coding_engine import SelfCodingEngine

        pipeline = engine.pipeline or services.pipeline_of(bot) or ModelAutomationPipeline(services)
        patcher = engine.self_coding_engine
        if isinstance(patcher, SelfCodingEngine):
            patcher = patcher.bound_to(cared_bot(services, bot))
            helpers = patcher.helper_code
            if isinstance(pipeline, ModelAutomationPipeline) and helpers and not pipeline.helpers:
                pipeline = pipeline.helped_by(helpers)
        if isinstance(pipeline, WindowPipeline):
            pipeline = pipeline.bound_to(services)
        folder = services.state_folder
        policy, policy_path = _policy(engine, bot, folder)
        if state_path is None and folder is not None:
            state_path = folder / f"{bot.name}.engine.json"
        module_log = ModuleRoiLog(None if folder is None else module_log_path(folder, bot.name))
        return cls(
            services=services,
            bot=bot,
            policy=policy,
            policy_path=policy_path,
            state_path=state_path,
            diagnostics=engine.diagnostics or DiagnosticManager(services.store),
            observer=Observer(services, pipeline),
            patcher=patcher,
            runner=CycleRunner(services, pipeline, patcher),
            settler=Settler(services),
            learner=Learner(
                services.store,
                engine.synergy_step(services.store),
                pipeline=pipeline,
                module_log=module_log,
                meta_logger=engine.meta_logger,
                data_bot=engine.data_bot,
            ),
            module_log=module_log,
            owner=f"{process_identity()}/{next(_instances)}",
            needs_rows=isinstance(pipeline, WindowPipeline),
            staged=isinstance(pipeline, StagedPipeline),
            windows=pipeline.windows if isinstance(pipeline, WindowedPipeline) else (RECENT,),
        )

    def settle(self) -> None:
        """Settle what is due, and let the patches of settled cycles stay or be taken back."""
        self.settler.settle_due(self.bot)
        if isinstance(self.patcher, CanaryKeeper):
            self.patcher.settle(self.bot.name)

    def store_decision(self, decision: Decision) -> Decision:
        """Store a decision; a no that only repeats the last one takes its place."""
        last, replacing = self.last_no, None
        if last is not None and not decision.run and _same_ground(last, decision):
            replacing = last.decision_id
        number = self.services.store.add_decision(decision, replacing=replacing)
        decision = replace(decision, decision_id=number)
        self.last_no = None if decision.run else decision
        return decision

    def record_failure(self, error: Exception) -> None:
        """Note in the store that the bot could not even be looked at, and why."""
        now = self.services.clock.now()
        inputs = {"error": f"{type(error).__name__}: {error}"}
        try:
            self.services.store.add_decision(Decision(self.bot.name, False, "failed", now, inputs))
        except MenaceError as unwritable:
            logger.error("bot %s: its failure could not be stored: %s", self.bot.name, unwritable)

    def diagnosed(self, outcomes: int) -> tuple[Issue, ...]:
        """Diagnose when outcomes have come in since the last time; otherwise remember."""
        if self.diagnosed_outcomes != outcomes:
            self.issues = tuple(self.diagnostics.diagnose(self.bot.name)) if outcomes else ()
            self.diagnosed_outcomes = outcomes
        return self.issues

    def take_up_prior(self) -> None:
        """Take up the prior that another process has taught the policy, else it is written over.

        Only who holds the bot's lease may call it, for only such a one writes the file.
        """
        path = self.policy_path
        if path is None or not path.exists():
            return
        written = path.stat().st_mtime_ns
        if written != self.policy_written_ns:
            self.policy.prior = SelfImprovementPolicy.load(path).prior
            self.policy_written_ns = written

    def deliver_events(self) -> None:
        """Hand committed events to the subscribers; what is not handed over comes next time.

        Without a subscriber here they stay in the outbox, for a process that has one.
        """
        store, bus = self.services.store, self.services.event_bus
        if not bus.has_subscribers():
            return
        while events := store.pending_events(bot=self.bot.name):
            bus.publish(events)
            store.mark_delivered([e.event_id for e in events if e.event_id is not None])


def services_of(
    given: Services | None,
    *,
    store: Store | None,
    event_bus: EventBus | None,
    clock: Clock | None,
) -> Services | None:
    """Find what an engine runs on: what it was given, else the workspace around the folder."""
    services = given
    if services is None:
        services = load_dotted(DEFAULT_WIRING)(store=store)
    if services is None:
        return None
    own = {"store": store, "event_bus": event_bus, "clock": clock}
    return replace(services, **{k: v for k, v in own.items() if v is not None})


def _same_ground(last: Decision, now: Decision) -> bool:
    known = ("row", "outcomes", "champion_version", "budget")
    return last.reason == now.reason and all(
        last.inputs.get(name) == now.inputs.get(name) for name in known
    )


def policy_path(folder: Path, bot: str) -> Path:
    """Say where a bot's policy is kept."""
    return folder / f"{bot}.policy.json"


def new_policy(seed: int) -> SelfImprovementPolicy:
    """Make the policy of a new bot: rent-or-buy, as firmly as many streams bear it out."""
    return SelfImprovementPolicy(rng=seed, prior=shipped_prior())


def _policy(
    engine: SelfImprovementEngine, bot: BotConfig, folder: Path | None
) -> tuple[SelfImprovementPolicy, Path | None]:
    """Find the policy and where it is kept; one that the caller gave is the caller's to keep."""
    if engine.policy is not None:
        return engine.policy, None
    if folder is None:
        return new_policy(engine.seed), None
    path = policy_path(folder, bot.name)
    if path.exists():
        return SelfImprovementPolicy.load(path), path
    return new_policy(engine.seed), path
