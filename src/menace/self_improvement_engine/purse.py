"""What deciding has to do with money: how the recent cycles went, and whether one can be paid."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from menace.errors import UnknownBotError
from menace.interfaces import BudgetKeeper
from menace.records import CycleState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from menace.interfaces import EnergyScorer, Store
    from menace.records import BudgetCheck, Cycle

RECENT_CYCLES = 20
"""Settled cycles of each bot that the energy score looks back on."""

BUDGET_SPENT = "budget spent"
"""How the reason begins of a decision that waits for money; the purse follows after a colon."""


class Rates(NamedTuple):
    """Shares of the recent settled cycles that were promoted, that paid, that failed; 0..1."""

    success_rate: float
    deploy_eff: float
    failure_rate: float


def recent_rates(store: Store, bots: Iterable[str]) -> Rates:
    """Look back on the newest settled cycles of these bots; without any, all is 0.

    A name that is no bot's has none: an engine may be there before its bot.
    """
    ended: list[Cycle] = []
    for bot in bots:
        with suppress(UnknownBotError):
            ended += store.cycles(bot, last=RECENT_CYCLES, states=(CycleState.SETTLED,))
    count = max(1, len(ended))
    return Rates(
        success_rate=sum(cycle.outcome == "promoted" for cycle in ended) / count,
        deploy_eff=sum(cycle.gain_usd > cycle.cost_usd for cycle in ended) / count,
        failure_rate=sum(cycle.outcome == "failed" for cycle in ended) / count,
    )


def budget_check(
    capital_bot: EnergyScorer | None, bot: str | None = None, cost_usd: float = 0.0
) -> BudgetCheck | None:
    """Ask a capital bot whether a cost can be paid; ``None`` from one that keeps no budgets."""
    if not isinstance(capital_bot, BudgetKeeper):
        return None
    return capital_bot.check_budget(bot, cost_usd)
