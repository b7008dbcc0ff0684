"""Trials of searches, so that energy spent over many cycles adds up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "trials",
        sa.Column("trial_id", BIG, primary_key=True),
        sa.Column("bot_id", BIG, sa.ForeignKey("bots.bot_id"), nullable=False),
        sa.Column("cycle_id", BIG, sa.ForeignKey("cycles.cycle_id")),
        sa.Column("row", BIG, nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("ratio", sa.REAL(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sqlite_strict=True,
    )
    op.create_index("trials_by_bot", "trials", ["bot_id", "trial_id"])
    op.create_index("trials_by_cycle", "trials", ["cycle_id"])
