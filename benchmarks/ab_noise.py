"""Find out how often identical code passes for faster under load, and how small a gain is seen.

Two processes that do nothing but count keep the processor busy. Then, with the same settings as the
speed gate's:

- identical texts are offered as candidates, ``--pairs`` times, over several planted functions;
- texts of which a known share of the work is taken away are offered ``--true-pairs`` times each.

``python -m benchmarks.ab_noise --pairs 200 --out OUT.json [--true-pairs N] [--busy N]``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.coding_machine import environment
from benchmarks.planted_inefficiencies import PLANTED, made_calls
from menace.self_coding_engine.measuring import SpeedBench
from menace.self_coding_engine.recorded_calls import RecordedCall
from menace.self_coding_engine.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from menace.records import Json
    from menace.self_coding_engine.measuring import SpeedComparison

FUNCTIONS = ("flatten_events", "scenarios", "dedupe_orders", "sensor_log")
GAINS = (0.05, 0.10, 0.30)
MUST_ACCEPT = 2

WORK = """\
def work(values):
    total = 0.0
    for _ in range({rounds}):
        for value in values:
            total += value * value
    return total
"""
ROUNDS = 100
BUSY = "while True: pass"


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def row(name: str, comparison: SpeedComparison) -> Json:
    """One comparison as plain JSON."""
    return {"name": name, **comparison.to_json(), "cpu_seconds": comparison.cpu_seconds}


def identical_pairs(sandbox: Sandbox, pairs: int) -> list[Json]:
    """Offer the same text as its own candidate, the functions in turn."""
    rows = []
    with ExitStack() as stack:
        benches = {}
        for name in FUNCTIONS[: max(1, min(len(FUNCTIONS), pairs))]:
            bench = SpeedBench(
                sandbox, folder=PLANTED, target=f"{name}.py", calls=made_calls(name, 0)
            )
            text = (PLANTED / f"{name}.py").read_text(encoding="utf-8")
            benches[name] = (stack.enter_context(bench), text)
        names = list(benches)
        for number in range(pairs):
            name = names[number % len(names)]
            bench, text = benches[name]
            rows.append(row(name, bench.compare(text, text, seed=number)))
    return rows


def true_gains(sandbox: Sandbox, pairs: int) -> dict[str, list[Json]]:
    """Offer texts that do a known share less of the work."""
    calls = [RecordedCall.of("work", [float(n) for n in range(500)])]
    found: dict[str, list[Json]] = {}
    before = WORK.format(rounds=ROUNDS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        folder.chmod(0o755)
        (folder / "work.py").write_text(before, encoding="utf-8")
        with SpeedBench(sandbox, folder=folder, target="work.py", calls=calls) as bench:
            for gain in GAINS:
                after = WORK.format(rounds=round(ROUNDS * (1 - gain)))
                found[f"{gain:.0%}"] = [
                    row("work", bench.compare(before, after, seed=number))
                    for number in range(pairs)
                ]
    return found


def summary(rows: Sequence[Json]) -> Json:
    """Count what was accepted, and say what it took."""
    blocks = [found["blocks"] for found in rows]
    floors = sorted(found["noise_floor"] for found in rows)
    return {
        "offered": len(rows),
        "accepted": sum(found["faster"] for found in rows),
        "mean_blocks": sum(blocks) / max(1, len(blocks)),
        "median_noise_floor": floors[len(floors) // 2] if floors else None,
        "mean_cpu_seconds": sum(found["cpu_seconds"] for found in rows) / max(1, len(rows)),
    }


def main(argv: list[str] | None = None) -> None:
    """Run both parts under load and write what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--true-pairs", type=int, default=25)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    sandbox = Sandbox.find()
    start = time.monotonic()
    with load(arguments.busy):
        identical = identical_pairs(sandbox, arguments.pairs)
        print("identical", summary(identical))
        gains = true_gains(sandbox, arguments.true_pairs)
    document = {
        "identical": summary(identical),
        "must_accept_at_most": MUST_ACCEPT,
        "true_gains": {gain: summary(rows) for gain, rows in gains.items()},
        "busy_processes": arguments.busy,
        "seconds": time.monotonic() - start,
        "rows": {"identical": identical, **gains},
        "environment": environment(),
    }
    arguments.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
    print(json.dumps(document["true_gains"], indent=1))


if __name__ == "__main__":
    main()
