"""A loop that is killed right after any of its commits goes on as if it had not been.

One process is killed with SIGKILL after each committed change in turn; what it left is looked at,
and so is what the next start made of it, which must be what an undisturbed run made.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from menace.records import CycleState
from menace.self_improvement_engine import SynergyWeightLearner
from menace.self_improvement_engine.engine_state import EngineState
from menace.self_improvement_policy import SelfImprovementPolicy
from menace.workspace import Workspace
from support import DriftingStream

KILLS = range(1, 62)
"""Changes that an undisturbed run commits, and so the moments at which one can be killed."""


ROLLBACK_KILLS = range(12)
"""The changes around the one that lets an archived model serve again."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("killed")
    stream = DriftingStream(folder / "stream.csv", seed=4, drift_every=150)
    stream.grow(400)
    assert lived(folder, stream, "cycles") == len(KILLS)
    return folder


@pytest.fixture(scope="module")
def rollbacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("rollbacks")
    stream = DriftingStream(folder / "stream.csv", seed=4)
    stream.grow(300, turned=False)
    stream.grow(500, turned=True)
    stream.grow(700, turned=False)
    assert lived(folder, stream, "rollback") == len(ROLLBACK_KILLS)
    return folder


def lived(folder: Path, stream: DriftingStream, scenario: str) -> int:
    """Live through a scenario once, and once for each kill; returns how many kills there were."""
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("killed_loop.py"),
            folder,
            stream.path,
            scenario,
        ],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def books(folder: Path) -> dict[str, Any]:
    """Everything that must not depend on whether a process was killed."""
    with Workspace(folder) as workspace:
        store = workspace.store
        cycles = store.cycles("alpha", last=100)
        state = EngineState.load(folder / "state" / "alpha.engine.json", bot="alpha", alpha=0.1)
        policy = SelfImprovementPolicy.load(folder / "state" / "alpha.policy.json")
        synergy = SynergyWeightLearner(folder / "state" / "alpha.synergy.json")
        return {
            "cycles": [(c.row, c.state, c.outcome, c.version, c.gain_usd) for c in cycles],
            "ledger": [
                (e.cycle_id, e.gain_usd, e.cycle_cost_usd, e.rows, e.roi_delta)
                for e in store.ledger("alpha")
            ],
            "capital": [(e.cycle_id, e.postings) for e in store.capital_entries(last=100)],
            "models": [(m.version, m.sha256, m.status) for m in store.models("alpha", last=100)],
            "totals": store.snapshot("alpha").totals.outcomes,
            "loss": store.snapshot("alpha").totals.loss_sum,
            "champion": store.snapshot("alpha").champion_version,
            "debt": store.snapshot("alpha").loop.staleness,
            "cost": store.snapshot("alpha").loop.cycle_cost_usd,
            "roi_deltas": list(state.roi.deltas),
            "roi_delta_ema": state.roi.ema,
            "synergy": state.synergy,
            "synergy_weights": synergy.weights,
            "synergy_samples": [s.value for s in store.samples("alpha", "synergy_roi", last=99)],
            "policy": [policy.values(tuple(c.details["policy_state"])) for c in cycles],
        }


@pytest.mark.parametrize("kill_at", KILLS)
def test_what_a_killed_process_leaves_is_whole(runs: Path, kill_at: int) -> None:
    folder = runs / f"killed-{kill_at}"
    with Workspace(folder) as workspace:
        store = workspace.store
        champion = store.snapshot("alpha").champion_version
        if champion is not None:
            model = store.model("alpha", champion)
            assert workspace.services.artifacts.get(model.artifact, model.sha256)
        settled = [c for c in store.cycles("alpha", last=100) if c.state is CycleState.SETTLED]
        entries = Counter(entry.cycle_id for entry in store.ledger("alpha"))
        assert entries == {cycle.cycle_id: 1 for cycle in settled}
        booked = Counter(entry.cycle_id for entry in store.capital_entries(last=100))
        assert booked == entries
        assert sum(store.capital_balances().values()) == 0
    state = folder / "state" / "alpha.engine.json"
    if state.exists():
        EngineState.load(state, bot="alpha", alpha=0.1)


@pytest.mark.parametrize("kill_at", KILLS)
def test_the_next_start_goes_on_as_if_nothing_had_happened(runs: Path, kill_at: int) -> None:
    assert books(runs / f"killed-{kill_at}-resumed") == books(runs / "whole")


def test_the_undisturbed_run_did_something(runs: Path) -> None:
    whole = books(runs / "whole")
    assert len(whole["cycles"]) == 4
    assert {"promoted"} <= {outcome for _, _, outcome, _, _ in whole["cycles"]}
    assert len(whole["ledger"]) >= 3
    assert any(postings for _, postings in whole["capital"])


@pytest.mark.parametrize("kill_at", ROLLBACK_KILLS)
def test_a_rollback_that_was_killed_is_done_once(rollbacks: Path, kill_at: int) -> None:
    resumed = rollbacks / f"killed-{kill_at}-resumed"
    assert books(resumed) == books(rollbacks / "whole")
    with Workspace(resumed) as workspace:
        assert workspace.store.snapshot("alpha").champion_version == 1
        topics = [event.topic for event in workspace.store.pending_events(limit=10_000)]
        assert topics.count("model.rolled_back") == 1
