"""Runs a loop that kills itself between two of the files it learns into. Not a test by itself.

Usage: ``python killed_learning.py FOLDER``. Makes ``FOLDER/whole`` by an undisturbed run, and for
each *n* of the times it makes a file durable ``FOLDER/killed-n`` by a run that is killed, with
SIGKILL, right after the *n*-th and then started again. Prints how many there were. The children are
forked from a process that has loaded everything and opened nothing.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menace.config import validated_bot
from menace.data_bot import DataBot
from menace.records import AutomationResult, Package
from menace.workspace import Workspace
from support import TestClock

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from menace.interfaces import Services

ROWS, TICK_ROWS, TICKS = 40, 10, 4
BOT = {
    "name": "alpha",
    "source": {"kind": "csv", "location": "live.csv"},
    "target": "y",
    "task": "regression",
    "metric": "absolute_error",
    "tick_rows": TICK_ROWS,
    "settlement_rows": TICK_ROWS,
    "economics": {"loss_usd": 1.0},
}
PRELOADED = ("river.drift", "pandas", "menace.model_automation_pipeline.window_pipeline")


class Halving:
    """A pipeline whose every model loses half of what the one before lost, and trains nothing."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def run(self, bot_name: str, energy: int = 1) -> AutomationResult:
        """Do as :meth:`improve`."""
        return self.improve(bot_name, energy)

    def improve(
        self, bot_name: str, energy: int = 1, *, cycle_id: int | None = None
    ) -> AutomationResult:
        """Add a model that is none."""
        model = self._services.store.add_model(
            bot_name,
            sha256="0" * 64,
            artifact="none",
            row=0,
            at=0.0,
            cycle_id=cycle_id,
            manifest={},
        )
        return AutomationResult(
            "accepted",
            Package(model.version, model.sha256, model.artifact, {}),
            energy=energy,
            cpu_seconds=1.0,
            cost_usd=1.0,
            metrics={"modules": ["window", f"params:{model.version}"]},
        )

    def score(self, bot_name: str, version: int, rows: pd.DataFrame) -> tuple[list[float], Any]:
        """Lose ``2 ** −version`` on every row."""
        import numpy as np

        del bot_name
        return [0.0] * len(rows), np.full(len(rows), 2.0**-version)


def care(folder: Path, kill_at: int, *, began: float) -> int:
    """Reveal the stream tick by tick, from where the workspace stands; returns the fsyncs."""
    durable, count = os.fsync, 0

    def counting(fd: Any) -> None:
        nonlocal count
        durable(fd)
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = counting
    with Workspace(folder, clock=TestClock(began)) as workspace:
        data_bot = DataBot(workspace.store)
        engine = workspace.engine(
            "alpha", interval=0.0, pipeline=Halving(workspace.services), data_bot=data_bot
        )
        position = workspace.store.snapshot("alpha").loop.position
        seen = 0 if position is None else position.row
        for tick in range(TICKS):
            visible = ROWS + TICK_ROWS * tick
            if visible >= seen:
                text = "x,y\n" + "".join(f"{row},0.5\n" for row in range(visible))
                (folder / "live.csv").write_text(text)
                engine.tick()
    return count


def forked(work: Callable[[], int]) -> int:
    """Do the work in a child; returns its wait status."""
    child = os.fork()
    if child == 0:
        os._exit(min(work(), 255))
    return os.waitpid(child, 0)[1]


def fresh(folder: Path) -> Path:
    """Make a workspace with the bot ``alpha``."""
    folder.mkdir()
    (folder / "menace.toml").write_text('[loop]\nworkers = 0\nmeter = "counted"\n')
    with Workspace(folder) as workspace:
        workspace.store.add_bot(validated_bot(BOT))
    return folder


def main(folder: Path) -> None:
    """Make all the folders."""
    for module in PRELOADED:
        importlib.import_module(module)
    count = os.waitstatus_to_exitcode(
        forked(partial(care, fresh(folder / "whole"), 0, began=1.7e9))
    )
    for kill_at in range(1, count + 1):
        killed = fresh(folder / f"killed-{kill_at}")
        status = forked(partial(care, killed, kill_at, began=1.7e9))
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise SystemExit(f"the run to be killed at {kill_at} ended with {status}")
        status = forked(partial(care, killed, 0, began=1.8e9))
        if not os.WIFEXITED(status):
            raise SystemExit(f"the start after {kill_at} ended with {status}")
    sys.stdout.write(f"{count}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
