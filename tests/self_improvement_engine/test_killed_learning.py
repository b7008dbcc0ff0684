"""A loop that is killed between two of the files it learns into has learned everything once.

One process is killed with SIGKILL after each time it made a file durable; what the next start made
of it must be what an undisturbed run made.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from menace.accounting import ModuleRoiLog
from menace.self_improvement_engine.engine_state import EngineState
from menace.self_improvement_policy import SelfImprovementPolicy
from menace.workspace import Workspace


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    folder: Path = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed_learning.py"), folder],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return folder, int(done.stdout)


def learned(folder: Path) -> dict[str, Any]:
    """Everything that was learned."""
    with Workspace(folder) as workspace:
        store = workspace.store
        state = EngineState.load(folder / "state" / "alpha.engine.json", bot="alpha", alpha=0.1)
        policy = SelfImprovementPolicy.load(folder / "state" / "alpha.policy.json")
        log = ModuleRoiLog(folder / "state" / "alpha.modules.jsonl")
        cycles = store.cycles("alpha", last=100)
        return {
            "roi_deltas": state.roi.deltas,
            "ledger_id": state.ledger_id,
            "policy": [policy.values(tuple(c.details["policy_state"])) for c in cycles],
            "learned_through": policy.learned_through,
            "modules": [(name, log.deltas(name)) for name, _ in log.rankings()],
            "logged": sorted(log.cycles),
            "samples": [sample.value for sample in store.samples("alpha", "roi_delta", last=100)],
        }


def test_whatever_file_a_kill_came_after_everything_is_learned_once(
    runs: tuple[Path, int],
) -> None:
    folder, count = runs
    whole = learned(folder / "whole")
    assert len(whole["roi_deltas"]) == len(whole["logged"]) == len(whole["samples"]) == 3
    assert count > 20
    for kill_at in range(1, count + 1):
        assert learned(folder / f"killed-{kill_at}") == whole, f"killed at {kill_at}"
