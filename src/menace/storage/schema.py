"""The tables, as SQLAlchemy Core sees them: what the newest migration leaves behind.

Some rules are kept by the schema itself, whatever a program does: a bot has at most one champion
and at most one cycle under way (partial unique indexes), a cycle has at most one ledger entry and
one entry in the capital's books, and a subject has at most one open question to a person.

Statements elsewhere in this package are text in the SQL that SQLite and PostgreSQL share
(``ON CONFLICT``, ``RETURNING``), with ``?`` for parameters: building and compiling expressions
costs more than a decision may take.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import UserDefinedType

metadata = MetaData()

BIG = BigInteger().with_variant(Integer(), "sqlite")

CHAMPION = "status = 'champion'"
UNDER_WAY = "state IN ('decided', 'patching', 'training', 'evaluated')"
UNDELIVERED = "delivered = 0"
DELIVERED = "delivered = 1"
UNSETTLED = "state <> 'settled'"
MOVED = "action <> 'wait'"
OPEN_QUESTION = "state IN ('pending', 'granted')"
OUTSIDE_THE_CODE = "status IN ('proposed', 'rejected')"


class TextOrNumber(UserDefinedType[Any]):
    """A label or a number, kept as it came: SQLite's ``ANY`` in a strict table."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Name of the type in DDL."""
        return "ANY"


def _bot_id(**options: Any) -> Column[int]:
    return Column("bot_id", BIG, ForeignKey("bots.bot_id"), nullable=False, **options)


def _table(name: str, *items: Any) -> Table:
    # STRICT: a text in a number's column is refused instead of being summed up as 0.
    return Table(name, metadata, *items, sqlite_strict=True)


bots = _table(
    "bots",
    Column("bot_id", BIG, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("config", Text, nullable=False),
)

bot_state = _table(
    "bot_state",
    _bot_id(primary_key=True, autoincrement=False),
    Column("outcomes", BIG, nullable=False),
    Column("loss_sum", REAL, nullable=False),
    Column("loss_square_sum", REAL, nullable=False),
    Column("value_usd", REAL, nullable=False),
    Column("serving_cost_usd", REAL, nullable=False),
    Column("last_outcome_at", REAL),
    Column("loop", Text, nullable=False),
    Column("reports_outcomes", Integer, nullable=False, server_default="0"),
)

outcomes = _table(
    "outcomes",
    Column("outcome_id", BIG, primary_key=True),
    _bot_id(),
    Column("prediction_id", Text, nullable=False),
    Column("at", REAL, nullable=False),
    Column("prediction", TextOrNumber, nullable=False),
    Column("truth", TextOrNumber, nullable=False),
    Column("loss", REAL, nullable=False),
    Column("value_usd", REAL, nullable=False),
    Column("serving_cost_usd", REAL, nullable=False),
    Column("latency_seconds", REAL),
    Column("version", Integer),
    UniqueConstraint("bot_id", "prediction_id"),
    # SQLite's driver takes a NumPy scalar for a buffer and would store its bytes.
    CheckConstraint("typeof(prediction) <> 'blob' AND typeof(truth) <> 'blob'").ddl_if(
        dialect="sqlite"
    ),
    Index("outcomes_by_bot", "bot_id", "outcome_id"),
)

metric_samples = _table(
    "metric_samples",
    Column("sample_id", BIG, primary_key=True),
    _bot_id(),
    Column("name", Text, nullable=False),
    Column("at", REAL, nullable=False),
    Column("value", REAL, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("version", Integer),
    Index("metric_samples_by_name", "bot_id", "name", "sample_id"),
)

source_marks = _table(
    "source_marks",
    _bot_id(primary_key=True, autoincrement=False),
    Column("row", BIG, primary_key=True, autoincrement=False),
    Column("mark", Text, nullable=False),
)

decisions = _table(
    "decisions",
    Column("decision_id", BIG, primary_key=True),
    _bot_id(),
    Column("run", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", REAL, nullable=False),
    Column("inputs", Text, nullable=False),
    Index("decisions_by_bot", "bot_id", "decision_id"),
)

cycles = _table(
    "cycles",
    Column("cycle_id", BIG, primary_key=True),
    _bot_id(),
    Column("state", Text, nullable=False),
    Column("energy", Integer, nullable=False),
    Column("row", BIG, nullable=False),
    Column("started_at", REAL, nullable=False),
    Column("decision_id", BIG, ForeignKey("decisions.decision_id")),
    Column("attempts", Integer, nullable=False),
    Column("replaced_version", Integer),
    Column("version", Integer),
    Column("cpu_seconds", REAL, nullable=False),
    Column("cost_usd", REAL, nullable=False),
    Column("settled_rows", BIG, nullable=False),
    Column("gain_usd", REAL, nullable=False),
    Column("serving_cost_usd", REAL, nullable=False),
    Column("ended_at", REAL),
    Column("outcome", Text),
    Column("error", Text),
    Column("details", Text, nullable=False),
    Index("cycles_by_bot", "bot_id", "cycle_id"),
    Index("cycles_by_end", "ended_at"),
    Index(
        "one_cycle_under_way",
        "bot_id",
        unique=True,
        sqlite_where=text(UNDER_WAY),
        postgresql_where=text(UNDER_WAY),
    ),
    Index(
        "unsettled_cycles",
        "bot_id",
        "cycle_id",
        sqlite_where=text(UNSETTLED),
        postgresql_where=text(UNSETTLED),
    ),
)

models = _table(
    "models",
    _bot_id(primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("sha256", Text, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("row", BIG, nullable=False),
    Column("created_at", REAL, nullable=False),
    Column("promoted_row", BIG),
    Column("cycle_id", BIG, ForeignKey("cycles.cycle_id"), unique=True),
    Column("manifest", Text, nullable=False),
    Column("replaced_version", Integer),
    Index(
        "one_champion",
        "bot_id",
        unique=True,
        sqlite_where=text(CHAMPION),
        postgresql_where=text(CHAMPION),
    ),
)

ledger = _table(
    "ledger",
    Column("entry_id", BIG, primary_key=True),
    Column("cycle_id", BIG, ForeignKey("cycles.cycle_id"), nullable=False, unique=True),
    _bot_id(),
    Column("at", REAL, nullable=False),
    Column("gain_usd", REAL, nullable=False),
    Column("cycle_cost_usd", REAL, nullable=False),
    Column("serving_cost_usd", REAL, nullable=False),
    Column("rows", BIG, nullable=False),
    Column("roi_delta", REAL, nullable=False),
    Index("ledger_by_bot", "bot_id", "entry_id"),
)

capital_entries = _table(
    "capital_entries",
    Column("entry_id", BIG, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", REAL, nullable=False),
    Column("bot_id", BIG, ForeignKey("bots.bot_id")),
    Column("cycle_id", BIG, ForeignKey("cycles.cycle_id"), unique=True),
    Column("memo", Text, nullable=False),
    Index("capital_entries_by_bot", "bot_id", "entry_id"),
)

capital_postings = _table(
    "capital_postings",
    Column(
        "entry_id",
        BIG,
        ForeignKey("capital_entries.entry_id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("account", Text, primary_key=True),
    Column("nano_usd", BIG, nullable=False),
)

capital_accounts = _table(
    "capital_accounts",
    Column("account", Text, primary_key=True),
    Column("nano_usd", BIG, nullable=False),
)

capital_days = _table(
    "capital_days",
    Column("account", Text, primary_key=True),
    Column("day", BIG, primary_key=True, autoincrement=False),
    Column("nano_usd", BIG, nullable=False),
)

budgets = _table(
    "budgets",
    Column("scope", Text, primary_key=True),
    Column("daily_usd", REAL, nullable=False),
)

scalings = _table(
    "scalings",
    Column("scaling_id", BIG, primary_key=True),
    Column("action", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", REAL, nullable=False),
    Column("engine", Text),
    Column("inputs", Text, nullable=False),
    Index(
        "scalings_that_moved",
        "scaling_id",
        sqlite_where=text(MOVED),
        postgresql_where=text(MOVED),
    ),
)

approvals = _table(
    "approvals",
    Column("approval_id", BIG, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("asked_at", REAL, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_at", REAL, nullable=False),
    Column("inputs", Text, nullable=False),
    Index(
        "one_open_question",
        "subject",
        unique=True,
        sqlite_where=text(OPEN_QUESTION),
        postgresql_where=text(OPEN_QUESTION),
    ),
)

trials = _table(
    "trials",
    Column("trial_id", BIG, primary_key=True),
    _bot_id(),
    Column("cycle_id", BIG, ForeignKey("cycles.cycle_id")),
    Column("row", BIG, nullable=False),
    Column("family", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("ratio", REAL, nullable=False),
    Column("metric", Text, nullable=False),
    Index("trials_by_bot", "bot_id", "trial_id"),
    Index("trials_by_cycle", "cycle_id"),
)

patches = _table(
    "patches",
    Column("patch_id", BIG, primary_key=True),
    _bot_id(),
    Column("target", Text, nullable=False),
    Column("proposer", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("claim", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("at", REAL, nullable=False),
    Column("explanation", Text, nullable=False),
    Column("diff", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("seed", BIG, nullable=False),
    Column("cycle_id", BIG, ForeignKey("cycles.cycle_id")),
    Column("parent_id", BIG, ForeignKey("patches.patch_id")),
    Column("base_commit", Text),
    Column("commit_id", Text),
    Column("revert_commit", Text),
    Column("gates", Text, nullable=False),
    Column("deltas", Text, nullable=False),
    Column("cpu_seconds", REAL, nullable=False),
    Column("approved_by", Text),
    Column("decided_at", REAL),
    Index("patches_by_bot", "bot_id", "patch_id"),
    Index("patches_by_parent", "parent_id"),
    Index(
        "patches_outside_the_code",
        "bot_id",
        "patch_id",
        sqlite_where=text(OUTSIDE_THE_CODE),
        postgresql_where=text(OUTSIDE_THE_CODE),
    ),
)

leases = _table(
    "leases",
    _bot_id(primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("expires_at", REAL, nullable=False),
)

outbox = _table(
    "outbox",
    Column("event_id", BIG, primary_key=True),
    _bot_id(),
    Column("topic", Text, nullable=False),
    Column("at", REAL, nullable=False),
    Column("payload", Text, nullable=False),
    Column("delivered", Integer, nullable=False),
    Index(
        "outbox_undelivered_by_bot",
        "bot_id",
        "event_id",
        sqlite_where=text(UNDELIVERED),
        postgresql_where=text(UNDELIVERED),
    ),
    Index(
        "outbox_delivered",
        "delivered",
        sqlite_where=text(DELIVERED),
        postgresql_where=text(DELIVERED),
    ),
)
