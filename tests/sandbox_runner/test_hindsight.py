from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import DataError
from menace.sandbox_runner import LossTable, follow, hindsight
from menace.sandbox_runner.hindsight import calendar, never


@dataclass(frozen=True)
class FixedTicks:
    """Runs a cycle at these ticks."""

    ticks: set[int]

    def __call__(self, tick: int, _model: int) -> bool:
        return tick in self.ticks


def random_table(seed: int, ticks: int, first: int) -> LossTable:
    rng = np.random.default_rng(seed)
    return LossTable(
        loss_usd=rng.uniform(0, 1, (ticks, ticks)).round(3),
        cycle_usd=rng.uniform(0, 0.8, ticks).round(3),
        accepted=rng.uniform(size=(ticks, ticks)) < 0.8,
        first=first,
        promotion_usd=0.2 * (seed % 2),
    )


@given(seed=st.integers(0, 10_000), ticks=st.integers(2, 8), data=st.data())
def test_hindsight_equals_the_best_of_all_schedules(
    seed: int, ticks: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, ticks - 1))
    table = random_table(seed, ticks, first)
    decided = range(first, ticks - 1)
    totals = []
    for chosen in itertools.product([False, True], repeat=len(decided)):
        runs = {tick for tick, run in zip(decided, chosen, strict=True) if run}
        totals.append(follow(table, FixedTicks(runs)).total_usd)
    assert hindsight(table).total_usd == pytest.approx(min(totals))


@given(seed=st.integers(0, 10_000), every=st.integers(1, 6))
def test_no_schedule_beats_hindsight(seed: int, every: int) -> None:
    table = random_table(seed, 12, 2)
    best = hindsight(table).total_usd
    assert best <= calendar(table, every).total_usd + 1e-12
    assert best <= never(table).total_usd + 1e-12


def test_a_refused_challenger_costs_and_does_not_serve() -> None:
    table = LossTable(np.ones((3, 3)), np.full(3, 0.5), np.zeros((3, 3), dtype=np.bool_))
    schedule = calendar(table, 1)
    assert schedule.served == (0, 0)
    assert (schedule.loss_usd, schedule.cycle_usd) == (2.0, 0.5)


def test_the_cost_of_a_schedule_is_the_sum_over_its_ticks() -> None:
    schedule = calendar(random_table(3, 20, 4), 3)
    assert schedule.per_tick_usd.sum() == pytest.approx(schedule.total_usd)
    assert len(schedule.per_tick_usd) == len(schedule.served) == 16


def test_a_table_that_is_not_square_is_refused() -> None:
    with pytest.raises(DataError, match="3 × 3"):
        LossTable(np.ones((2, 3)), np.ones(3), np.ones((3, 3), dtype=np.bool_))


def test_a_table_whose_first_tick_has_no_model_is_refused() -> None:
    with pytest.raises(DataError, match="first tick"):
        LossTable.of_losses(np.ones((3, 3)), cycle_usd=1.0, first=0)
