"""The command: ``python -m benchmarks.decision --data DIR --spec SPEC.toml --out OUT.json``."""

from __future__ import annotations

import os

# Before any library reads it: two threads under contention are far slower than one.
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import importlib.metadata
import json
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.decision.measure import COSTS, control_section, measure, section
from benchmarks.decision.retrainopt_peer import require_retrainopt
from benchmarks.decision.spec import read_spec
from benchmarks.decision.stream import read_stream
from benchmarks.decision.table_cache import error_table, table_key
from benchmarks.decision.whole_cells import whole_cells, whole_section
from benchmarks.decision.whole_system import SYSTEMS
from menace.errors import MenaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.decision.error_table import ErrorTable
    from benchmarks.decision.measure import Measured
    from benchmarks.decision.spec import StreamSpec
    from benchmarks.decision.whole_cells import WholeCell

LIBRARIES = ("menace", "lightgbm", "numpy", "pandas", "river", "scikit-learn", "retrainopt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 2 with one message if the input is wrong."""
    options = _options(arguments)
    try:
        require_retrainopt()
        results = run(options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = options.out.with_suffix(".tmp")
        unfinished.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(options.out)
    except (MenaceError, OSError) as error:
        print(f"benchmarks.decision: {error}", file=sys.stderr)
        return 2
    _show(results)
    return 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every stream of the spec; tables that are cached already are not fitted again."""
    begun, begun_cpu = time.time(), time.process_time()
    streams = read_spec(options.spec)
    cache = options.cache or options.out.with_suffix(".tables")
    jobs: list[tuple[StreamSpec, int | None]] = [(spec, None) for spec in streams]
    if options.control:
        jobs += [(spec, options.seed) for spec in streams]
    with _progress(quiet=options.quiet) as bar:
        both = [_measure_stream(options, cache, bar, spec, shuffle) for spec, shuffle in jobs]
    measured, wholes = [one for one, _ in both], [whole for _, whole in both]
    real, shuffled = measured[: len(streams)], measured[len(streams) :]
    results: dict[str, Any] = {
        "same_models": section(cell for one in real for cell in one.compared),
        "whole_system": whole_section(cell for one in wholes[: len(streams)] for cell in one),
        "variants": section(cell for one in real for cell in one.variants),
        "environment": _environment(options, streams)
        | {
            "wall_seconds": round(time.time() - begun, 1),
            "cpu_seconds": round(time.process_time() - begun_cpu, 1),
        },
        "notes": {
            "whole_system": "over the hindsight optimum of same_models; a retrain of a peer costs "
            "one reference fit; what calibration trained is free, menace_no_archive begins without",
            "variants": "beside the comparison; menace_archive may go back to archived models, "
            "which neither the peers nor the hindsight optimum do",
        },
    }
    if shuffled:
        results["control"] = control_section(cell for one in shuffled for cell in one.compared)
        results["control_whole_system"] = whole_section(
            cell for one in wholes[len(streams) :] for cell in one
        )
    return results


def _measure_stream(
    options: argparse.Namespace,
    cache: Path,
    bar: Progress,
    spec: StreamSpec,
    shuffle_seed: int | None,
) -> tuple[Measured, list[WholeCell]]:
    label = spec.name if shuffle_seed is None else f"{spec.name}, shuffled"
    models = bar.add_task(f"{label}: models", total=None)
    table = error_table(
        spec,
        options.data,
        cache,
        shuffle_seed=shuffle_seed,
        started=lambda count: bar.update(models, total=count),
        fitted=lambda count: bar.update(models, advance=count),
    )
    policies = bar.add_task(f"{label}: policies", total=len(COSTS))
    measured = measure(table, seed=options.seed, played=lambda: bar.advance(policies))
    return measured, _measure_whole(
        options, cache, bar, spec, table=table, shuffle_seed=shuffle_seed
    )


def _measure_whole(
    options: argparse.Namespace,
    cache: Path,
    bar: Progress,
    spec: StreamSpec,
    *,
    table: ErrorTable,
    shuffle_seed: int | None,
) -> list[WholeCell]:
    label = spec.name if shuffle_seed is None else f"{spec.name}, shuffled"
    stream = read_stream(spec, options.data)
    if shuffle_seed is not None:
        stream = stream.shuffled(shuffle_seed)
    batches = bar.add_task(
        f"{label}: whole system", total=len(SYSTEMS) * (table.batches - table.first)
    )
    return whole_cells(
        stream,
        table,
        cache,
        table_key(spec, options.data, shuffle_seed),
        seed=options.seed,
        costs=COSTS,
        advanced=lambda count: bar.update(batches, advance=count),
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decision", description="Is a retrain worth its cost now?"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the streams")
    parser.add_argument("--spec", type=Path, required=True, help="TOML with [[streams]] tables")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    parser.add_argument("--cache", type=Path, help="folder for the tables; by default beside OUT")
    parser.add_argument("--seed", type=int, default=0, help="of shuffles and of peers that draw")
    parser.add_argument("--control", action="store_true", help="measure the shuffled streams, too")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(arguments)


def _progress(*, quiet: bool) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), disable=quiet)


def _environment(options: argparse.Namespace, streams: Sequence[StreamSpec]) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": 1,
        "seed": options.seed,
        "costs": list(COSTS),
        "streams": [stream.name for stream in streams],
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _show(results: dict[str, Any]) -> None:
    control = results.get("control")
    table = Table(title="cost over hindsight optimum, same models")
    for name in ("policy", "mean", "worst cell"):
        table.add_column(name, justify="left" if name == "policy" else "right")
    if control is not None:
        table.add_column("shuffled, over never", justify="right")
    for key in ("same_models", "variants"):
        part = results[key]
        for policy, mean in part["mean"].items():
            row = [policy, f"{mean:.3f}", f"{part['worst'][policy]:.3f}"]
            if control is not None and policy in control["mean_over_never"]:
                row.append(f"{control['mean_over_never'][policy]:.3f}")
            table.add_row(*row)
        table.add_section()
    whole = results["whole_system"]
    free = Table(title="cost over the same optimum, whole system")
    for name in ("system", "mean", "worst cell", "worst stream"):
        free.add_column(name, justify="left" if name == "system" else "right")
    for policy, mean in whole["mean"].items():
        worst, stream = whole["worst"][policy], whole["worst_stream"][policy]
        free.add_row(policy, f"{mean:.3f}", f"{worst:.3f}", f"{stream:.3f}")
    Console().print(table, free)


if __name__ == "__main__":
    sys.exit(main())
