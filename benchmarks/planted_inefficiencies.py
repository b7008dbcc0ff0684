"""Find out whether the speed rules find planted inefficiencies, and make right and faster code.

Twelve helper functions as a colleague might have written them (``benchmarks/planted``), each with
tests and inputs of realistic size. Per function, the rules propose one change at a time; a change
is kept if the tests pass, the outcomes on recorded and generated inputs are the same, and the
interleaved comparison with its own A/A run says faster; then the rules look at the new text, until
nothing more is kept. What came of it is compared with the first text on inputs from another seed.

``python -m benchmarks.planted_inefficiencies --out OUT.json [--only NAME …] [--looks N …]``
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.coding_machine import environment
from benchmarks.planted_inputs import HELD_OUT, INPUTS
from menace.self_coding_engine.measuring import PairedSettings, SpeedBench
from menace.self_coding_engine.proposal import CodingTask
from menace.self_coding_engine.proposers.codemods import CodemodProposer
from menace.self_coding_engine.recorded_calls import (
    RecordedCall,
    differences,
    record_calls,
    replay,
)
from menace.self_coding_engine.sandbox import Sandbox
from menace.self_coding_engine.testing import TestServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.records import Json
    from menace.self_coding_engine.proposal import Proposal, TestReport
    from menace.self_coding_engine.recorded_calls import Outcome

PLANTED = Path(__file__).parent / "planted"
MUST_RATIO, AIM_RATIO = 3.0, 10.0
MOST_ROUNDS = 6


class Bench:
    """A planted function with its tests and inputs, and the gates that a change goes through."""

    def __init__(self, sandbox: Sandbox, folder: Path, name: str, seed: int) -> None:
        self.sandbox, self.folder, self.name = sandbox, folder, name
        self.target = f"{name}.py"
        self.tests = f"pytest -q tests/test_{name}.py"
        recorded = record_calls(sandbox, folder, self.target, self.tests)
        self.inputs = made_calls(name, seed)
        self.calls = [*recorded.calls, *self.inputs]
        self.recorded = len(recorded.calls)
        self._server: TestServer | None = None

    def seconds_left(self) -> float:
        """There is no limit here."""
        return math.inf

    def run_tests(self, source: str, *, lines: bool = False) -> TestReport | None:
        """Run the function's tests."""
        with TestServer(
            self.sandbox, folder=self.folder, target=self.target, tests=self.tests
        ) as server:
            return server.run(source, lines=lines)

    def measure(self, source: str) -> float | None:
        """Give nothing: there is no figure."""
        del source
        return None

    def validate(self, source: str) -> float | None:
        """Give nothing: there is no bot."""
        del source
        return None

    def outcomes(self, source: str, calls: Sequence[RecordedCall]) -> tuple[Outcome, ...]:
        """Run calls on a text."""
        return replay(
            self.sandbox, folder=self.folder, target=self.target, source=source, calls=calls
        )


def made_calls(name: str, seed: int) -> list[RecordedCall]:
    """Generate calls of a planted function."""
    rng = np.random.default_rng(seed)
    return [RecordedCall.of(function, *args) for function, args in INPUTS[name](rng)]


def improve(
    bench: Bench, source: str, settings: PairedSettings
) -> tuple[str, list[str], list[Json]]:
    """Keep changes one by one, as long as there are any to keep."""
    kept: list[str] = []
    refused: list[Json] = []
    before = bench.outcomes(source, bench.calls)
    with SpeedBench(
        bench.sandbox,
        folder=bench.folder,
        target=bench.target,
        calls=bench.inputs,
        settings=settings,
    ) as speed:
        for _ in range(MOST_ROUNDS):
            task = CodingTask(root=bench.folder, target=bench.target, source=source)
            proposal = _first_kept(bench, speed, task, before, refused)
            if proposal is None:
                break
            kept.append(proposal.operator)
            source = proposal.source
    return source, kept, refused


def _first_kept(
    bench: Bench,
    speed: SpeedBench,
    task: CodingTask,
    before: Sequence[Outcome],
    refused: list[Json],
) -> Proposal | None:
    for proposal in CodemodProposer().propose(task, bench):
        different = differences(before, bench.outcomes(proposal.source, bench.calls))
        why = f"{len(different)} outcomes differ" if different else ""
        if not why:
            comparison = speed.compare(task.source, proposal.source)
            why = "" if comparison.faster else comparison.reason
        if not why:
            return proposal
        refused.append({"operator": proposal.operator, "what": proposal.explanation, "why": why})
    return None


def study(sandbox: Sandbox, name: str, settings: PairedSettings, seed: int) -> Json:
    """Improve one function, and judge what came of it on other inputs."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve() / "helpers"
        shutil.copytree(PLANTED, folder, ignore=shutil.ignore_patterns("__pycache__"))
        folder.parent.chmod(0o755)
        bench = Bench(sandbox, folder, name, seed)
        source = (folder / bench.target).read_text(encoding="utf-8")
        new, kept, refused = improve(bench, source, settings)
        row: Json = {"name": name, "held_out": name in HELD_OUT, "kept": kept, "refused": refused}
        row |= {"speedup": 1.0, "slower": False, "wrong": False, "text": new}
        if new != source:
            row |= _judged(bench, source, new, settings, seed)
    return row | {"seconds": time.monotonic() - start}


def _judged(bench: Bench, source: str, new: str, settings: PairedSettings, seed: int) -> Json:
    calls = [call for other in (1, 2, 3) for call in made_calls(bench.name, seed + other)]
    different = differences(bench.outcomes(source, calls), bench.outcomes(new, calls))
    report = bench.run_tests(new)
    with SpeedBench(
        bench.sandbox,
        folder=bench.folder,
        target=bench.target,
        calls=calls[: len(bench.inputs)],
        settings=settings,
    ) as speed:
        found = speed.compare(source, new, seed=seed + 1)
    return {
        "speedup": 1 / found.ratio,
        "low": 1 / found.high if found.high else 0.0,
        "high": 1 / found.low if found.low else None,
        "before_ms": 1000 * found.before_seconds,
        "after_ms": 1000 * found.after_seconds,
        "slower": found.low > 1.0,
        "wrong": bool(different) or report is None or not report.passed,
    }


def main(argv: list[str] | None = None) -> None:
    """Study every function and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--looks", nargs="*", type=int, default=[12, 24, 48])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    settings = PairedSettings(looks=tuple(arguments.looks))
    sandbox = Sandbox.find()
    rows = []
    for name in arguments.only:
        row = study(sandbox, name, settings, arguments.seed)
        rows.append(row)
        print(f"{name}: {row['speedup']:.1f} × by {', '.join(row['kept']) or 'nothing'}")
    gains = [row["speedup"] for row in rows]
    document = {
        "functions": len(rows),
        "median_speedup": statistics.median(gains),
        "at_least_3": sum(gain >= MUST_RATIO for gain in gains),
        "at_least_10": sum(gain >= AIM_RATIO for gain in gains),
        "slower": sum(row["slower"] for row in rows),
        "wrong": sum(row["wrong"] for row in rows),
        "rows": rows,
        "environment": environment(),
    }
    arguments.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
    print({key: value for key, value in document.items() if key not in {"rows", "environment"}})


if __name__ == "__main__":
    main()
