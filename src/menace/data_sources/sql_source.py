"""Rows of an SQL query, in the order of the bot's time column, through SQLAlchemy.

The place in a query is a time: the newest that was read, and which rows of that time were read
already. Each read asks for ``time >= last``, in order, with a limit, so an index on the time column
makes it independent of what lies before. Among rows of equal time the other columns (save the
target, which may arrive later) decide the order. A row that arrives later at a time that lies
before the place is never seen.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from menace.data_sources.columns import head_text, tidy_frame
from menace.data_sources.files import source_of
from menace.errors import ConfigError, DataError, MissingDependencyError, SourceError
from menace.records import SourcePosition

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import ColumnElement, Engine, Select
    from sqlalchemy.engine import URL, Connection

    from menace.records import BotConfig, Json

REMEMBERED_TIES = 1000
"""Of a time shared by more rows, only their number is kept, so late arrivals there are not told."""

_Row = tuple[Any, ...]


class _Bound(NamedTuple):
    """A time, how many of its rows lie before the place, and which, if they are not too many."""

    time: Any
    rows: int
    keys: tuple[str, ...] | None


class SqlSource:
    """A query whose rows are ordered by a time column.

    Parameters
    ----------
    query
        A ``SELECT``; it becomes a subquery, so it can change nothing.
    url
        The database, as a SQLAlchemy URL.
    time
        Name of the column that orders the rows; no row may lack it.
    target
        Name of the label's column; NULL is a missing label. ``None`` if there is no such column.
    name
        What messages call the source.
    """

    def __init__(
        self, query: str, url: URL, *, time: str, target: str | None = None, name: str = ""
    ) -> None:
        self._query = query.strip().rstrip(";").strip()
        self._url = url
        self._time = time
        self._target = target
        self._engine: Engine | None = None
        self.name = name or f"the query on {url.render_as_string(hide_password=True)}"

    @classmethod
    def from_bot(cls, bot: BotConfig, folder: Path) -> SqlSource:
        """Make the source of a bot; the path in a SQLite URL is taken from ``folder``.

        Raises
        ------
        ConfigError
            If the bot has no time column, or its source no URL or a wrong one.
        """
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        source = source_of(bot)
        if bot.time is None:
            raise ConfigError(
                "the bot reads an SQL query but names no time column, and the rows of a query have "
                "no order of their own.",
                bot=bot.name,
                remedy="name the column that orders the rows (--time COLUMN)",
            )
        if not source.url:
            raise ConfigError(
                "the bot reads an SQL query but its source names no database.",
                bot=bot.name,
                remedy="give source.url, such as sqlite:///data.db",
            )
        try:
            url = make_url(source.url)
        except (ArgumentError, ValueError) as error:
            raise ConfigError(
                "the source's url is not a SQLAlchemy URL.",
                bot=bot.name,
                remedy="write it as dialect://user:password@host:port/database",
            ) from error
        if _is_sqlite_file(url):
            url = url.set(database=str(folder / Path(str(url.database)).expanduser()))
        return cls(source.location, url, time=bot.time, target=bot.target)

    def read(
        self, position: SourcePosition | None, max_rows: int
    ) -> tuple[pd.DataFrame, SourcePosition]:
        """Read the next rows; see :class:`menace.interfaces.DataSource`.

        Raises
        ------
        DataError
            If the query lacks the time column, or a row its time.
        SourceError
            If the database refuses the query or cannot be reached.
        MissingDependencyError
            If the database's driver is not installed.
        """
        return self._read(position, None, max_rows)

    def read_before(
        self, position: SourcePosition | None, end: SourcePosition, max_rows: int
    ) -> tuple[pd.DataFrame, SourcePosition]:
        """Read the next rows after ``position`` that were read before ``end`` was reached.

        Rows that came later at the very time of ``end`` are left out, and rows that were deleted
        since do not shift the end.
        """
        return self._read(position, end, max_rows)

    def _read(
        self, position: SourcePosition | None, end: SourcePosition | None, max_rows: int
    ) -> tuple[pd.DataFrame, SourcePosition]:
        from sqlalchemy.exc import SQLAlchemyError

        begin = _bound(position)
        stop = _bound(end)
        try:
            with self._connected().connect() as connection:
                names = self._columns(connection)
                statement = self._statement(names, position, begin, stop, max_rows)
                rows = [tuple(row) for row in connection.execute(statement)]
        except SQLAlchemyError as error:
            raise self._refused(error) from error
        at = names.index(self._time)
        key = [k for k, name in enumerate(names) if name != self._target]
        if begin is not None:
            rows = _without_read(rows, at, key, begin)
        if stop is not None:
            rows = _only_read(rows, at, key, stop, begin)
        elif end is not None:
            rows = rows[: end.row - (position.row if position else 0)]
        return self._positioned(names, rows[:max_rows], position, begin)

    def _positioned(
        self,
        names: list[str],
        rows: list[_Row],
        position: SourcePosition | None,
        begin: _Bound | None,
    ) -> tuple[pd.DataFrame, SourcePosition]:
        import pandas as pd

        first_row = position.row if position else 0
        known = tuple(position.mark.get("text", ())) if position else ()
        at = names.index(self._time)
        for k, row in enumerate(rows):
            if row[at] is None:
                raise DataError(
                    f"{self.name}: row {first_row + k} has no time in the column {self._time!r}.",
                    remedy=f"leave such rows out: WHERE {self._time} IS NOT NULL",
                )
        cells = {name: [row[k] for row in rows] for k, name in enumerate(names)}
        if self._target in cells:
            cells[self._target] = [_nan_as_text(value) for value in cells[self._target]]
        raw = pd.DataFrame({name: pd.Series(v, dtype="object") for name, v in cells.items()})
        frame = tidy_frame(raw, text=known, target=self._target)
        mark: Json = dict(position.mark) if position else {}
        if rows:
            key = [k for k, name in enumerate(names) if name != self._target]
            mark = _mark(rows, at, key, begin)
        mark["text"] = head_text(known, frame, first_row)
        return frame, SourcePosition(first_row + len(rows), mark)

    def _statement(
        self,
        names: list[str],
        position: SourcePosition | None,
        begin: _Bound | None,
        stop: _Bound | None,
        max_rows: int,
    ) -> Select[Any]:
        from sqlalchemy import column, select

        time: ColumnElement[Any] = column(self._time)
        others: list[ColumnElement[Any]] = [
            column(name) for name in names if name not in {self._time, self._target}
        ]
        wanted: list[ColumnElement[Any]] = [column(name) for name in names]
        statement: Select[Any] = select(*wanted).select_from(self._subquery())
        if begin is not None:
            statement = statement.where(time >= begin.time).limit(max_rows + begin.rows)
        else:
            # A position without a mark is known by its number of rows alone.
            statement = statement.limit(max_rows).offset(position.row if position else 0)
        if stop is not None:
            statement = statement.where(time <= stop.time)
        return statement.order_by(time, *others)

    def _columns(self, connection: Connection) -> list[str]:
        from sqlalchemy import select, text

        probe = select(text("*")).select_from(self._subquery()).limit(0)
        names = [str(name) for name in list(connection.execute(probe).keys())]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SourceError(
                f"{self.name} yields the column {twice[0]!r} more than once.",
                remedy="give every column of the query a name of its own (AS)",
            )
        if self._time not in names:
            raise DataError(
                f"{self.name} has no column {self._time!r}, which is the time column; "
                f"its columns: {', '.join(names)}.",
                remedy="correct the name of the time column, or the query",
            )
        return names

    def _subquery(self) -> Any:
        from sqlalchemy import text

        # A colon in the user's query is part of the query, never a parameter.
        return text(self._query.replace(":", r"\:")).columns().subquery("source_rows")

    def _connected(self) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import NoSuchModuleError
        from sqlalchemy.pool import NullPool

        if _is_sqlite_file(self._url) and not Path(str(self._url.database)).is_file():
            # SQLite would make an empty database where there is none.
            raise SourceError(
                f"there is no file {self._url.database}.",
                remedy="check the path in the source's url",
            )
        if self._engine is None:
            try:
                self._engine = create_engine(self._url, poolclass=NullPool)
            except (ModuleNotFoundError, NoSuchModuleError) as error:
                raise MissingDependencyError(
                    f"the driver for {self._url.drivername} databases is not installed: {error}.",
                    remedy="pip install the driver, such as psycopg for postgresql+psycopg",
                ) from error
        return self._engine

    def _refused(self, error: Exception) -> SourceError:
        cause = getattr(error, "orig", None) or error
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        return SourceError(
            f"{self.name} cannot be read: {reason}.",
            remedy="try the query in the database's own client; check source.url",
        )


def _is_sqlite_file(url: URL) -> bool:
    database = url.database or ""
    return (
        url.get_backend_name() == "sqlite"
        and database not in {"", ":memory:"}
        and not database.startswith("file:")
    )


def _without_read(rows: list[_Row], at: int, key: list[int], begin: _Bound) -> list[_Row]:
    """Leave out the rows of the bookmark's time that were read already."""
    if begin.keys is None:
        ties = sum(row[at] == begin.time for row in rows)
        return rows[min(begin.rows, ties) :]
    read = Counter(begin.keys)
    fresh = []
    for row in rows:
        if row[at] == begin.time:
            name = _key(row, key)
            if read[name] > 0:
                read[name] -= 1
                continue
        fresh.append(row)
    return fresh


def _only_read(
    rows: list[_Row], at: int, key: list[int], stop: _Bound, begin: _Bound | None
) -> list[_Row]:
    """Leave out the rows of the end's time that had not been read when the end was reached."""
    same = begin is not None and begin.time == stop.time
    if stop.keys is None:
        left = stop.rows - (begin.rows if begin is not None and same else 0)
        before = [row for row in rows if row[at] != stop.time]
        return before + [row for row in rows if row[at] == stop.time][: max(0, left)]
    allowed = Counter(stop.keys)
    if begin is not None and same and begin.keys is not None:
        allowed -= Counter(begin.keys)
    kept = []
    for row in rows:
        if row[at] == stop.time:
            name = _key(row, key)
            if allowed[name] <= 0:
                continue
            allowed[name] -= 1
        kept.append(row)
    return kept


def _mark(rows: list[_Row], at: int, key: list[int], begin: _Bound | None) -> Json:
    last = rows[-1][at]
    ties = [row for row in rows if row[at] == last]
    count, keys = len(ties), [_key(row, key) for row in ties[: REMEMBERED_TIES + 1]]
    known = True
    if begin is not None and begin.time == last:
        count += begin.rows
        known = begin.keys is not None
        keys = [*(begin.keys or ()), *keys]
    remembered = sorted(keys) if known and count <= REMEMBERED_TIES else None
    return {"last": _encoded(last), "rows": count, "keys": remembered}


def _bound(position: SourcePosition | None) -> _Bound | None:
    if position is None or "last" not in position.mark:
        return None
    mark = position.mark
    keys = mark.get("keys")
    return _Bound(_decoded(mark["last"]), int(mark["rows"]), None if keys is None else tuple(keys))


def _key(row: _Row, key: list[int]) -> str:
    """Name a row by all that does not change when its label arrives."""
    return hashlib.sha256(repr([row[k] for k in key]).encode()).hexdigest()[:12]


def _nan_as_text(value: Any) -> Any:
    """Keep NaN apart from NULL: NaN is no missing label."""
    return "nan" if isinstance(value, float | Decimal) and math.isnan(value) else value


def _encoded(value: Any) -> list[Any]:
    """Write a time as JSON so that the same type can be bound again."""
    if isinstance(value, dt.datetime):
        return ["datetime", value.isoformat()]
    if isinstance(value, dt.date):
        return ["date", value.isoformat()]
    if isinstance(value, Decimal):
        return ["decimal", str(value)]
    if isinstance(value, int | float | str):
        return ["plain", value]
    raise DataError(
        f"the time {value!r} is a {type(value).__name__}, which cannot order rows.",
        remedy="cast the time column to a timestamp, a number or ISO 8601 text in the query",
    )


def _decoded(pair: list[Any]) -> Any:
    kind, value = pair
    if kind == "datetime":
        return dt.datetime.fromisoformat(value)
    if kind == "date":
        return dt.date.fromisoformat(value)
    return Decimal(value) if kind == "decimal" else value
