"""Rows per second of ``Store.add_outcomes``, beside plain ``sqlite3.executemany``.

Both write the same batches into the same table: the plain side copies the store's own definitions
of the table and its indexes out of the database, sets the same pragmas, and commits once a batch.
What the store does beyond that (leave out what it knows, add up the totals, write the event) is
the difference. Runs alternate, so that a busy machine slows both; figures are medians.

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

from menace.records import BotConfig, Outcome
from menace.storage.registry import open_store

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


def time_store(folder: Path, batches: list[list[Outcome]]) -> float:
    """Seconds that the store needs for the batches."""
    with closing(open_store("sqlite:///store.db", folder=folder)) as store:
        store.add_bot(BotConfig(name=BOT, source=None, target="y"))
        start = time.perf_counter()
        for batch in batches:
            store.add_outcomes(BOT, batch)
        return time.perf_counter() - start


def time_plain(folder: Path, batches: list[list[Outcome]]) -> float:
    """Seconds that ``executemany`` needs for the same rows, ready as plain tuples."""
    definitions, pragmas = read_definitions(folder / "store.db")
    rows = [[(1, *outcome) for outcome in batch] for batch in batches]
    with closing(sqlite3.connect(folder / "plain.db", isolation_level=None)) as connection:
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name} = {value}")
        for definition in definitions:
            connection.execute(definition)
        connection.execute("INSERT INTO bots VALUES (1, 'alpha', '{}')")
        start = time.perf_counter()
        for batch in rows:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO outcomes (bot_id, prediction_id, at, prediction, truth, loss,"
                " value_usd, serving_cost_usd, latency_seconds, version)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                batch,
            )
            connection.execute("COMMIT")
        return time.perf_counter() - start


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
    """Time both sides ``runs`` times, alternating which goes first."""
    batches = make_batches(rows, batch_rows)
    store_seconds, plain_seconds = [], []
    for run in range(runs):
        print(f"\rrun {run + 1} of {runs} …", end="", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            # The plain side needs the store's definitions, so there is a small store before it.
            time_store(folder, [])
            if run % 2:
                plain_seconds.append(time_plain(folder, batches))
            (folder / "store.db").rename(folder / "definitions.db")
            store_seconds.append(time_store(folder, batches))
            if not run % 2:
                plain_seconds.append(time_plain(folder, batches))
    print(file=sys.stderr)
    store = rows / statistics.median(store_seconds)
    plain = rows / statistics.median(plain_seconds)
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
