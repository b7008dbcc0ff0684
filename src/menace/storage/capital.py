"""The money: entries that balance, sums per account, and per day, budgets, what cycles cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.double_entry import CASH, CapitalEntry, EntryKind, Posting, check_entry, usd_of
from menace.errors import CapitalError
from menace.records import Budget
from menace.storage.documents import from_text
from menace.storage.observations import check_last

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

    from menace.storage.sql_store import Database

SECONDS_PER_DAY = 86_400
ALL_BOTS = "*"
"""Scope of the budget of all bots together: no bot can bear this name."""

# A cycle's second entry is left out, by whichever of two processes comes second.
_ADD_ENTRY = (
    "INSERT INTO capital_entries (kind, at, bot_id, cycle_id, memo) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (cycle_id) DO NOTHING RETURNING entry_id"
)
_ADD_POSTING = "INSERT INTO capital_postings (entry_id, account, nano_usd) VALUES (?, ?, ?)"
_ADD_TO_DAY = (
    "INSERT INTO capital_days (account, day, nano_usd) VALUES (?, ?, ?) ON CONFLICT (account, day)"
    " DO UPDATE SET nano_usd = capital_days.nano_usd + excluded.nano_usd"
)
_ADD_TO_ACCOUNT = (
    "INSERT INTO capital_accounts (account, nano_usd) VALUES (?, ?) ON CONFLICT (account)"
    " DO UPDATE SET nano_usd = capital_accounts.nano_usd + excluded.nano_usd"
)
_CLOSE = "DELETE FROM capital_accounts WHERE account = ? AND nano_usd = 0"
_BALANCE = "SELECT nano_usd FROM capital_accounts WHERE account = ?"
_ENTRIES = (
    "SELECT e.entry_id, e.kind, e.at, b.name, e.cycle_id, e.memo FROM capital_entries e"
    " LEFT JOIN bots b ON b.bot_id = e.bot_id "
)
_LAST = _ENTRIES + "ORDER BY e.entry_id DESC LIMIT ?"
_LAST_OF_BOT = _ENTRIES + "WHERE e.bot_id = ? ORDER BY e.entry_id DESC LIMIT ?"
_POSTINGS = (
    "SELECT entry_id, account, nano_usd FROM capital_postings"
    " WHERE entry_id >= ? AND entry_id <= ? ORDER BY entry_id, account"
)
_SET_BUDGET = (
    "INSERT INTO budgets (scope, daily_usd) VALUES (?, ?)"
    " ON CONFLICT (scope) DO UPDATE SET daily_usd = excluded.daily_usd"
)
_ENDED = (
    "SELECT b.name, sum(c.cost_usd) FROM cycles c JOIN bots b ON b.bot_id = c.bot_id"
    " WHERE c.ended_at >= ? GROUP BY b.name"
)
_UNSETTLED = (
    "SELECT b.name, sum(c.cost_usd) FROM cycles c JOIN bots b ON b.bot_id = c.bot_id"
    " WHERE c.state <> 'settled' AND c.ended_at IS NOT NULL GROUP BY b.name"
)
_UNDER_WAY = (
    "SELECT b.name, c.cost_usd, c.details FROM cycles c JOIN bots b ON b.bot_id = c.bot_id"
    " WHERE c.state IN ('decided', 'patching', 'training', 'evaluated')"
)


class SQLCapitalBooks:
    """The :class:`menace.interfaces.CapitalBooks` on a SQL database; a part of the store."""

    _database: Database

    def _bot_id(self, cursor: DBAPICursor, name: str) -> int:
        raise NotImplementedError

    def post_capital(self, entry: CapitalEntry, *, covered: Sequence[str] = ()) -> int:
        """Append an entry and add it to the daily sums; returns its id."""
        with self._database.write() as cursor:
            bot_id = None if entry.bot is None else self._bot_id(cursor, entry.bot)
            entry_id = post(cursor, bot_id, entry)
            for account in covered:
                _check_covered(cursor, account, entry)
            _close_given_back(cursor, entry)
            return entry_id

    def capital_entries(self, *, last: int, bot: str | None = None) -> list[CapitalEntry]:
        """Read the ``last`` entries (that concern one bot), oldest first."""
        with self._database.read() as cursor:
            if bot is None:
                cursor.execute(_LAST, (check_last(last),))
            else:
                cursor.execute(_LAST_OF_BOT, (self._bot_id(cursor, bot), check_last(last)))
            rows = list(reversed(cursor.fetchall()))
            postings: dict[int, list[Posting]] = {row[0]: [] for row in rows}
            if rows:
                cursor.execute(_POSTINGS, (rows[0][0], rows[-1][0]))
            for entry_id, account, amount in cursor.fetchall() if rows else ():
                postings.get(entry_id, []).append(Posting(account, amount))
        return [
            CapitalEntry(
                EntryKind(kind), at, tuple(postings[entry_id]), name, cycle_id, memo, entry_id
            )
            for entry_id, kind, at, name, cycle_id, memo in rows
        ]

    def capital_balances(self) -> dict[str, int]:
        """Read the balance of every account that is open, nano-USD."""
        with self._database.read() as cursor:
            cursor.execute("SELECT account, nano_usd FROM capital_accounts")
            return {account: int(total) for account, total in cursor.fetchall()}

    def capital_days(self, account: str, *, since: int) -> dict[int, int]:
        """Read an account's postings per UTC day from day ``since`` on, nano-USD."""
        with self._database.read() as cursor:
            cursor.execute(
                "SELECT day, nano_usd FROM capital_days WHERE account = ? AND day >= ?",
                (account, since),
            )
            return {int(day): int(amount) for day, amount in cursor.fetchall()}

    def set_budget(self, budget: Budget) -> None:
        """Set or lift what a day's cycles may cost, of one bot or of all."""
        if budget.daily_usd is not None and not 0 <= budget.daily_usd < float("inf"):
            raise CapitalError(
                f"a daily budget of {budget.daily_usd} USD.", bot=budget.bot, remedy="give USD ≥ 0"
            )
        with self._database.write() as cursor:
            if budget.bot is not None:
                self._bot_id(cursor, budget.bot)
            scope = budget.bot or ALL_BOTS
            if budget.daily_usd is None:
                cursor.execute("DELETE FROM budgets WHERE scope = ?", (scope,))
            else:
                cursor.execute(_SET_BUDGET, (scope, float(budget.daily_usd)))

    def budgets(self) -> list[Budget]:
        """Read the budgets: that of all bots first, then those of bots, by name."""
        with self._database.read() as cursor:
            cursor.execute("SELECT scope, daily_usd FROM budgets")
            found = [
                Budget(None if scope == ALL_BOTS else scope, usd)
                for scope, usd in cursor.fetchall()
            ]
        return sorted(found, key=lambda budget: budget.bot or "")

    def cycle_costs(self, *, since: float | None) -> dict[str, float]:
        """Add up by bot what cycles cost that ended since, and those under way will cost, USD."""
        with self._database.read() as cursor:
            if since is None:
                cursor.execute(_UNSETTLED)
            else:
                cursor.execute(_ENDED, (since,))
            costs = {name: float(usd) for name, usd in cursor.fetchall()}
            cursor.execute(_UNDER_WAY)
            for name, cost_usd, details in cursor.fetchall():
                planned_usd = cost_usd or from_text(details).get("expected_cost_usd") or 0.0
                costs[name] = costs.get(name, 0.0) + planned_usd
        return costs


def post(cursor: DBAPICursor, bot_id: int | None, entry: CapitalEntry) -> int:
    """Check an entry and write it; returns its id.

    Raises
    ------
    CapitalError
        If it is not balanced, or its cycle has one already.
    """
    check_entry(entry)
    cursor.execute(_ADD_ENTRY, (str(entry.kind), entry.at, bot_id, entry.cycle_id, entry.memo))
    added = cursor.fetchone()
    if added is None:
        raise CapitalError(
            f"cycle {entry.cycle_id} is in the books already.",
            bot=entry.bot,
            cycle_id=entry.cycle_id,
            remedy="book a correction as an inflow or an expense",
        )
    day = int(entry.at // SECONDS_PER_DAY)
    for account, amount in entry.postings:
        cursor.execute(_ADD_POSTING, (added[0], account, amount))
        cursor.execute(_ADD_TO_ACCOUNT, (account, amount))
        cursor.execute(_ADD_TO_DAY, (account, day, amount))
    return int(added[0])


def _close_given_back(cursor: DBAPICursor, entry: CapitalEntry) -> None:
    """Close an allocation that was given back in full; one that was spent stays, and is empty."""
    if entry.kind is not EntryKind.ALLOCATION:
        return
    for account, amount in entry.postings:
        if account != CASH and amount < 0:
            cursor.execute(_CLOSE, (account,))


def _check_covered(cursor: DBAPICursor, account: str, entry: CapitalEntry) -> None:
    cursor.execute(_BALANCE, (account,))
    (balance,) = cursor.fetchone() or (0,)
    if balance >= 0:
        return
    moved = sum(amount for name, amount in entry.postings if name == account)
    raise CapitalError(
        f"{usd_of(-moved):,.6g} USD are asked of {account}, where there are "
        f"{usd_of(balance - moved):,.6g}.",
        bot=entry.bot,
        remedy="menace capital shows what there is; menace capital deposit USD adds to it",
    )
