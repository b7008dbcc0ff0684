"""What a settled cycle means for the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.double_entry import (
    CASH,
    COSTS,
    GAINS,
    LARGEST_ENTRY_USD,
    CapitalEntry,
    EntryKind,
    Posting,
    allocation_of,
    nano_usd,
)

if TYPE_CHECKING:
    from menace.records import LedgerEntry


def settlement_entry(entry: LedgerEntry, *, allocated: bool = False) -> CapitalEntry:
    """Book a settled cycle: its gain into ``cash``, its cost out of it.

    Parameters
    ----------
    allocated
        Whether money was set aside for the bot: then that pays the cost.

    Returns
    -------
    CapitalEntry
        Balanced to the nano-USD. Without postings, and with a memo that says so, where gain or cost
        is beyond half of what one entry can hold: a cycle is settled whatever it reports.

    Examples
    --------
    >>> from menace.records import LedgerEntry
    >>> settled = LedgerEntry(1, "alpha", 0.0, 5.0, 1.0, serving_cost_usd=3.0, rows=4, roi_delta=1)
    >>> [tuple(posting) for posting in settlement_entry(settled).postings]
    [('cash', 4000000000), ('costs', 1000000000), ('gains', -5000000000)]
    """
    postings: dict[str, int] = {}
    memo = ""
    if max(abs(entry.gain_usd), abs(entry.cycle_cost_usd)) > LARGEST_ENTRY_USD / 2:
        memo = "beyond what the books can hold; see the cycle's own ledger entry"
    else:
        gain, cost = nano_usd(entry.gain_usd), nano_usd(entry.cycle_cost_usd)
        purse = allocation_of(entry.bot) if allocated else CASH
        for account, amount in ((CASH, gain), (GAINS, -gain), (purse, -cost), (COSTS, cost)):
            postings[account] = postings.get(account, 0) + amount
    return CapitalEntry(
        EntryKind.SETTLEMENT,
        entry.at,
        tuple(Posting(account, amount) for account, amount in sorted(postings.items()) if amount),
        bot=entry.bot,
        cycle_id=entry.cycle_id,
        memo=memo,
    )
