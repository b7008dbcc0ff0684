"""The parts of a searched cycle's gain are told apart on the rows that settled it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.config import validated_bot
from menace.model_automation_pipeline import ModelAutomationPipeline
from menace.model_automation_pipeline.leave_one_out import (
    LARGEST_SHARE,
    affordable,
    contributions,
    settlement_rows,
)
from menace.records import Cycle, LedgerEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.interfaces import Services
    from menace.model_automation_pipeline.training import TrainingJob, TrainingOutcome
    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]

LOSSES = st.lists(st.floats(0, 5), min_size=4, max_size=4).map(np.array)
BOT = {"name": "alpha", "source": None, "target": "y", "economics": {"loss_usd": 0.5}}


def entry_of(gain_usd: float, *, cost_usd: float = 2.0) -> LedgerEntry:
    return LedgerEntry(1, "alpha", 0.0, gain_usd, cost_usd, 0.0, 4, 0.0)


@given(challenger=LOSSES, one=LOSSES, gain=st.floats(-9, 9))
def test_the_contributions_add_up_to_the_gain(
    challenger: np.ndarray, one: np.ndarray, gain: float
) -> None:
    found = contributions(
        validated_bot(BOT),
        entry_of(gain),
        modules=["params:trees", "features:time", "window"],
        challenger=challenger,
        variants={"params:trees": one, "params:gone": one},
    )
    assert found["params:trees"] == pytest.approx(float((one - challenger).sum()) * 0.5 / 2.0)
    assert found["window"] == found["features:time"]
    assert math.fsum(found.values()) == pytest.approx(gain / 2.0)


def test_where_nothing_was_spent_nothing_is_said() -> None:
    entry, losses = entry_of(1.0, cost_usd=0.0), np.zeros(4)
    bot = validated_bot(BOT)
    assert contributions(bot, entry, modules=["a"], challenger=losses, variants={"a": losses}) == {}


@given(
    costs=st.dictionaries(st.text("abc", min_size=1), st.floats(0.01, 9)),
    used=st.floats(0, 99),
    left=st.floats(-9, 99),
)
def test_variants_take_no_more_than_what_is_cheap(
    costs: dict[str, float], used: float, left: float
) -> None:
    chosen = affordable(costs.__getitem__, list(costs), used=used, left=left)
    spent = sum(costs[module] for module in chosen)
    assert spent <= max(0.0, min(LARGEST_SHARE * used, left)) + 1e-9


@pytest.fixture
def settled(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> tuple[Workspace, Cycle, LedgerEntry]:
    """Give a settled refit, with rows that came after its settlement."""
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream))
    engine = workspace.engine("alpha")
    engine.run_cycle()
    stream.grow(200, turned=True)
    assert engine.run_cycle().status == "promoted"
    stream.grow(300, turned=True)
    engine.tick()
    entry = workspace.store.ledger("alpha")[1]
    assert entry.rows == 200
    return workspace, workspace.store.cycle(entry.cycle_id), entry


def with_variants(cycle: Cycle, modules: list[str], variants: dict[str, Any]) -> Cycle:
    metrics = {**cycle.details["metrics"], "modules": modules, "variants": variants}
    return dataclasses.replace(cycle, details={**cycle.details, "metrics": metrics})


def test_a_variant_is_scored_on_the_very_rows_that_settled_the_cycle(
    settled: tuple[Workspace, Cycle, LedgerEntry],
) -> None:
    workspace, cycle, entry = settled
    # The replaced champion for a variant: what the cycle gained over it is in the ledger.
    champion = workspace.store.model("alpha", 1)
    variants = {"params:trees": (champion.artifact, champion.sha256)}
    changed = with_variants(cycle, ["params:trees", "window"], variants)
    found = ModelAutomationPipeline(workspace.services).contributions(changed, entry)
    assert found["params:trees"] == pytest.approx(entry.gain_usd / entry.cycle_cost_usd)
    assert found["window"] == pytest.approx(0.0, abs=1e-9)


def test_a_refit_changes_the_window_and_needs_no_variant(
    settled: tuple[Workspace, Cycle, LedgerEntry],
) -> None:
    workspace, cycle, entry = settled
    assert cycle.details["metrics"]["modules"] == ["window"]
    assert cycle.details["metrics"]["variants"] == {}
    assert ModelAutomationPipeline(workspace.services).contributions(cycle, entry) == {}
    log = workspace.engine("alpha").rankings()
    assert log == [("window", pytest.approx(entry.roi_delta)), ("model", 0.0)]


def test_rows_that_cannot_be_had_any_more_leave_equal_shares(
    settled: tuple[Workspace, Cycle, LedgerEntry],
) -> None:
    workspace, cycle, _ = settled
    bot = workspace.store.bot("alpha")
    assert len(settlement_rows(workspace.services, bot, cycle, 200)) == 200
    assert len(settlement_rows(workspace.services, bot, cycle, 301)) == 0
    unmade = dataclasses.replace(cycle, version=None)
    assert len(settlement_rows(workspace.services, bot, unmade, 200)) == 0


def test_a_search_leaves_variants_of_the_configuration_that_it_promoted(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300, turned=False)
    workspace.add_bot(alpha(stream, seconds_per_energy=0.2))
    workspace.engine("alpha").run_cycle()
    stream.grow(200, turned=False)
    workspace.engine("alpha").run_cycle(10)
    metrics = workspace.store.cycles("alpha", last=1)[0].details["metrics"]
    assert metrics["variants"].keys() <= set(metrics["modules"])
    for artifact, sha256 in metrics["variants"].values():
        assert workspace.services.artifacts.get(artifact, sha256)


def test_a_search_is_told_the_trends_of_the_bots_modules_and_a_refit_is_not(
    settled: tuple[Workspace, Cycle, LedgerEntry],
) -> None:
    workspace, _, _ = settled
    jobs = []

    class Watching(ModelAutomationPipeline):
        def _train(self, services: Services, job: TrainingJob) -> TrainingOutcome:
            jobs.append(job)
            return super()._train(services, dataclasses.replace(job, energy=1))

    log = workspace.engine("alpha").module_log
    log.log_cycle(90, 0.5, ["params:trees"])
    log.log_cycle(91, 1.0, ["params:trees"])
    pipeline = Watching(workspace.services)
    for energy in (1, 5):
        pipeline.improve("alpha", energy)
    assert [job.trends for job in jobs] == [{}, {"params:trees": 1.0}]
