"""Cycles wait when there is no money for them, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from menace.double_entry import CASH, COSTS, GAINS, usd_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]


@pytest.fixture
def workspace(open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream) -> Workspace:
    opened = open_workspace()
    stream.grow(300)
    opened.add_bot(alpha(stream))
    return opened


def test_without_money_or_budget_engines_get_no_capital_bot(workspace: Workspace) -> None:
    assert workspace.engine("alpha").capital_bot is None
    workspace.capital_bot.deposit(1.0)
    assert workspace.engine("alpha").capital_bot is not None


@pytest.mark.parametrize("purse", ["daily", "bot", "allocation", "cash"])
def test_a_cycle_waits_for_an_empty_purse_and_runs_once_there_is_money(
    workspace: Workspace, purse: str
) -> None:
    capital = workspace.capital_bot
    if purse in {"daily", "bot"}:
        capital.set_budget(1e-6, bot="alpha" if purse == "bot" else None)
    else:
        capital.deposit(1e-6)
        if purse == "allocation":
            capital.allocate("alpha", 1e-6)
            capital.deposit(100.0)
    decision, result = workspace.engine("alpha").tick()
    assert (decision.run, decision.reason, result) == (False, f"budget spent: {purse}", None)
    assert decision.inputs["purse"]["left_usd"] == pytest.approx(1e-6)
    assert decision.inputs["purse"]["needed_usd"] > 1e-6
    assert workspace.store.decisions("alpha", last=1) == [decision]
    capital.set_budget(None, bot="alpha" if purse == "bot" else None)
    capital.deposit(100.0)
    capital.allocate("alpha", 100.0)
    decision, result = workspace.engine("alpha").tick()
    assert (decision.reason, result is not None) == ("first model", True)


def test_a_cycle_that_somebody_asks_for_runs_whatever_the_budget(workspace: Workspace) -> None:
    workspace.capital_bot.set_budget(0.0)
    assert workspace.engine("alpha").run_cycle().status == "promoted"


def test_a_settled_cycle_is_in_the_books_with_the_money_of_the_ledger(
    workspace: Workspace,
) -> None:
    workspace.engine("alpha").run_cycle()
    [entry] = workspace.store.ledger()
    [booked] = workspace.store.capital_entries(last=9)
    balances = workspace.store.capital_balances()
    assert booked.cycle_id == entry.cycle_id
    assert usd_of(balances[COSTS]) == pytest.approx(entry.cycle_cost_usd)
    assert balances.get(GAINS, 0) == 0
    assert balances[CASH] == -balances[COSTS]


def test_a_capital_bot_that_keeps_no_budgets_stops_nothing(workspace: Workspace) -> None:
    class Scorer:
        """Has the one method that a capital bot must have."""

        def energy_score(
            self, load: float, success_rate: float, deploy_eff: float, failure_rate: float
        ) -> float:
            return 0.0

    decision, _ = workspace.engine("alpha", capital_bot=Scorer()).tick()
    assert decision.run
    assert "purse" not in decision.inputs
