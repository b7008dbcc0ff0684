"""``ImprovementEngineRegistry``: many engines, one roof; a failing bot never stops the others."""

from __future__ import annotations

import itertools
import logging
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from menace.accounting.energy_budget import validated_energy
from menace.errors import DuplicateBotError, EnergyError, MenaceError, UnknownBotError
from menace.records import AutomationResult, Scaling, ScalingAction
from menace.self_improvement_engine.approval import Returnable
from menace.self_improvement_engine.autoscaler import Reading, ScalingRules, judge_scaling
from menace.self_improvement_engine.purse import BUDGET_SPENT, Rates, budget_check, recent_rates
from menace.self_improvement_engine.scaling_history import ScalingHistory

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from menace.interfaces import Clock, EnergyScorer, Store, TrendSource
    from menace.records import Decision
    from menace.self_improvement_engine.autoscaler import Verdict
    from menace.self_improvement_engine.engine import SelfImprovementEngine

    Ticked = tuple[Decision, AutomationResult | None]

logger = logging.getLogger(__name__)


@runtime_checkable
class Retiring(Protocol):
    """An engine that can be told to begin no more; one that cannot is only let go."""

    def retire(self) -> None:
        """Begin nothing more, and return when what is under way is done."""
        ...


def numbered(engines: Mapping[str, object]) -> str:
    """Name the next engine: ``engine-1``, or the first number that is free.

    >>> numbered({}), numbered({"engine-1": None, "alpha": None})
    ('engine-1', 'engine-2')
    """
    return next(name for n in itertools.count(1) if (name := f"engine-{n}") not in engines)


class ImprovementEngineRegistry:
    """Holds engines by name and runs them side by side.

    Each engine is driven by a thread of its own, which waits; the training itself runs where the
    engine's pipeline runs it, in the workspace's process pool by default.

    Parameters
    ----------
    parallel
        Engines that are driven at the same time; by default one per processor.
    store
        Where :meth:`autoscale` keeps its decisions; by default the workspace's of the current
        folder, looked up when it is needed; outside any workspace they are in memory only.
    clock
        Tells :meth:`autoscale` the time; by default the workspace's, or the system's.
    cooldown_seconds
        Least time between two changes by :meth:`autoscale`, s, ≥ 0.
    next_name
        Names the next engine, given those there are; ``None`` if there is nothing for one to do.
    """

    def __init__(
        self,
        *,
        parallel: int | None = None,
        store: Store | None = None,
        clock: Clock | None = None,
        cooldown_seconds: float = 600.0,
        next_name: Callable[[Mapping[str, SelfImprovementEngine]], str | None] = numbered,
    ) -> None:
        self._engines: dict[str, SelfImprovementEngine] = {}
        self._parallel = parallel or os.cpu_count() or 1
        self._cooldown_seconds = cooldown_seconds
        self._next_name = next_name
        self._history = ScalingHistory(store, clock=clock)
        # One look at the number of engines at a time: the next one has to see what this one did.
        self._scaling = threading.Lock()
        self._busy = 0
        self._counting = threading.Lock()

    @property
    def engines(self) -> Mapping[str, SelfImprovementEngine]:
        """The registered engines by name, in the order of their registration; a copy."""
        return dict(self._engines)

    def next_name(self) -> str | None:
        """Name the engine that would be made next; ``None`` if there is nothing for one to do."""
        return self._next_name(self.engines)

    def register_engine(self, name: str, engine: SelfImprovementEngine) -> None:
        """Add an engine.

        Raises
        ------
        DuplicateBotError
            If the name is taken.
        """
        if name in self._engines:
            raise DuplicateBotError(
                f"an engine named {name!r} is registered already.",
                bot=name,
                remedy=f"unregister_engine({name!r}) first, or choose another name",
            )
        self._engines[name] = engine

    def unregister_engine(self, name: str) -> SelfImprovementEngine:
        """Take an engine out and return it.

        Raises
        ------
        UnknownBotError
            If there is none of that name; the message lists those there are.
        """
        try:
            return self._engines.pop(name)
        except KeyError:
            known = ", ".join(sorted(self._engines)) or "none"
            raise UnknownBotError(
                f"no engine named {name!r} is registered.", remedy=f"registered are: {known}"
            ) from None

    def run_all_cycles(self, energy: int = 1) -> dict[str, AutomationResult]:
        """Tick every engine once and return the results of those that triggered.

        Parameters
        ----------
        energy
            Budget of each cycle, 1..100.

        Returns
        -------
        dict
            Name → result. An engine that decided against a cycle is not in it; one that failed is,
            with status ``failed`` and the error.

        Raises
        ------
        EnergyError
            If ``energy`` is no whole number in 1..100.
        """
        validated_energy(energy)
        ticked = self.tick_all(energy)
        return {name: result for name, (_, result) in ticked.items() if result is not None}

    def tick_all(
        self, energy: int | None = None, *, stop: Callable[[], bool] = lambda: False
    ) -> dict[str, tuple[Decision | None, AutomationResult | None]]:
        """Tick every engine once.

        Parameters
        ----------
        energy
            Budget of each cycle; by default what each engine can afford.
        stop
            Asked before each engine is begun; once it says yes, the rest is left for next time.

        Returns
        -------
        dict
            Name → decision (``None`` if the engine failed before one) and result of its cycle
            (``None`` if there was none).
        """
        if not self._engines:
            return {}
        outcome: dict[str, tuple[Decision | None, AutomationResult | None]] = {}
        engines = self.engines  # those of now: one may be removed meanwhile
        with ThreadPoolExecutor(
            min(self._parallel, len(engines)), thread_name_prefix="menace"
        ) as pool:
            futures = {
                name: pool.submit(self._tick_unless, stop, engine, energy)
                for name, engine in engines.items()
            }
            for name, future in futures.items():
                collected = self._collected(name, engines[name], future)
                if collected is not None:
                    outcome[name] = collected
        return outcome

    async def run_all_cycles_async(self, energy: int = 1) -> dict[str, AutomationResult]:
        """Do as :meth:`run_all_cycles`, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self.run_all_cycles, energy)

    async def schedule_all(self) -> list[asyncio.Task[None]]:
        """Let every engine tick in the background."""
        return [await engine.schedule() for engine in self._engines.values()]

    async def shutdown_all(self) -> None:
        """Stop all schedules; cycles that are under way finish first."""
        import asyncio

        stopping = (engine.shutdown_schedule() for engine in self._engines.values())
        for outcome in await asyncio.gather(*stopping, return_exceptions=True):
            if isinstance(outcome, BaseException):
                logger.error("a schedule ended with: %s", outcome, exc_info=outcome)

    def autoscale(
        self,
        *,
        capital_bot: EnergyScorer,
        data_bot: TrendSource,
        factory: Callable[[str], SelfImprovementEngine],
        max_engines: int = 5,
        min_engines: int = 1,
        create_energy: float = 0.8,
        remove_energy: float = 0.3,
        roi_threshold: float = 0.0,
        cost_per_engine: float = 0.0,
        approval_callback: Callable[[], bool] | None = None,
    ) -> Scaling:
        """Make one engine more, or remove one, or neither: what capital and returns allow.

        One is made when the energy score is above ``create_energy``, the trend above
        ``roi_threshold``, the projected ROI (trend − ``cost_per_engine``) positive, and
        ``approval_callback``, if given, says yes. The one with the lowest ROI EMA is removed when
        the score is at or below ``remove_energy``, or the trend at or below ``roi_threshold``; its
        running cycle finishes first. A noisy trend makes nothing flap: see
        :mod:`menace.self_improvement_engine.autoscaler` for agreement and cooldown.

        Parameters
        ----------
        capital_bot
            Has ``energy_score(load, success_rate, deploy_eff, failure_rate)``. One that keeps
            budgets, too, is asked whether there is one left before an engine is made.
        data_bot
            Has ``long_term_roi_trend()``.
        factory
            Makes the engine of a name.
        max_engines, min_engines
            0 ≤ min ≤ max.
        create_energy, remove_energy
            0 ≤ remove < create ≤ 1.
        roi_threshold, cost_per_engine
            In units of the trend; the cost ≥ 0.
        approval_callback
            Asked last, when everything else allows one more engine. One that has ``give_back()``
            is told so if ``factory`` fails after its yes.

        Returns
        -------
        Scaling
            What was done and why, with all figures; truthy if an engine was created or removed. It
            is in the store; a wait that follows a wait takes its place.

        Raises
        ------
        ConfigError
            If a bound is outside its range.
        EnergyError
            If the capital bot's score is not in 0..1, or the trend is not finite.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from menace.capital_management_bot import CapitalManagementBot
        >>> from menace.data_bot import DataBot
        >>> from menace.self_improvement_engine import SelfImprovementEngine
        >>> from menace.storage.registry import open_store
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = open_store("sqlite:///menace.db", folder=Path(folder.name))
        >>> my_capital_bot, my_data_bot = CapitalManagementBot(store), DataBot(store)
        >>> registry = ImprovementEngineRegistry(store=store)
        >>> factory = SelfImprovementEngine
        >>> done = registry.autoscale(capital_bot=my_capital_bot, data_bot=my_data_bot,
        ...                           factory=factory, cost_per_engine=0.05,
        ...                           approval_callback=lambda: True)
        >>> str(done.action), done.reason
        ('wait', 'there are as few engines as are allowed')
        >>> store.close(); folder.cleanup()
        """
        rules = ScalingRules(
            max_engines=max_engines,
            min_engines=min_engines,
            create_energy=create_energy,
            remove_energy=remove_energy,
            roi_threshold=roi_threshold,
            cost_per_engine=cost_per_engine,
            cooldown_seconds=self._cooldown_seconds,
        )
        with self._scaling:
            reading = self._reading(capital_bot, data_bot)
            verdict = judge_scaling(
                rules,
                reading,
                engines=len(self._engines),
                earlier=self._history.readings,
                moved=self._history.moved(),
            )
            self._history.readings.append(reading)
            if verdict.action is ScalingAction.CREATE:
                return self._expanded(verdict, reading.at, capital_bot, factory, approval_callback)
            if verdict.action is ScalingAction.REMOVE:
                return self._shrunk(verdict, reading.at)
            return self._scaled(ScalingAction.WAIT, verdict.reason, reading.at, None, verdict)

    def _reading(self, capital_bot: EnergyScorer, data_bot: TrendSource) -> Reading:
        """Ask the two for their figures."""
        rates = self._rates()
        score = capital_bot.energy_score(
            load=min(1.0, self._busy / self._parallel), **rates._asdict()
        )
        reading = Reading(self._history.now(), float(score), float(data_bot.long_term_roi_trend()))
        if not (0 <= reading.energy <= 1 and math.isfinite(reading.trend)):
            raise EnergyError(
                f"the energy score is {score}, the trend {reading.trend}.",
                remedy="give a score in 0..1 and a finite trend",
            )
        return reading

    def _rates(self) -> Rates:
        store = self._history.store
        if store is None:
            return Rates(0.0, 0.0, 0.0)
        bots = {getattr(engine, "bot_name", name) for name, engine in self._engines.items()}
        return recent_rates(store, sorted(bots))

    def _expanded(
        self,
        verdict: Verdict,
        at: float,
        capital_bot: EnergyScorer,
        factory: Callable[[str], SelfImprovementEngine],
        approval_callback: Callable[[], bool] | None,
    ) -> Scaling:
        """Make an engine, if there is something for it to do, a budget, and a yes."""
        wait = ScalingAction.WAIT
        name = self.next_name()
        if name is None:
            return self._scaled(wait, "no bot waits for an engine", at, None, verdict)
        purse = budget_check(capital_bot)
        if purse is not None and not purse:
            return self._scaled(wait, f"{BUDGET_SPENT}: {purse.purse}", at, None, verdict)
        if approval_callback is not None and not approval_callback():
            return self._scaled(wait, "it has not been approved", at, None, verdict)
        try:
            self.register_engine(name, factory(name))
        except BaseException:  # Ctrl-C too: a person's grant is good for one engine, not one try
            if isinstance(approval_callback, Returnable):
                approval_callback.give_back()
            raise
        return self._scaled(verdict.action, verdict.reason, at, name, verdict)

    def _shrunk(self, verdict: Verdict, at: float) -> Scaling:
        """Remove the engine that brings least; of equal ones the newest."""
        # An engine that has settled nothing yet has brought nothing: 0.
        emas = {
            name: getattr(engine, "roi_delta_ema", None) or 0.0
            for name, engine in reversed(self._engines.items())
        }
        name = min(emas, key=lambda candidate: emas[candidate])
        engine = self.unregister_engine(name)
        verdict.inputs["roi_delta_ema"] = emas[name]
        try:
            if isinstance(engine, Retiring):
                engine.retire()
        finally:  # removed it is, whatever became of it
            done = self._scaled(verdict.action, verdict.reason, at, name, verdict)
        return done

    def _scaled(
        self, action: ScalingAction, reason: str, at: float, name: str | None, verdict: Verdict
    ) -> Scaling:
        inputs = {**verdict.inputs, "registered": list(self._engines)}
        return self._history.add(Scaling(action, reason, at, name, inputs))

    def _tick_unless(
        self, stop: Callable[[], bool], engine: SelfImprovementEngine, energy: int | None
    ) -> Ticked | None:
        if stop():
            return None
        with self._counting:
            self._busy += 1
        try:
            return engine.tick(energy)
        finally:
            with self._counting:
                self._busy -= 1

    def _collected(
        self, name: str, engine: SelfImprovementEngine, future: Future[Ticked | None]
    ) -> tuple[Decision | None, AutomationResult | None] | None:
        error = future.exception()
        if error is None:
            return future.result()
        if not isinstance(error, Exception):
            raise error  # Ctrl-C and the like are nobody's failure
        logger.error("bot %s failed: %s", name, error, exc_info=error)
        try:
            engine.record_failure(error)
        except MenaceError as unrecorded:  # a full disk must not stop the other bots
            logger.error("bot %s: the failure is not in the store: %s", name, unrecorded)
        return None, AutomationResult(
            status="failed",
            bot=name,
            message="the bot was left as it is; its champion keeps serving",
            error=f"{type(error).__name__}: {error}",
        )
