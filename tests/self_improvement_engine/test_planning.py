from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from menace.errors import PipelineError
from menace.interfaces import StagedPipeline, WindowedPipeline
from menace.model_automation_pipeline import ModelAutomationPipeline
from menace.records import AutomationResult, CycleState

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd

    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]

DEAR = {"loss_usd": 1.0, "cpu_second_usd": 10_000.0}
CHEAP = {"loss_usd": 1.0, "cpu_second_usd": 0.01}


def before_season(workspace: Workspace, alpha: Describe, stream: DriftingStream) -> None:
    """Have one model of each season."""
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, economics=DEAR))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(300, turned=True)
    engine.run_cycle()


def returning_season(
    workspace: Workspace, alpha: Describe, stream: DriftingStream
) -> tuple[list[str], list[int | None]]:
    """Live through a season, its opposite, and its return, where no cycle pays by itself."""
    before_season(workspace, alpha, stream)
    engine = workspace.engine("alpha")
    reasons, served = [], []
    for tick in range(16):
        stream.grow(100, turned=tick < 6)
        decision, _ = engine.tick()
        reasons.append(decision.reason)
        served.append(workspace.store.snapshot("alpha").champion_version)
    return reasons, served


def test_the_loop_goes_back_to_an_archived_model_that_leads_clearly(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    reasons, served = returning_season(workspace, alpha, stream)
    assert reasons.count("roll back") == 1
    assert served[-1] == 1
    assert set(served[: reasons.index("roll back")]) == {2}
    decided = [d for d in workspace.store.decisions("alpha", last=50) if d.reason == "roll back"]
    assert not decided[0]
    assert decided[0].inputs["roll_back"] == {"from": 2, "to": 1}
    assert decided[0].inputs["alternatives"]["best"] == "roll back"
    topics = [event.topic for event in workspace.store.pending_events(limit=1000)]
    assert topics.count("model.rolled_back") == 1
    assert len(workspace.store.cycles("alpha", last=50)) == 2
    assert len(workspace.store.ledger("alpha")) == 2


def test_going_back_is_repeatable_to_the_bit(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Any
) -> None:
    from support import DriftingStream

    one = returning_season(open_workspace("one"), alpha, stream)
    again = DriftingStream(tmp_path / "again.csv")
    assert returning_season(open_workspace("two"), alpha, again) == one


def test_after_going_back_the_loop_waits_for_new_rows(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    before_season(workspace, alpha, stream)
    for tick in range(16):
        stream.grow(100, turned=tick < 6)
        if workspace.engine("alpha").tick()[0].reason == "roll back":
            break
    # As a start after a kill would, an engine that remembers nothing looks at the same rows.
    for _ in range(2):
        decision, result = workspace.engine("alpha", interval=0.0).tick()
        assert (decision.run, decision.reason) == (False, "nothing new since the rollback")
        assert result is None
    assert workspace.store.snapshot("alpha").champion_version == 1


def test_a_model_that_has_just_begun_to_serve_is_not_gone_back_from(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    returning_season(workspace, alpha, stream)
    engine = workspace.engine("alpha")
    engine.roll_back(to=2)  # somebody's choice, however bad
    for _ in range(3):
        stream.grow(100, turned=False)
        decision, _ = engine.tick()
        assert decision.reason != "roll back"


def test_every_decision_beside_a_model_values_the_alternatives(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    first, _ = engine.tick()
    assert "alternatives" not in first.inputs
    assert first.inputs["plan"]["kind"] == "refit recent"
    stream.grow(100)
    decision, _ = engine.tick()
    kinds = [row["kind"] for row in decision.inputs["alternatives"]["rows"]]
    assert kinds[:2] == ["wait", "refit recent"]
    assert "search" in kinds


def test_a_search_that_was_asked_for_is_run_with_its_energy(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream, economics=CHEAP, seconds_per_energy=0.1))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(100)
    engine.run_cycle(2)
    cycle = workspace.store.cycles("alpha", last=1)[0]
    assert cycle.energy == 2
    assert cycle.details["plan"]["kind"] == "search"
    rows = workspace.store.decisions("alpha", last=1)[0].inputs["alternatives"]["rows"]
    refits = {row["gain_usd"] for row in rows if row["kind"] == "refit recent"}
    assert cycle.details["plan"]["refit_gain_usd"] == pytest.approx(refits.pop())
    assert cycle.details["plan"]["gain_usd"] > cycle.details["plan"]["refit_gain_usd"]
    assert workspace.store.snapshot("alpha").loop.recipes["searches"][1] == 1.0


def test_where_cpu_time_is_cheap_both_windows_are_tried_and_the_better_one_is_remembered(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(900, turned=False)
    workspace.add_bot(alpha(stream, economics=CHEAP))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    compared = []
    for _ in range(4):
        stream.grow(100, turned=False)
        engine.run_cycle()
        cycle = workspace.store.cycles("alpha", last=1)[0]
        if cycle.details["plan"]["window"] == "either":
            compared.append(cycle)
    assert compared
    shown = compared[0].details["metrics"]["windows"]
    assert shown["history_rows"] > 300
    recipes = workspace.store.snapshot("alpha").loop.recipes
    assert recipes["window_lead"][1] > 0
    assert recipes["row_usd"]["either"] > 0
    for cycle in compared:
        chosen = cycle.details["metrics"]["window"]
        assert (recipes["made_of"].get(str(cycle.version), "recent")) == chosen


def test_promotions_leave_the_learned_cost_of_a_window_as_it_is(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace, promotion_usd = open_workspace(), 2.0
    stream.grow(900, turned=False)
    economics = {"loss_usd": 1.0, "cpu_second_usd": 1e-6, "promotion_usd": promotion_usd}
    workspace.add_bot(alpha(stream, economics=economics))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(300, turned=True)
    engine.run_cycle()
    cycle = workspace.store.cycles("alpha", last=1)[0]
    assert cycle.outcome == "promoted"
    assert cycle.details["plan"]["window"] == "either"
    work_rows = cycle.details["plan"]["work_rows"]
    row_usd = workspace.store.snapshot("alpha").loop.recipes["row_usd"]["either"]
    assert row_usd * work_rows == pytest.approx(cycle.cost_usd - promotion_usd, abs=1e-9)
    assert promotion_usd <= cycle.details["plan"]["cost_usd"] < 1.1 * promotion_usd


def test_in_a_world_that_stays_the_same_the_loop_comes_to_learn_from_all_history(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, economics={"loss_usd": 1.0, "cpu_second_usd": 0.1}))
    engine = workspace.engine("alpha")
    kinds = []
    for _ in range(16):
        decision, _ = engine.tick()
        kinds.append(decision.inputs.get("plan", {}).get("kind"))
        stream.grow(100, turned=False)
    assert kinds[0] == "refit recent"
    assert "compare windows" in kinds[1:4]  # tried early, and not for ever
    assert kinds[-1] == "refit history"
    assert kinds.index("refit history") > kinds.index("compare windows")


@pytest.mark.parametrize("cap", [400, 2000])
def test_all_history_is_learned_from_up_to_the_cap(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Any, cap: int
) -> None:
    folder = tmp_path / "capped"
    folder.mkdir()
    (folder / "menace.toml").write_text(
        f'[loop]\nworkers = 0\nmeter = "counted"\nmax_history_rows = {cap}\n'
    )
    workspace = open_workspace("capped")
    stream.grow(1000, turned=False)
    workspace.add_bot(alpha(stream))
    workspace.engine("alpha").run_cycle()
    pipeline = ModelAutomationPipeline(workspace.services)
    made = [pipeline.improve("alpha", window="history") for _ in range(2)]
    assert made[0].package is not None
    assert made[1].package is not None
    training = made[0].package.manifest["training"]
    assert training["window"] == "history"
    assert cap / 2 <= training["rows"] <= min(cap, 1000)
    assert training["rows"] > 300
    assert made[0].package.sha256 == made[1].package.sha256
    assert made[0].metrics["rows"] <= 100  # the hold-out is that of the window


def test_an_unknown_window_is_refused_by_name(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    with pytest.raises(PipelineError, match="'yesterday'"):
        ModelAutomationPipeline(workspace.services).improve("alpha", window="yesterday")


class Plain:
    """A staged pipeline of somebody's own, which knows nothing of windows."""

    def __init__(self, services: Any) -> None:
        self._own = ModelAutomationPipeline(services)
        self.energies: list[int] = []

    def run(self, bot_name: str, energy: int = 1) -> AutomationResult:
        """Improve and deploy."""
        return self._own.run(bot_name, energy)

    def improve(
        self, bot_name: str, energy: int = 1, *, cycle_id: int | None = None
    ) -> AutomationResult:
        """Make a challenger."""
        self.energies.append(energy)
        return self._own.improve(bot_name, energy, cycle_id=cycle_id)

    def score(
        self, bot_name: str, version: int, rows: pd.DataFrame
    ) -> tuple[list[str] | list[float], np.ndarray]:
        """Score rows."""
        return self._own.score(bot_name, version, rows)


def test_a_staged_pipeline_without_windows_goes_on_as_before(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(600)
    workspace.add_bot(alpha(stream, economics=CHEAP))
    pipeline = Plain(workspace.services)
    assert isinstance(pipeline, StagedPipeline)
    assert not isinstance(pipeline, WindowedPipeline)
    engine = workspace.engine("alpha", pipeline=pipeline)
    engine.run_cycle()
    stream.grow(100)
    engine.run_cycle()
    assert pipeline.energies == [1, 1]
    cycles = workspace.store.cycles("alpha", last=5)
    assert {cycle.details["plan"]["window"] for cycle in cycles} == {"recent"}
    assert all(cycle.state is not CycleState.FAILED for cycle in cycles)
