"""What it costs to run something in the sandbox: ``python -m benchmarks.sandbox_start``.

For each command the medians over the runs: seconds on the clock as the caller sees them, and
CPU-seconds of everything, the supervisor included. Beside it, the same command without a sandbox.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.coding_machine import environment
from menace.self_coding_engine.sandbox import Sandbox

COMMANDS = {
    "true": ["/bin/true"],
    "python": [sys.executable, "-c", "pass"],
    "numpy": [sys.executable, "-c", "import numpy"],
}


def children_seconds() -> float:
    """CPU-seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(runs: int) -> dict[str, dict[str, float]]:
    """Run every command in the sandbox and without it, in turns."""
    sandbox = Sandbox.find()
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, command in COMMANDS.items():
            walls, cpus, bare_walls, bare_cpus = [], [], [], []
            for _ in range(runs):
                began = time.perf_counter()
                run = sandbox.run(command, folder=Path(folder))
                walls.append(time.perf_counter() - began)
                cpus.append(run.cpu_seconds)
                if not run.succeeded:
                    raise SystemExit(f"{name} failed: {run}")
                began, used = time.perf_counter(), children_seconds()
                subprocess.run(command, check=True)
                bare_walls.append(time.perf_counter() - began)
                bare_cpus.append(children_seconds() - used)
            rows[name] = {
                "wall_seconds": round(statistics.median(walls), 4),
                "cpu_seconds": round(statistics.median(cpus), 4),
                "bare_wall_seconds": round(statistics.median(bare_walls), 4),
                "bare_cpu_seconds": round(statistics.median(bare_cpus), 4),
            }
    return rows


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    began = time.perf_counter()
    Sandbox.find()
    proof = time.perf_counter() - began
    rows = measured(parser.parse_args().runs)
    document = {"proof_seconds": round(proof, 3), "commands": rows, "environment": environment()}
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
