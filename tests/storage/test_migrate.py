from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import URL, create_engine

from menace.errors import StoreError
from menace.records import Decision, ModelStatus
from menace.storage.migrate import HEAD, revisions, upgrade
from menace.storage.registry import open_store
from menace.storage.schema import metadata

if TYPE_CHECKING:
    from pathlib import Path

STORE_URL = "sqlite:///menace.db"

# Written as the first revision would have written it; not through today's store.
FIRST_REVISION_DATA = """
    INSERT INTO bots VALUES (1, 'alpha', '{"name": "alpha", "source": null, "target": "y"}');
    INSERT INTO bot_state VALUES (1, 2, 1.5, 1.25, 4.0, 0.5, 12.0, '{"labelled_rows": 2}');
    INSERT INTO outcomes VALUES (1, 1, 'p1', 11.0, 'a', 'b', 1.0, 2.0, 0.25, NULL, 1);
    INSERT INTO outcomes VALUES (2, 1, 'p2', 12.0, 0.5, 1.0, 0.5, 2.0, 0.25, 0.1, 1);
    INSERT INTO decisions VALUES (1, 1, 1, 'policy', 10.0, '{"debt": 2.0}');
    INSERT INTO cycles VALUES (1, 1, 'settled', 3, 2, 10.0, 1, 1, 1, 3, 0.5, 0.25, 2, 1.0, 0.5,
        13.0, 'promoted', NULL, '{}');
    INSERT INTO models VALUES (1, 1, 'aa', 'alpha/aa', 'archived', 1, 5.0, 1, NULL, '{}');
    INSERT INTO models VALUES (1, 2, 'bb', 'alpha/bb', 'rejected', 1, 6.0, NULL, NULL, '{}');
    INSERT INTO models VALUES (1, 3, 'cc', 'alpha/cc', 'champion', 2, 7.0, 2, 1, '{"k": 1}');
    INSERT INTO ledger VALUES (1, 1, 1, 13.0, 1.0, 0.25, 0.5, 2, 1.0);
    INSERT INTO outbox VALUES (1, 1, 'cycle.settled', 13.0, '{}', 0);
"""


SECOND_REVISION_DATA = """
    INSERT INTO bots VALUES (1, 'scored', '{"name": "scored", "source": null, "target": "y"}');
    INSERT INTO bots VALUES (2, 'reports', '{"name": "reports", "source": null, "target": "y"}');
    INSERT INTO bot_state VALUES (1, 1, 1, 1, 0, 0, 1.0, '{}'), (2, 1, 1, 1, 0, 0, 1.0, '{}');
    INSERT INTO outcomes VALUES (1, 1, 'row-0', 1.0, 'a', 'b', 1.0, 0, 0, NULL, 1);
    INSERT INTO outcomes VALUES (2, 2, 'p-7', 1.0, 'a', 'b', 1.0, 0, 0, NULL, 1);
    INSERT INTO models VALUES (2, 1, 'aa', 'reports/aa', 'champion', 1, 5.0, 1, NULL, '{}', NULL);
    INSERT INTO outbox VALUES (1, 1, 'tick.committed', 1.0, '{}', 1);
    INSERT INTO outbox VALUES (2, 1, 'tick.committed', 1.0, '{}', 0);
    INSERT INTO outbox VALUES (3, 2, 'tick.committed', 1.0, '{}', 1);
    INSERT INTO outbox VALUES (4, 2, 'tick.committed', 1.0, '{}', 1);
"""


def make_database(file: Path, *, revision: str) -> None:
    engine = create_engine(URL.create("sqlite", database=str(file)))
    with engine.begin() as connection:
        upgrade(connection, where=str(file), to=revision)
    engine.dispose()


def structure(file: Path) -> dict[str, object]:
    """Columns, indexes and foreign keys of every table, whatever order they were made in."""
    found: dict[str, object] = {}
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute(
            "SELECT name, strict FROM pragma_table_list WHERE schema = 'main'"
            " AND type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
        ).fetchall()
        for table, strict in tables:
            columns = connection.execute(
                'SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (table,)
            ).fetchall()
            indexes = connection.execute(
                'SELECT l.name, l."unique", l.partial, group_concat(i.name)'
                " FROM pragma_index_list(?) l, pragma_index_info(l.name) i GROUP BY l.name",
                (table,),
            ).fetchall()
            keys = connection.execute(
                'SELECT "from", "table", "to" FROM pragma_foreign_key_list(?)', (table,)
            ).fetchall()
            conditions = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND type = 'index'"
                " AND sql IS NOT NULL",
                (table,),
            ).fetchall()
            found[table] = tuple(map(sorted, (columns, indexes, keys, conditions))), strict
    return found


def test_a_store_of_the_first_revision_is_upgraded_and_keeps_its_data(tmp_path: Path) -> None:
    make_database(tmp_path / "menace.db", revision="0001")
    with closing(sqlite3.connect(tmp_path / "menace.db")) as connection:
        connection.executescript(FIRST_REVISION_DATA)

    with closing(open_store(STORE_URL, folder=tmp_path)) as store:
        assert [bot.name for bot in store.bots()] == ["alpha"]
        snapshot = store.snapshot("alpha")
        assert (snapshot.totals.outcomes, snapshot.totals.loss_sum) == (2, 1.5)
        assert (snapshot.loop.labelled_rows, snapshot.champion_version) == (2, 3)
        assert [o.prediction for o in store.outcomes("alpha", last=9)] == ["a", 0.5]
        assert store.decisions("alpha", last=9)[0].inputs == {"debt": 2.0}
        assert store.cycle(1).gain_usd == 1.0
        assert [entry.roi_delta for entry in store.ledger()] == [1.0]
        assert [event.topic for event in store.pending_events()] == ["cycle.settled"]
        # What the second revision added is filled in: version 3 replaced 1, for 2 never served.
        assert store.roll_back("alpha", row=3, at=14.0).version == 1
        assert store.model("alpha", 3).status is ModelStatus.ARCHIVED


def test_a_store_of_the_second_revision_is_upgraded_and_forgets_delivered_events(
    tmp_path: Path,
) -> None:
    make_database(tmp_path / "menace.db", revision="0002")
    with closing(sqlite3.connect(tmp_path / "menace.db")) as connection:
        connection.executescript(SECOND_REVISION_DATA)

    with closing(open_store(STORE_URL, folder=tmp_path)) as store:
        assert [event.event_id for event in store.pending_events()] == [2]
        assert store.snapshot("scored").totals.outcomes == 1
        # Outcomes that menace scored are named by their row.
        assert not store.snapshot("scored").reports_outcomes
        assert store.snapshot("reports").reports_outcomes
        assert store.snapshot("reports").champion_version == 1
        store.add_decision(Decision("scored", False, "policy", 2.0))
        assert [event.event_id for event in store.pending_events()] == [2, 5]
    with closing(sqlite3.connect(tmp_path / "menace.db")) as connection:
        kept = connection.execute("SELECT event_id FROM outbox").fetchall()
    assert kept == [(2,), (4,), (5,)]


def test_cycles_that_were_settled_before_there_were_books_are_booked(tmp_path: Path) -> None:
    make_database(tmp_path / "menace.db", revision="0001")
    with closing(sqlite3.connect(tmp_path / "menace.db")) as connection:
        connection.executescript(FIRST_REVISION_DATA)

    with closing(open_store(STORE_URL, folder=tmp_path)) as store:
        # A gain of 1 USD and a cost of 0.25 USD, on the first day.
        balances = {"cash": 750_000_000, "costs": 250_000_000, "gains": -1_000_000_000}
        assert store.capital_balances() == balances
        assert store.capital_days("gains", since=0) == {0: -1_000_000_000}
        [entry] = store.capital_entries(last=9)
        assert (entry.kind, entry.bot, entry.cycle_id, entry.at) == ("settlement", "alpha", 1, 13.0)
        assert dict(entry.postings) == balances


def test_migrations_lead_to_the_schema_that_the_code_knows(tmp_path: Path) -> None:
    make_database(tmp_path / "migrated.db", revision=HEAD)
    engine = create_engine(URL.create("sqlite", database=str(tmp_path / "declared.db")))
    metadata.create_all(engine)
    engine.dispose()

    declared = structure(tmp_path / "declared.db")
    assert structure(tmp_path / "migrated.db") == declared
    assert {"bots", "outcomes", "cycles", "models", "ledger", "outbox"} <= set(declared)


def test_the_head_that_opening_compares_with_is_the_newest_revision() -> None:
    assert revisions().get_current_head() == HEAD


def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    open_store(STORE_URL, folder=tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "menace.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    with pytest.raises(StoreError, match=r"menace\.db has schema '9999', newer.*install"):
        open_store(STORE_URL, folder=tmp_path)

    with closing(sqlite3.connect(tmp_path / "menace.db")) as connection:
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert version == [("9999",)]


def test_an_upgrade_that_fails_leaves_the_old_database(tmp_path: Path) -> None:
    make_database(tmp_path / "menace.db", revision="0001")
    with closing(sqlite3.connect(tmp_path / "menace.db")) as connection:
        connection.execute("ALTER TABLE models ADD COLUMN replaced_version TEXT")
        connection.commit()
    before = structure(tmp_path / "menace.db")

    with pytest.raises(StoreError, match="duplicate column"):
        open_store(STORE_URL, folder=tmp_path)

    assert structure(tmp_path / "menace.db") == before


def test_an_up_to_date_store_opens_without_the_migration_tool(tmp_path: Path) -> None:
    open_store(STORE_URL, folder=tmp_path).close()
    program = (
        "import sys; from pathlib import Path; from menace.storage.registry import open_store;"
        "open_store('sqlite:///menace.db', folder=Path(sys.argv[1])).close();"
        "sys.exit('alembic' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)

    assert done.returncode == 0


def test_importing_the_package_imports_no_database_library() -> None:
    program = (
        "import sys, menace.storage.registry, menace.events.in_process_event_bus,"
        " menace.execution.process_pool;"
        "sys.exit('sqlalchemy' in sys.modules or 'pydantic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
