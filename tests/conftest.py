"""Fixtures: a stream with drift, and workspaces."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from menace.config import CONFIG_NAME
from menace.workspace import Workspace
from support import DriftingStream, TestClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The same examples at every run, and no stopwatch: a busy machine is no failure.
settings.register_profile("menace", deadline=None, derandomize=True)
settings.load_profile("menace")


# A run in the background of a shell inherits that Ctrl-C is ignored, and so would every process
# that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def stream(tmp_path: Path) -> DriftingStream:
    """Give an empty stream in a file that grows."""
    return DriftingStream(tmp_path / "stream.csv")


@pytest.fixture
def open_workspace(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    """Give a function that opens the workspace in ``tmp_path/NAME``, made if it is missing."""
    opened: list[Workspace] = []

    def opening(name: str = "workspace", **options: Any) -> Workspace:
        folder = tmp_path / name
        if not (folder / CONFIG_NAME).exists():
            folder.mkdir(exist_ok=True)
            (folder / CONFIG_NAME).write_text('[loop]\nworkers = 0\nmeter = "counted"\n')
        workspace = Workspace(folder, clock=TestClock(), **options)
        opened.append(workspace)
        return workspace

    yield opening
    for workspace in opened:
        workspace.close()


@pytest.fixture
def alpha() -> Callable[..., dict[str, Any]]:
    """Give a function that describes the bot ``alpha`` over a stream."""

    def values(stream: DriftingStream, **changes: Any) -> dict[str, Any]:
        return {
            "name": "alpha",
            "source": {"kind": "csv", "location": str(stream.path)},
            "target": "label",
            "tick_rows": 100,
            "window_rows": 300,
            "holdout_rows": 100,
            "settlement_rows": 200,
            "economics": {"loss_usd": 1.0, "cpu_second_usd": 10.0},
            **changes,
        }

    return values
