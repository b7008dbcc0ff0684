"""Rows per second of ``Store.add_outcomes``, beside plain ``sqlite3.executemany``.

Both write the same batches into the same table: the plain side copies the store's own definitions
of the table and its indexes out of the database, sets the same pragmas, and commits once a batch.
What the store does beyond that (leave out what it knows, add up the totals, write the event) is
the difference. Both take turns batch by batch, and figures are medians over runs.

``python -m benchmarks.store_outcomes [--rows N] [--batch N] [--runs N] [--json]``
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from menace.records import BotConfig, Outcome
from menace.storage.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

BOT = "alpha"
TARGET_RATIO = 0.60

PRAGMAS = ("journal_mode", "synchronous", "foreign_keys", "temp_store", "cache_size")


def make_batches(rows: int, batch_rows: int) -> list[list[Outcome]]:
    """Make outcomes with ids in no order, as a service that counts nothing would send them."""
    random_ids = random.Random(7)  # noqa: S311 - nothing secret
    outcomes = [
        Outcome(
            prediction_id=f"{random_ids.getrandbits(64):016x}",
            at=1.7e9 + number,
            prediction="yes" if number % 3 else "no",
            truth="yes",
            loss=float(number % 3 == 0),
            value_usd=0.25,
            serving_cost_usd=0.001,
            latency_seconds=0.02,
            version=1,
        )
        for number in range(rows)
    ]
    return [outcomes[start : start + batch_rows] for start in range(0, rows, batch_rows)]


def time_both(folder: Path, batches: list[list[Outcome]]) -> tuple[float, float]:
    """Seconds that the store and ``executemany`` need for the batches.

    They take turns batch by batch, each going first every second time: a busy machine then slows
    both alike.
    """
    store_seconds = plain_seconds = 0.0
    with (
        closing(open_store("sqlite:///store.db", folder=folder)) as store,
        closing(open_plain(folder / "plain.db", folder / "store.db")) as plain,
    ):
        store.add_bot(BotConfig(name=BOT, source=None, target="y"))
        for number, batch in enumerate(batches):
            rows = [(1, *outcome) for outcome in batch]
            if number % 2:
                plain_seconds += time_plain_batch(plain, rows)
            start = time.perf_counter()
            store.add_outcomes(BOT, batch)
            store_seconds += time.perf_counter() - start
            if not number % 2:
                plain_seconds += time_plain_batch(plain, rows)
    return store_seconds, plain_seconds


def time_plain_batch(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> float:
    """Seconds that ``executemany`` needs for one batch, ready as plain tuples."""
    start = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO outcomes (bot_id, prediction_id, at, prediction, truth, loss, value_usd,"
        " serving_cost_usd, latency_seconds, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    connection.execute("COMMIT")
    return time.perf_counter() - start


def open_plain(file: Path, like: Path) -> sqlite3.Connection:
    """Make a database with the outcomes table, its indexes and the pragmas of the store."""
    definitions, pragmas = read_definitions(like)
    connection = sqlite3.connect(file, isolation_level=None)
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name} = {value}")
    for definition in definitions:
        connection.execute(definition)
    connection.execute("INSERT INTO bots VALUES (1, 'alpha', '{}')")
    return connection


def read_definitions(file: Path) -> tuple[list[str], dict[str, str | int]]:
    """Read how a store's file defines the table and its indexes, and the pragmas it lives under."""
    from menace.storage.sqlite_database import SQLiteDatabase

    database = SQLiteDatabase.open(f"sqlite:///{file}")
    with database.read() as cursor:
        cursor.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name IN ('bots', 'outcomes')"
            " AND sql IS NOT NULL ORDER BY type DESC"
        )
        definitions = [str(row[0]) for row in cursor.fetchall()]
        pragmas: dict[str, str | int] = {}
        for name in PRAGMAS:
            cursor.execute(f"PRAGMA {name}")
            pragmas[name] = (cursor.fetchone() or ("",))[0]
    database.close()
    return definitions, pragmas


def measure(rows: int, batch_rows: int, runs: int) -> dict[str, float | int]:
    """Time both sides ``runs`` times, each time in new databases."""
    batches = make_batches(rows, batch_rows)
    timings = []
    for run in range(runs):
        print(f"\rrun {run + 1} of {runs} …", end="", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as name:
            timings.append(time_both(Path(name), batches))
    print(file=sys.stderr)
    store = rows / statistics.median(seconds for seconds, _ in timings)
    plain = rows / statistics.median(seconds for _, seconds in timings)
    return {
        "rows": rows,
        "batch_rows": batch_rows,
        "runs": runs,
        "store_rows_per_second": round(store),
        "plain_rows_per_second": round(plain),
        "ratio": round(store / plain, 3),
        "target_ratio": TARGET_RATIO,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 if the ratio is below its target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=500_000, help="outcomes per run")
    parser.add_argument("--batch", type=int, default=10_000, help="outcomes per transaction")
    parser.add_argument("--runs", type=int, default=5, help="times that each side is timed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if min(options.rows, options.batch, options.runs) < 1:
        parser.error("--rows, --batch and --runs must be 1 or more")
    figures = measure(options.rows, options.batch, options.runs)
    if options.json:
        print(json.dumps(figures))
    else:
        print(f"store.add_outcomes   {figures['store_rows_per_second']:>10,} rows/s")
        print(f"sqlite3.executemany  {figures['plain_rows_per_second']:>10,} rows/s")
        print(f"ratio                {figures['ratio']:>10.3f}  (at least {TARGET_RATIO:.2f})")
    return 0 if figures["ratio"] >= TARGET_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
