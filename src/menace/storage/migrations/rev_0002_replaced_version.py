"""A model remembers which champion it replaced, so that a rollback knows where to go.

Without it "the one before" could only be guessed from version numbers, and a second rollback would
go back to the model that the first one had just left.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Add ``models.replaced_version``; until now versions were promoted in order."""
    op.add_column("models", sa.Column("replaced_version", sa.Integer()))
    op.execute(
        "UPDATE models SET replaced_version = ("
        " SELECT max(older.version) FROM models AS older"
        " WHERE older.bot_id = models.bot_id AND older.version < models.version"
        " AND older.promoted_row IS NOT NULL"
        ") WHERE promoted_row IS NOT NULL"
    )
