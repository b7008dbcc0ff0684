"""The capital's books, budgets, decisions about the number of engines, and questions to people.

Cycles that were settled before are booked as they would have been, so that profit and trend know
them: gains to ``gains``, costs to ``costs``, the difference to ``cash``, in whole nano-USD.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What one posting can hold; a settlement beyond it is noted without money, as the books do now.
_BOOK = (
    "WITH booked AS (SELECT e.entry_id, CAST(round(l.gain_usd * 1000000000.0) AS BIGINT) AS gain,"
    " CAST(round(l.cycle_cost_usd * 1000000000.0) AS BIGINT) AS cost"
    " FROM ledger l JOIN capital_entries e ON e.cycle_id = l.cycle_id"
    " WHERE abs(l.gain_usd) <= 50000000.0 AND abs(l.cycle_cost_usd) <= 50000000.0)"
    " INSERT INTO capital_postings (entry_id, account, nano_usd)"
    " SELECT entry_id, 'gains', -gain FROM booked WHERE gain <> 0"
    " UNION ALL SELECT entry_id, 'costs', cost FROM booked WHERE cost <> 0"
    " UNION ALL SELECT entry_id, 'cash', gain - cost FROM booked WHERE gain <> cost"
)


def upgrade() -> None:
    """Make the tables, and book what has been settled."""
    _capital()
    _scaling()
    op.create_index("cycles_by_end", "cycles", ["ended_at"])
    op.execute(
        "INSERT INTO capital_entries (kind, at, bot_id, cycle_id, memo)"
        " SELECT 'settlement', at, bot_id, cycle_id, '' FROM ledger ORDER BY entry_id"
    )
    op.execute(_BOOK)
    op.execute(
        "INSERT INTO capital_accounts (account, nano_usd)"
        " SELECT account, sum(nano_usd) FROM capital_postings GROUP BY account"
    )
    op.execute(
        "INSERT INTO capital_days (account, day, nano_usd)"
        " SELECT p.account, CAST(e.at / 86400 AS BIGINT), sum(p.nano_usd) FROM capital_postings p"
        " JOIN capital_entries e ON e.entry_id = p.entry_id GROUP BY 1, 2"
    )


def _capital() -> None:
    _table(
        "capital_entries",
        sa.Column("entry_id", BIG, primary_key=True),
        _text("kind"),
        _real("at"),
        sa.Column("bot_id", BIG, sa.ForeignKey("bots.bot_id")),
        sa.Column("cycle_id", BIG, sa.ForeignKey("cycles.cycle_id"), unique=True),
        _text("memo"),
    )
    op.create_index("capital_entries_by_bot", "capital_entries", ["bot_id", "entry_id"])
    _table(
        "capital_postings",
        sa.Column(
            "entry_id",
            BIG,
            sa.ForeignKey("capital_entries.entry_id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("nano_usd", BIG, nullable=False),
    )
    _table(
        "capital_accounts",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("nano_usd", BIG, nullable=False),
    )
    _table(
        "capital_days",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("day", BIG, primary_key=True, autoincrement=False),
        sa.Column("nano_usd", BIG, nullable=False),
    )
    _table("budgets", sa.Column("scope", sa.Text(), primary_key=True), _real("daily_usd"))


def _scaling() -> None:
    _table(
        "scalings",
        sa.Column("scaling_id", BIG, primary_key=True),
        _text("action"),
        _text("reason"),
        _real("at"),
        sa.Column("engine", sa.Text()),
        _text("inputs"),
    )
    _partial_index("scalings_that_moved", "scalings", "scaling_id", "action <> 'wait'")
    _table(
        "approvals",
        sa.Column("approval_id", BIG, primary_key=True),
        _text("subject"),
        _real("asked_at"),
        _text("state"),
        _real("changed_at"),
        _text("inputs"),
    )
    where = "state IN ('pending', 'granted')"
    _partial_index("one_open_question", "approvals", "subject", where, unique=True)


def _table(name: str, *items: Any) -> None:
    op.create_table(name, *items, sqlite_strict=True)


def _real(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.REAL(), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _partial_index(name: str, table: str, column: str, where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, [column], unique=unique, sqlite_where=condition, postgresql_where=condition
    )
