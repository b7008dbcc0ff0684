from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menace.capital_management_bot import CapitalManagementBot, settlement_entry
from menace.double_entry import CASH, COSTS, GAINS, check_entry, nano_usd, usd_of
from menace.errors import CapitalError, UnknownBotError, WorkspaceError
from menace.records import BotConfig, BudgetCheck, CycleState, LedgerEntry
from menace.storage.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from menace.interfaces import Store

DAY = 86_400.0
NOON = 20_000 * DAY + DAY / 2


class SetClock:
    """A clock that stands where it is set."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> float:
        return self.at


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store("sqlite:///menace.db", folder=tmp_path)
    for name in ("alpha", "beta"):
        opened.add_bot(BotConfig(name, source=None, target="y"))
    yield opened
    opened.close()


@pytest.fixture
def capital(store: Store, clock: SetClock) -> CapitalManagementBot:
    return CapitalManagementBot(store, clock=clock)


def ended_cycle(store: Store, *, cost_usd: float, at: float, bot: str = "alpha") -> int:
    cycle = store.open_cycle(bot, energy=1, row=0, at=at, decision_id=None, details={})
    store.advance_cycle(
        cycle.cycle_id,
        expected=CycleState.DECIDED,
        state=CycleState.FAILED,
        at=at,
        cost_usd=cost_usd,
    )
    return cycle.cycle_id


def settle(
    store: Store, *, gain_usd: float = 0.0, cost_usd: float = 1.0, at: float, bot: str = "alpha"
) -> LedgerEntry:
    cycle = ended_cycle(store, cost_usd=cost_usd, at=at, bot=bot)
    entry = LedgerEntry(cycle, bot, at, gain_usd, cost_usd, 1.0, 4, 0.0)
    allocated = f"allocation:{bot}" in store.capital_balances()
    booked = settlement_entry(entry, allocated=allocated)
    assert store.settle(entry, expected=CycleState.FAILED, outcome="failed", capital=booked)
    return entry


def test_money_goes_in_and_out_and_to_bots(capital: CapitalManagementBot) -> None:
    capital.deposit(100.0, memo="seed")
    capital.withdraw(10.0)
    capital.inflow(5.0, bot="alpha")
    capital.expense(2.0)
    capital.allocate("alpha", 20.0)
    capital.release("alpha", 5.0)
    assert capital.balances() == {
        "allocation:alpha": 15.0,
        "cash": 78.0,
        "costs": 2.0,
        "gains": 5.0,
        "owner": 90.0,
    }
    assert capital.profit() == 3.0
    assert capital.position().capital_usd == 93.0


@pytest.mark.parametrize("usd", [0.0, -1.0, math.nan, math.inf, 1e12, 1e-12])
def test_an_amount_that_is_none_is_refused(capital: CapitalManagementBot, usd: float) -> None:
    with pytest.raises(CapitalError, match="USD"):
        capital.deposit(usd)
    assert capital.balances() == {}


def test_what_is_not_there_can_be_neither_taken_nor_set_aside(
    capital: CapitalManagementBot,
) -> None:
    capital.deposit(10.0)
    before = capital.balances()
    with pytest.raises(CapitalError, match="where there are 10"):
        capital.withdraw(10.5)
    with pytest.raises(CapitalError, match="11 USD are asked of cash"):
        capital.allocate("alpha", 11.0)
    with pytest.raises(CapitalError, match="of allocation:alpha, where there are 0"):
        capital.release("alpha", 1.0)
    with pytest.raises(UnknownBotError):
        capital.allocate("gamma", 1.0)
    assert capital.balances() == before


@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from(["deposit", "withdraw", "inflow", "expense", "allocate", "release"]),
            st.floats(0, 1e4),
        ),
        max_size=10,
    )
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_books_balance_to_the_nano_usd_after_any_sequence(
    store: Store, capital: CapitalManagementBot, moves: list[tuple[str, float]]
) -> None:
    for name, usd in moves:
        before = store.capital_balances()
        arguments = ("alpha", usd) if name in {"allocate", "release"} else (usd,)
        try:
            getattr(capital, name)(*arguments)
        except CapitalError:
            assert store.capital_balances() == before
        assert sum(store.capital_balances().values()) == 0


@given(gain=st.floats(-1e7, 1e7), cost=st.floats(0, 1e7), allocated=st.booleans())
def test_any_settlement_is_balanced(gain: float, cost: float, allocated: bool) -> None:
    booked = settlement_entry(
        LedgerEntry(7, "alpha", 1.0, gain, cost, 0.0, 1, 0.0), allocated=allocated
    )
    check_entry(booked)
    by_account = dict(booked.postings)
    assert -by_account.get(GAINS, 0) == nano_usd(gain)
    assert by_account.get(COSTS, 0) == nano_usd(cost)


def test_a_gain_beyond_the_books_is_noted_without_money() -> None:
    booked = settlement_entry(LedgerEntry(7, "alpha", 1.0, 1e300, 1.0, 0.0, 1, 0.0))
    check_entry(booked)
    assert booked.postings == ()
    assert "beyond" in booked.memo


def test_a_bot_with_an_allocation_pays_from_it(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    capital.deposit(10.0)
    capital.allocate("alpha", 4.0)
    settle(store, gain_usd=3.0, cost_usd=1.0, at=clock.at)
    settle(store, gain_usd=3.0, cost_usd=1.0, at=clock.at, bot="beta")
    assert capital.balances()["allocation:alpha"] == 3.0
    assert capital.balances()["cash"] == 6.0 + 3.0 + 2.0
    assert capital.profit() == 4.0


def test_an_allocation_given_back_in_full_lets_cash_pay_again(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    capital.deposit(100.0)
    capital.allocate("alpha", 10.0)
    settle(store, cost_usd=3.0, at=clock.at)
    capital.release("alpha", 7.0)
    assert "allocation:alpha" not in capital.balances()
    assert capital.check_budget("alpha", 0.01) == BudgetCheck(True, "cash", 97.0, 0.01)
    settle(store, cost_usd=5.0, at=clock.at)
    assert capital.balances()["cash"] == 92.0
    assert sum(store.capital_balances().values()) == 0


def test_an_allocation_that_was_spent_stays_and_holds_the_bot(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    capital.deposit(100.0)
    capital.allocate("alpha", 10.0)
    settle(store, cost_usd=10.0, at=clock.at)
    assert not capital.check_budget("alpha", 0.01)
    settle(store, cost_usd=2.0, at=clock.at)
    capital.allocate("alpha", 2.0)  # to 0 again, but nothing was given back
    assert capital.check_budget("alpha", 0.01) == BudgetCheck(False, "allocation", 0.0, 0.01)


def test_position_and_profit_are_over_the_window(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    capital.deposit(100.0)
    for days_ago, gain in ((40, 50.0), (3, 1.0), (2, 1.0), (1, 4.0), (0, 4.0)):
        settle(store, gain_usd=gain, cost_usd=1.0, at=clock.at - days_ago * DAY)
    position = capital.position()
    assert position.days == 4
    assert position.spending_usd_per_day == 1.0
    assert position.profit_trend == capital.profit_trend() == 1.0
    assert position.capital_usd == 100.0 + 60.0 - 5.0
    assert capital.profit() == 55.0
    assert capital.profit(days=2) == 6.0
    with pytest.raises(CapitalError, match="0 days"):
        capital.profit(days=0)


def test_the_energy_score_is_that_of_the_position(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    assert capital.energy_score(0.0, 1.0, 1.0, 0.0) == 0.0
    capital.deposit(100.0)
    settle(store, cost_usd=10.0, at=clock.at)
    poor = capital.energy_score(load=0.0, success_rate=1.0, deploy_eff=1.0, failure_rate=0.0)
    capital.deposit(1000.0)
    rich = capital.energy_score(load=0.0, success_rate=1.0, deploy_eff=1.0, failure_rate=0.0)
    assert 0 < poor < rich < 1
    with pytest.raises(CapitalError, match="load"):
        capital.energy_score(1.5, 0.0, 0.0, 0.0)


def test_without_limits_everything_may_be_spent(capital: CapitalManagementBot) -> None:
    assert capital.check_budget() == BudgetCheck(True, "none", None, 0.0)
    assert not capital.is_configured()


def test_a_days_budget_counts_what_ended_today_and_is_new_tomorrow(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    capital.set_budget(5.0)
    ended_cycle(store, cost_usd=100.0, at=clock.at - DAY)
    ended_cycle(store, cost_usd=3.0, at=clock.at)
    assert capital.is_configured()
    assert capital.check_budget("beta", 2.0) == BudgetCheck(True, "daily", 2.0, 2.0)
    assert not capital.check_budget("beta", 2.5)
    ended_cycle(store, cost_usd=2.0, at=clock.at, bot="beta")
    assert capital.check_budget() == BudgetCheck(False, "daily", 0.0, 0.0)
    clock.at += DAY
    assert capital.check_budget("alpha", 5.0)


def test_a_bots_own_budget_binds_that_bot_only(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    capital.set_budget(1.0, bot="alpha")
    ended_cycle(store, cost_usd=1.0, at=clock.at)
    assert capital.check_budget("alpha").purse == "bot"
    assert not capital.check_budget("alpha")
    assert capital.check_budget("beta", 100.0)
    capital.set_budget(None, bot="alpha")
    assert capital.check_budget("alpha", 100.0)


def test_cash_and_allocations_limit_once_money_was_put_in(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    capital.deposit(10.0)
    capital.allocate("alpha", 4.0)
    ended_cycle(store, cost_usd=3.0, at=clock.at)  # not settled: still to be paid
    assert capital.check_budget("alpha", 1.5) == BudgetCheck(False, "allocation", 1.0, 1.5)
    assert capital.check_budget("beta", 6.0) == BudgetCheck(True, "cash", 6.0, 6.0)
    ended_cycle(store, cost_usd=2.0, at=clock.at, bot="beta")
    assert not capital.check_budget("beta", 5.0)


def test_a_cycle_under_way_holds_what_it_is_expected_to_cost(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    capital.set_budget(5.0)
    details = {"expected_cost_usd": 4.0}
    store.open_cycle("beta", energy=1, row=0, at=clock.at, decision_id=None, details=details)
    assert capital.check_budget("alpha", 2.0) == BudgetCheck(False, "daily", 1.0, 2.0)


@pytest.mark.parametrize("cost_usd", [-1.0, math.nan, math.inf])
def test_a_cost_that_is_none_is_refused(capital: CapitalManagementBot, cost_usd: float) -> None:
    with pytest.raises(CapitalError, match="a cost of"):
        capital.check_budget("alpha", cost_usd)


def test_many_small_costs_add_up_exactly(
    store: Store, capital: CapitalManagementBot, clock: SetClock
) -> None:
    # A hundred cycles of a tenth of a CPU-second at the default price.
    for _ in range(100):
        settle(store, cost_usd=1.4e-6, at=clock.at)
    assert store.capital_balances() == {CASH: -140_000, COSTS: 140_000}
    assert usd_of(140_000) == 1.4e-4
    assert capital.profit() == -1.4e-4


def test_without_store_and_workspace_nothing_is_allowed_and_the_way_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MENACE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    capital = CapitalManagementBot()
    assert capital.energy_score(0.0, 1.0, 1.0, 0.0) == 0.0
    assert capital.profit() == capital.profit_trend() == 0.0
    assert capital.check_budget("alpha", 1.0)
    with pytest.raises(WorkspaceError, match="menace init"):
        capital.deposit(1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("days", "scale"), [(0, 1.0), (1, 0.0), (1, math.inf)])
def test_a_window_of_nothing_is_refused(days: int, scale: float) -> None:
    with pytest.raises(CapitalError, match="the window is"):
        CapitalManagementBot(window_days=days, runway_scale_days=scale)
