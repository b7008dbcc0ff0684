"""A model is trained with its bot's feature helper, and served with that helper ever after."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from menace.errors import HelperCodeError, PipelineError
from menace.helper_code import HelperCode
from menace.model_automation_pipeline import ModelAutomationPipeline
from menace.model_automation_pipeline.predictor_cache import PredictorCache
from menace.self_improvement_engine import SelfImprovementEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.model_automation_pipeline import AutomationResult
    from menace.workspace import Workspace

    OpenWorkspace = Callable[..., Workspace]

LAG = """\
import pandas as pd

CONTEXT_ROWS = 1


def features(rows):
    return pd.DataFrame({"before": rows["x"].shift(1)})
"""
NOTHING = "import pandas as pd\n\n\ndef features(rows):\n    return rows[['x']] * 1.0\n"
BROKEN = LAG.replace("shift(1)", "nonsense()")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


class World:
    """A stream whose label is the sign of the value in the row before, and a bot in its care."""

    def __init__(self, folder: Path, workspace: Workspace) -> None:
        self.workspace, self._rng = workspace, np.random.default_rng(0)
        self.repository = folder / "code"
        (self.repository / "helpers").mkdir(parents=True)
        git(self.repository, "init", "-q", "-b", "first")
        self._path, self._last = folder / "stream.csv", 0.5
        self._path.write_text("x,noise,y\n")
        self.seen = pd.DataFrame()
        self.helpers = HelperCode(self.repository)
        self.pipeline = ModelAutomationPipeline(
            workspace.services, cache=PredictorCache(), helpers=self.helpers
        )
        self.engine = SelfImprovementEngine(
            "alpha", pipeline=self.pipeline, services=workspace.services
        )

    def _add_bot(self) -> None:
        self.workspace.add_bot(
            {
                "name": "alpha",
                "source": {"kind": "csv", "location": str(self._path)},
                "target": "y",
                "tick_rows": 100,
                "window_rows": 300,
                "holdout_rows": 100,
                "settlement_rows": 200,
                "economics": {"loss_usd": 1.0, "cpu_second_usd": 10.0},
            }
        )

    def write(self, source: str) -> str:
        (self.repository / "helpers" / "features.py").write_text(source, encoding="utf-8")
        git(self.repository, "add", ".")
        git(self.repository, "commit", "-q", "-m", "change")
        return self.helpers.head()

    def grow(self, count: int) -> pd.DataFrame:
        x = self._rng.normal(size=count).round(4)
        before = np.concatenate([[self._last], x[:-1]])
        self._last = x[-1]
        noise = self._rng.normal(size=count).round(4)
        rows = pd.DataFrame({"x": x, "noise": noise, "y": (before > 0).astype(int)})
        rows.to_csv(self._path, mode="a", header=False, index=False)
        if not len(self.seen):
            self._add_bot()
        self.seen = pd.concat([self.seen, rows], ignore_index=True)
        return rows

    def manifest(self, version: int) -> dict[str, Any]:
        return self.workspace.store.model("alpha", version).manifest

    def loss(self, version: int) -> float:
        """Mean loss of a version at the last tick that it was scored at."""
        samples = self.workspace.store.samples("alpha", "loss", last=100)
        return next(s.value for s in reversed(samples) if s.version == version)


def manifest_of(result: AutomationResult) -> dict[str, Any]:
    assert result.package is not None
    return result.package.manifest


@pytest.fixture
def world(tmp_path: Path, open_workspace: OpenWorkspace) -> World:
    return World(tmp_path, open_workspace())


def test_a_model_learns_from_the_helper_and_remembers_its_commit(world: World) -> None:
    commit = world.write(LAG)
    world.grow(401)
    assert world.engine.run_cycle().status == "promoted"
    code = world.manifest(1)["code"]
    assert code["commit"] == commit
    assert (code["path"], code["function"]) == ("helpers/features.py", "features")
    assert code["columns"] == ["before"]
    assert str(world.repository) not in json.dumps(world.manifest(1))
    assert world.manifest(1)["metrics"]["challenger_loss"] < 0.05


def test_every_tick_is_scored_with_the_rows_before_it(world: World) -> None:
    world.write(LAG)
    world.grow(400)
    world.engine.run_cycle()
    wrong = 0
    for _ in range(3):
        world.grow(100)
        world.engine.tick()
        wrong += round(100 * world.loss(1))
    rows, before = world.seen.iloc[400:], world.seen.iloc[:400]
    _, losses = world.pipeline.score("alpha", 1, rows, context=before)
    assert wrong == losses.sum()


def test_each_version_is_scored_with_its_own_code(world: World) -> None:
    world.write(NOTHING)
    world.grow(400)
    world.engine.run_cycle()
    world.write(LAG)
    world.grow(200)
    result = world.engine.run_cycle()
    assert result.status == "promoted"
    world.write(BROKEN)
    world.grow(200)
    world.engine.tick()
    assert world.loss(1) > 0.3
    assert world.loss(2) < 0.05
    ledger = world.workspace.store.ledger("alpha")
    entry = next(entry for entry in ledger if entry.cycle_id == result.cycle_id)
    cycle = world.workspace.store.cycle(entry.cycle_id)
    context, rows = world.seen.iloc[:600], world.seen.iloc[600:800]
    old, new = (world.pipeline.score("alpha", v, rows, context=context)[1] for v in (1, 2))
    assert entry.gain_usd == pytest.approx(float((old - new).sum()))
    assert cycle.details["metrics"]["modules"] == [
        "features:number",
        "helper:helpers/features.py",
        "window",
    ]


def test_a_champion_trained_on_the_hold_out_is_stood_in_for_with_its_own_code(world: World) -> None:
    world.write(NOTHING)
    world.grow(400)
    world.engine.run_cycle()
    world.write(LAG)
    result = world.pipeline.improve("alpha")
    assert result.status == "accepted"
    manifest = world.manifest(2)
    assert manifest["holdout"]["stand_in"]
    assert manifest["metrics"]["champion_loss"] > 0.3
    assert manifest["metrics"]["challenger_loss"] < 0.05


def test_a_refit_with_unchanged_code_is_no_change_of_the_helper(world: World) -> None:
    world.write(LAG)
    world.grow(400)
    world.engine.run_cycle()
    (world.repository / "README").write_text("another commit")
    git(world.repository, "add", ".")
    git(world.repository, "commit", "-q", "-m", "text")
    world.grow(100)
    world.engine.tick()
    result = world.pipeline.improve("alpha")
    modules = result.metrics["modules"]
    assert modules == ["window"]
    assert world.manifest(2)["code"]["commit"] == world.helpers.head()


def test_a_training_can_be_told_the_commit(world: World) -> None:
    old = world.write(LAG)
    world.write(NOTHING)
    world.grow(400)
    world.engine.tick()
    result = world.pipeline.improve("alpha", commit=old)
    assert manifest_of(result)["code"]["commit"] == old
    with pytest.raises(PipelineError, match="no feature helper"):
        ModelAutomationPipeline(world.workspace.services).improve("alpha", commit=old)


def test_a_search_over_all_history_works_with_a_helper(world: World) -> None:
    world.write(LAG)
    world.grow(900)
    world.engine.tick()
    pipeline = ModelAutomationPipeline(
        world.workspace.services, cache=PredictorCache(), helpers=world.helpers, max_trials=2
    )
    manifest = manifest_of(pipeline.improve("alpha", 3, window="history"))
    assert manifest["training"]["rows"] > 300
    assert manifest["metrics"]["challenger_loss"] < 0.05


def test_history_is_thinned_after_the_helper_has_seen_all_of_it(world: World) -> None:
    world.write(LAG)
    world.grow(900)
    world.engine.tick()
    services = world.workspace.services
    few = dataclasses.replace(
        services, settings=dataclasses.replace(services.settings, max_history_rows=450)
    )
    pipeline = ModelAutomationPipeline(few, cache=PredictorCache(), helpers=world.helpers)
    manifest = manifest_of(pipeline.improve("alpha", window="history"))
    assert 300 < manifest["training"]["rows"] <= 450
    assert manifest["metrics"]["challenger_loss"] < 0.05


def test_rows_to_predict_are_taken_to_follow_the_newest_ones(world: World) -> None:
    world.write(LAG)
    world.grow(400)
    world.engine.run_cycle()
    coming = world.grow(5)
    predicted = world.pipeline.predict("alpha", 1, coming.drop(columns="y"))
    assert predicted == [str(label) for label in coming["y"]]


def test_a_commit_that_is_gone_puts_one_version_out_and_not_the_bot(world: World) -> None:
    world.write(LAG)
    world.grow(400)
    world.engine.run_cycle()
    git(world.repository, "checkout", "-q", "--orphan", "anew")
    world.write(NOTHING)
    git(world.repository, "branch", "-q", "-D", "first")
    git(world.repository, "reflog", "expire", "--expire=now", "--all")
    git(world.repository, "gc", "-q", "--prune=now")
    world.grow(200)
    # Another process, in which nothing of the old commit is kept.
    elsewhere = world.repository.parent / "moved"
    world.repository.rename(elsewhere)
    pipeline = ModelAutomationPipeline(
        world.workspace.services, cache=PredictorCache(), helpers=HelperCode(elsewhere)
    )
    engine = SelfImprovementEngine("alpha", pipeline=pipeline, services=world.workspace.services)
    with pytest.raises(HelperCodeError, match="git ls-tree"):
        pipeline.score("alpha", 1, world.seen.iloc[-10:])
    assert engine.run_cycle().status == "promoted"
    assert world.workspace.store.snapshot("alpha").champion_version == 2


def test_a_model_with_a_helper_cannot_be_served_without_a_repository(world: World) -> None:
    world.write(LAG)
    world.grow(400)
    world.engine.run_cycle()
    plain = ModelAutomationPipeline(world.workspace.services, cache=PredictorCache())
    with pytest.raises(HelperCodeError, match=r"\[coding\.BOT\]"):
        plain.score("alpha", 1, world.seen.iloc[-10:])


def test_a_helper_that_looks_ahead_fails_the_training(world: World) -> None:
    world.write(LAG.replace("shift(1)", "shift(-1)"))
    world.grow(400)
    world.engine.tick()
    with pytest.raises(HelperCodeError, match="depends on rows after it"):
        world.pipeline.improve("alpha")


def test_a_bot_without_a_helper_has_the_same_package_as_ever(world: World) -> None:
    world.grow(400)
    world.engine.tick()
    plain = ModelAutomationPipeline(world.workspace.services, cache=PredictorCache())
    assert "code" not in manifest_of(plain.improve("alpha"))
