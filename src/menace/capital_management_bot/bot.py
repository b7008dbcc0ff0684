"""``CapitalManagementBot``: keeps the books, guards the budgets, says what may be spent."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from menace.capital_management_bot.energy import (
    RUNWAY_SCALE_DAYS,
    CapitalPosition,
    EnergyScore,
    energy_score,
    position_of,
)
from menace.config import DEFAULT_WIRING, load_dotted
from menace.double_entry import (
    CASH,
    COSTS,
    GAINS,
    OWNER,
    CapitalEntry,
    EntryKind,
    Posting,
    allocation_of,
    nano_usd,
    usd_of,
)
from menace.errors import CapitalError, WorkspaceError
from menace.records import Budget, BudgetCheck

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from menace.interfaces import CapitalBooks, Clock, Services

SECONDS_PER_DAY = 86_400
BOOKED_BY_CYCLES = frozenset({CASH, GAINS, COSTS})
"""Accounts that settled cycles move by themselves; any other tells of money that was put in."""

WINDOW_DAYS = 30


class CapitalManagementBot:
    """The capital of all bots of a store.

    Settled cycles are booked by the store in the transaction that settles them; what is asked here
    is read from sums per day, never from a scan. Safe to share between threads if the store is.

    Parameters
    ----------
    store
        Keeps the books. Without one, the workspace of the current folder is used, looked up when
        the first call needs it.
    clock
        Tells the time; the system's by default.
    window_days
        Days over which spending, profit trend and volatility are taken, ≥ 1.
    runway_scale_days
        Days of capital that give 63 % of the energy score's runway factor, > 0.

    Raises
    ------
    CapitalError
        If a parameter is outside its range.
    """

    def __init__(
        self,
        store: CapitalBooks | None = None,
        *,
        clock: Clock | None = None,
        window_days: int = WINDOW_DAYS,
        runway_scale_days: float = RUNWAY_SCALE_DAYS,
    ) -> None:
        if window_days < 1 or not 0 < runway_scale_days < math.inf:
            raise CapitalError(
                f"the window is {window_days} days, the runway's scale {runway_scale_days}.",
                remedy="give 1 day or more, and a finite scale above 0",
            )
        self._store = store
        self._clock = clock
        self._window_days = window_days
        self._scale_days = runway_scale_days

    def deposit(self, usd: float, *, memo: str = "") -> int:
        """Put the owner's money in; returns the entry's id.

        Raises
        ------
        CapitalError
            If the amount is not above 0, or beyond what an entry holds.
        WorkspaceError
            If no store was given and there is no workspace.
        """
        return self._move(EntryKind.DEPOSIT, usd, to=CASH, out_of=OWNER, memo=memo)

    def withdraw(self, usd: float, *, memo: str = "") -> int:
        """Take the owner's money out. Raises as :meth:`deposit`, and if there is not so much."""
        return self._move(EntryKind.WITHDRAWAL, usd, to=OWNER, out_of=CASH, memo=memo, covered=True)

    def inflow(self, usd: float, *, bot: str | None = None, memo: str = "") -> int:
        """Book what was earned otherwise than by a cycle. Raises as :meth:`deposit`."""
        return self._move(EntryKind.INFLOW, usd, to=CASH, out_of=GAINS, bot=bot, memo=memo)

    def expense(self, usd: float, *, bot: str | None = None, memo: str = "") -> int:
        """Book what was spent otherwise than by a cycle. Raises as :meth:`deposit`.

        Cash may fall below 0: what has been spent has been spent.
        """
        return self._move(EntryKind.EXPENSE, usd, to=COSTS, out_of=CASH, bot=bot, memo=memo)

    def allocate(self, bot: str, usd: float, *, memo: str = "") -> int:
        """Set money aside for a bot, out of cash; from then on it pays that bot's cycles.

        Raises
        ------
        CapitalError
            If the amount is not above 0, or there is not so much cash.
        UnknownBotError
            If there is no such bot.
        """
        account = allocation_of(bot)
        kind = EntryKind.ALLOCATION
        return self._move(kind, usd, to=account, out_of=CASH, bot=bot, memo=memo, covered=True)

    def release(self, bot: str, usd: float, *, memo: str = "") -> int:
        """Give back what was set aside. Raises as :meth:`allocate`.

        Once all that is left has been given back, cash pays the bot's cycles again.
        """
        account = allocation_of(bot)
        kind = EntryKind.ALLOCATION
        return self._move(kind, usd, to=CASH, out_of=account, bot=bot, memo=memo, covered=True)

    def balances(self) -> dict[str, float]:
        """Read what is in each account, USD, with the sign that people expect.

        ``owner`` and ``gains`` are what was put in and earned, above 0.
        """
        return {
            account: usd_of(-amount if account in {OWNER, GAINS} else amount)
            for account, amount in sorted(self._balances().items())
        }

    def profit(self, days: int | None = None) -> float:
        """Add up what was earned less what was spent, USD; in the last ``days`` UTC days, or ever.

        Deposits, withdrawals and allocations are no profit.

        Raises
        ------
        CapitalError
            If ``days`` is below 1.
        """
        if days is None:
            balances = self._balances()
            return usd_of(-balances.get(GAINS, 0) - balances.get(COSTS, 0))
        if days < 1:
            raise CapitalError(f"a profit over {days} days.", remedy="give 1 or more")
        return math.fsum(profit for _, profit in self._daily(days))

    def profit_trend(self) -> float:
        """−1 (from profit to loss) .. 1: how the later half of the window compares to the earlier.

        See :func:`menace.capital_management_bot.energy.profit_trend`.
        """
        return self.position().profit_trend

    def position(self) -> CapitalPosition:
        """Sum up how the capital stands: what the energy score rests on."""
        balances = self._balances()
        capital = sum(
            amount for account, amount in balances.items() if account not in {OWNER, GAINS, COSTS}
        )
        daily = list(self._daily(self._window_days))
        return position_of(
            usd_of(capital), [costs for costs, _ in daily], [profit for _, profit in daily]
        )

    def energy_score(
        self, load: float, success_rate: float, deploy_eff: float, failure_rate: float
    ) -> float:
        """How much the capital position allows, 0 (nothing) .. 1 (all).

        Parameters
        ----------
        load
            Share of the workers that are busy, 0..1.
        success_rate, failure_rate
            Shares of the recent cycles that ended promoted, and failed, 0..1.
        deploy_eff
            Share of the recent cycles that earned more than they cost, 0..1.

        Returns
        -------
        float
            By the formula of :mod:`menace.capital_management_bot.energy`; 0.0 without capital, or
            where there is no workspace.

        Raises
        ------
        CapitalError
            If a ratio is not a number in 0..1.
        """
        return self.energy_factors(
            load=load, success_rate=success_rate, deploy_eff=deploy_eff, failure_rate=failure_rate
        ).score

    def energy_factors(
        self, *, load: float, success_rate: float, deploy_eff: float, failure_rate: float
    ) -> EnergyScore:
        """Do as :meth:`energy_score`, with every factor."""
        return energy_score(
            self.position(),
            load=load,
            success_rate=success_rate,
            deploy_eff=deploy_eff,
            failure_rate=failure_rate,
            runway_scale_days=self._scale_days,
        )

    def set_budget(self, daily_usd: float | None, *, bot: str | None = None) -> None:
        """Limit what cycles may cost on one UTC day: those of ``bot``, or all; ``None``: lift it.

        Raises
        ------
        CapitalError
            If it is negative or not finite.
        UnknownBotError
            If there is no such bot.
        """
        self._wired().set_budget(Budget(bot, daily_usd))

    def budgets(self) -> list[Budget]:
        """Read the budgets: that of all bots first, then those of bots, by name."""
        store = self._found()
        return [] if store is None else store.budgets()

    def spent_today(self) -> dict[str, float]:
        """Add up by bot what the cycles of this UTC day cost, those under way included, USD."""
        store = self._found()
        if store is None:
            return {}
        return store.cycle_costs(since=self._today() * SECONDS_PER_DAY)

    def check_budget(self, bot: str | None = None, cost_usd: float = 0.0) -> BudgetCheck:
        """Whether ``cost_usd`` more may be spent now: by ``bot``, or by any.

        Asked are the daily budget of all bots, the bot's own, what was set aside for it, and, where
        the owner has put money in, the cash. Cycles that are under way count with what they are
        expected to cost, those that wait for their settlement with what they cost.

        Returns
        -------
        BudgetCheck
            Truthy if every purse that there is holds ``cost_usd``, and is not empty. It names the
            one that is short by most, or the one with the least left.

        Raises
        ------
        CapitalError
            If the cost is negative or not finite.
        """
        if not 0 <= cost_usd < math.inf:
            raise CapitalError(f"a cost of {cost_usd} USD.", bot=bot, remedy="give USD ≥ 0")
        left = dict(self._purses(bot))
        if not left:
            return BudgetCheck(True, "none", None, cost_usd)
        purse = min(left, key=lambda name: left[name])
        allowed = left[purse] >= cost_usd and left[purse] > 0
        return BudgetCheck(allowed, purse, left[purse], cost_usd)

    def is_configured(self) -> bool:
        """Whether anybody has put money in, set some aside, or set a budget."""
        store = self._found()
        if store is None:
            return False
        return bool(store.budgets()) or not BOOKED_BY_CYCLES.issuperset(store.capital_balances())

    def _purses(self, bot: str | None) -> Iterator[tuple[str, float]]:
        """Yield what limits spending, and what is left in it, USD."""
        store = self._found()
        if store is None:
            return
        limits = {budget.bot: budget.daily_usd for budget in store.budgets()}
        if limits:
            spent = self.spent_today()
            everything, own = limits.get(None), limits.get(bot) if bot is not None else None
            if everything is not None:
                yield "daily", everything - math.fsum(spent.values())
            if own is not None:
                yield "bot", own - spent.get(bot or "", 0.0)
        balances = store.capital_balances()
        if BOOKED_BY_CYCLES.issuperset(balances):
            return
        unsettled = store.cycle_costs(since=None)
        allocation = None if bot is None else balances.get(allocation_of(bot))
        if bot is not None and allocation is not None:
            yield "allocation", usd_of(allocation) - unsettled.get(bot, 0.0)
        else:
            yield "cash", usd_of(balances.get(CASH, 0)) - _owed_by_cash(unsettled, balances)

    def _daily(self, days: int) -> Iterator[tuple[float, float]]:
        """Yield costs and profit of each day that the books know of the window, oldest first."""
        store = self._found()
        if store is None:
            return
        today = self._today()
        first = today - days + 1
        costs, gains = (
            store.capital_days(COSTS, since=first),
            store.capital_days(GAINS, since=first),
        )
        for day in range(min((*costs, *gains, today + 1)), today + 1):
            spent = costs.get(day, 0)
            yield usd_of(spent), usd_of(-gains.get(day, 0) - spent)

    def _move(
        self,
        kind: EntryKind,
        usd: float,
        *,
        to: str,
        out_of: str,
        bot: str | None = None,
        memo: str = "",
        covered: bool = False,
    ) -> int:
        amount = nano_usd(usd)
        if amount <= 0:
            raise CapitalError(
                f"the amount of the {kind} is {usd} USD.", bot=bot, remedy="give USD > 0"
            )
        postings = (Posting(to, amount), Posting(out_of, -amount))
        entry = CapitalEntry(kind, self._now(), postings, bot=bot, memo=memo)
        return self._wired().post_capital(entry, covered=(out_of,) if covered else ())

    def _balances(self) -> Mapping[str, int]:
        store = self._found()
        return {} if store is None else store.capital_balances()

    def _today(self) -> int:
        return int(self._now() // SECONDS_PER_DAY)

    def _now(self) -> float:
        self._found()
        return time.time() if self._clock is None else self._clock.now()

    def _found(self) -> CapitalBooks | None:
        """Find the store, late, so that making a CapitalManagementBot opens nothing."""
        if self._store is None:
            services: Services | None = load_dotted(DEFAULT_WIRING)()
            if services is None:
                return None
            self._store = services.store
            self._clock = self._clock or services.clock
        return self._store

    def _wired(self) -> CapitalBooks:
        store = self._found()
        if store is None:
            raise WorkspaceError(
                "there is no workspace in this folder or above it.",
                remedy="menace init, or give CapitalManagementBot a store",
            )
        return store


def _owed_by_cash(unsettled: Mapping[str, float], balances: Mapping[str, int]) -> float:
    """Add up what cycles that wait for their settlement will take out of cash, USD."""
    return math.fsum(usd for bot, usd in unsettled.items() if allocation_of(bot) not in balances)
