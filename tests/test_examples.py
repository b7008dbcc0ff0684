"""The examples run as their pages say, each a real process on a stream shorter than theirs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = Path(__file__).parents[1] / "examples"


def ran(command: Sequence[str | Path], folder: Path) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MENACE_", "COV_"))}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def last_usd(told: str, name: str) -> float:
    """Give the last amount of the line that begins with ``name``."""
    [line] = [line for line in told.splitlines() if line.startswith(name)]
    return float(re.findall(r"([\d,.]+) USD", line)[-1].replace(",", ""))


def check_care(folder: Path, bot: str, kind: str) -> None:
    """Look at the workspace that an example leaves, and predict with its champion."""
    with Workspace(folder) as workspace:
        champion = workspace.store.snapshot(bot).champion_version
        assert champion is not None
        assert workspace.store.model(bot, champion).manifest["family"] == kind
        assert workspace.store.snapshot(bot).totals.outcomes >= 250
        assert workspace.store.ledger(bot)
    menace = Path(sys.executable).with_name("menace")
    predicted = ran([menace, "predict", bot, "served.csv", "--out", "p.csv"], folder)
    rows = len((folder / "served.csv").read_text().splitlines()) - 1
    assert predicted == f"{rows:,} predictions in p.csv\n"


def test_the_forecast_is_worth_its_cycles(tmp_path: Path) -> None:
    run, folder = EXAMPLES / "bike_forecast" / "run.py", tmp_path / "care"
    told = ran([sys.executable, run, folder, "--weeks", "20"], tmp_path)
    assert last_usd(told, "served by menace") < 0.9 * last_usd(told, "first model kept")
    check_care(folder, "demand", "callable")


def test_the_script_trains_and_predicts_in_processes_of_its_own(tmp_path: Path) -> None:
    run, folder = EXAMPLES / "ticket_triage" / "run.py", tmp_path / "care"
    told = ran([sys.executable, run, folder, "--ticks", "2"], tmp_path)
    assert "tick  0: promoted: gain" in told
    check_care(folder, "triage", "command")
