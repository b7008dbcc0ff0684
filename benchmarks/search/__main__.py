"""The command: ``python -m benchmarks.search --data DIR --out OUT.json``."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.search.cache import Cell, measured
from benchmarks.search.flaml_peer import require_flaml
from benchmarks.search.results import summarised
from benchmarks.search.systems import SYSTEMS
from benchmarks.search.tables import COMPARED, TABLES
from menace.errors import MenaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.records import Json

OURS = "menace"
LIBRARIES = ("menace", "flaml", "lightgbm", "numpy", "optuna", "scikit-learn", "xgboost-cpu")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 2 with one message if something is missing or fails."""
    options = _options(arguments)
    try:
        if "flaml" in options.systems:
            require_flaml()
        results = run(options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = options.out.with_suffix(".tmp")
        unfinished.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(options.out)
    except (MenaceError, OSError) as error:
        print(f"benchmarks.search: {error}", file=sys.stderr)
        return 2
    _show(results)
    return 0


def run(options: argparse.Namespace) -> Json:
    """Measure every cell that is not in the cache yet, one after another."""
    cells = [
        Cell(system, table, seconds, seed, options.rows)
        for table in options.tables
        for seconds in options.seconds
        for seed in options.seeds
        for system in options.systems
    ]
    cache = options.cache or options.out.with_suffix(".cells")
    found: list[Json] = []
    with _progress(quiet=options.quiet) as bar:
        task = bar.add_task("cells", total=len(cells))
        for cell in cells:
            bar.update(task, description=f"{cell.table} {cell.seconds:g} s: {cell.system}")
            found.append(measured(cell, folder=options.data, cache=cache))
            bar.advance(task)
    return {
        **summarised(found, ours=OURS),
        "cells": found,
        "environment": _environment(),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search", description="What does a search find within a budget?"
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with the public streams"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    parser.add_argument("--cache", type=Path, help="folder for the cells; by default beside OUT")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(COMPARED))
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument(
        "--seconds", nargs="+", type=float, default=[10.0, 30.0], help="budgets, CPU-seconds"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rows", type=int, help="keep so many rows of each table")
    parser.add_argument("--quick", action="store_true", help="one small cell: does it run at all?")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    if options.quick:
        options.tables, options.seconds, options.seeds = ["segments"], [1.0], [1]
        options.rows = options.rows or 600
    return options


def _progress(*, quiet: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), disable=quiet)


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "threads": 1,
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _show(results: Json) -> None:
    console = Console()
    losses = Table(title="test loss (log loss, or root of the mean squared error), by seed")
    systems = list(results["cpu"])
    for name in ("table", "CPU-s", *systems):
        losses.add_column(name, justify="left" if name == "table" else "right")
    rows: dict[tuple[str, float], dict[str, list[str]]] = {}
    for cell in results["cells"]:
        row = rows.setdefault((cell["table"], cell["seconds"]), {})
        row.setdefault(cell["system"], []).append(f"{cell['loss']:.4g}")
    for (table, seconds), row in rows.items():
        losses.add_row(table, f"{seconds:g}", *(" ".join(row.get(name, [])) for name in systems))
    console.print(losses)
    shares = Table(title="menace against each")
    for name in ("peer", "cells", "better in", "loss over theirs", "worst", "where"):
        shares.add_column(name, justify="left" if name in {"peer", "where"} else "right")
    for peer, figures in results["against"].items():
        where = figures["worst_cell"]
        shares.add_row(
            peer,
            str(figures["cells"]),
            f"{figures['win_share']:.0%}",
            f"{figures['mean_ratio']:.3f}",
            f"{figures['worst_loss']:+.1%}",
            f"{where['table']}, {where['seconds']:g} s, seed {where['seed']}",
        )
    console.print(shares)
    for system, figures in results["cpu"].items():
        console.print(
            f"{system}: {figures['mean_over_budget']:.2f} of the budget used on average, "
            f"{figures['most_over_budget']:.2f} at most"
        )


if __name__ == "__main__":
    sys.exit(main())
