"""Runs the loop in processes of their own that kill themselves. Not a test by itself.

Usage: ``python killed_loop.py FOLDER STREAM``. Makes ``FOLDER/whole`` by an undisturbed run, and
for each committed change *n* of it ``FOLDER/killed-n`` by a run that is killed, with SIGKILL, right
after the store's *n*-th change, and ``FOLDER/killed-n-resumed``, a copy that the next start went on
with. Prints how many changes there were. The children are forked from a process that has trained
nothing.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menace.config import validated_bot
from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm
from menace.self_improvement_engine import SelfImprovementEngine
from menace.workspace import Workspace
from support import TestClock

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGES = frozenset(
    {
        "acquire_lease",
        "add_decision",
        "add_model",
        "advance_cycle",
        "commit_tick",
        "mark_delivered",
        "open_cycle",
        "promote",
        "reject",
        "release_lease",
        "roll_back",
        "save_loop",
        "set_task",
        "settle",
    }
)
FIRST_ROWS, TICK_ROWS, TICKS = 200, 50, 4
ALPHA = {
    "name": "alpha",
    # Relative to the workspace, so that a copy of the folder is a workspace of its own.
    "source": {"kind": "csv", "location": "live.csv"},
    "target": "label",
    "tick_rows": TICK_ROWS,
    "window_rows": 200,
    "holdout_rows": 50,
    "settlement_rows": 100,
    "economics": {"loss_usd": 1.0, "cpu_second_usd": 10.0},
}
PRELOADED = ("river.drift", "sklearn.linear_model")


class KillingStore:
    """Passes everything on to a real store, and kills the process after so many changes."""

    def __init__(self, store: Any, kill_at: int) -> None:
        self._store, self._kill_at, self.changes = store, kill_at, 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in CHANGES:
            return method

        def changing(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            self.changes += 1
            if self.changes == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return changing


def care(folder: Path, stream: Path, kill_at: int, *, began: float = 1.7e9) -> int:
    """Reveal the stream tick by tick, from where the workspace stands; returns the changes."""
    lines = stream.read_text().splitlines(keepends=True)
    source = folder / "live.csv"
    with Workspace(folder, clock=TestClock(began)) as workspace:
        store = KillingStore(workspace.store, kill_at)
        workspace.services.event_bus.subscribe("*", lambda _event: None)
        services = dataclasses.replace(workspace.services, store=store)
        engine = SelfImprovementEngine("alpha", interval=0.0, services=services)
        position = workspace.store.snapshot("alpha").loop.position
        seen = 0 if position is None else position.row
        for tick in range(TICKS):
            visible = FIRST_ROWS + TICK_ROWS * tick
            if visible >= seen:
                source.write_text("".join(lines[: 1 + visible]))
                engine.tick()
    return store.changes


def forked(work: Callable[[], int]) -> int:
    """Do the work in a child; returns its wait status."""
    child = os.fork()
    if child == 0:
        os._exit(min(work(), 255))
    return os.waitpid(child, 0)[1]


def fresh(folder: Path, stream: Path) -> Path:
    """Make a workspace with the bot ``alpha``."""
    folder.mkdir()
    (folder / "menace.toml").write_text('[loop]\nworkers = 0\nmeter = "counted"\n')
    lines = stream.read_text().splitlines(keepends=True)
    (folder / "live.csv").write_text("".join(lines[: 1 + FIRST_ROWS]))
    with Workspace(folder) as workspace:
        workspace.store.add_bot(validated_bot(ALPHA))
    return folder


def main(folder: Path, stream: Path) -> None:
    """Make all the folders."""
    import_lightgbm()
    for module in PRELOADED:
        importlib.import_module(module)
    whole = fresh(folder / "whole", stream)
    changes = os.waitstatus_to_exitcode(forked(partial(care, whole, stream, 0)))
    for kill_at in range(1, changes + 1):
        killed = fresh(folder / f"killed-{kill_at}", stream)
        status = forked(partial(care, killed, stream, kill_at))
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise SystemExit(f"the run to be killed at change {kill_at} ended with {status}")
        resumed = Path(shutil.copytree(killed, folder / f"killed-{kill_at}-resumed"))
        status = forked(partial(care, resumed, stream, 0, began=1.8e9))
        if not os.WIFEXITED(status):
            raise SystemExit(f"the start after change {kill_at} ended with {status}")
    sys.stdout.write(f"{changes}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
