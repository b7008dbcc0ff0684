"""Patches to helper code: what was tried, what came of it, and who let it pass."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OUTSIDE_THE_CODE = "status IN ('proposed', 'rejected')"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "patches",
        sa.Column("patch_id", BIG, primary_key=True),
        sa.Column("bot_id", BIG, sa.ForeignKey("bots.bot_id"), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("proposer", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at", sa.REAL(), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("diff", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("seed", BIG, nullable=False),
        sa.Column("cycle_id", BIG, sa.ForeignKey("cycles.cycle_id")),
        sa.Column("parent_id", BIG, sa.ForeignKey("patches.patch_id")),
        sa.Column("base_commit", sa.Text()),
        sa.Column("commit_id", sa.Text()),
        sa.Column("revert_commit", sa.Text()),
        sa.Column("gates", sa.Text(), nullable=False),
        sa.Column("deltas", sa.Text(), nullable=False),
        sa.Column("cpu_seconds", sa.REAL(), nullable=False),
        sa.Column("approved_by", sa.Text()),
        sa.Column("decided_at", sa.REAL()),
        sqlite_strict=True,
    )
    op.create_index("patches_by_bot", "patches", ["bot_id", "patch_id"])
    op.create_index("patches_by_parent", "patches", ["parent_id"])
    op.create_index(
        "patches_outside_the_code",
        "patches",
        ["bot_id", "patch_id"],
        sqlite_where=sa.text(OUTSIDE_THE_CODE),
        postgresql_where=sa.text(OUTSIDE_THE_CODE),
    )
