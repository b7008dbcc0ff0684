"""How many small bugs repair finds, and how many of its patches are wrong.

``python -m benchmarks.repair --data FILE.jsonl.gz --budget-seconds 60 --out OUT.json``

``--data`` takes programs in the form of HumanEvalFix: ``example_test`` is what the search sees, and
``test`` judges what it proposes. ``--quixbugs DIR`` takes a checkout of the QuixBugs programs in
Python: of each program's tests every other one is seen, the rest judges; a program with a single
test is judged by that one, and where the checkout has the correct program, the patch is also
compared with that on further inputs. Either may be given alone.

Each program gets the same time on the clock, the start of its sandbox included; a proposed patch is
judged afterwards, in a sandbox of its own. ``plausible`` counts proposed patches (all visible tests
pass), ``correct`` those of them that the held-out tests pass, too. What the search is unsure of is
not proposed and counts as neither.
"""

from __future__ import annotations

import os

# Before any library reads it: two threads under contention are far slower than one.
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.repair import humaneval, quixbugs
from benchmarks.repair.measuring import Row, measure
from menace.errors import MenaceError
from menace.self_coding_engine.repair.operators import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.repair.programs import Program


def summary(rows: Sequence[Row], budget_seconds: float, seconds: float) -> dict[str, Any]:
    """Put the rows into the form of OUT.json."""
    counts = Counter(row["status"] for row in rows)
    return {
        "programs": len(rows),
        "plausible": counts["correct"] + counts["wrong"],
        "correct": counts["correct"],
        "rows": list(rows),
        "environment": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "budget_seconds": budget_seconds,
            "wall_seconds": round(seconds, 1),
            "operators": sorted(OPERATORS),
        },
    }


def show(report: dict[str, Any], console: Console) -> None:
    """Print the sums by kind of bug."""
    table = Table("kind", "programs", "proposed", "correct", "wrong", "unsure", "unrepaired")
    rows = report["rows"]
    kinds = sorted({row["kind"] for row in rows})
    for kind in [*kinds, "all"]:
        counts = Counter(row["status"] for row in rows if kind in {row["kind"], "all"})
        proposed = counts["correct"] + counts["wrong"]
        rest = sum(counts.values()) - proposed - counts["unsure"]
        figures = (sum(counts.values()), proposed, counts["correct"], counts["wrong"])
        table.add_row(kind, *(str(figure) for figure in (*figures, counts["unsure"], rest)))
    console.print(table)
    seconds = sum(row["seconds"] for row in rows)
    candidates = sum(row["candidates"] for row in rows)
    pace = candidates / seconds if seconds else 0.0
    slowest = max((row["seconds"] for row in rows), default=0.0)
    console.print(f"{candidates:,} candidates, {pace:,.0f} a second; longest {slowest:.1f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="benchmarks.repair", description=__doc__)
    parser.add_argument("--data", type=Path, help="programs in the form of HumanEvalFix")
    parser.add_argument("--quixbugs", type=Path, help="a checkout of QuixBugs")
    parser.add_argument("--budget-seconds", type=float, default=60.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="programs at a time")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th program only")
    parser.add_argument("--first", type=int, default=0, help="and begin with this one")
    given = parser.parse_args(arguments)
    if given.data is None and given.quixbugs is None:
        parser.error("give --data, --quixbugs or both")
    programs: list[Program] = []
    if given.data is not None:
        programs += humaneval.read_programs(given.data)
    if given.quixbugs is not None:
        programs += quixbugs.read_programs(given.quixbugs)
    programs = programs[given.first :: given.every]
    console = Console(stderr=True)
    started = time.monotonic()
    try:
        rows = _measure_all(programs, given.budget_seconds, given.workers, console)
    except MenaceError as error:
        console.print(f"[red]{error}")
        return 1
    report = summary(rows, given.budget_seconds, time.monotonic() - started)
    if given.out is not None:
        given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    show(report, Console())
    return 0


def _measure_all(
    programs: Sequence[Program], budget_seconds: float, workers: int, console: Console
) -> list[Row]:
    rows: dict[int, Row] = {}
    with (
        Progress(console=console) as progress,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        bar = progress.add_task("repairing", total=len(programs))
        asked = {
            pool.submit(measure, program, budget_seconds): place
            for place, program in enumerate(programs)
        }
        for done in as_completed(asked):
            rows[asked[done]] = done.result()
            progress.advance(bar)
    return [rows[place] for place in range(len(programs))]


if __name__ == "__main__":
    sys.exit(main())
