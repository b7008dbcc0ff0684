"""One cell: a system, a table, a budget and a seed, in a process of its own.

``python -m benchmarks.search.cell SYSTEM TABLE SECONDS SEED --data DIR [--rows N]`` prints one JSON
object.
"""

from __future__ import annotations

import os

# Before any library reads it: two threads under contention are far slower than one.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.search.systems import SYSTEMS, load_system
from benchmarks.search.tables import load_table
from menace.errors import MenaceError
from menace.model_automation_pipeline.budget import process_cpu_seconds
from menace.model_automation_pipeline.evaluation import row_losses
from menace.records import Task

if TYPE_CHECKING:
    from menace.records import Json


def run_cell(
    system: str, table: str, seconds: float, seed: int, *, folder: Path, rows: int | None = None
) -> Json:
    """Fit a system to a table and score it on the test rows.

    Returns
    -------
    dict
        ``loss`` (log loss, or root of the mean squared error), ``score`` (accuracy, or R²),
        ``cpu_seconds`` of this process and its children for the fit alone, ``wall_seconds``.
    """
    loaded = load_table(table, folder, seed=seed, rows=rows)
    fitter = load_system(system)
    fitter.prepare()
    begun, begun_wall = process_cpu_seconds(), time.monotonic()
    predict = fitter.fit(loaded, seconds, seed)
    cpu_seconds, wall_seconds = process_cpu_seconds() - begun, time.monotonic() - begun_wall
    raw = predict(loaded.test)
    truth = loaded.test[loaded.target].to_numpy(dtype=np.float64)
    loss = float(row_losses(loaded.metric, truth, raw).mean())
    if loaded.task is Task.REGRESSION:
        score = 1.0 - loss / float(np.var(truth))
        loss = float(np.sqrt(loss))
    else:
        score = float((raw.argmax(axis=1) == truth).mean())
    return {
        "system": system,
        "table": table,
        "seconds": seconds,
        "seed": seed,
        "loss": loss,
        "score": score,
        "cpu_seconds": round(cpu_seconds, 3),
        "wall_seconds": round(wall_seconds, 3),
        "train_rows": len(loaded.train),
        "test_rows": len(loaded.test),
    }


def main() -> int:
    """Run one cell from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search.cell")
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("table")
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int)
    options = parser.parse_args()
    try:
        cell = run_cell(
            options.system,
            options.table,
            options.seconds,
            options.seed,
            folder=options.data,
            rows=options.rows,
        )
    except MenaceError as error:
        print(f"benchmarks.search: {error}", file=sys.stderr)
        return 2
    print(json.dumps(cell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
