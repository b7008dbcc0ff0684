"""What a history teaches: running against waiting, for every model and tick."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.sandbox_runner import LossTable
from menace.sandbox_runner.counterfactuals import counterfactual_evidence
from menace.sandbox_runner.hindsight import run_advantage_usd

TICKS = 40


def ageing_table(*, rate: float, price: float, ticks: int = TICKS) -> LossTable:
    """Models that lose ``0.1 + rate · age`` of a tick's rows."""
    model, tick = np.indices((ticks, ticks))
    return LossTable.of_losses(0.1 + rate * np.maximum(tick - model, 0.0), cycle_usd=price, first=3)


def least_after(table: LossTable, model: int, tick: int) -> float:
    """Cheapest sequel from ``tick`` on with ``model`` in force, by listing every schedule."""
    decided = range(tick, table.ticks - 1)
    totals = []
    for choice in itertools.product((False, True), repeat=len(decided)):
        serving, total = model, 0.0
        for now, run in zip([*decided, table.ticks - 1], [*choice, False], strict=True):
            total += float(table.loss_usd[serving, now])
            if run:
                accepted = bool(table.accepted[serving, now])
                total += float(table.cycle_usd[now]) + accepted * table.promotion_usd
                serving = now if accepted else serving
        totals.append(total)
    return min(totals)


@given(seed=st.integers(0, 10_000))
def test_the_advantage_is_what_listing_every_sequel_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ticks = 7
    table = LossTable(
        rng.uniform(0, 1, (ticks, ticks)),
        rng.uniform(0, 0.5, ticks),
        rng.uniform(size=(ticks, ticks)) < 0.7,
        first=2,
        promotion_usd=0.1,
    )
    ahead = run_advantage_usd(table)
    for tick in range(2, ticks - 1):
        for model in range(tick):
            wait = least_after(table, model, tick + 1)
            run = float(table.cycle_usd[tick])
            if table.accepted[model, tick]:
                run += 0.1 + least_after(table, tick, tick + 1)
            else:
                run += wait
            assert ahead[model, tick] == pytest.approx(wait - run)
    assert np.isnan(ahead[:, :2]).all()
    assert np.isnan(ahead[:, -1]).all()


def test_where_models_age_little_debt_speaks_for_waiting_and_much_debt_for_running() -> None:
    found = counterfactual_evidence(ageing_table(rate=0.004, price=0.1), tick_usd=1.0).evidence
    little = [item.advantage for (debt, _), item in found.items() if debt <= 1]
    much = [item.advantage for (debt, _), item in found.items() if debt == 7]
    assert max(little) < 0 < min(much)
    assert all(0 < item.weight <= TICKS for item in found.values())


def test_money_and_rows_cancel() -> None:
    table = ageing_table(rate=0.004, price=0.1)
    dear = LossTable.of_losses(table.loss_usd * 700, cycle_usd=70.0, first=3)
    plain = counterfactual_evidence(table, tick_usd=1.0).evidence
    priced = counterfactual_evidence(dear, tick_usd=700.0).evidence
    assert priced.keys() == plain.keys()
    for cell, item in plain.items():
        assert priced[cell].advantage == pytest.approx(item.advantage)


def test_cycles_that_cost_nothing_teach_nothing() -> None:
    assert not counterfactual_evidence(ageing_table(rate=0.01, price=0.0), tick_usd=1.0)
