"""The schema's history, one Alembic revision per file; applied by :mod:`menace.storage.migrate`.

A revision that was released is never edited: it spells its tables out, so that what it made stays
known when :mod:`menace.storage.schema` moves on.
"""
