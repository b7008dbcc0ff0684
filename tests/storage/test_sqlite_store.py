from __future__ import annotations

import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.store_conformance import StoreConformance, StoreLocation
from menace.errors import ConfigError, StoreError
from menace.records import BotConfig, CycleState, Decision, LoopState, Outcome
from menace.storage.cycles import last_cycles
from menace.storage.registry import open_store
from menace.storage.sql_store import SQLStore
from menace.storage.sqlite_database import SQLiteDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

ALPHA = BotConfig(name="alpha", source=None, target="y")
URL = "sqlite:///menace.db"
NOBODY = 65534


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tables once: that takes longer than most of these tests."""
    folder = tmp_path_factory.mktemp("empty")
    open_store(URL, folder=folder).close()
    return folder / "menace.db"


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    def location(self, tmp_path: Path, empty_store: Path) -> StoreLocation:
        shutil.copy(empty_store, tmp_path)
        return StoreLocation(URL, tmp_path)


@contextmanager
def opened(folder: Path, url: str = URL) -> Iterator[SQLStore]:
    store = SQLStore(SQLiteDatabase.open(url, folder=folder))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def unprivileged(*, with_store: bool = False) -> Iterator[Path]:
    """Be a user to whom permissions apply, with a folder that everybody can enter.

    A store in it is made before: making one reads the migrations, which may lie where only the
    owner of the checkout can read.
    """
    root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    if with_store:
        with opened(folder) as store:
            store.add_bot(ALPHA)
    if root:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def outcome(number: int) -> Outcome:
    return Outcome(f"id-{number}", float(number), "a", "b", 1.0)


def test_an_unknown_scheme_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known schemes: sqlite"):
        open_store("oracle://somewhere")


def test_a_backend_of_ones_own_is_loaded_by_its_dotted_path(tmp_path: Path) -> None:
    backends = {"mine": "menace.storage.sqlite_database:open_sqlite_store"}

    with closing(open_store("mine:///menace.db", folder=tmp_path, backends=backends)) as store:
        assert store.bots() == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="names no file"):
        open_store(url)


def test_a_file_whose_name_looks_like_a_url_is_an_ordinary_file(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c %20"
    folder.mkdir()
    with opened(folder, "sqlite:///ü 1.db") as store:
        store.add_bot(ALPHA)

    assert (folder / "ü 1.db").is_file()


def test_opening_a_store_leaves_one_file_when_it_is_closed(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_bot(ALPHA)

    assert [path.name for path in tmp_path.iterdir()] == ["menace.db"]


def test_threads_that_open_a_new_store_at_once_all_get_it(tmp_path: Path) -> None:
    def work(number: int) -> None:
        with opened(tmp_path) as store:
            store.add_bot(BotConfig(name=f"bot-{number}", source=None, target="y"))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))

    with opened(tmp_path) as store:
        assert len(store.bots()) == 6


def test_a_missing_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be opened.*no-such.*exists") as raised:
        open_store(URL, folder=tmp_path / "no-such")

    assert str(tmp_path / "no-such" / "menace.db") in str(raised.value)


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy() -> None:
    with unprivileged() as folder:
        folder.chmod(0o555)
        with pytest.raises(StoreError, match=r"cannot be opened.*can write in it") as raised:
            open_store(URL, folder=folder)

        assert str(folder) in str(raised.value)
        assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named_with_the_remedy() -> None:
    with unprivileged(with_store=True) as folder:
        (folder / "menace.db").chmod(0o444)

        with opened(folder) as store, pytest.raises(StoreError, match=r"written.*chmod u\+w"):
            store.add_outcomes("alpha", [outcome(1)])


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_bot(ALPHA)
        store.add_outcomes("alpha", [outcome(k) for k in range(10)])
    size = (tmp_path / "menace.db").stat().st_size
    store = SQLStore(SQLiteDatabase.open(URL, folder=tmp_path, max_bytes=size + 20_000))

    with pytest.raises(StoreError, match=r"menace\.db cannot grow.*free some space"):
        store.add_outcomes("alpha", [outcome(k) for k in range(10, 5000)])

    assert store.snapshot("alpha").totals.outcomes == len(store.outcomes("alpha", last=99)) == 10
    # What still fits is still taken.
    assert store.add_outcomes("alpha", [outcome(10)]) == 1
    store.close()


def test_a_locked_database_is_reported_after_the_wait(tmp_path: Path) -> None:
    store = SQLStore(SQLiteDatabase.open(URL, folder=tmp_path, busy_timeout_seconds=0.01))
    store.add_bot(ALPHA)
    with closing(sqlite3.connect(tmp_path / "menace.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreError, match=r"menace\.db is locked by another process"):
            store.save_loop("alpha", LoopState(labelled_rows=1))
        # Readers do not wait for writers.
        assert store.snapshot("alpha").loop == LoopState()

        other.execute("ROLLBACK")
    store.save_loop("alpha", LoopState(labelled_rows=1))
    store.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "menace.db").write_bytes(b"name,score\n" * 500)

    with pytest.raises(StoreError, match="is not a menace store"):
        open_store(URL, folder=tmp_path)

    assert (tmp_path / "menace.db").read_bytes() == b"name,score\n" * 500


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "menace.db")) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
        other.commit()

    with pytest.raises(StoreError, match="has a table 'customers'"):
        open_store(URL, folder=tmp_path)

    with closing(sqlite3.connect(tmp_path / "menace.db")) as other:
        tables = other.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("customers",)]


def test_a_damaged_database_is_named_with_the_remedy(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_bot(ALPHA)
        store.add_outcomes("alpha", [outcome(k) for k in range(2000)])
    file = tmp_path / "menace.db"
    content = file.read_bytes()
    file.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))

    with (
        pytest.raises(StoreError, match=r"menace\.db is damaged.*restore it from a backup"),
        opened(tmp_path) as store,
    ):
        store.outcomes("alpha", last=2000)


def test_a_value_the_driver_cannot_take_is_refused_whole(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_bot(ALPHA)
        with pytest.raises(StoreError, match="refused a statement"):
            store.add_decision(Decision("alpha", True, "manual", at=math.nan))
        with pytest.raises(StoreError, match="refused a statement"):
            store.open_cycle("alpha", energy=2**70, row=1, at=1.0, decision_id=None, details={})
        with pytest.raises(StoreError, match="refused a statement"):
            store.open_cycle("alpha", energy=1, row=1, at=1.0, decision_id=77, details={})

        assert store.decisions("alpha", last=9) == []
        assert store.cycles("alpha", last=9) == []


def test_delivered_events_take_no_room(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_bot(ALPHA)
        for batch in range(5):
            for k in range(20):
                store.add_decision(Decision("alpha", False, "policy", float(batch * 20 + k)))
            store.mark_delivered([event.event_id or 0 for event in store.pending_events()])
        with closing(sqlite3.connect(tmp_path / "menace.db")) as other:
            # The newest stays, so that its number is not given again.
            assert other.execute("SELECT count(*) FROM outbox").fetchall() == [(1,)]


def test_finding_the_cycles_that_wait_does_not_look_at_settled_ones(tmp_path: Path) -> None:
    waiting = (CycleState.PROMOTED, CycleState.REJECTED, CycleState.FAILED)
    statements: list[str] = []
    with opened(tmp_path) as store:
        store.add_bot(ALPHA)
    with closing(SQLiteDatabase.open(URL, folder=tmp_path)) as database:
        with database.read() as cursor:
            cursor.connection.set_trace_callback(statements.append)
            assert last_cycles(cursor, 1, 100, waiting) == []
            cursor.connection.set_trace_callback(None)
        with database.read() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + statements[-1])
            plan = [row[-1] for row in cursor.fetchall()]

    assert any("INDEX unsettled_cycles (bot_id=?)" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


COMMITS_UNTIL_KILLED = """
    import sys
    from pathlib import Path
    from menace.records import LoopState, MetricSample, Outcome, Tick
    from menace.storage.registry import open_store

    store = open_store("sqlite:///menace.db", folder=Path(sys.argv[1]))
    number = store.snapshot("alpha").loop.labelled_rows
    while True:
        outcomes = tuple(
            Outcome(f"id-{k}", float(k), "a", "b", float(k % 7))
            for k in range(number, number + 20)
        )
        number += 20
        sample = MetricSample("alpha", "loss", 1.0, 1.0)
        store.commit_tick(
            Tick("alpha", 1.0, LoopState(labelled_rows=number), outcomes, (sample,))
        )
        print(number, flush=True)
"""


def test_what_was_committed_survives_a_killed_process(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.add_bot(ALPHA)
    program = [sys.executable, "-c", textwrap.dedent(COMMITS_UNTIL_KILLED), str(tmp_path)]
    for ticks in (1, 25, 60):
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            announced = [int(process.stdout.readline()) for _ in range(ticks)]
            process.send_signal(signal.SIGKILL)

        with opened(tmp_path) as store:
            snapshot = store.snapshot("alpha")
            stored = store.outcomes("alpha", last=1_000_000)
            ticks_stored = len(store.samples("alpha", "loss", last=1_000_000))
            announcements = store.pending_events(limit=1_000_000)
        assert snapshot.loop.labelled_rows >= announced[-1]
        assert snapshot.totals.outcomes == len(stored) == snapshot.loop.labelled_rows
        assert len(stored) == 20 * ticks_stored == 20 * len(announcements)
        assert snapshot.totals.loss_sum == sum(o.loss for o in stored)
        assert snapshot.totals.loss_square_sum == sum(o.loss**2 for o in stored)
