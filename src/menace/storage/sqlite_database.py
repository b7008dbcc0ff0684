"""The SQLite driver: connections, transactions, upgrades, and what its errors mean to people."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, create_engine, event, exc, make_url

from menace.errors import MissingDependencyError, StoreError
from menace.storage.migrate import HEAD, upgrade
from menace.storage.sql_store import SQLStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.interfaces import DBAPICursor
    from sqlalchemy.pool import PoolProxiedConnection

    from menace.interfaces import Store

OLDEST_SQLITE = (3, 37, 0)
"""Strict tables; ``RETURNING`` and upserts are older."""

BUSY_TIMEOUT_SECONDS = 30.0

# synchronous=NORMAL in WAL mode: a commit is in the operating system's hands when it returns, so a
# process may be killed at any point and nothing committed is lost. The log is forced to the disk at
# checkpoints only: a power cut may take the last transactions before it, always whole ones and in
# order, and never damages the file.
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8000",
)

# What the driver raises, as it is or wrapped by the pool; the last two for values it cannot take.
_DRIVER_ERRORS = (sqlite3.Error, exc.DBAPIError, OverflowError, UnicodeEncodeError)

# What a primary result code means, and what can be done about it.
_MEANINGS = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another process",
        "wait for the other command, or find it with: fuser -v {file}",
    ),
    sqlite3.SQLITE_FULL: (
        "cannot grow: the disk (or the file's size limit) is full",
        "free some space and repeat; nothing was half-written",
    ),
    sqlite3.SQLITE_READONLY: (
        "cannot be written",
        "make the file and its folder writable for this user: chmod u+w {file} {folder}",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "make sure that the folder {folder} exists and that this user can write in it",
    ),
    sqlite3.SQLITE_NOTADB: (
        "is not a menace store",
        "give the path of another file, or move this one away",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "is damaged",
        "restore it from a backup, or save what is readable: sqlite3 {file} .recover",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "check the disk, its free space and its quota; nothing was half-written",
    ),
}


def open_sqlite_store(url: str, *, folder: Path | None = None) -> Store:
    """Open the store in the SQLite file that ``url`` names; see :meth:`SQLiteDatabase.open`."""
    return SQLStore(SQLiteDatabase.open(url, folder=folder))


class SQLiteDatabase:
    """A SQLite file with the tables of this version. Safe to share between threads.

    Readers never wait. Writers of this process queue at a lock, those of other processes at the
    database: a writing transaction begins with ``BEGIN IMMEDIATE``, so it either has the right to
    write from its first statement on or waits for it, and two of them cannot deadlock.

    Parameters
    ----------
    engine
        Whose pool holds the connections.
    file
        The database's file.
    """

    def __init__(self, engine: Engine, file: Path) -> None:
        self._engine = engine
        self._file = file
        self._writing = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls,
        url: str,
        *,
        folder: Path | None = None,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
        max_bytes: int | None = None,
    ) -> SQLiteDatabase:
        """Open the file; make it, or upgrade its tables, if need be.

        Parameters
        ----------
        url
            ``sqlite:///RELATIVE/PATH`` or ``sqlite:////ABSOLUTE/PATH``.
        folder
            What a relative path is relative to; the current folder if None.
        busy_timeout_seconds
            How long to wait for a writer in another process.
        max_bytes
            The file is not let grow beyond this; None sets no limit.

        Raises
        ------
        StoreError
            If the file cannot be opened, is no menace store, or is of a newer version.
        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise MissingDependencyError(
                f"SQLite {sqlite3.sqlite_version} is too old.",
                remedy="use a Python whose sqlite3 module has SQLite 3.37 or newer",
            )
        file = _file_of(url, folder)
        database = cls(_engine_for(file, busy_timeout_seconds, max_bytes), file)
        try:
            database._bring_up_to_date()
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[DBAPICursor]:
        """Give a cursor for reading; each statement sees what was committed when it began."""
        try:
            connection = self._checked_out()
            try:
                yield connection.cursor()
            finally:
                connection.close()
        except _DRIVER_ERRORS as error:
            raise self._explained(error) from error

    @contextmanager
    def write(self) -> Iterator[DBAPICursor]:
        """Give a cursor in a transaction that is committed at the end, or undone on any error."""
        try:
            with self._writing:
                connection = self._checked_out()
                try:
                    cursor = connection.cursor()
                    cursor.execute("BEGIN IMMEDIATE")
                    yield cursor
                    connection.commit()
                finally:
                    # The pool rolls back whatever was not committed.
                    connection.close()
        except _DRIVER_ERRORS as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._engine.dispose()

    def _checked_out(self) -> PoolProxiedConnection:
        if self._closed:
            raise StoreError(
                f"the store {self._file} was closed.", remedy="open it again with open_store()"
            )
        return self._engine.raw_connection()

    def _bring_up_to_date(self) -> None:
        if self._revision() == HEAD:
            return
        try:
            with self._engine.connect() as connection:
                # Another process may be at it: whoever comes second finds nothing left to do.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                if self._revision() is None:
                    self._refuse_foreign_file()
                upgrade(connection, where=str(self._file))
                connection.commit()
        except _DRIVER_ERRORS as error:
            raise self._explained(error) from error

    def _revision(self) -> str | None:
        with self.read() as cursor:
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
            if cursor.fetchone() is None:
                return None
            cursor.execute("SELECT version_num FROM alembic_version")
            row = cursor.fetchone()
            return None if row is None else str(row[0])

    def _refuse_foreign_file(self) -> None:
        with self.read() as cursor:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 1")
            row = cursor.fetchone()
        if row is not None:
            raise StoreError(
                f"the database {self._file} is not a menace store: it has a table {row[0]!r}.",
                remedy="give the path of another file; menace wants one of its own",
            )

    def _explained(self, error: Exception) -> StoreError:
        if isinstance(error, exc.DBAPIError) and isinstance(error.orig, sqlite3.Error):
            error = error.orig
        # Extended result codes keep the primary one in the low byte.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        meaning = _MEANINGS.get(code)
        if meaning is None:
            return StoreError(
                f"the store {self._file} refused a statement: {error}.",
                remedy="look at the values given: plain numbers below 2**63, text without "
                "lone surrogates, no NumPy scalars",
            )
        what, remedy = meaning
        return StoreError(
            f"the store {self._file} {what} ({error}).",
            remedy=remedy.format(file=self._file, folder=self._file.parent),
        )


def _file_of(url: str, folder: Path | None) -> Path:
    try:
        name = make_url(url).database
    except exc.ArgumentError as error:
        raise StoreError(
            f"{url!r} is not a database URL.", remedy="write it as sqlite:///menace.db"
        ) from error
    if not name or name == ":memory:":
        raise StoreError(
            f"{url!r} names no file, and a store in memory would be lost with the process.",
            remedy="write it as sqlite:///menace.db",
        )
    return (folder or Path.cwd()) / name


def _engine_for(file: Path, busy_timeout_seconds: float, max_bytes: int | None) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args={
            "timeout": busy_timeout_seconds,
            # The driver begins no transaction of its own accord: write() does.
            "isolation_level": None,
        },
        pool_size=8,
        # A program with more threads holds more connections for a moment; it never waits for one.
        max_overflow=-1,
    )

    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if max_bytes is not None:
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")

    event.listen(engine, "connect", set_up)
    return engine
