from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import DuplicateBotError, EnergyError, UnknownBotError
from menace.execution.process_pool import ProcessPool
from menace.self_improvement_engine import ImprovementEngineRegistry, SelfImprovementEngine
from support import DriftingStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.workspace import Workspace

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]


def test_a_taken_name_is_an_error() -> None:
    registry = ImprovementEngineRegistry()
    registry.register_engine("alpha", SelfImprovementEngine("alpha"))
    with pytest.raises(DuplicateBotError, match="unregister_engine"):
        registry.register_engine("alpha", SelfImprovementEngine("alpha"))
    registry.unregister_engine("alpha")
    registry.register_engine("alpha", SelfImprovementEngine("alpha"))
    assert list(registry.engines) == ["alpha"]


def test_unregistering_an_unknown_name_lists_the_known_ones() -> None:
    registry = ImprovementEngineRegistry()
    registry.register_engine("alpha", SelfImprovementEngine("alpha"))
    with pytest.raises(UnknownBotError, match="alpha"):
        registry.unregister_engine("beta")


def test_the_engines_mapping_is_a_copy() -> None:
    registry = ImprovementEngineRegistry()
    dict(registry.engines)["alpha"] = SelfImprovementEngine("alpha")
    assert registry.engines == {}


def test_an_impossible_energy_is_refused_before_anything_runs() -> None:
    with pytest.raises(EnergyError):
        ImprovementEngineRegistry().run_all_cycles(energy=0)


def three_bots(workspace: Workspace, alpha: Describe, folder: Path) -> dict[str, DriftingStream]:
    streams = {}
    for seed, name in enumerate(("alpha", "beta", "gamma")):
        streams[name] = DriftingStream(folder / f"{name}.csv", seed=seed)
        streams[name].grow(300)
        workspace.add_bot(alpha(streams[name], name=name))
    return streams


def test_bots_improve_in_a_process_pool_and_a_failing_one_stops_no_other(
    open_workspace: OpenWorkspace, alpha: Describe, tmp_path: Path
) -> None:
    workspace = open_workspace(executor=ProcessPool(2))
    streams = three_bots(workspace, alpha, tmp_path)
    streams["beta"].path.unlink()
    results = workspace.registry().run_all_cycles()
    assert {name: result.status for name, result in results.items()} == {
        "alpha": "promoted",
        "beta": "failed",
        "gamma": "promoted",
    }
    assert "beta.csv" in str(results["beta"].error)
    stored = workspace.store.decisions("beta", last=1)[0]
    assert stored.reason == "failed"
    assert "beta.csv" in stored.inputs["error"]


def test_only_those_that_triggered_are_in_the_results(
    open_workspace: OpenWorkspace, alpha: Describe, tmp_path: Path
) -> None:
    workspace = open_workspace()
    three_bots(workspace, alpha, tmp_path)
    registry = workspace.registry()
    assert set(asyncio.run(registry.run_all_cycles_async())) == {"alpha", "beta", "gamma"}
    assert registry.run_all_cycles() == {}
    looked = registry.tick_all()
    assert {name for name, (decision, _) in looked.items() if decision is not None} == set(looked)


def test_a_stop_leaves_the_rest_for_next_time(
    open_workspace: OpenWorkspace, alpha: Describe, tmp_path: Path
) -> None:
    workspace = open_workspace()
    three_bots(workspace, alpha, tmp_path)
    assert workspace.registry().tick_all(stop=lambda: True) == {}
    assert workspace.store.snapshot("alpha").champion_version is None


def test_all_schedules_start_and_stop_together(
    open_workspace: OpenWorkspace, alpha: Describe, tmp_path: Path
) -> None:
    workspace = open_workspace()
    three_bots(workspace, alpha, tmp_path)
    registry = workspace.registry()

    async def scheduled() -> bool:
        tasks = await registry.schedule_all()
        await registry.shutdown_all()
        return all(task.done() for task in tasks)

    assert asyncio.run(scheduled())
    assert len(workspace.store.bots()) == 3


def test_the_users_document_runs_as_a_plain_script_without_a_main_guard(
    open_workspace: OpenWorkspace, alpha: Describe, tmp_path: Path
) -> None:
    workspace = open_workspace()
    three_bots(workspace, alpha, tmp_path)
    (workspace.folder / "menace.toml").write_text("[loop]\nworkers = 2\n")
    script = workspace.folder / "care.py"
    script.write_text(
        "from menace.self_improvement_engine import (\n"
        "    SelfImprovementEngine, ImprovementEngineRegistry)\n"
        "from menace.model_automation_pipeline import ModelAutomationPipeline\n"
        "\n"
        'engine = SelfImprovementEngine(bot_name="alpha", pipeline=ModelAutomationPipeline())\n'
        "registry = ImprovementEngineRegistry()\n"
        'registry.register_engine("alpha", engine)\n'
        'print(registry.run_all_cycles()["alpha"].status)\n'
    )
    environment = {name: value for name, value in os.environ.items() if name != "MENACE_HOME"}
    done = subprocess.run(
        [sys.executable, script],
        cwd=workspace.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("promoted\n", "")
