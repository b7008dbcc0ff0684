"""What grows with a bot's age is bounded, and a bot remembers whether it reports its outcomes.

Delivered events go, but for the newest one, whose number keeps SQLite from giving numbers again.
Undelivered events are found by bot, and cycles that wait for their settlement without a look at
those that are settled.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Add ``bot_state.reports_outcomes`` and the indexes; delete delivered events."""
    op.add_column(
        "bot_state",
        sa.Column("reports_outcomes", sa.Integer(), nullable=False, server_default="0"),
    )
    # Outcomes that menace scores itself are named row-0, row-1, …; any other name was reported.
    # Two ranges, so that each is one look into the index whatever the number of outcomes.
    op.execute(
        "UPDATE bot_state SET reports_outcomes = 1 WHERE"
        " EXISTS (SELECT 1 FROM outcomes o WHERE o.bot_id = bot_state.bot_id"
        " AND o.prediction_id < 'row-')"
        " OR EXISTS (SELECT 1 FROM outcomes o WHERE o.bot_id = bot_state.bot_id"
        " AND o.prediction_id >= 'row.')"
    )
    op.execute(
        "DELETE FROM outbox WHERE delivered = 1 AND event_id < (SELECT max(event_id) FROM outbox)"
    )
    op.drop_index("outbox_undelivered", table_name="outbox")
    _partial_index("outbox_undelivered_by_bot", "outbox", ["bot_id", "event_id"], "delivered = 0")
    _partial_index("outbox_delivered", "outbox", ["delivered"], "delivered = 1")
    _partial_index("unsettled_cycles", "cycles", ["bot_id", "cycle_id"], "state <> 'settled'")


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
