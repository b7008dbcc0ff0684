"""What every store must do with money, budgets, numbers of engines and questions to people.

A part of :class:`conformance.store_conformance.StoreConformance`, which gives ``store`` (with the
bots alpha and beta) and ``reopen``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from menace.double_entry import CASH, COSTS, GAINS, OWNER, CapitalEntry, EntryKind, Posting
from menace.errors import ApprovalError, CapitalError, UnknownBotError
from menace.records import (
    ApprovalState,
    Budget,
    CycleState,
    LedgerEntry,
    Scaling,
    ScalingAction,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.interfaces import Store

DAY = 86_400.0
ACCOUNTS = (CASH, OWNER, GAINS, COSTS, "allocation:alpha", "allocation:beta")


def entry(
    *postings: tuple[str, int],
    at: float = 10.0,
    kind: EntryKind = EntryKind.DEPOSIT,
    bot: str | None = None,
    cycle_id: int | None = None,
    memo: str = "",
) -> CapitalEntry:
    sides = tuple(Posting(*posting) for posting in postings)
    return CapitalEntry(kind, at, sides, bot=bot, cycle_id=cycle_id, memo=memo)


def failed_cycle(store: Store, *, cost_usd: float = 1.0, at: float = 50.0) -> int:
    details = {"expected_cost_usd": 2.5}
    cycle = store.open_cycle(
        "alpha", energy=1, row=0, at=at, decision_id=None, details=details
    ).cycle_id
    store.advance_cycle(
        cycle, expected=CycleState.DECIDED, state=CycleState.FAILED, at=at, cost_usd=cost_usd
    )
    return cycle


def settlement(cycle_id: int) -> tuple[LedgerEntry, CapitalEntry]:
    settled = LedgerEntry(cycle_id, "alpha", 60.0, 0.0, 1.0, 0.0, 0, -1.0)
    postings = ((CASH, -10), (COSTS, 10))
    booked = entry(*postings, kind=EntryKind.SETTLEMENT, bot="alpha", cycle_id=cycle_id, at=60.0)
    return settled, booked


def wait(reason: str, at: float) -> Scaling:
    return Scaling(ScalingAction.WAIT, reason, at, inputs={"engines": 1})


def movement(sides: list[tuple[str, int]], at: float, balanced: bool) -> CapitalEntry:
    if balanced and sides:
        rest = sum(amount for _, amount in sides[:-1])
        sides = [*sides[:-1], (sides[-1][0], -rest)]
    return entry(*sides, at=at)


MOVEMENTS = st.builds(
    movement,
    st.lists(st.tuples(st.sampled_from(ACCOUNTS), st.integers(-1000, 1000)), max_size=4),
    st.floats(0, 10 * DAY),
    st.booleans(),
)


class CapitalConformance:
    """Mixed into the suite of every backend."""

    # Money

    def test_an_allocation_is_closed_by_giving_back_the_last_of_it_only(self, store: Store) -> None:
        aside, kind = "allocation:alpha", EntryKind.ALLOCATION
        store.post_capital(entry((aside, 5), (CASH, -5), kind=kind, bot="alpha"))
        store.post_capital(entry((aside, -4), (CASH, 4), kind=kind, bot="alpha"))
        assert store.capital_balances() == {aside: 1, CASH: -1}
        store.post_capital(entry((aside, -1), (CASH, 1), kind=kind, bot="alpha"))
        assert store.capital_balances() == {CASH: 0}
        store.post_capital(entry((aside, 5), (CASH, -5), kind=kind, bot="alpha"))
        store.post_capital(entry((aside, -5), (COSTS, 5), kind=EntryKind.EXPENSE))
        assert store.capital_balances() == {aside: 0, CASH: -5, COSTS: 5}

    def test_an_entry_is_read_back_as_it_was_posted(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        posted = entry((CASH, 5), (OWNER, -3), (GAINS, -2), bot="beta", memo="ü")
        number = store.post_capital(posted)
        [found] = reopen().capital_entries(last=9)
        assert found.entry_id == number
        assert (found.kind, found.at, found.bot, found.memo) == ("deposit", 10.0, "beta", "ü")
        assert set(found.postings) == set(posted.postings)
        assert store.capital_entries(last=9, bot="alpha") == []
        assert store.capital_entries(last=9, bot="beta") == [found]
        assert store.capital_balances() == {CASH: 5, OWNER: -3, GAINS: -2}

    def test_postings_are_summed_by_utc_day(self, store: Store) -> None:
        for at in (0.0, DAY - 1, DAY, 5 * DAY):
            store.post_capital(entry((CASH, 1), (OWNER, -1), at=at))
        assert store.capital_days(CASH, since=0) == {0: 2, 1: 1, 5: 1}
        assert store.capital_days(CASH, since=1) == {1: 1, 5: 1}
        assert store.capital_days(COSTS, since=0) == {}

    @given(sequence=st.lists(MOVEMENTS, max_size=12))
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_the_books_balance_after_any_sequence_and_refused_entries_change_nothing(
        self, store: Store, sequence: list[CapitalEntry]
    ) -> None:
        for item in sequence:
            before = store.capital_balances(), store.capital_entries(last=1)
            try:
                store.post_capital(item, covered=[CASH])
            except CapitalError:
                assert (store.capital_balances(), store.capital_entries(last=1)) == before
            balances = store.capital_balances()
            assert sum(balances.values()) == 0
            assert balances.get(CASH, 0) >= 0
        for account, balance in store.capital_balances().items():
            assert balance == sum(store.capital_days(account, since=0).values())

    @pytest.mark.parametrize(
        "postings",
        [
            ((CASH, 5), (OWNER, -4)),
            ((CASH, 5),),
            (),
            ((CASH, 0), (OWNER, 0)),
            ((CASH, 5), (CASH, -5)),
            ((CASH, 5), ("purse", -5)),
            ((CASH, 10**18), (OWNER, -(10**18))),
        ],
    )
    def test_what_is_not_balanced_or_not_an_entry_is_refused(
        self, store: Store, postings: tuple[tuple[str, int], ...]
    ) -> None:
        with pytest.raises(CapitalError, match="the entry"):
            store.post_capital(entry(*postings))
        assert store.capital_entries(last=9) == []
        assert store.capital_balances() == {}

    def test_an_account_that_has_to_be_covered_is(self, store: Store) -> None:
        store.post_capital(entry((CASH, 5), (OWNER, -5)))
        spend = entry((CASH, -6), (COSTS, 6))
        with pytest.raises(CapitalError, match="of cash"):
            store.post_capital(spend, covered=[CASH])
        assert store.capital_balances() == {CASH: 5, OWNER: -5}
        store.post_capital(spend)
        assert store.capital_balances()[CASH] == -1

    def test_money_of_an_unknown_bot_is_refused(self, store: Store) -> None:
        with pytest.raises(UnknownBotError):
            store.post_capital(entry((CASH, 5), (OWNER, -5), bot="gamma"))
        assert store.capital_balances() == {}

    def test_a_settled_cycle_is_booked_once_and_with_its_settlement(self, store: Store) -> None:
        settled, booked = settlement(failed_cycle(store))
        expected = CycleState.FAILED
        assert store.settle(settled, expected=expected, outcome="failed", capital=booked)
        assert not store.settle(settled, expected=expected, outcome="failed", capital=booked)
        with pytest.raises(CapitalError, match="already"):
            store.post_capital(booked)
        assert store.capital_balances() == {CASH: -10, COSTS: 10}
        assert [e.cycle_id for e in store.capital_entries(last=9)] == [booked.cycle_id]

    def test_a_settlement_that_cannot_be_booked_settles_nothing(self, store: Store) -> None:
        cycle = failed_cycle(store)
        settled, _ = settlement(cycle)
        with pytest.raises(CapitalError):
            store.settle(
                settled,
                expected=CycleState.FAILED,
                outcome="failed",
                capital=entry((CASH, 1), (COSTS, 1), cycle_id=cycle),
            )
        assert store.cycle(cycle).state is CycleState.FAILED
        assert store.ledger() == []

    def test_threads_that_post_at_once_lose_nothing(self, store: Store) -> None:
        def post(number: int) -> int:
            return store.post_capital(entry((CASH, number), (OWNER, -number)))

        with ThreadPoolExecutor(4) as pool:
            numbers = list(pool.map(post, range(1, 41)))
        assert len(set(numbers)) == 40
        assert store.capital_balances() == {CASH: 820, OWNER: -820}

    # Budgets

    def test_budgets_are_set_replaced_and_lifted(self, store: Store) -> None:
        store.set_budget(Budget("beta", 2.0))
        store.set_budget(Budget(None, 5.0))
        store.set_budget(Budget("beta", 3.0))
        assert store.budgets() == [Budget(None, 5.0), Budget("beta", 3.0)]
        store.set_budget(Budget(None, None))
        assert store.budgets() == [Budget("beta", 3.0)]
        with pytest.raises(UnknownBotError):
            store.set_budget(Budget("gamma", 1.0))
        with pytest.raises(CapitalError, match="-1"):
            store.set_budget(Budget("beta", -1.0))

    def test_cycles_cost_from_their_end_on_and_while_under_way_what_is_expected(
        self, store: Store
    ) -> None:
        settled, booked = settlement(failed_cycle(store, cost_usd=1.0, at=50.0))
        failed_cycle(store, cost_usd=4.0, at=200.0)
        assert store.cycle_costs(since=0.0) == {"alpha": 5.0}
        assert store.cycle_costs(since=100.0) == {"alpha": 4.0}
        store.settle(settled, expected=CycleState.FAILED, outcome="failed", capital=booked)
        assert store.cycle_costs(since=0.0) == {"alpha": 5.0}
        assert store.cycle_costs(since=None) == {"alpha": 4.0}
        store.open_cycle(
            "beta", energy=1, row=0, at=1.0, decision_id=None, details={"expected_cost_usd": 2.5}
        )
        assert store.cycle_costs(since=1000.0) == {"beta": 2.5}
        assert store.cycle_costs(since=None) == {"alpha": 4.0, "beta": 2.5}

    # Numbers of engines

    def test_scalings_are_kept_and_a_wait_after_a_wait_takes_its_place(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        made = Scaling(ScalingAction.CREATE, "it pays", 1.0, "alpha", {"energy_score": 0.9})
        first = store.add_scaling(made)
        second = store.add_scaling(wait("cooling down", 2.0), replacing=first)
        assert second != first
        assert store.add_scaling(wait("nothing", 3.0), replacing=second) == second
        removed = Scaling(ScalingAction.REMOVE, "it does not", 4.0, "alpha")
        third = store.add_scaling(removed, replacing=second)
        assert store.add_scaling(wait("late", 5.0), replacing=second) > third
        found = reopen().scalings(last=9)
        assert [s.reason for s in found] == ["it pays", "nothing", "it does not", "late"]
        assert found[0].engine == "alpha"
        assert found[0].inputs == {"energy_score": 0.9}
        assert [s.action for s in store.scalings(last=1, moved_only=True)] == ["remove"]
        assert len(store.scalings(last=9, moved_only=True)) == 2

    # Questions to people

    def test_a_question_is_asked_once_and_answered_once(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        asked = store.ask_approval("expansion", at=1.0, inputs={"engines": 1})
        again = reopen().ask_approval("expansion", at=2.0, inputs={"engines": 2})
        assert again == asked
        assert store.ask_approval("other", at=2.0, inputs={}).approval_id != asked.approval_id
        granted = reopen().move_approval(
            asked.approval_id, expected=ApprovalState.PENDING, state=ApprovalState.GRANTED, at=3.0
        )
        assert (granted.state, granted.changed_at, granted.asked_at) == ("granted", 3.0, 1.0)
        assert store.ask_approval("expansion", at=4.0, inputs={}) == granted
        with pytest.raises(ApprovalError, match="granted, not pending"):
            store.move_approval(
                asked.approval_id,
                expected=ApprovalState.PENDING,
                state=ApprovalState.REFUSED,
                at=5.0,
            )
        store.move_approval(
            asked.approval_id, expected=ApprovalState.GRANTED, state=ApprovalState.USED, at=6.0
        )
        fresh = store.ask_approval("expansion", at=7.0, inputs={})
        assert fresh.approval_id > asked.approval_id
        assert [a.state for a in store.approvals(last=9, subject="expansion")] == [
            "used",
            "pending",
        ]
        assert len(store.approvals(last=9)) == 3
        with pytest.raises(ApprovalError, match="no question 99"):
            store.move_approval(
                99, expected=ApprovalState.PENDING, state=ApprovalState.GRANTED, at=8.0
            )
