"""Fixtures: the command in this process, where speed matters, and as a real process."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from menace.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support import DriftingStream

TOML = '[loop]\nworkers = 0\nmeter = "counted"\n'


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a workspace that is the current folder and trains in the calling process."""
    made = tmp_path / "workspace"
    made.mkdir()
    (made / "menace.toml").write_text(TOML)
    monkeypatch.chdir(made)
    monkeypatch.delenv("MENACE_HOME", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "140")
    return made


@pytest.fixture
def menace(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Give a function that runs the command in this process."""

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        code = ended.value.code
        captured = capfd.readouterr()
        assert isinstance(code, int)
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    """Give the environment of a real process of the command."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MENACE_", "COV_"))}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        kept.pop(name, None)
    return {**kept, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def process(environment: dict[str, str]) -> Callable[..., Ran]:
    """Give a function that runs the command as a real process."""

    def run(*arguments: object, cwd: Path | None = None, **more: str) -> Ran:
        ended = subprocess.run(
            [sys.executable, "-m", "menace", *map(str, arguments)],
            cwd=cwd,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def cared(folder: Path, stream: DriftingStream, menace: Callable[..., Ran]) -> DriftingStream:
    """Give the stream of a bot ``alpha`` that has a first model."""
    del folder
    stream.grow(300)
    added = menace(
        *("bot", "add", "alpha", "--source", stream.path, "--target", "label"),
        *("--tick-rows", 100, "--window-rows", 300, "--holdout-rows", 100),
        *("--settlement-rows", 200, "--loss-usd", 1, "--cpu-second-usd", 10),
    )
    assert added.code == 0, added.err
    first = menace("cycle", "alpha")
    assert first.code == 0, first.err
    return stream
