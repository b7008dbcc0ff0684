from __future__ import annotations

import asyncio
import dataclasses
import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import CycleConflictError, DataError, EnergyError, NoDataWarning, StateFileError
from menace.model_automation_pipeline import ModelAutomationPipeline
from menace.records import AutomationResult, CycleState, Event
from menace.self_improvement_engine import ImprovementEngineRegistry, SelfImprovementEngine
from menace.self_improvement_policy import SelfImprovementPolicy
from support import HEADER, DriftingStream, TestClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.workspace import Workspace

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]


def settled(workspace: Workspace, bot: str = "alpha") -> int:
    return len(workspace.store.ledger(bot))


def test_the_users_document_in_an_empty_folder_says_no_data_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MENACE_HOME", raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine = SelfImprovementEngine(bot_name="alpha", pipeline=ModelAutomationPipeline())
        registry = ImprovementEngineRegistry()
        registry.register_engine("alpha", engine)
        results = registry.run_all_cycles()
    assert list(results) == ["alpha"]
    assert results["alpha"].status == "no_data"
    assert len(caught) == 1
    assert caught[0].category is NoDataWarning
    assert "menace bot add alpha" in str(caught[0].message)
    assert list(tmp_path.iterdir()) == []


def test_the_users_document_in_a_workspace_runs_a_real_cycle(
    open_workspace: OpenWorkspace,
    alpha: Describe,
    stream: DriftingStream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = open_workspace()
    stream.grow(350)
    workspace.add_bot(alpha(stream))
    monkeypatch.chdir(workspace.folder)
    monkeypatch.delenv("MENACE_HOME", raising=False)
    engine = SelfImprovementEngine(bot_name="alpha", pipeline=ModelAutomationPipeline())
    registry = ImprovementEngineRegistry()
    registry.register_engine("alpha", engine)
    results = registry.run_all_cycles()
    assert results["alpha"].status == "promoted"
    assert workspace.store.snapshot("alpha").champion_version == 1
    assert registry.run_all_cycles() == {}  # nothing new: no cycle


def test_a_cycle_goes_from_decision_to_settlement(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    assert engine.run_cycle().status == "promoted"
    stream.grow(100)
    result = engine.run_cycle()
    assert result.status in {"promoted", "rejected"}
    stream.grow(200)
    engine.tick()
    cycles = workspace.store.cycles("alpha", last=10)
    assert [cycle.state for cycle in cycles[:2]] == [CycleState.SETTLED] * 2
    entries = {entry.cycle_id: entry for entry in workspace.store.ledger("alpha")}
    second = entries[cycles[1].cycle_id]
    assert second.roi_delta == pytest.approx(
        (second.gain_usd - second.cycle_cost_usd)
        / (second.serving_cost_usd + second.cycle_cost_usd)
    )
    assert engine.roi_deltas[:2] == [entries[c.cycle_id].roi_delta for c in cycles[:2]]


def test_the_gain_is_counterfactual_on_the_same_rows(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(100)
    engine.run_cycle()
    cycle = workspace.store.cycles("alpha", last=1)[0]
    assert cycle.state is CycleState.PROMOTED
    stream.grow(100)
    engine.tick()
    samples = workspace.store.samples("alpha", "loss", last=2)
    by_version = {sample.version: sample for sample in samples}
    assert cycle.version is not None
    assert cycle.replaced_version is not None
    expected = (
        by_version[cycle.replaced_version].value - by_version[cycle.version].value
    ) * by_version[cycle.version].rows
    assert workspace.store.cycle(cycle.cycle_id).gain_usd == pytest.approx(expected)


def test_every_decision_is_stored_with_its_inputs_also_a_no(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    decision = engine._should_trigger()
    assert not decision
    stored = workspace.store.decisions("alpha", last=1)[0]
    assert stored == decision
    assert {"debt_usd", "cycle_cost_usd", "policy_state", "issues"} <= stored.inputs.keys()


def test_an_elapsed_interval_triggers_whatever_the_policy_says(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha", interval=50.0)
    engine.run_cycle()
    stream.grow(100)
    assert engine.tick()[0].reason != "interval"
    clock = workspace.services.clock
    assert isinstance(clock, TestClock)
    clock.at += 100.0
    decision = engine._should_trigger()
    assert decision
    assert decision.reason == "interval"


def test_a_manual_request_is_answered_first(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    engine.request_cycle()
    assert engine._should_trigger().reason == "manual request"


@pytest.mark.parametrize("energy", [0, -1, 101, 1.5, True, "3"])
def test_an_impossible_energy_is_refused(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, energy: Any
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    with pytest.raises(EnergyError, match="1"):
        workspace.engine("alpha").run_cycle(energy)
    assert workspace.store.cycles("alpha", last=1) == []


def test_the_state_file_holds_what_the_engine_shows(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Path
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    path = tmp_path / "alpha.json"
    engine = workspace.engine("alpha", state_path=path)
    engine.run_cycle()
    for _ in range(6):
        stream.grow(100)
        engine.run_cycle()
    document = json.loads(path.read_text())
    assert document["roi_deltas"] == engine.roi_deltas
    assert document["roi_delta_ema"] == engine.roi_delta_ema
    assert document["last_cycle_at"] == engine.last_cycle_at
    assert document["version"] == 1
    again = workspace.engine("alpha", state_path=path)
    assert again.roi_deltas == engine.roi_deltas
    assert again.roi_delta_ema == engine.roi_delta_ema
    assert len(engine.roi_deltas) == settled(workspace)


def test_a_torn_state_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "alpha.json"
    path.write_text('{"menace": "engine", "version": 1, "roi_')
    with pytest.raises(StateFileError, match=r"alpha\.json"):
        SelfImprovementEngine("alpha", state_path=path)
    assert path.read_text().endswith('"roi_')


def test_what_the_state_file_missed_is_taken_from_the_ledger(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Path
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    path = tmp_path / "alpha.json"
    engine = workspace.engine("alpha", state_path=path)
    engine.run_cycle()
    earlier = path.read_bytes()
    for _ in range(5):
        stream.grow(100)
        engine.run_cycle()
    path.write_bytes(earlier)  # as a kill between ledger and file would leave it
    resumed = workspace.engine("alpha", state_path=path)
    resumed.tick()
    assert resumed.roi_deltas == engine.roi_deltas
    assert resumed.roi_delta_ema == pytest.approx(engine.roi_delta_ema)


class Breaking:
    """A pipeline that cannot train."""

    def run(self, bot_name: str, energy: int = 1) -> AutomationResult:
        """Fail."""
        raise RuntimeError(f"no power for {bot_name} at energy {energy}")


def test_a_failing_pipeline_fails_its_cycle_and_nothing_else(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    result = workspace.engine("alpha", pipeline=Breaking()).run_cycle()
    assert result.status == "failed"
    assert "no power for alpha" in str(result.error)
    cycle = workspace.store.cycles("alpha", last=1)[0]
    assert cycle.outcome == "failed"
    assert "no power" in str(cycle.error)
    assert workspace.engine("alpha").run_cycle().status == "promoted"


def test_after_failures_the_engine_cools_down(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    workspace.engine("alpha").run_cycle()
    broken = workspace.engine("alpha", pipeline=Breaking(), interval=0.0)
    stream.grow(100)
    broken.run_cycle()
    assert broken._should_trigger().reason == "cooling down after 1 failed cycles"
    stream.grow(200)
    decision, _ = broken.tick()
    assert decision.reason == "interval"


class OwnPipeline:
    """A pipeline of the user's own: one method, and it knows what it earned."""

    def __init__(self) -> None:
        self.energies: list[int] = []

    def run(self, bot_name: str, energy: int = 1) -> AutomationResult:
        """Report a fixed ROI."""
        self.energies.append(energy)
        return AutomationResult(status="promoted", roi=0.25, bot=bot_name, cost_usd=1.0)


def test_any_object_with_run_is_a_pipeline_and_its_roi_is_believed(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    own = OwnPipeline()
    engine = workspace.engine("alpha", pipeline=own)
    assert engine.run_cycle(energy=7).status == "promoted"
    assert own.energies == [7]
    assert engine.roi_deltas == [0.25]


def test_events_are_delivered_after_the_commit_and_a_raising_subscriber_does_no_harm(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    seen: list[Event] = []
    committed: list[bool] = []

    def raising(event: Event) -> None:
        raise RuntimeError(event.topic)

    def watching(event: Event) -> None:
        seen.append(event)
        if event.topic == "model.promoted":
            committed.append(workspace.store.snapshot("alpha").champion_version is not None)

    workspace.services.event_bus.subscribe("*", raising)
    workspace.services.event_bus.subscribe("*", watching)
    assert workspace.engine("alpha").run_cycle().status == "promoted"
    topics = [event.topic for event in seen]
    for topic in (
        "decision.made",
        "cycle.decided",
        "cycle.training",
        "cycle.evaluated",
        "model.promoted",
        "cycle.settled",
    ):
        assert topic in topics
    assert topics.index("cycle.evaluated") < topics.index("model.promoted")
    assert committed == [True]
    assert workspace.store.pending_events() == []


def test_two_engines_share_nothing(
    open_workspace: OpenWorkspace, alpha: Describe, tmp_path: Path
) -> None:
    seen: dict[str, list[Event]] = {"one": [], "two": []}
    for name, events in seen.items():
        workspace = open_workspace(name)
        own_stream = DriftingStream(tmp_path / f"{name}.csv", seed=len(name) + 3)
        own_stream.grow(300)
        workspace.add_bot(alpha(own_stream))
        workspace.services.event_bus.subscribe("model.*", events.append)
        services = workspace.services
        engine = SelfImprovementEngine(
            "alpha",
            store=services.store,
            event_bus=services.event_bus,
            clock=services.clock,
            pipeline=ModelAutomationPipeline(services),
            policy=SelfImprovementPolicy(),
            services=services,
        )
        assert engine.run_cycle().status == "promoted"
    assert [len(events) for events in seen.values()] == [1, 1]


def test_only_one_process_cares_for_a_bot(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    now = workspace.services.clock.now()
    assert workspace.store.acquire_lease("alpha", owner="elsewhere/1/2", seconds=600, now=now)
    with pytest.raises(CycleConflictError, match="another process"):
        workspace.engine("alpha").run_cycle()
    decision, result = workspace.engine("alpha").tick()
    assert not decision
    assert result is None


def test_a_source_that_vanishes_is_named_and_the_champion_keeps_serving(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.path.unlink()
    with pytest.raises(DataError, match=r"stream\.csv"):
        engine.run_cycle()
    registry = ImprovementEngineRegistry()
    registry.register_engine("alpha", engine)
    assert registry.run_all_cycles()["alpha"].status == "failed"
    assert workspace.store.decisions("alpha", last=1)[0].reason == "failed"
    assert workspace.store.snapshot("alpha").champion_version == 1


def test_a_schedule_ticks_until_it_is_shut_down(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    promoted = asyncio.Event()

    async def scheduled() -> None:
        loop = asyncio.get_running_loop()

        def on_settled(_event: Event) -> None:
            loop.call_soon_threadsafe(promoted.set)

        workspace.services.event_bus.subscribe("cycle.settled", on_settled)
        task = await engine.schedule()
        assert await engine.schedule() is task
        await asyncio.wait_for(promoted.wait(), timeout=60)
        await engine.shutdown_schedule()
        assert task.done()

    asyncio.run(scheduled())
    assert workspace.store.snapshot("alpha").champion_version == 1


def test_the_same_seed_and_data_give_the_same_decisions_and_models(
    open_workspace: OpenWorkspace, alpha: Describe, tmp_path: Path
) -> None:
    runs = []
    for name in ("first", "second"):
        workspace = open_workspace(name)
        own_stream = DriftingStream(tmp_path / f"{name}.csv", seed=5)
        own_stream.grow(300)
        workspace.add_bot(alpha(own_stream, settlement_rows=300))
        engine = workspace.engine("alpha")
        engine.tick()
        for _ in range(12):
            own_stream.grow(100)
            engine.tick()
        decisions = workspace.store.decisions("alpha", last=100)
        models = workspace.store.models("alpha", last=100)
        runs.append(
            (
                [(d.run, d.reason, d.inputs) for d in decisions],
                [(m.version, m.sha256, m.status) for m in models],
                [dataclasses.replace(e, at=0.0) for e in workspace.store.ledger("alpha")],
            )
        )
    assert runs[0] == runs[1]
    assert len(runs[0][1]) > 2


def test_nothing_that_lies_later_is_seen(
    open_workspace: OpenWorkspace, alpha: Describe, tmp_path: Path
) -> None:
    whole = DriftingStream(tmp_path / "whole.csv", seed=9)
    whole.grow(1200)
    lines = whole.path.read_text().splitlines(keepends=True)[1:]
    told = []
    for name in ("true", "altered"):
        path = tmp_path / f"{name}.csv"
        # The future lies in the file already, its labels have not arrived.
        hidden = [",".join(line.rstrip("\n").split(",")[:-1]) + ",\n" for line in lines[700:]]
        tail = hidden if name == "true" else ["9,9,purple,\n" for _ in hidden]
        workspace = open_workspace(name)
        path.write_text(HEADER + "".join(lines[:300]))
        source = DriftingStream.__new__(DriftingStream)
        source.path = path
        workspace.add_bot(alpha(source))
        engine = workspace.engine("alpha")
        engine.tick()
        for end in range(400, 701, 100):
            path.write_text(HEADER + "".join(lines[:end]) + ("".join(tail) if end == 700 else ""))
            engine.tick()
        decisions = workspace.store.decisions("alpha", last=100)
        models = workspace.store.models("alpha", last=100)
        told.append(([(d.run, d.reason, d.inputs) for d in decisions], [m.sha256 for m in models]))
    assert told[0] == told[1]
