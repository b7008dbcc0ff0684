"""Runs the loop in processes of their own that kill themselves. Not a test by itself.

Usage: ``python killed_loop.py FOLDER STREAM SCENARIO``, where the scenario is ``cycles`` (one at
every tick) or ``rollback`` (a season returns, and cycles are too dear). Makes ``FOLDER/whole`` by
an undisturbed run, and for committed changes *n* of it (all, or those around the rollback)
``FOLDER/killed-n`` by a run that is killed, with SIGKILL, right after the change, and
``FOLDER/killed-n-resumed``, a copy that the next start went on with. Prints how many there were.
The children are forked from a process that has trained nothing.
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
SEASON_ROWS, SEASON_TICKS = 300, 15
"""A season makes each of the first two models; then come ticks of the second, and of the first."""

BEFORE, AROUND = 4, 12
"""Kills before the rollback's commit, and in all: the rest is killed in the other scenario."""

ALPHA = {
    "name": "alpha",
    # Relative to the workspace, so that a copy of the folder is a workspace of its own.
    "source": {"kind": "csv", "location": "live.csv"},
    "target": "label",
    "tick_rows": TICK_ROWS,
    "window_rows": 200,
    "holdout_rows": 50,
    "settlement_rows": 100,
}
PRELOADED = ("river.drift", "sklearn.linear_model")


class KillingStore:
    """Passes everything on to a real store, and kills the process after so many changes."""

    def __init__(self, store: Any, kill_at: int) -> None:
        self._store, self._kill_at = store, kill_at
        self.changes: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in CHANGES:
            return method

        def changing(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            self.changes.append(name)
            if len(self.changes) == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return changing


def care(folder: Path, stream: Path, kill_at: int, *, began: float = 1.7e9) -> list[str]:
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


def go_back(folder: Path, stream: Path, kill_at: int, *, began: float = 1.7e9) -> list[str]:
    """Ask for a model of each of two seasons, then let the loop decide; returns the changes."""
    lines = stream.read_text().splitlines(keepends=True)
    source = folder / "live.csv"
    with Workspace(folder, clock=TestClock(began)) as workspace:
        store = KillingStore(workspace.store, kill_at)
        services = dataclasses.replace(workspace.services, store=store)
        engine = SelfImprovementEngine("alpha", services=services)
        while (made := len(workspace.store.models("alpha", last=9))) < 2:
            source.write_text("".join(lines[: 1 + SEASON_ROWS * (made + 1)]))
            engine.run_cycle()
        position = workspace.store.snapshot("alpha").loop.position
        seen = 0 if position is None else position.row
        for tick in range(SEASON_TICKS):
            visible = 2 * SEASON_ROWS + TICK_ROWS * (tick + 1)
            if visible >= seen:
                source.write_text("".join(lines[: 1 + visible]))
                engine.tick()
    return store.changes


SCENARIOS = {"cycles": (care, 10.0), "rollback": (go_back, 10_000.0)}


def forked(work: Callable[[], list[str]], note: Path) -> int:
    """Do the work in a child, which notes the changes it made; returns its wait status."""
    child = os.fork()
    if child == 0:
        note.write_text("\n".join(work()))
        os._exit(0)
    return os.waitpid(child, 0)[1]


def fresh(folder: Path, stream: Path, economics: dict[str, float]) -> Path:
    """Make a workspace with the bot ``alpha``."""
    folder.mkdir()
    (folder / "menace.toml").write_text('[loop]\nworkers = 0\nmeter = "counted"\n')
    lines = stream.read_text().splitlines(keepends=True)
    (folder / "live.csv").write_text("".join(lines[: 1 + FIRST_ROWS]))
    with Workspace(folder) as workspace:
        workspace.store.add_bot(validated_bot({**ALPHA, "economics": economics}))
    return folder


def main(folder: Path, stream: Path, scenario: str) -> None:
    """Make all the folders."""
    live, cpu_second_usd = SCENARIOS[scenario]
    economics = {"loss_usd": 1.0, "cpu_second_usd": cpu_second_usd}
    import_lightgbm()
    for module in PRELOADED:
        importlib.import_module(module)
    note = folder / "changes"
    forked(partial(live, fresh(folder / "whole", stream, economics), stream, 0), note)
    changes = note.read_text().splitlines()
    kills, offset = range(1, len(changes) + 1), 0
    if scenario == "rollback":
        offset = changes.index("roll_back") + 1 - BEFORE
        kills = range(offset, offset + AROUND)
    for kill_at in kills:
        number = kill_at - offset
        killed = fresh(folder / f"killed-{number}", stream, economics)
        status = forked(partial(live, killed, stream, kill_at), note)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise SystemExit(f"the run to be killed at change {kill_at} ended with {status}")
        resumed = Path(shutil.copytree(killed, folder / f"killed-{number}-resumed"))
        status = forked(partial(live, resumed, stream, 0, began=1.8e9), note)
        if status != 0:
            raise SystemExit(f"the start after change {kill_at} ended with {status}")
    sys.stdout.write(f"{len(kills)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
