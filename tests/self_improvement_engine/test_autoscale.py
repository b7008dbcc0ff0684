"""The registry's autoscale() over real stores, engines and capital."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.capital_management_bot import CapitalManagementBot
from menace.errors import ConfigError, DataError, EnergyError
from menace.records import ApprovalState, AutomationResult, ScalingAction
from menace.self_improvement_engine import ImprovementEngineRegistry, SelfImprovementEngine
from menace.self_improvement_engine.approval import PersonalApproval
from menace.self_improvement_engine.engine_state import EngineState
from menace.storage.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from menace.interfaces import Store
    from menace.workspace import Workspace
    from support import DriftingStream, TestClock

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]

CREATE, REMOVE, WAIT = ScalingAction.CREATE, ScalingAction.REMOVE, ScalingAction.WAIT
CALLS = 10_000
DAY_SECONDS = 86_400.0


class Position:
    """Stands in for both bots: any objects with the two methods serve."""

    def __init__(self, energy: float = 0.9, trend: float = 1.0) -> None:
        self.energy, self.trend = energy, trend
        self.asked: dict[str, float] = {}

    def energy_score(
        self, load: float, success_rate: float, deploy_eff: float, failure_rate: float
    ) -> float:
        self.asked = {
            "load": load,
            "success_rate": success_rate,
            "deploy_eff": deploy_eff,
            "failure_rate": failure_rate,
        }
        return self.energy

    def long_term_roi_trend(self) -> float:
        return self.trend


class SetClock:
    """A clock that stands where it is set."""

    def __init__(self, at: float = 20_000 * DAY_SECONDS) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store("sqlite:///menace.db", folder=tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def registry(store: Store, clock: SetClock) -> ImprovementEngineRegistry:
    return ImprovementEngineRegistry(store=store, clock=clock)


def scale(registry: ImprovementEngineRegistry, position: Position, **bounds: Any) -> Any:
    return registry.autoscale(
        capital_bot=position, data_bot=position, factory=SelfImprovementEngine, **bounds
    )


def with_ema(folder: Path, name: str, ema: float) -> SelfImprovementEngine:
    """Make an engine that remembers one settled cycle."""
    path = folder / f"{name}.json"
    state = EngineState(name)
    state.roi.add(ema)
    state.save(path)
    return SelfImprovementEngine(name, state_path=path)


def test_an_engine_is_made_registered_and_the_decision_stored(
    registry: ImprovementEngineRegistry, store: Store
) -> None:
    done = scale(registry, Position(energy=0.9, trend=0.2), cost_per_engine=0.05)
    assert done
    assert (done.action, done.engine) == (CREATE, "engine-1")
    assert list(registry.engines) == ["engine-1"]
    assert done.inputs["projected_roi"] == pytest.approx(0.15)
    [stored] = store.scalings(last=9)
    assert stored == done


def test_the_engine_that_brings_least_is_removed(
    registry: ImprovementEngineRegistry, tmp_path: Path
) -> None:
    for name, ema in (("alpha", 0.5), ("beta", -0.2), ("gamma", 0.1)):
        registry.register_engine(name, with_ema(tmp_path, name, ema))
    registry.register_engine("new", SelfImprovementEngine("new"))
    removed = scale(registry, Position(energy=0.2))
    assert (removed.action, removed.engine) == (REMOVE, "beta")
    assert removed.inputs["roi_delta_ema"] == -0.2


def test_of_engines_that_bring_the_same_the_newest_is_removed(
    registry: ImprovementEngineRegistry,
) -> None:
    for name in ("alpha", "beta", "gamma"):
        registry.register_engine(name, SelfImprovementEngine(name))
    assert scale(registry, Position(trend=-1.0)).engine == "gamma"


def test_the_last_engines_stay(registry: ImprovementEngineRegistry, clock: SetClock) -> None:
    registry.register_engine("alpha", SelfImprovementEngine("alpha"))
    for _ in range(3):
        clock.at += DAY_SECONDS
        done = scale(registry, Position(energy=0.0, trend=-1.0))
        assert not done
    assert done.reason == "there are as few engines as are allowed"
    assert list(registry.engines) == ["alpha"]


def test_nothing_is_made_without_a_yes_and_the_callback_is_asked_last(
    registry: ImprovementEngineRegistry,
) -> None:
    asked: list[bool] = []

    def no() -> bool:
        asked.append(True)
        return False

    assert not scale(registry, Position(energy=0.5), approval_callback=no)
    assert asked == []
    refused = scale(registry, Position(), approval_callback=no)
    assert (refused.action, refused.reason) == (WAIT, "it has not been approved")
    assert asked == [True]
    assert registry.engines == {}


def test_the_cooldown_outlives_the_process(store: Store, clock: SetClock) -> None:
    first = ImprovementEngineRegistry(store=store, clock=clock)
    assert scale(first, Position())
    clock.at += 599
    second = ImprovementEngineRegistry(store=store, clock=clock)
    assert "cooling down" in scale(second, Position()).reason
    clock.at += 1
    assert scale(second, Position())


def test_waits_after_a_wait_are_kept_once(
    registry: ImprovementEngineRegistry, store: Store, clock: SetClock
) -> None:
    for energy in (0.5, 0.6, 0.7):
        clock.at += 1
        scale(registry, Position(energy=energy))
    [kept] = store.scalings(last=9)
    assert (kept.action, kept.at) == (WAIT, clock.at)
    assert kept.inputs["energy_score"] == 0.7


def test_a_factory_that_fails_leaves_everything_as_it_was(
    registry: ImprovementEngineRegistry, store: Store
) -> None:
    def broken(name: str) -> SelfImprovementEngine:
        raise DataError(f"no data for {name}")

    position = Position()
    with pytest.raises(DataError, match="engine-1"):
        registry.autoscale(capital_bot=position, data_bot=position, factory=broken)
    assert registry.engines == {}
    assert store.scalings(last=9) == []
    assert scale(registry, position)


@pytest.mark.parametrize(
    ("position", "bounds", "error"),
    [
        (Position(), {"min_engines": 3, "max_engines": 2}, ConfigError),
        (Position(energy=1.5), {}, EnergyError),
        (Position(trend=float("nan")), {}, EnergyError),
    ],
)
def test_figures_out_of_range_are_refused(
    registry: ImprovementEngineRegistry,
    position: Position,
    bounds: dict[str, int],
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        scale(registry, position, **bounds)


def test_outside_a_workspace_it_works_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MENACE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    clock = SetClock()
    registry = ImprovementEngineRegistry(clock=clock)
    assert scale(registry, Position()).scaling_id is None
    assert "cooling down" in scale(registry, Position()).reason
    clock.at += 600
    assert scale(registry, Position()).engine == "engine-2"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_budget_makes_no_engine(
    registry: ImprovementEngineRegistry, store: Store, clock: SetClock
) -> None:
    class Broke(CapitalManagementBot):
        """Scores as if all were well."""

        def energy_score(self, *_: float, **__: float) -> float:
            return 1.0

    capital = Broke(store, clock=clock)
    capital.set_budget(0.0)
    done = registry.autoscale(
        capital_bot=capital, data_bot=Position(), factory=SelfImprovementEngine
    )
    assert (done.action, done.reason) == (WAIT, "budget spent: daily")


def test_the_capital_bot_hears_how_the_recent_cycles_went(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    registry = workspace.registry()
    registry.run_all_cycles()
    position = Position()
    scale(registry, position)
    assert position.asked == {
        "load": 0.0,
        "success_rate": 1.0,
        "deploy_eff": 0.0,
        "failure_rate": 0.0,
    }


class SlowPipeline:
    """Begins, says so, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.runs = 0

    def run(self, bot_name: str, energy: int = 1) -> AutomationResult:
        self.runs += 1
        self.begun.set()
        assert self.go_on.wait(30)
        return AutomationResult("rejected", bot=bot_name, energy=energy)


def test_the_running_cycle_of_a_removed_engine_finishes_and_no_other_begins(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    pipeline = SlowPipeline()
    engine = workspace.engine("alpha", pipeline=pipeline, interval=0.0)
    registry = ImprovementEngineRegistry(store=workspace.store)
    registry.register_engine("alpha", engine)
    ticking = threading.Thread(target=registry.tick_all)
    ticking.start()
    assert pipeline.begun.wait(30)
    scaled: list[Any] = []
    removing = threading.Thread(
        target=lambda: scaled.append(scale(registry, Position(energy=0.0), min_engines=0))
    )
    removing.start()
    removing.join(0.2)
    assert removing.is_alive()  # it waits for the cycle
    pipeline.go_on.set()
    removing.join(30)
    ticking.join(30)
    [done] = scaled
    assert (done.action, done.engine) == (REMOVE, "alpha")
    [cycle] = workspace.store.cycles("alpha", last=9)
    assert cycle.outcome == "rejected"
    stream.grow(200)
    decision, result = engine.tick()
    assert (decision.reason, result) == ("retired", None)
    assert pipeline.runs == 1
    assert workspace.store.lease_owner("alpha") is None


def test_an_engine_that_fails_to_retire_is_removed_and_the_decision_stored(
    registry: ImprovementEngineRegistry, store: Store
) -> None:
    class Stubborn(SelfImprovementEngine):
        """Cannot be told to stop."""

        def retire(self) -> None:
            raise DataError("it will not")

    registry.register_engine("alpha", Stubborn("alpha"))
    with pytest.raises(DataError, match="it will not"):
        scale(registry, Position(energy=0.0), min_engines=0)
    assert registry.engines == {}
    [stored] = store.scalings(last=9)
    assert (stored.action, stored.engine) == (REMOVE, "alpha")


def test_the_schedule_of_a_removed_engine_ends(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(100)
    workspace.add_bot(alpha(stream))
    registry = workspace.registry()

    async def scheduled() -> None:
        [task] = await registry.schedule_all()
        await asyncio.to_thread(scale, registry, Position(energy=0.0), min_engines=0)
        await asyncio.wait_for(task, 30)

    asyncio.run(scheduled())
    assert registry.engines == {}


def test_a_workspace_gives_the_engine_to_the_bot_that_waited_longest(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    for name in ("alpha", "beta"):
        workspace.add_bot(alpha(stream, name=name))
    workspace.engine("alpha").tick()
    registry = workspace.registry([])
    position = Position()

    def grow() -> Any:
        return registry.autoscale(capital_bot=position, data_bot=position, factory=workspace.engine)

    assert grow().engine == "beta"
    clock = cast("TestClock", workspace.services.clock)
    clock.at += 600
    assert grow().engine == "alpha"
    clock.at += 600
    assert grow().reason == "no bot waits for an engine"


def test_a_person_is_asked_once_and_a_grant_is_good_for_one_engine(
    registry: ImprovementEngineRegistry, store: Store, clock: SetClock
) -> None:
    approval = PersonalApproval(store, clock, inputs=lambda: {"engines": len(registry.engines)})
    for _ in range(3):
        clock.at += 600
        assert not scale(registry, Position(), approval_callback=approval)
    [question] = store.approvals(last=9)
    assert question.inputs == {"engines": 0}
    store.move_approval(
        question.approval_id,
        expected=ApprovalState.PENDING,
        state=ApprovalState.GRANTED,
        at=clock.at,
    )
    assert scale(registry, Position(), approval_callback=approval)
    clock.at += 600
    assert not scale(registry, Position(), approval_callback=approval)
    assert [a.state for a in store.approvals(last=9)] == ["used", "pending"]


def test_a_factory_that_fails_leaves_the_grant(
    registry: ImprovementEngineRegistry, store: Store, clock: SetClock
) -> None:
    def broken(name: str) -> SelfImprovementEngine:
        raise DataError(f"no data for {name}")

    approval, position = PersonalApproval(store, clock), Position()
    assert not scale(registry, position, approval_callback=approval)
    store.move_approval(1, expected=ApprovalState.PENDING, state=ApprovalState.GRANTED, at=clock.at)
    with pytest.raises(DataError, match="engine-1"):
        registry.autoscale(
            capital_bot=position, data_bot=position, factory=broken, approval_callback=approval
        )
    assert [a.state for a in store.approvals(last=9)] == ["granted"]
    assert scale(registry, position, approval_callback=approval)
    assert [a.state for a in store.approvals(last=9)] == ["used"]


def test_a_grant_is_not_given_back_over_a_newer_question(store: Store, clock: SetClock) -> None:
    approval, elsewhere = PersonalApproval(store, clock), PersonalApproval(store, clock)
    assert not approval()
    store.move_approval(1, expected=ApprovalState.PENDING, state=ApprovalState.GRANTED, at=clock.at)
    assert approval()
    assert not elsewhere()
    approval.give_back()
    assert [a.state for a in store.approvals(last=9)] == ["used", "pending"]


def test_after_a_refusal_nobody_is_asked_for_a_day(store: Store, clock: SetClock) -> None:
    approval = PersonalApproval(store, clock)
    assert not approval()
    store.move_approval(1, expected=ApprovalState.PENDING, state=ApprovalState.REFUSED, at=clock.at)
    clock.at += DAY_SECONDS - 1
    assert not approval()
    assert len(store.approvals(last=9)) == 1
    clock.at += 1
    assert not approval()
    assert [a.state for a in store.approvals(last=9)] == ["refused", "pending"]


@given(
    looks=st.lists(
        st.tuples(st.floats(0, 1), st.floats(-2, 2), st.floats(0, 2000), st.booleans()),
        max_size=40,
    ),
    minimum=st.integers(0, 2),
    maximum=st.integers(2, 4),
)
@settings(max_examples=30)
def test_engines_stay_within_their_bounds_whatever_is_read(
    looks: list[tuple[float, float, float, bool]], minimum: int, maximum: int
) -> None:
    clock = SetClock()
    registry = ImprovementEngineRegistry(clock=clock)
    for number in range(minimum):
        registry.register_engine(f"first-{number}", SelfImprovementEngine(f"first-{number}"))
    for energy, trend, pause, approved in looks:
        clock.at += pause
        scale(
            registry,
            Position(energy, trend),
            min_engines=minimum,
            max_engines=maximum,
            approval_callback=lambda approved=approved: approved,
        )
        assert minimum <= len(registry.engines) <= maximum


@pytest.mark.slow
def test_a_day_of_10_000_looks_over_real_books_neither_flaps_nor_overspends(
    store: Store, clock: SetClock
) -> None:
    """Noise around a small true gain; each engine spends where the budget lets it."""
    capital, rng = CapitalManagementBot(store, clock=clock), np.random.default_rng(7)
    capital.deposit(100.0)
    capital.set_budget(20.0)
    registry = ImprovementEngineRegistry(store=store, clock=clock)
    position, counts = Position(), []

    class Optimist(CapitalManagementBot):
        """Sees every cycle succeed."""

        def energy_score(self, load: float, *_: float, **__: float) -> float:
            return super().energy_score(load, 1.0, 1.0, 0.0)

    optimist, spent = Optimist(store, clock=clock), 0.0
    for call in range(CALLS):
        clock.at += DAY_SECONDS / CALLS / 1.001
        position.trend = 0.05 + float(rng.normal())
        registry.autoscale(capital_bot=optimist, data_bot=position, factory=SelfImprovementEngine)
        counts.append(len(registry.engines))
        if call % 500 == 0:  # what engines spend, unless the cash is gone
            for _ in registry.engines:
                if capital.check_budget(cost_usd=2.0):
                    spent += 2.0
                    capital.expense(2.0)
                    capital.inflow(1.0)
    moved = store.scalings(last=1000, moved_only=True)
    turns = sum(a.action is not b.action for a, b in itertools.pairwise(moved))
    assert turns <= 1
    assert max(counts) <= 5
    assert len(store.scalings(last=CALLS)) <= 2 * len(moved) + 1
    assert spent <= 100.0
    assert capital.balances()["cash"] >= 0
    assert sum(store.capital_balances().values()) == 0
