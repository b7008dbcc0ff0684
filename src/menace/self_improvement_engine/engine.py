"""``SelfImprovementEngine``: cares for one bot, from observing to learning."""

from __future__ import annotations

import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from menace.accounting.energy_budget import validated_energy
from menace.accounting.module_roi_log import ModuleRoiLog
from menace.config import LoopSettings
from menace.errors import NoDataWarning, UnknownBotError
from menace.records import AutomationResult, Decision
from menace.self_improvement_engine.absence import why_no_data
from menace.self_improvement_engine.deciding import Decider
from menace.self_improvement_engine.engine_state import EngineState, iso_utc
from menace.self_improvement_engine.learning import ModuleRankings
from menace.self_improvement_engine.lease import check_held, lease
from menace.self_improvement_engine.organs import Organs, services_of
from menace.self_improvement_engine.synergy_step import (
    KAPPA,
    SynergyStep,
    default_learner,
    shock_of,
)
from menace.self_improvement_engine.trigger import ROLL_BACK
from menace.synergy import synergy_sum

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractContextManager

    from menace.data_bot import DataBot
    from menace.interfaces import (
        Clock,
        DiagnosticSource,
        EnergyScorer,
        EventBus,
        Pipeline,
        Services,
        Store,
    )
    from menace.records import BotConfig, Json, ModelVersion
    from menace.self_improvement_engine.cycle import CodePatcher
    from menace.self_improvement_engine.learning import ModuleLogger
    from menace.self_improvement_engine.schedule import Schedule
    from menace.self_improvement_engine.synergy_step import SynergyLearner
    from menace.self_improvement_policy import SelfImprovementPolicy


class SelfImprovementEngine:
    """Watches one bot and improves it when that is worth its cost.

    Without a store or services of its own, the engine uses the workspace of the current folder,
    looked up when it is first used. Making an engine opens nothing, save a ``state_path`` that is
    read at once.

    Parameters
    ----------
    bot_name
        The bot.
    pipeline
        Makes challengers; any object with ``run(bot_name, energy) -> AutomationResult``. The
        workspace's tabular pipeline by default.
    policy
        Judges whether a cycle pays. By default the bot's own, kept in the workspace.
    diagnostics
        Finds issues; by default a :class:`~menace.diagnostic_manager.DiagnosticManager`.
    data_bot
        Gets a metric sample ``roi_delta`` for every settled cycle, if given.
    capital_bot
        Has ``energy_score(load, success_rate, deploy_eff, failure_rate)``; scales the energy of
        cycles that nobody asked for by number.
    self_coding_engine
        Patches the bot's helper code before the pipeline runs: a
        :class:`~menace.self_coding_engine.SelfCodingEngine`, or anything with
        ``patch(bot_name, *, energy, cycle_id)``.
    event_bus, store, clock
        In place of the workspace's.
    meta_logger
        Has ``log_cycle(cycle, roi, modules, reason)``, called for every settled cycle, such as a
        :class:`~menace.accounting.ModuleRoiLog`. With one, the trend of the best-ranked module that
        the last cycle changed enters the policy's state.
    synergy_learner
        Learns how much each synergy metric counts, from every settled cycle; by default a
        :class:`~menace.synergy.SynergyWeightLearner`, kept in the workspace. One per engine.
    synergy_kappa
        Weight κ of the synergy sum in the policy's reward.
    interval
        Seconds after which a cycle runs whatever the policy says; ``None``: never for that reason.
    state_path
        JSON file of ROI deltas, their EMA and the time of the last cycle. In a workspace there is
        one by default.
    roi_ema_alpha
        α of ``ema ← (1 − α)·ema + α·delta``, in (0, 1].
    seed
        Seed of the default policy.
    services
        Everything at once, put together by hand.

    Raises
    ------
    StateFileError
        If ``state_path`` is torn, foreign or newer.
    """

    def __init__(
        self,
        bot_name: str,
        *,
        pipeline: Pipeline | None = None,
        policy: SelfImprovementPolicy | None = None,
        diagnostics: DiagnosticSource | None = None,
        data_bot: DataBot | None = None,
        capital_bot: EnergyScorer | None = None,
        self_coding_engine: CodePatcher | None = None,
        event_bus: EventBus | None = None,
        meta_logger: ModuleLogger | None = None,
        synergy_learner: SynergyLearner | None = None,
        synergy_kappa: float = KAPPA,
        store: Store | None = None,
        interval: float | None = None,
        state_path: str | Path | None = None,
        roi_ema_alpha: float = 0.1,
        seed: int = 0,
        clock: Clock | None = None,
        services: Services | None = None,
    ) -> None:
        self.bot_name = bot_name
        self.pipeline = pipeline
        self.policy = policy
        self.diagnostics = diagnostics
        self.data_bot = data_bot
        self.capital_bot = capital_bot
        self.self_coding_engine = self_coding_engine
        self.meta_logger = meta_logger
        self.synergy_learner = synergy_learner
        self.synergy_kappa = synergy_kappa
        self.interval = interval
        self.seed = seed
        self._event_bus, self._store, self._clock = event_bus, store, clock
        self._given_services = services
        self._alpha = roi_ema_alpha
        self._state_path = Path(state_path) if state_path is not None else None
        self._state: EngineState | None = None
        if self._state_path is not None:
            self._state = EngineState.load(self._state_path, bot=bot_name, alpha=roi_ema_alpha)
        self._organs: Organs | None = None
        # One call at a time: two threads of one process share the lease's owner.
        self._turn = threading.RLock()
        self._requested = False
        self._retired = False
        self._warned = False
        self._schedule: Schedule | None = None

    @property
    def roi_deltas(self) -> list[float]:
        """The last 1,000 ROI deltas, oldest first, dimensionless."""
        return list(self._engine_state().roi.deltas)

    @property
    def roi_delta_ema(self) -> float | None:
        """EMA of the ROI deltas; ``None`` before the first."""
        return self._engine_state().roi.ema

    @property
    def last_cycle_at(self) -> str | None:
        """When the last cycle began: UTC, ISO 8601; ``None`` before the first."""
        return iso_utc(self._engine_state().last_cycle_at)

    @property
    def module_log(self) -> ModuleRoiLog:
        """ROI deltas by module: the log that was passed, or else the bot's own."""
        if isinstance(self.meta_logger, ModuleRoiLog):
            return self.meta_logger
        organs = self._wired()
        return ModuleRoiLog() if organs is None else organs.module_log

    def rankings(self) -> list[tuple[str, float]]:
        """Modules of the bot and the sums of their ROI deltas, best first.

        Of ``meta_logger`` where it ranks, else of the bot's own log.
        """
        return self._rankings().rankings()

    def diminishing(self, threshold: float | None = None, consecutive: int = 3) -> list[str]:
        """Modules whose last deltas brought nothing, each told once until it moves again.

        See :meth:`menace.accounting.ModuleRoiLog.diminishing`.
        """
        return self._rankings().diminishing(threshold, consecutive)

    def request_cycle(self) -> None:
        """Ask for a cycle at the next decision, whatever the policy says."""
        self._requested = True

    def _should_trigger(self, energy: int | None = None) -> Decision:
        """Decide whether a cycle is worth its cost now. The decision is stored, also a no.

        Parameters
        ----------
        energy
            Budget that the caller has in mind, 1..100.

        Returns
        -------
        Decision
            Truthy when it says run; its inputs are all that was known.

        Raises
        ------
        UnknownBotError
            If the store has no such bot.
        """
        organs = self._wired()
        if organs is None:
            return Decision(self.bot_name, True, "no such bot here", time.time())
        return self._decider(organs).decide(energy, requested=self._requested)

    def run_cycle(self, energy: int = 1) -> AutomationResult:
        """Take new rows in and run a cycle now.

        A cycle that a killed process left is gone on with instead of a second one.

        Parameters
        ----------
        energy
            Budget, 1..100; one unit buys ``seconds_per_energy`` CPU-seconds.

        Returns
        -------
        AutomationResult
            ``promoted``, ``rejected``, ``failed`` or ``no_data``.

        Raises
        ------
        EnergyError
            If ``energy`` is no whole number in 1..100.
        DataError
            If the source or its rows are wrong; nothing is changed.
        CycleConflictError
            If another process cares for the bot at this moment.
        """
        energy = validated_energy(energy, bot=self.bot_name)
        organs = self._wired()
        if organs is None:
            return self._no_data(energy)
        with self._turn, self._lease(organs) as held:
            check_held(held, self.bot_name)
            resumed = self._take_in(organs, partial=True)
            if resumed is not None:
                return resumed
            self._requested = True
            return self._run(organs, self._should_trigger(energy))

    def tick(self, energy: int | None = None) -> tuple[Decision, AutomationResult | None]:
        """Take new rows in, settle what is due, decide, and run a cycle if that pays.

        Where an archived model leads clearly, and by more than a cycle would bring, it serves
        again instead; the decision's reason is then ``roll back``.

        Parameters
        ----------
        energy
            Base of a cycle's budget, which the past and the policy stretch or shrink; by default
            what the capital position allows. Without a ``capital_bot`` 1 is the default, and stays.

        Returns
        -------
        decision, result
            The result is ``None`` when the decision says no.

        Raises
        ------
        DataError, UnknownBotError, EnergyError
            As :meth:`run_cycle`.
        """
        if energy is not None:
            energy = validated_energy(energy, bot=self.bot_name)
        organs = self._wired()
        if organs is None:
            return self._should_trigger(), self._no_data(energy or 1)
        with self._turn, self._lease(organs) as held:
            if self._retired or not held:
                why = "retired" if self._retired else "another process cares for it"
                return Decision(self.bot_name, False, why, organs.services.clock.now()), None
            resumed = self._take_in(organs, partial=False)
            decision = self._should_trigger(energy)
            if not decision:
                if decision.reason == ROLL_BACK:
                    self._go_back(organs, to=decision.inputs["roll_back"]["to"])
                organs.deliver_events()
                return decision, resumed
            return decision, self._run(organs, decision)

    def roll_back(self, *, to: int | None = None) -> ModelVersion:
        """Let a former champion serve again, at no training cost.

        A cycle whose model this ends is settled with the rows it had.

        Parameters
        ----------
        to
            The version; by default the champion before the present one.

        Raises
        ------
        UnknownVersionError
            If there is no such version, or none before the present one.
        UnknownBotError
            If there is no such bot here.
        CycleConflictError
            If another process cares for the bot at this moment.
        """
        organs = self._wired()
        if organs is None:
            raise UnknownBotError("there is no such bot here.", bot=self.bot_name)
        with self._turn, self._lease(organs) as held:
            check_held(held, self.bot_name)
            version = self._go_back(organs, to=to)
            organs.deliver_events()
        return version

    def _go_back(self, organs: Organs, *, to: int | None) -> ModelVersion:
        version = organs.settler.roll_back(organs.bot, to=to)
        organs.settle()
        self._learn(organs)
        return version

    def record_failure(self, error: Exception) -> None:
        """Note in the store that the bot could not even be looked at, and why."""
        if self._organs is not None:
            self._organs.record_failure(error)

    @property
    def poll_seconds(self) -> float:
        """Pause between two looks of a schedule, as the workspace has it."""
        organs = self._organs
        return (
            LoopSettings().poll_seconds if organs is None else organs.services.settings.poll_seconds
        )

    async def schedule(self) -> asyncio.Task[None]:
        """Begin to tick in the background, every ``poll_seconds``; returns the task.

        Scheduling twice returns the task that runs already.
        """
        from menace.self_improvement_engine.schedule import Schedule

        if self._schedule is None or self._schedule.task.done():
            self._schedule = Schedule(self)
        return self._schedule.task

    async def shutdown_schedule(self) -> None:
        """Stop ticking; a cycle that is under way finishes first."""
        if self._schedule is not None:
            schedule, self._schedule = self._schedule, None
            await schedule.stop()

    def retire(self) -> None:
        """Tick no more, whoever asks; a cycle that is under way finishes first. From any thread."""
        self._retired = True
        if self._schedule is not None:
            self._schedule.end_soon()
        with self._turn:  # whoever has it now is done when we get it
            self._requested = False

    def _take_in(self, organs: Organs, *, partial: bool) -> AutomationResult | None:
        """Finish what was left, observe, settle and learn; returns a resumed cycle's result."""
        organs.bot = organs.services.store.bot(self.bot_name)
        organs.take_up_prior()
        self._learn(organs)
        resumed = organs.runner.resume(organs.bot)
        organs.observer.observe(organs.bot, partial=partial)
        organs.settle()
        self._learn(organs)
        organs.deliver_events()
        return resumed

    def _run(self, organs: Organs, decision: Decision) -> AutomationResult:
        self._requested = False
        budget, plan = decision.inputs["budget"], decision.inputs["plan"]
        labelled_rows = organs.services.store.snapshot(self.bot_name).loop.labelled_rows
        if organs.needs_rows and labelled_rows == 0:
            return self._no_data(int(budget["energy"]), organs.bot)
        state = self._engine_state()
        state.last_cycle_at = organs.services.clock.now()
        details: Json = {
            "reason": decision.reason,
            "policy_state": decision.inputs.get("policy_state"),
            "budget": budget,
            "shock": shock_of(organs.services.store, decision).to_json(),
            "expected_cost_usd": plan["cost_usd"],
            "plan": plan,
        }
        result = organs.runner.run(
            organs.bot, decision, energy=int(plan["energy"]), details=details
        )
        organs.settle()
        self._learn(organs)
        state.save(organs.state_path)
        organs.deliver_events()
        return result

    def _decider(self, organs: Organs) -> Decider:
        return Decider(
            organs,
            roi=self._engine_state().roi,
            gains=self._engine_state().gains,
            interval=self.interval,
            capital_bot=self.capital_bot,
            module_log=self.module_log if self.meta_logger is not None else None,
            synergy_sum=self._synergy_sum(),
        )

    def _rankings(self) -> ModuleRankings:
        if isinstance(self.meta_logger, ModuleRankings):
            return self.meta_logger
        return self.module_log

    def _learn(self, organs: Organs) -> None:
        state = self._engine_state()
        for _ in organs.learner.catch_up(self.bot_name, organs.policy, state):
            if organs.policy_path is not None:
                organs.policy.save(organs.policy_path)
            state.save(organs.state_path)

    def synergy_step(self, store: Store) -> SynergyStep:
        """Make the part of learning that measures synergy and has the learner learn from it."""
        return SynergyStep(
            store, self._synergy, self._update_synergy_weights, kappa=self.synergy_kappa
        )

    def _update_synergy_weights(self, roi_delta: float) -> None:
        """Have the learner learn from a cycle and the newest rolling change of each metric."""
        self._synergy().update(roi_delta, self._engine_state().synergy.deltas())

    def _synergy(self) -> SynergyLearner:
        if self.synergy_learner is None:
            services = self._services()
            folder = None if services is None else services.state_folder
            self.synergy_learner = default_learner(folder, self.bot_name)
        return self.synergy_learner

    def _synergy_sum(self) -> float:
        metrics = self._engine_state().synergy
        return synergy_sum(self._synergy().weights, metrics.deltas()) if metrics.cycles else 0.0

    def _lease(self, organs: Organs) -> AbstractContextManager[bool]:
        return lease(
            organs.services.store,
            self.bot_name,
            owner=organs.owner,
            seconds=organs.services.settings.lease_seconds,
            clock=organs.services.clock,
        )

    def _engine_state(self) -> EngineState:
        if self._state is None:
            organs = self._wired()
            if organs is None:
                return EngineState.load(None, bot=self.bot_name, alpha=self._alpha)
            self._state = EngineState.load(organs.state_path, bot=self.bot_name, alpha=self._alpha)
            if organs.state_path is None:
                organs.learner.recall(self.bot_name, self._state)
        return self._state

    def _no_data(self, energy: int, bot: BotConfig | None = None) -> AutomationResult:
        message = why_no_data(self.bot_name, bot, initialised=self._services() is not None)
        if not self._warned:
            warnings.warn(message, NoDataWarning, stacklevel=3)
            self._warned = True
        return AutomationResult(status="no_data", bot=self.bot_name, energy=energy, message=message)

    def _wired(self) -> Organs | None:
        """Find the services and put the organs together, once; None if there is nothing here."""
        if self._organs is None:
            services = self._services()
            if services is None:
                return None
            try:
                bot = services.store.bot(self.bot_name)
            except UnknownBotError:
                return None
            self._organs = Organs.of(self, services, bot, state_path=self._state_path)
        return self._organs

    def _services(self) -> Services | None:
        return services_of(
            self._given_services, store=self._store, event_bus=self._event_bus, clock=self._clock
        )
