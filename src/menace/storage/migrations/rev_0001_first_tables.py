"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import UserDefinedType

revision = "0001"
down_revision: str | None = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class _Any(UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "ANY"


def _table(name: str, *items: Any) -> None:
    op.create_table(name, *items, sqlite_strict=True)


def _bot_id(**options: Any) -> sa.Column[int]:
    return sa.Column("bot_id", BIG, sa.ForeignKey("bots.bot_id"), nullable=False, **options)


def _real(name: str, *, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.REAL(), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _partial_index(name: str, table: str, column: str, where: str, *, unique: bool) -> None:
    condition = sa.text(where)
    op.create_index(
        name,
        table,
        [column],
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def upgrade() -> None:
    """Make the tables."""
    _bots()
    _observations()
    _cycles()
    _models()
    _ledger()
    _coordination()


def _bots() -> None:
    _table(
        "bots",
        sa.Column("bot_id", BIG, primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        _text("config"),
    )
    _table(
        "bot_state",
        _bot_id(primary_key=True, autoincrement=False),
        sa.Column("outcomes", BIG, nullable=False),
        _real("loss_sum"),
        _real("loss_square_sum"),
        _real("value_usd"),
        _real("serving_cost_usd"),
        _real("last_outcome_at", nullable=True),
        _text("loop"),
    )


def _observations() -> None:
    _table(
        "outcomes",
        sa.Column("outcome_id", BIG, primary_key=True),
        _bot_id(),
        _text("prediction_id"),
        _real("at"),
        sa.Column("prediction", _Any(), nullable=False),
        sa.Column("truth", _Any(), nullable=False),
        _real("loss"),
        _real("value_usd"),
        _real("serving_cost_usd"),
        _real("latency_seconds", nullable=True),
        sa.Column("version", sa.Integer()),
        sa.UniqueConstraint("bot_id", "prediction_id"),
        sa.CheckConstraint("typeof(prediction) <> 'blob' AND typeof(truth) <> 'blob'").ddl_if(
            dialect="sqlite"
        ),
    )
    op.create_index("outcomes_by_bot", "outcomes", ["bot_id", "outcome_id"])
    _table(
        "metric_samples",
        sa.Column("sample_id", BIG, primary_key=True),
        _bot_id(),
        _text("name"),
        _real("at"),
        _real("value"),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer()),
    )
    op.create_index("metric_samples_by_name", "metric_samples", ["bot_id", "name", "sample_id"])
    _table(
        "source_marks",
        _bot_id(primary_key=True, autoincrement=False),
        sa.Column("row", BIG, primary_key=True, autoincrement=False),
        _text("mark"),
    )


def _cycles() -> None:
    _table(
        "decisions",
        sa.Column("decision_id", BIG, primary_key=True),
        _bot_id(),
        sa.Column("run", sa.Integer(), nullable=False),
        _text("reason"),
        _real("at"),
        _text("inputs"),
    )
    op.create_index("decisions_by_bot", "decisions", ["bot_id", "decision_id"])
    _table(
        "cycles",
        sa.Column("cycle_id", BIG, primary_key=True),
        _bot_id(),
        _text("state"),
        sa.Column("energy", sa.Integer(), nullable=False),
        sa.Column("row", BIG, nullable=False),
        _real("started_at"),
        sa.Column("decision_id", BIG, sa.ForeignKey("decisions.decision_id")),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("replaced_version", sa.Integer()),
        sa.Column("version", sa.Integer()),
        _real("cpu_seconds"),
        _real("cost_usd"),
        sa.Column("settled_rows", BIG, nullable=False),
        _real("gain_usd"),
        _real("serving_cost_usd"),
        _real("ended_at", nullable=True),
        _text("outcome", nullable=True),
        _text("error", nullable=True),
        _text("details"),
    )
    op.create_index("cycles_by_bot", "cycles", ["bot_id", "cycle_id"])
    _partial_index(
        "one_cycle_under_way",
        "cycles",
        "bot_id",
        "state IN ('decided', 'patching', 'training', 'evaluated')",
        unique=True,
    )


def _models() -> None:
    _table(
        "models",
        _bot_id(primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        _text("sha256"),
        _text("artifact"),
        _text("status"),
        sa.Column("row", BIG, nullable=False),
        _real("created_at"),
        sa.Column("promoted_row", BIG),
        sa.Column("cycle_id", BIG, sa.ForeignKey("cycles.cycle_id"), unique=True),
        _text("manifest"),
    )
    _partial_index("one_champion", "models", "bot_id", "status = 'champion'", unique=True)


def _ledger() -> None:
    _table(
        "ledger",
        sa.Column("entry_id", BIG, primary_key=True),
        sa.Column("cycle_id", BIG, sa.ForeignKey("cycles.cycle_id"), nullable=False, unique=True),
        _bot_id(),
        _real("at"),
        _real("gain_usd"),
        _real("cycle_cost_usd"),
        _real("serving_cost_usd"),
        sa.Column("rows", BIG, nullable=False),
        _real("roi_delta"),
    )
    op.create_index("ledger_by_bot", "ledger", ["bot_id", "entry_id"])


def _coordination() -> None:
    _table(
        "leases",
        _bot_id(primary_key=True, autoincrement=False),
        _text("owner"),
        _real("expires_at"),
    )
    _table(
        "outbox",
        sa.Column("event_id", BIG, primary_key=True),
        _bot_id(),
        _text("topic"),
        _real("at"),
        _text("payload"),
        sa.Column("delivered", sa.Integer(), nullable=False),
    )
    _partial_index("outbox_undelivered", "outbox", "event_id", "delivered = 0", unique=False)
