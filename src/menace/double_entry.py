"""Double-entry bookkeeping: money as whole nano-USD, entries whose postings add up to 0.

Accounts, in the sense of bookkeeping: a positive posting is a debit.

===================  ==================================================  ==========================
account              what it holds                                       grows with
===================  ==================================================  ==========================
``cash``             money that is free to be spent                      positive postings
``allocation:BOT``   money set aside for one bot                         positive postings
``costs``            what has been spent                                 positive postings
``owner``            what was put in, less what was taken out            negative postings
``gains``            what has been earned                                negative postings
===================  ==================================================  ==========================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from menace.errors import CapitalError

NANO_PER_USD = 1_000_000_000
LARGEST_ENTRY_USD = 1e8
"""No single posting is larger, USD; so all accounts stay far within 64 bits (9.2e9 USD)."""

CASH, OWNER, GAINS, COSTS = "cash", "owner", "gains", "costs"
_ALLOCATION = "allocation:"


class EntryKind(StrEnum):
    """What an entry is about."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    INFLOW = "inflow"
    EXPENSE = "expense"
    ALLOCATION = "allocation"
    SETTLEMENT = "settlement"


class Posting(NamedTuple):
    """One side of an entry: so many nano-USD to an account, a debit if positive."""

    account: str
    nano_usd: int


@dataclass(frozen=True, slots=True)
class CapitalEntry:
    """Money that moved, from where to where.

    Attributes
    ----------
    at
        POSIX seconds; the UTC day it lies in is the entry's day in the books.
    postings
        At least two, of different accounts, none of 0, adding up to 0. Only a settlement of a
        cycle that moved no money has none.
    bot, cycle_id
        Whom it concerns, if anybody. A cycle has at most one entry.
    """

    kind: EntryKind
    at: float
    postings: tuple[Posting, ...]
    bot: str | None = None
    cycle_id: int | None = None
    memo: str = ""
    entry_id: int | None = None


def allocation_of(bot: str) -> str:
    """Name the account of the money set aside for a bot.

    >>> allocation_of("alpha")
    'allocation:alpha'
    """
    return _ALLOCATION + bot


def nano_usd(usd: float, *, what: str = "the amount") -> int:
    """Round USD to whole nano-USD, halves to the even one.

    Raises
    ------
    CapitalError
        If it is not finite, or beyond ± 100 million USD.

    Examples
    --------
    >>> nano_usd(0.000014), nano_usd(-2.5)
    (14000, -2500000000)
    """
    if isinstance(usd, bool) or not math.isfinite(usd) or abs(usd) > LARGEST_ENTRY_USD:
        raise CapitalError(
            f"{what} is {usd} USD.",
            remedy=f"give a finite number of USD, at most {LARGEST_ENTRY_USD:,.0f}",
        )
    return round(usd * NANO_PER_USD)


def usd_of(amount_nano_usd: int) -> float:
    """Nano-USD as USD.

    >>> usd_of(14000)
    1.4e-05
    """
    return amount_nano_usd / NANO_PER_USD


def check_entry(entry: CapitalEntry) -> None:
    """Refuse an entry that is not balanced or not well formed.

    Raises
    ------
    CapitalError
        If postings do not add up to 0, are of 0, not whole, too large, or twice of one account; or
        if there are none in an entry that settles no cycle.

    Examples
    --------
    >>> check_entry(CapitalEntry(EntryKind.DEPOSIT, 0.0, (Posting(CASH, 5), Posting(OWNER, -5))))
    >>> check_entry(CapitalEntry(EntryKind.DEPOSIT, 0.0, (Posting(CASH, 5), Posting(OWNER, -4))))
    Traceback (most recent call last):
        ...
    menace.errors.CapitalError: the entry (deposit) is not balanced: its postings add up to 1 \
nano-USD. Remedy: book the same amount on both sides
    """
    fault = _fault(entry)
    if fault is not None:
        what, remedy = fault
        raise CapitalError(f"the entry ({entry.kind}) {what}.", bot=entry.bot, remedy=remedy)


def _fault(entry: CapitalEntry) -> tuple[str, str] | None:
    if not math.isfinite(entry.at):
        return f"is dated {entry.at}", "give POSIX seconds"
    if not entry.postings and not (entry.kind is EntryKind.SETTLEMENT and entry.cycle_id):
        return "has no postings", "book what moved from where to where"
    largest = round(LARGEST_ENTRY_USD * NANO_PER_USD)
    for account, amount in entry.postings:
        if not _is_account(account):
            return f"names an account {account!r}", f"known: {CASH}, {OWNER}, {GAINS}, {COSTS}"
        if type(amount) is not int or amount == 0 or abs(amount) > largest:
            return f"posts {amount!r} to {account}", "post whole nano-USD, not 0, up to 1e17"
    if len({posting.account for posting in entry.postings}) < len(entry.postings):
        return "names an account twice", "add its postings up"
    total = sum(posting.nano_usd for posting in entry.postings)
    if total != 0:
        return (
            f"is not balanced: its postings add up to {total:,} nano-USD",
            "book the same amount on both sides",
        )
    return None


def _is_account(name: str) -> bool:
    prefix, colon, bot = name.partition(":")
    return name in {CASH, OWNER, GAINS, COSTS} or (prefix + colon == _ALLOCATION and bot != "")
