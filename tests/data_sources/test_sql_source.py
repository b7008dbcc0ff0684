"""A query as a source: order, ties, labels and bad input."""

from __future__ import annotations

import datetime as dt
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, create_engine

from menace.data_sources import open_source, rows_of
from menace.errors import ConfigError, DataError, MissingDependencyError, SourceError
from menace.records import BotConfig, SourceConfig

if TYPE_CHECKING:
    from pathlib import Path

QUERY = "SELECT at, x, y FROM events"


def a_bot(query: str = QUERY, url: str | None = "sqlite:///rows.db", **changes: Any) -> BotConfig:
    values: dict[str, Any] = {"time": "at", "target": "y", **changes}
    return BotConfig(name="alpha", source=SourceConfig("sql", query, url=url), **values)


def execute(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "rows.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    execute(tmp_path, "CREATE TABLE events (at, x, y)")
    return tmp_path


def insert(folder: Path, rows: list[tuple[Any, ...]]) -> None:
    with sqlite3.connect(folder / "rows.db") as connection:
        connection.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
    connection.close()


def test_rows_that_arrive_later_at_the_newest_time_are_read_once(folder: Path) -> None:
    insert(folder, [(1, 5, 0), (2, 7, 1), (2, 9, 1)])
    first = rows_of(a_bot(), folder).read_new(None, max_rows=10)
    insert(folder, [(2, 6, 0), (2, 8, 0), (2, 8, 0), (3, 1, 1)])

    window = rows_of(a_bot(), folder).read_window(None, first.position, rows=10)
    rest = rows_of(a_bot(), folder).read_new(first.position, max_rows=2)
    last = rows_of(a_bot(), folder).read_new(rest.position, max_rows=10)

    assert list(window["x"]) == list(first.frame["x"]) == [5, 7, 9]
    assert list(rest.frame["x"]) == [6, 8]
    assert list(last.frame["x"]) == [8, 1]
    assert last.position.row == 7


def test_a_label_that_arrives_within_a_tie_is_read_in_its_turn(folder: Path) -> None:
    insert(folder, [(1, k, 0 if k < 4 else None) for k in range(6)])
    first = rows_of(a_bot(), folder).read_new(None, max_rows=10)
    execute(folder, "UPDATE events SET y = 1")
    rest = rows_of(a_bot(), folder).read_new(first.position, max_rows=10)
    assert list(first.frame["x"]) == [0, 1, 2, 3]
    assert list(rest.frame["x"]) == [4, 5]


def test_a_time_shared_by_very_many_rows_is_read_through_once(folder: Path) -> None:
    insert(folder, [(1, k, 0) for k in range(3000)] + [(2, 0, 1)])
    stream = rows_of(a_bot(), folder)
    seen: list[int] = []
    batch = stream.read_new(None, max_rows=700)
    while len(batch.frame):
        seen += batch.frame["x"].tolist()
        end = batch.position
        batch = stream.read_new(end, max_rows=700)
    assert seen == [*range(3000), 0]
    assert len(str(end.mark)) < 500
    assert len(stream.read_window(None, end, rows=5000)) == 3001


def test_rows_deleted_before_the_position_shift_nothing(folder: Path) -> None:
    insert(folder, [(k, k, 0) for k in range(20)])
    first = rows_of(a_bot(), folder).read_new(None, max_rows=15)
    execute(folder, "DELETE FROM events WHERE at < 10")
    rest = rows_of(a_bot(), folder).read_new(first.position, max_rows=10)
    window = rows_of(a_bot(), folder).read_window(None, first.position, rows=10)
    assert list(rest.frame["x"]) == [15, 16, 17, 18, 19]
    assert list(window["x"]) == [10, 11, 12, 13, 14]


def test_a_query_may_have_colons_quotes_and_an_end(folder: Path) -> None:
    insert(folder, [("10:30", "a :b", 1), ("11:30", "it's", 0)])
    query = (
        "WITH late AS (SELECT at AS \"the time\", x, y FROM events WHERE at > '10:00')"
        " SELECT *, ' :x' AS z FROM late;\n"
    )
    bot = a_bot(query, time="the time")
    frame, _ = open_source(bot, folder).read(None, 10)
    assert list(frame["x"]) == ["a :b", "it's"]
    assert list(frame["z"]) == [" :x", " :x"]


def test_times_of_the_database_keep_their_type_in_the_position(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'rows.db'}")
    table = Table(
        "events", MetaData(), Column("at", DateTime), Column("x", Integer), Column("y", Integer)
    )
    table.metadata.create_all(engine)
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)
    with engine.begin() as connection:
        rows = [{"at": start + dt.timedelta(hours=k // 2), "x": k, "y": 0} for k in range(10)]
        connection.execute(table.insert(), rows)
    engine.dispose()
    stream = rows_of(a_bot(), tmp_path)
    batch = stream.read_new(None, max_rows=3)
    seen = batch.frame["x"].tolist()
    while len(batch.frame):
        batch = stream.read_new(batch.position, max_rows=3)
        seen += batch.frame["x"].tolist()
    assert seen == list(range(10))


def test_a_query_changes_nothing(folder: Path) -> None:
    insert(folder, [(1, 1, 1)])
    with pytest.raises(SourceError, match="cannot be read"):
        rows_of(a_bot("DELETE FROM events"), folder).read_new(None, max_rows=1)
    assert len(rows_of(a_bot(), folder).read_new(None, max_rows=9).frame) == 1


def test_a_bot_without_a_time_column_is_told_to_name_one(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"names no time column.*Remedy: name the column"):
        rows_of(a_bot(time=None), folder)


@pytest.mark.parametrize(
    ("url", "message"), [(None, "names no database"), ("nonsense", "not a SQLAlchemy URL")]
)
def test_a_source_without_a_proper_url_is_refused(
    folder: Path, url: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        rows_of(a_bot(url=url), folder)


def test_a_missing_database_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*rows\.db"):
        rows_of(a_bot(), tmp_path).read_new(None, max_rows=1)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_driver_is_named(folder: Path) -> None:
    bot = a_bot(url="postgresql+nodriver://alpha:secret@localhost/db")
    with pytest.raises(MissingDependencyError, match="postgresql\\+nodriver") as caught:
        rows_of(bot, folder).read_new(None, max_rows=1)
    assert "secret" not in str(caught.value)


def test_a_database_error_names_the_query_without_the_password(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"the query on sqlite.* no such table: no_table"):
        rows_of(a_bot("SELECT * FROM no_table"), folder).read_new(None, max_rows=1)


def test_a_row_without_a_time_is_refused(folder: Path) -> None:
    insert(folder, [(None, 1, 1), (1, 2, 1)])
    with pytest.raises(DataError, match=r"row 0 has no time .*Remedy: .*WHERE at IS NOT NULL"):
        rows_of(a_bot(), folder).read_new(None, max_rows=10)
