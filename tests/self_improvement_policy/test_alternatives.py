from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.self_improvement_policy.alternatives import (
    Alternatives,
    Archived,
    Kind,
    Known,
    expected_maximum,
    value,
)
from menace.self_improvement_policy.recipes import GainBook, RecipeBook, work_rows
from menace.self_improvement_policy.staleness import PRIOR as STALENESS
from menace.self_improvement_policy.staleness import StalenessEstimator

LOSSES = st.floats(0.001, 0.4)
USD = st.floats(0.01, 1000)


def known(**changes: object) -> Known:
    """Give a bot with a year's history, whose champion is a little stale."""
    plain = Known(
        tick_usd=100.0,
        excess=0.05,
        excess_error=0.01,
        rate=0.01,
        level=0.2,
        cost_usd=5.0,
        recipes=RecipeBook(),
        gains=GainBook(),
        recent_rows=1000,
        history_rows=4000,
        tick_rows=100,
        validation_rows=200,
        search_energy=5,
        unit_usd=2.0,
        archived=Archived(3, 0.04, 0.01, 4),
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def net(table: Alternatives, kind: Kind) -> float:
    return next(row.net_usd for row in table.rows if row.kind is kind)


def gain(table: Alternatives, kind: Kind) -> float:
    return next(row.gain_usd for row in table.rows if row.kind is kind)


@given(scale=st.floats(0.001, 1000), excess=st.floats(-0.1, 0.3), cost=USD)
def test_values_grow_with_all_prices_and_the_choice_does_not(
    scale: float, excess: float, cost: float
) -> None:
    recipes = RecipeBook(row_usd={"history": 0.01, "either": 0.004})
    dearer = RecipeBook(row_usd={"history": 0.01 * scale, "either": 0.004 * scale})
    here = value(known(excess=excess, cost_usd=cost, recipes=recipes))
    there = value(
        known(
            excess=excess,
            recipes=dearer,
            tick_usd=100.0 * scale,
            cost_usd=cost * scale,
            unit_usd=2.0 * scale,
        )
    )
    assert there.horizon_ticks == pytest.approx(here.horizon_ticks)
    for one, other in zip(here.rows, there.rows, strict=True):
        for name in ("gain_usd", "error_usd", "cost_usd"):
            expected = pytest.approx(scale * getattr(one, name), rel=1e-6, abs=1e-9 * scale)
            assert getattr(other, name) == expected


@given(excess=st.floats(-0.2, 0.0), cost=USD, error=LOSSES, lead=st.floats(-0.2, 0.0))
def test_waiting_is_best_when_nothing_is_stale(
    excess: float, cost: float, error: float, lead: float
) -> None:
    archived = Archived(3, lead, error, 4)
    table = value(known(excess=excess, excess_error=error, cost_usd=cost, archived=archived))
    assert table.best.kind is Kind.WAIT
    assert not table.goes_back(cycle_runs=False)


@given(excess=LOSSES, cost=st.floats(3.0, 1000))
def test_a_refit_is_worth_it_exactly_when_the_debt_has_reached_the_cost(
    excess: float, cost: float
) -> None:
    rate, tick_usd = 0.01, 100.0
    debt_usd = tick_usd * (excess / STALENESS.margin) ** 2 / (2 * rate)
    table = value(known(excess=excess, cost_usd=cost))
    if debt_usd != pytest.approx(cost, rel=1e-6):
        assert (net(table, Kind.REFIT_RECENT) > 0) == (debt_usd > cost)


@given(error=LOSSES, less=st.floats(0.01, 0.99))
def test_better_evidence_narrows_the_error(error: float, less: float) -> None:
    wide, narrow = value(known(excess_error=error)), value(known(excess_error=error * less))
    for one, other in zip(wide.rows, narrow.rows, strict=True):
        assert other.error_usd <= one.error_usd
    estimator = StalenessEstimator()
    errors = []
    for _ in range(12):
        estimator.observe({1: 0.2, 2: 0.1}, champion=1)
        errors.append(estimator.lead_error(1, 2))
    assert errors == sorted(errors, reverse=True)


@given(lead=st.floats(0.001, 0.3), error=st.floats(0.0001, 0.1), among=st.integers(1, 40))
def test_the_more_models_were_compared_the_more_the_best_must_lead(
    lead: float, error: float, among: int
) -> None:
    few, many = (value(known(archived=Archived(3, lead, error, n))) for n in (among, among + 5))
    assert gain(many, Kind.ROLL_BACK) < gain(few, Kind.ROLL_BACK)
    if many.rollback is not None and many.rollback.eligible:
        assert few.goes_back(cycle_runs=False)
        assert lead > error * (1 + expected_maximum(among + 5))


def test_a_rollback_yields_to_a_cycle_that_brings_more_and_stands_where_none_runs() -> None:
    table = value(known(excess=0.3))
    assert table.best.kind is Kind.REFIT_RECENT
    assert table.goes_back(cycle_runs=False)
    assert not table.goes_back(cycle_runs=True)
    level = value(known(excess=0.04))
    assert level.best.kind is Kind.ROLL_BACK
    assert level.goes_back(cycle_runs=True)


def test_what_only_teaches_never_starts_a_cycle() -> None:
    table = value(known(excess=0.0, cost_usd=0.01, unit_usd=0.0001, archived=None))
    assert net(table, Kind.COMPARE_WINDOWS) > 0
    assert net(table, Kind.SEARCH) > 0
    assert table.best.kind is Kind.WAIT


@given(cost=st.floats(0.001, 2000))
def test_both_windows_are_compared_where_knowing_is_worth_more_than_it_costs(cost: float) -> None:
    table = value(known(cost_usd=cost))
    knowing = gain(table, Kind.COMPARE_WINDOWS) - gain(table, Kind.REFIT_RECENT)
    assert knowing >= 0
    if cost < 0.01:
        assert net(table, Kind.COMPARE_WINDOWS) > net(table, Kind.REFIT_RECENT)
    if cost > 1000:
        assert net(table, Kind.COMPARE_WINDOWS) < net(table, Kind.REFIT_RECENT)


def test_a_comparison_is_worth_less_the_more_were_made() -> None:
    book, worth = RecipeBook(), []
    for _ in range(5):
        table = value(known(cost_usd=0.01, recipes=book))
        worth.append(gain(table, Kind.COMPARE_WINDOWS) - gain(table, Kind.REFIT_RECENT))
        book.add_comparison(lead=-0.02, error=0.002, level=0.2)
    assert worth == sorted(worth, reverse=True)
    assert worth[-1] < 0.01 * worth[0]


def test_a_lead_of_all_history_is_learned_and_belongs_to_a_champion_made_of_it() -> None:
    book = RecipeBook()
    for _ in range(4):
        book.add_comparison(lead=0.03, error=0.005, level=0.2)
    recent = value(known(recipes=book, cost_usd=0.5))
    assert recent.best_refit is not None
    assert recent.best_refit.kind is Kind.REFIT_HISTORY
    after = value(known(recipes=book, cost_usd=0.5, champion_window="history"))
    assert gain(after, Kind.REFIT_HISTORY) < gain(recent, Kind.REFIT_HISTORY)
    assert gain(after, Kind.REFIT_HISTORY) == pytest.approx(gain(recent, Kind.REFIT_RECENT))


def test_a_recipe_whose_cycles_gained_nothing_is_believed_less() -> None:
    gains = GainBook()
    for _ in range(6):
        gains.add("recent", expected_usd=10.0, gained_usd=0.0, cost_usd=2.0)
    doubted, trusted = value(known(gains=gains)), value(known())
    assert 0 < gain(doubted, Kind.REFIT_RECENT) < gain(trusted, Kind.REFIT_RECENT)


@given(expected=USD, gained=st.floats(-1e6, 1e6), cost=USD)
def test_one_windfall_moves_a_recipe_by_a_bounded_amount(
    expected: float, gained: float, cost: float
) -> None:
    book = GainBook()
    book.add("recent", expected_usd=expected, gained_usd=gained, cost_usd=cost)
    ratio, error = book.ratio("recent")
    assert 0 <= ratio <= 2
    assert 0 < error <= 0.5
    assert GainBook.from_json(json.loads(json.dumps(book.to_json()))) == book


def test_books_are_read_back_as_they_were_saved_and_forget_the_oldest_versions() -> None:
    book = RecipeBook()
    book.add_cost("history", cost_usd=4.0, work_rows=work_rows("history", 100, 400))
    book.add_comparison(lead=0.01, error=0.01, level=0.2)
    book.add_search(0.04)
    for version in range(100):
        book.note_version(version, "history" if version % 2 else "recent")
    assert RecipeBook.from_json(json.loads(json.dumps(book.to_json()))) == book
    assert len(book.made_of) <= RecipeBook.REMEMBERED_VERSIONS
    assert RecipeBook.from_json({}) == RecipeBook()


@given(improvements=st.lists(st.floats(0, 0.5), max_size=8))
def test_a_search_is_expected_to_find_what_searches_found_less_their_luck(
    improvements: list[float],
) -> None:
    book = RecipeBook()
    for improvement in improvements:
        book.add_search(improvement)
    expected, error = book.search_improvement()
    assert 0 <= expected <= max([0.02, *improvements])
    assert 0 < error <= 0.02


def test_costs_of_another_window_are_scaled_by_rows_until_they_are_known() -> None:
    def cost(table: Alternatives, kind: Kind) -> float:
        return next(row.cost_usd for row in table.rows if row.kind is kind)

    table = value(known())
    assert cost(table, Kind.REFIT_HISTORY) == pytest.approx(5.0 * 4)
    assert cost(table, Kind.COMPARE_WINDOWS) == pytest.approx(5.0 * 3.5)
    book = RecipeBook()
    book.add_cost("history", cost_usd=8.0, work_rows=4000.0)
    assert cost(value(known(recipes=book)), Kind.REFIT_HISTORY) == pytest.approx(8.0)
    grown = value(known(recipes=book, history_rows=8000))
    assert cost(grown, Kind.REFIT_HISTORY) == pytest.approx(16.0)


@pytest.mark.parametrize("row_usd", [{}, {"history": 0.00001, "either": 0.00001}])
def test_a_promotion_costs_the_same_for_every_window(row_usd: dict[str, float]) -> None:
    book = RecipeBook(row_usd=row_usd)
    table = value(known(cost_usd=5.01, promotion_usd=5.0, history_rows=20_000, recipes=book))
    costs = {row.kind: row.cost_usd for row in table.rows}
    assert costs[Kind.REFIT_RECENT] == 5.01
    assert costs[Kind.REFIT_HISTORY] == pytest.approx(5.0 + 0.01 * 20)
    assert costs[Kind.COMPARE_WINDOWS] == pytest.approx(5.0 + 0.01 * 11.5)


def test_refits_that_are_mostly_rejected_make_no_window_cost_less_than_one() -> None:
    table = value(known(cost_usd=2.0, promotion_usd=5.0))
    assert all(row.cost_usd >= 2.0 for row in table.rows if row.is_cycle)
