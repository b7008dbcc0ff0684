"""A workspace for one replay: its own store, models and state, gone when the block ends."""

from __future__ import annotations

import dataclasses
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from menace.config import LoopSettings, WorkspaceSettings
from menace.execution.inline_executor import InlineExecutor
from menace.execution.system import CountedCpu
from menace.sandbox_runner.revealed_rows import RevealedRows
from menace.self_improvement_engine import SelfImprovementEngine
from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from menace.interfaces import Store
    from menace.records import BotConfig

PREFIX = "menace-sandbox-"
"""How the names of the temporary folders begin."""


class StepClock:
    """A clock that moves on by a second each time it is asked, from 0: a replay repeats itself."""

    def __init__(self) -> None:
        self._at = 0.0

    def now(self) -> float:
        """POSIX seconds, UTC."""
        self._at += 1.0
        return self._at


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a replay works with.

    Attributes
    ----------
    engine
        The bot's engine, as a new bot of a live workspace would have it.
    store
        The sandbox's own.
    rows
        Reveals the history to the engine.
    folder
        Where everything lies while the block runs.
    """

    engine: SelfImprovementEngine
    store: Store
    rows: RevealedRows
    folder: Path


@contextmanager
def sandbox(bot: BotConfig, rows: pd.DataFrame, *, loop: LoopSettings) -> Iterator[Sandbox]:
    """Make a temporary workspace with one bot; it is removed whatever ends the block.

    Neither ``menace.toml`` nor the environment is looked at, so that nothing, not even
    ``MENACE_STORE_URL``, can point the sandbox at a live store.

    Parameters
    ----------
    bot
        The bot; its source is not opened.
    rows
        Its history; what of it the loop sees is revealed by the caller.
    loop
        How the loop decides; CPU time is charged by counted work and trained in this process,
        whatever it says of that.
    """
    settings = WorkspaceSettings(loop=dataclasses.replace(loop, workers=0, meter="counted"))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        with Workspace(
            folder,
            clock=StepClock(),
            meter=CountedCpu(),
            executor=InlineExecutor(),
            settings=settings,
        ) as workspace:
            workspace.store.add_bot(bot)
            revealed = RevealedRows(rows)
            services = dataclasses.replace(workspace.services, rows_of=lambda _bot: revealed)
            engine = SelfImprovementEngine(bot.name, services=services)
            yield Sandbox(engine, workspace.store, revealed, folder)
