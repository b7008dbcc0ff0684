"""Learn: take settled cycles into the policy, the ROI deltas and the module log, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from menace.data_bot import DataBot
    from menace.interfaces import Store
    from menace.records import LedgerEntry
    from menace.self_improvement_engine.engine_state import EngineState
    from menace.self_improvement_policy import SelfImprovementPolicy

LEDGER_MEMORY = 1000

LARGEST_REWARD = 5.0
"""The policy's reward is the ROI delta within ± this.

A ratio to a cost has no bound: where CPU time is almost free one windfall is worth millions, and an
average over it would call every cycle good for years.
"""


class Learner:
    """Learns from a bot's ledger.

    Policy and engine state remember how far they have come in the ledger, each by itself, so that a
    kill between the two files neither loses an entry nor counts one twice.

    Parameters
    ----------
    store
        Holds the ledger.
    meta_logger
        Has ``log_cycle(cycle, roi, modules, reason)``, if given.
    data_bot
        Gets a metric sample ``roi_delta`` for every entry, if given.
    """

    def __init__(
        self, store: Store, *, meta_logger: Any = None, data_bot: DataBot | None = None
    ) -> None:
        self._store = store
        self._meta_logger = meta_logger
        self._data_bot = data_bot

    def catch_up(self, bot: str, policy: SelfImprovementPolicy, state: EngineState) -> bool:
        """Take in what the ledger holds beyond what was learned; returns whether there was any."""
        entries = self._store.ledger(bot, after=state.ledger_id)
        for entry in entries:
            self._teach(policy, entry)
            state.roi.add(entry.roi_delta)
            state.ledger_id = entry.entry_id or state.ledger_id
        return bool(entries)

    def recall(self, bot: str, state: EngineState) -> None:
        """Fill a state that no file holds from the ledger, which is the memory then."""
        for entry in self._store.ledger(bot, last=LEDGER_MEMORY):
            state.roi.add(entry.roi_delta)
            state.ledger_id = entry.entry_id or state.ledger_id

    def _teach(self, policy: SelfImprovementPolicy, entry: LedgerEntry) -> None:
        cycle = self._store.cycle(entry.cycle_id)
        seen = cycle.details.get("policy_state")
        number = entry.entry_id or 0
        # A bot's first cycle replaced nothing: it says nothing about when to run one.
        replaced = cycle.replaced_version is not None
        if seen is not None and replaced and policy.learned_through < number:
            reward = max(-LARGEST_REWARD, min(LARGEST_REWARD, entry.roi_delta))
            policy.update(tuple(seen), reward, action="run")
        policy.learned_through = max(policy.learned_through, number)
        if self._data_bot is not None:
            self._data_bot.record_metric(entry.bot, "roi_delta", entry.roi_delta, entry.at)
        if self._meta_logger is not None:
            modules = list(cycle.details.get("metrics", {}).get("modules", ["model"]))
            reason = str(cycle.details.get("reason", ""))
            self._meta_logger.log_cycle(entry.cycle_id, entry.roi_delta, modules, reason)
