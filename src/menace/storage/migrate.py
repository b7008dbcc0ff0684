"""Brings a database to the schema of this version, by Alembic, inside one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import StoreError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

HEAD = "0006"
"""The newest revision in :mod:`menace.storage.migrations`, known without importing Alembic."""


def upgrade(connection: Connection, *, where: str, to: str = HEAD) -> None:
    """Apply the revisions that the database lacks. The caller begins and commits.

    Parameters
    ----------
    connection
        In a transaction that keeps other writers out.
    where
        The database's name, for messages.
    to
        The revision to stop at.

    Raises
    ------
    StoreError
        If the database is of a newer version of menace.
    """
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    scripts = revisions()
    context = MigrationContext.configure(connection)
    current = context.get_current_revision()
    known = [script.revision for script in scripts.walk_revisions()]
    if current is not None and current not in known:
        raise StoreError(
            f"the store {where} has schema {current!r}, newer than {known[0]!r}, the newest known "
            "here.",
            remedy="install the version of menace that wrote it, or a later one",
        )
    missing = list(scripts.iterate_revisions(to, current))
    with Operations.context(context):
        for script in reversed(missing):
            script.module.upgrade()
            context.stamp(scripts, script.revision)


def revisions() -> ScriptDirectory:
    """Read the revisions that ship with this version, as Alembic's script directory."""
    from alembic.script import ScriptDirectory

    folder = str(Path(__file__).parent / "migrations")
    return ScriptDirectory(folder, version_locations=[folder])
