"""What goes wrong around the loop, and must not go wrong in it."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from menace.config import CONFIG_NAME
from menace.errors import StateFileError
from menace.model_automation_pipeline import ModelAutomationPipeline
from menace.records import AutomationResult, IssueKind, Outcome, Package
from menace.self_improvement_engine import ImprovementEngineRegistry, SelfImprovementEngine
from menace.self_improvement_engine.lease import lease
from menace.self_improvement_policy import SelfImprovementPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]


class Own:
    """A pipeline of the user's own that reports what it is told to."""

    def __init__(self, result: Any) -> None:
        self.result, self.runs = result, 0

    def run(self, bot_name: str, energy: int = 1) -> Any:
        """Report."""
        self.runs += 1
        return self.result


@pytest.fixture
def cared(open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream) -> Workspace:
    """Give a workspace whose bot has its first model."""
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream))
    assert workspace.engine("alpha").run_cycle().status == "promoted"
    return workspace


def test_two_threads_never_train_the_same_cycle(cared: Workspace, stream: DriftingStream) -> None:
    engine = cared.engine("alpha")
    stream.grow(100, turned=True)
    threads = [threading.Thread(target=engine.run_cycle) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cycles = cared.store.cycles("alpha", last=10)
    assert [cycle.attempts for cycle in cycles] == [1] * 4
    assert "failed" not in {cycle.outcome for cycle in cycles}
    assert cared.store.lease_owner("alpha") is None


def test_a_lease_is_renewed_for_as_long_as_it_is_held(cared: Workspace) -> None:
    services = cared.services
    renewed = threading.Event()

    class Watching:
        """Tells when the lease is taken a third time."""

        taken = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(services.store, name)

        def acquire_lease(self, bot: str, **named: Any) -> bool:
            self.taken += 1
            if self.taken == 3:
                renewed.set()
            return services.store.acquire_lease(bot, **named)

    watching: Any = Watching()
    with lease(watching, "alpha", owner="a/1/2", seconds=0.2, clock=services.clock) as held:
        assert held
        assert renewed.wait(30)
    assert services.store.lease_owner("alpha") is None


class Moody:
    """Diagnostics that fail at first."""

    def __init__(self) -> None:
        self.failed, self.calm = False, threading.Event()

    def diagnose(self, bot: str) -> list[Any]:
        """Fail, then find nothing."""
        if not self.failed:
            self.failed = True
            raise ConnectionResetError(f"the feature store hung up on {bot}")
        self.calm.set()
        return []


def test_an_unexpected_error_does_not_end_a_schedule(
    cared: Workspace, stream: DriftingStream
) -> None:
    stream.grow(100)
    moody = Moody()
    settings = dataclasses.replace(cared.services.settings, poll_seconds=0.01)
    services = dataclasses.replace(cared.services, settings=settings)
    engine = SelfImprovementEngine("alpha", services=services, diagnostics=moody)
    registry = ImprovementEngineRegistry()
    registry.register_engine("alpha", engine)

    async def scheduled() -> None:
        await registry.schedule_all()
        assert await asyncio.to_thread(moody.calm.wait, 60)
        await registry.shutdown_all()

    asyncio.run(scheduled())
    reasons = [decision.reason for decision in cared.store.decisions("alpha", last=50)]
    assert "failed" in reasons
    assert reasons[-1] != "failed"


def test_a_search_teaches_nothing_about_the_cost_of_a_refit(
    cared: Workspace, stream: DriftingStream
) -> None:
    engine = cared.engine("alpha", pipeline=ModelAutomationPipeline(max_trials=2))
    before = cared.store.snapshot("alpha").loop.cycle_cost_usd
    assert before is not None
    assert before > 0
    stream.grow(100, turned=True)
    engine.run_cycle(energy=4)
    assert cared.store.snapshot("alpha").loop.cycle_cost_usd == before


def test_a_decision_is_priced_at_the_energy_of_its_cycle(
    cared: Workspace, stream: DriftingStream
) -> None:
    stream.grow(100, turned=True)
    engine = cared.engine("alpha")
    dear, _ = engine.tick(100)
    assert dear.inputs["budget"]["energy"] == 100
    cheap = engine._should_trigger()
    assert dear.inputs["cycle_cost_usd"] > 50 * cheap.inputs["cycle_cost_usd"]


class Rich:
    """A capital position that allows everything."""

    def energy_score(
        self, load: float, success_rate: float, deploy_eff: float, failure_rate: float
    ) -> float:
        """All of it."""
        return 1.0


def test_the_budget_and_its_factors_are_in_the_decision_also_in_a_no(cared: Workspace) -> None:
    decision = cared.engine("alpha", capital_bot=Rich())._should_trigger()
    assert not decision
    assert {"base", "roi_factor", "synergy_factor", "energy_score"} <= decision.inputs[
        "budget"
    ].keys()


def test_a_promotion_is_settled_even_where_no_archive_is_kept(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Path
) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / CONFIG_NAME).write_text(
        '[loop]\nworkers = 0\nmeter = "counted"\narchive_models = 0\n'
    )
    workspace = open_workspace("bare")
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, window_rows=200))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(200, turned=True)
    engine.run_cycle()
    stream.grow(200, turned=True)
    engine.tick()
    assert workspace.store.ledger("alpha")[1].rows == 200


def lose_package(workspace: Workspace, version: int) -> None:
    artifact = workspace.store.model("alpha", version).artifact
    shutil.rmtree(workspace.folder / "models" / artifact)


def test_a_lost_archived_package_stops_nothing(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, seed=11))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(150, turned=True)
    engine.run_cycle()
    lose_package(workspace, 1)
    stream.grow(100, turned=True)
    fresh = SelfImprovementEngine(
        "alpha", services=workspace.services, pipeline=uncached(workspace)
    )
    before = workspace.store.snapshot("alpha").totals.outcomes
    fresh.tick()
    assert workspace.store.snapshot("alpha").totals.outcomes == before + 100


def test_a_lost_champion_is_an_issue_that_a_cycle_answers(
    cared: Workspace, stream: DriftingStream
) -> None:
    lose_package(cared, 1)
    stream.grow(100, turned=False)
    engine = SelfImprovementEngine("alpha", services=cared.services, pipeline=uncached(cared))
    decision, result = engine.tick()
    assert decision.reason in {"policy", "diagnostics: damaged_package"}
    assert IssueKind.DAMAGED_PACKAGE.value in {i["kind"] for i in decision.inputs["issues"]}
    assert result is not None
    assert result.status == "promoted"
    assert cared.store.snapshot("alpha").champion_version == 2


def uncached(workspace: Workspace) -> ModelAutomationPipeline:
    """Give a pipeline that has no model in memory, as a new process has none."""
    from menace.model_automation_pipeline.predictor_cache import PredictorCache

    return ModelAutomationPipeline(workspace.services, cache=PredictorCache(4))


def test_a_pipeline_without_models_does_not_run_at_every_look(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    own = Own(AutomationResult(status="promoted", roi=0.1))
    engine = workspace.engine("alpha", pipeline=own)
    for _ in range(3):
        engine.tick()
    assert own.runs == 1
    stream.grow(100)
    engine.tick()
    assert own.runs == 1


def test_a_rejected_first_model_is_not_tried_again_before_something_is_new(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    own = Own(AutomationResult(status="rejected"))
    engine = workspace.engine("alpha", pipeline=own)
    for _ in range(3):
        engine.tick()
    assert own.runs == 1


def test_a_bot_without_a_source_counts_its_outcomes_as_time(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    workspace.add_bot({**alpha(stream), "source": None})
    broken = Own("no result at all")
    engine = workspace.engine("alpha", pipeline=broken, interval=0.0)
    numbers = iter(range(1_000_000))

    def served(rows: int) -> None:
        workspace.data_bot.observe(
            "alpha", [Outcome(f"p{next(numbers)}", 1.7e9, 1.0, 1.0, 0.0) for _ in range(rows)]
        )

    served(100)
    assert engine.tick()[1] is not None
    assert engine.tick()[0].reason == "cooling down after 1 failed cycles"
    served(200)
    assert engine.tick()[0].reason == "interval"


@pytest.mark.parametrize(
    ("result", "status", "cost"),
    [
        (AutomationResult(status="failed", cost_usd=5.0, error="no luck"), "failed", 5.0),
        (AutomationResult(status="accepted"), "failed", 0.0),
        (AutomationResult(status="promoted", roi=float("nan")), "failed", 0.0),
        ("done", "failed", 0.0),
        (
            AutomationResult(status="rejected", package=Package(7, "x", "y", {}), cost_usd=2.0),
            "rejected",
            2.0,
        ),
    ],
)
def test_what_a_pipeline_of_the_users_own_reports_is_booked_as_it_is(
    open_workspace: OpenWorkspace,
    alpha: Describe,
    stream: DriftingStream,
    result: Any,
    status: str,
    cost: float,
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    assert workspace.engine("alpha", pipeline=Own(result)).run_cycle().status == status
    assert workspace.store.ledger("alpha")[0].cycle_cost_usd == cost


def test_a_reported_roi_is_believed_with_a_package_too(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    reported: Any = np.float32(0.5)
    own = Own(AutomationResult(status="promoted", roi=reported, package=Package(1, "x", "y", {})))
    engine = workspace.engine("alpha", pipeline=own)
    engine.run_cycle()
    assert engine.roi_deltas == [0.5]


def test_what_was_learned_against_running_fades(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, tick_rows=20))
    workspace.engine("alpha").run_cycle()
    policy = SelfImprovementPolicy(alpha=1.0)
    for state in np.ndindex(8, 5, 3):
        policy.update((*state, 2, 2, 1, 1), -0.25, action="run")
    engine = workspace.engine("alpha", policy=policy)
    waited = 0
    while not engine.tick()[0]:
        waited += 1
        stream.grow(20, turned=True)
        assert waited < 200
    assert waited > 30


def test_a_pipeline_without_services_runs_on_the_engines(
    cared: Workspace, stream: DriftingStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MENACE_HOME", raising=False)
    stream.grow(100)
    engine = cared.engine("alpha", pipeline=ModelAutomationPipeline())
    assert engine.run_cycle().status in {"promoted", "rejected"}


def test_a_state_file_of_another_bot_is_refused(
    cared: Workspace, stream: DriftingStream, tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    stream.grow(100)
    cared.engine("alpha", state_path=path).run_cycle()
    with pytest.raises(StateFileError, match="alpha"):
        SelfImprovementEngine("beta", state_path=path)


def test_an_energy_from_numpy_is_a_whole_number_too(
    cared: Workspace, stream: DriftingStream
) -> None:
    stream.grow(100)
    energy: Any = np.int64(1)
    assert cared.engine("alpha").run_cycle(energy).status in {"promoted", "rejected"}


def test_looking_again_at_the_same_rows_repeats_the_answer_in_its_place(cared: Workspace) -> None:
    engine = cared.engine("alpha")
    first = engine.tick()[0]
    again = engine.tick()[0]
    assert not again
    assert again.decision_id == first.decision_id
    assert cared.store.decisions("alpha", last=100)[-1].at == again.at


def test_a_bot_that_reports_its_outcomes_is_not_counted_twice(
    cared: Workspace, stream: DriftingStream
) -> None:
    served = [Outcome(f"served-{k}", 1.7e9, "1", "1", 0.0) for k in range(100)]
    cared.data_bot.observe("alpha", served)
    stream.grow(100)
    cared.engine("alpha").tick()
    snapshot = cared.store.snapshot("alpha")
    assert snapshot.totals.outcomes == 100
    assert snapshot.loop.labelled_rows == 400
    # Champion and archive are scored all the same.
    assert cared.store.samples("alpha", "loss", last=9)


def test_events_wait_for_a_process_that_listens(cared: Workspace, stream: DriftingStream) -> None:
    stream.grow(100)
    cared.engine("alpha").run_cycle()
    assert "cycle.decided" in {event.topic for event in cared.store.pending_events()}
    heard: list[str] = []
    cared.services.event_bus.subscribe("*", lambda event: heard.append(event.topic))
    cared.engine("alpha").tick()
    assert "cycle.decided" in heard
    assert cared.store.pending_events() == []
