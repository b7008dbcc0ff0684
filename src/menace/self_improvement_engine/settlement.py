"""Settle: write what a cycle earned and cost, once, when its rows are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.accounting.roi_tracker import roi_delta
from menace.capital_management_bot import settlement_entry
from menace.double_entry import allocation_of
from menace.records import CycleState, LedgerEntry
from menace.self_improvement_engine.cycle import row_of

if TYPE_CHECKING:
    from menace.interfaces import Services
    from menace.records import BotConfig, Cycle, ModelVersion


class Settler:
    """Closes the books on cycles.

    Parameters
    ----------
    services
        Store and clock.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def settle_due(self, bot: BotConfig) -> list[LedgerEntry]:
        """Settle every cycle that nothing more can be learned about.

        That is: rejected and failed ones, a bot's first (it replaced nothing), those whose
        settlement rows are in, and those whose model does not serve any more, with the rows they
        had. A promotion that lost money against the model it replaced is taken back first.

        Returns
        -------
        list of LedgerEntry
            The entries written now.
        """
        store = self._services.store
        champion = store.snapshot(bot.name).champion_version
        states = (
            CycleState.PROMOTED,
            CycleState.REJECTED,
            CycleState.ROLLED_BACK,
            CycleState.FAILED,
        )
        written = []
        for cycle in store.cycles(bot.name, last=100, states=states):
            if not _is_due(bot, cycle, champion):
                continue
            entry = self._settle(self._taken_back_if_bad(bot, cycle, champion))
            if entry is not None:
                written.append(entry)
        return written

    def roll_back(self, bot: BotConfig, *, to: int | None) -> ModelVersion:
        """Let ``to``, or the champion before the present one, serve again.

        The cycle that made the present champion, if it waits for its settlement, is rolled back
        with it, so that nothing is booked on rows that its model does not serve.

        Raises
        ------
        UnknownVersionError
            If there is no such version, or none to go back to.
        """
        store = self._services.store
        snapshot = store.snapshot(bot.name)
        waiting = store.cycles(bot.name, last=100, states=(CycleState.PROMOTED,))
        made = [c for c in waiting if c.version == snapshot.champion_version]
        return store.roll_back(
            bot.name,
            to=to,
            row=row_of(snapshot),
            at=self._services.clock.now(),
            cycle_id=made[0].cycle_id if made and made[0].version is not None else None,
        )

    def _taken_back_if_bad(self, bot: BotConfig, cycle: Cycle, champion: int | None) -> Cycle:
        """Let the replaced champion serve again if it would have earned more on the same rows."""
        serves = cycle.state is CycleState.PROMOTED and cycle.version == champion
        if not serves or cycle.replaced_version is None or cycle.gain_usd >= 0:
            return cycle
        self.roll_back(bot, to=cycle.replaced_version)
        return self._services.store.cycle(cycle.cycle_id)

    def _settle(self, cycle: Cycle) -> LedgerEntry | None:
        entry = LedgerEntry(
            cycle_id=cycle.cycle_id,
            bot=cycle.bot,
            at=self._services.clock.now(),
            gain_usd=cycle.gain_usd,
            cycle_cost_usd=cycle.cost_usd,
            serving_cost_usd=cycle.serving_cost_usd,
            rows=cycle.settled_rows,
            roi_delta=_roi_delta(cycle),
        )
        store = self._services.store
        # In one transaction with the ledger: whoever is killed has booked both or neither.
        written = store.settle(
            entry,
            expected=cycle.state,
            outcome=cycle.outcome or cycle.state.value,
            capital=settlement_entry(
                entry, allocated=allocation_of(cycle.bot) in store.capital_balances()
            ),
        )
        return entry if written else None


def _is_due(bot: BotConfig, cycle: Cycle, champion: int | None) -> bool:
    if cycle.state is not CycleState.PROMOTED:
        return True
    if cycle.replaced_version is None or cycle.settled_rows >= bot.settlement_rows:
        return True
    return cycle.version != champion


def _roi_delta(cycle: Cycle) -> float:
    """ROI delta by the formula, but for two cases in which there is nothing to compare with.

    A bot's first cycle replaces nothing: its ROI delta is 0. A pipeline of the user's own, which
    leaves no model here to score, is believed what it reports.
    """
    reported = cycle.details.get("roi")
    if cycle.version is None and cycle.outcome == "promoted" and reported is not None:
        return float(reported)
    if cycle.state is CycleState.PROMOTED and cycle.replaced_version is None:
        return 0.0
    return roi_delta(
        gain_usd=cycle.gain_usd,
        cycle_cost_usd=cycle.cost_usd,
        serving_cost_usd=cycle.serving_cost_usd,
    )
