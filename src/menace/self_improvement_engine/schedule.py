"""Tick an engine in the background of an event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from menace.self_improvement_engine.engine import SelfImprovementEngine

logger = logging.getLogger(__name__)


class Schedule:
    """Ticks one engine, every so often; must be made and stopped on the same event loop.

    Parameters
    ----------
    engine
        Is ticked in a thread, so that the event loop stays free.
    """

    def __init__(self, engine: SelfImprovementEngine) -> None:
        self._engine = engine
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(self._tick(), name=f"menace {engine.bot_name}")

    def end_soon(self) -> None:
        """Let it stop by itself; may be called from any thread."""
        if not self.task.done():
            self.task.get_loop().call_soon_threadsafe(self._stop.set)

    async def stop(self) -> None:
        """Stop ticking; a cycle that is under way finishes first."""
        self._stop.set()
        await self.task

    async def _tick(self) -> None:
        while not self._stop.is_set():
            looking = asyncio.ensure_future(asyncio.to_thread(self._engine.tick))
            await asyncio.wait({looking})
            error = looking.exception()
            if isinstance(error, Exception):
                logger.error("bot %s: %s", self._engine.bot_name, error, exc_info=error)
                self._engine.record_failure(error)
            try:
                await asyncio.wait_for(self._stop.wait(), timeout=self._engine.poll_seconds)
            except TimeoutError:
                continue
