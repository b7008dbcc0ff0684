"""``ImprovementEngineRegistry``: many engines, one roof; a failing bot never stops the others."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from menace.accounting.energy_budget import validated_energy
from menace.errors import DuplicateBotError, MenaceError, UnknownBotError
from menace.records import AutomationResult

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from menace.records import Decision
    from menace.self_improvement_engine.engine import SelfImprovementEngine

    Ticked = tuple[Decision, AutomationResult | None]

logger = logging.getLogger(__name__)


class ImprovementEngineRegistry:
    """Holds engines by name and runs them side by side.

    Each engine is driven by a thread of its own, which waits; the training itself runs where the
    engine's pipeline runs it, in the workspace's process pool by default.

    Parameters
    ----------
    parallel
        Engines that are driven at the same time; by default one per processor.
    """

    def __init__(self, *, parallel: int | None = None) -> None:
        self._engines: dict[str, SelfImprovementEngine] = {}
        self._parallel = parallel or os.cpu_count() or 1

    @property
    def engines(self) -> Mapping[str, SelfImprovementEngine]:
        """The registered engines by name, in the order of their registration; a copy."""
        return dict(self._engines)

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
        workers = min(self._parallel, len(self._engines))
        with ThreadPoolExecutor(workers, thread_name_prefix="menace") as pool:
            futures = {
                name: pool.submit(_tick_unless, stop, engine, energy)
                for name, engine in self._engines.items()
            }
            for name, future in futures.items():
                collected = self._collected(name, future)
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

    def _collected(
        self, name: str, future: Future[Ticked | None]
    ) -> tuple[Decision | None, AutomationResult | None] | None:
        error = future.exception()
        if error is None:
            return future.result()
        if not isinstance(error, Exception):
            raise error  # Ctrl-C and the like are nobody's failure
        logger.error("bot %s failed: %s", name, error, exc_info=error)
        try:
            self._engines[name].record_failure(error)
        except MenaceError as unrecorded:  # a full disk must not stop the other bots
            logger.error("bot %s: the failure is not in the store: %s", name, unrecorded)
        return None, AutomationResult(
            status="failed",
            bot=name,
            message="the bot was left as it is; its champion keeps serving",
            error=f"{type(error).__name__}: {error}",
        )


def _tick_unless(
    stop: Callable[[], bool], engine: SelfImprovementEngine, energy: int | None
) -> Ticked | None:
    return None if stop() else engine.tick(energy)
