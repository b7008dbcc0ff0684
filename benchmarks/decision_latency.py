"""Time of one decision, ``SelfImprovementEngine._should_trigger()``, whatever the bot's history.

Per size a workspace with the default settings, and in its SQLite store a bot with so many outcomes,
a champion, an archive of 12, settled cycles, and an engine with a full memory of ROI deltas. What
is timed reads what is known, asks policy and diagnostics, and commits the decision with all its
inputs and its event.

Sizes take turns, several rounds each, so that a busy machine slows all alike; a round's figures are
its median and its 90 % quantile. A size is judged by the best round's median: other programs can
only add to it. The first decision after new outcomes runs the diagnosis as well, over a bounded
number of them; it is timed apart.

``python -m benchmarks.decision_latency [--outcomes N …] [--decisions N] [--rounds N] [--json]``
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cared_bot import (
    ARCHIVED,
    add_cared_bot,
    full_state,
    make_workspace,
    new_outcomes,
)

if TYPE_CHECKING:
    from menace.records import Json
    from menace.self_improvement_engine import SelfImprovementEngine
    from menace.workspace import Workspace

BOT = "alpha"
SIZES = (10_000, 100_000, 1_000_000)
TARGET_US = 300.0
FLAT_RATIO = 1.3
"""So much longer the largest history may take than the smallest, and still count as flat."""

WARM_UP = 50
DIAGNOSES = 7


def measure(sizes: tuple[int, ...], decisions: int, rounds: int) -> Json:
    """Time decisions over stores of all sizes."""
    timed: dict[int, list[list[float]]] = {size: [] for size in sizes}
    diagnosed: dict[int, float] = {}
    with ExitStack() as stack:
        engines: dict[int, SelfImprovementEngine] = {}
        for size in sizes:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            workspace = stack.enter_context(make_workspace(folder))
            add_cared_bot(workspace.store, BOT, outcomes=size, done=lambda n: _say(f"{n:,} rows"))
            state_path = folder / "alpha.json"
            full_state(BOT).save(state_path)
            engines[size] = workspace.engine(BOT, state_path=state_path)
            diagnosed[size] = _time_diagnoses(workspace, engines[size], size)
            _time(engines[size], WARM_UP)
        for number in range(rounds):
            _say(f"round {number + 1} of {rounds}")
            for size, engine in engines.items():
                timed[size].append(_time(engine, decisions))
    print(file=sys.stderr)
    return _summary(timed, diagnosed, decisions, rounds)


def _time(engine: SelfImprovementEngine, decisions: int) -> list[float]:
    """Seconds of each decision.

    A no that only repeats the last one takes its place, which is cheaper than a decision that is
    added with its event; so the engine is made to forget the last one each time.
    """
    seconds = []
    for _ in range(decisions):
        if engine._organs is not None:
            engine._organs.last_no = None
        start = time.perf_counter()
        engine._should_trigger()
        seconds.append(time.perf_counter() - start)
    return seconds


def _time_diagnoses(workspace: Workspace, engine: SelfImprovementEngine, size: int) -> float:
    """Seconds of a decision that follows new outcomes: the median of several."""
    seconds = []
    for number in range(DIAGNOSES):
        batch = new_outcomes(1 + ARCHIVED, start=size + 100 * number, rows=100)
        workspace.store.add_outcomes(BOT, batch)
        seconds += _time(engine, 1)
    return statistics.median(seconds)


def _summary(
    timed: dict[int, list[list[float]]], diagnosed: dict[int, float], decisions: int, rounds: int
) -> Json:
    figures = []
    for size, seconds in timed.items():
        medians = [statistics.median(one) for one in seconds]
        best = seconds[medians.index(min(medians))]
        figures.append(
            {
                "outcomes": size,
                "median_us": round(1e6 * min(medians), 1),
                "p90_us": round(1e6 * sorted(best)[int(0.9 * len(best))], 1),
                "typical_median_us": round(1e6 * statistics.median(medians), 1),
                "fastest_us": round(1e6 * min(min(one) for one in seconds), 1),
                "after_new_outcomes_ms": round(1e3 * diagnosed[size], 2),
            }
        )
    medians = [float(figure["median_us"]) for figure in figures]
    return {
        "sizes": figures,
        "decisions_per_round": decisions,
        "rounds": rounds,
        "target_us": TARGET_US,
        "largest_over_smallest": round(medians[-1] / medians[0], 3),
        "flat_ratio": FLAT_RATIO,
        "reached": max(medians) < TARGET_US and medians[-1] / medians[0] < FLAT_RATIO,
    }


def _say(text: str) -> None:
    print(f"\r{text:<40}", end="", file=sys.stderr, flush=True)


def _show(figures: Json) -> None:
    print("outcomes     best median    p90   usual median   fastest   after new outcomes")
    for size in figures["sizes"]:
        print(
            f"{size['outcomes']:>9,}  {size['median_us']:>9.0f} µs {size['p90_us']:>6.0f} µs"
            f"  {size['typical_median_us']:>8.0f} µs {size['fastest_us']:>8.0f} µs"
            f"  {size['after_new_outcomes_ms']:>10.1f} ms"
        )
    verdict = "reached" if figures["reached"] else "NOT reached"
    print(
        f"target: each median below {figures['target_us']:.0f} µs, largest / smallest history "
        f"{figures['largest_over_smallest']:.2f} below {figures['flat_ratio']}: {verdict}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--outcomes", type=int, nargs="+", default=SIZES, help="histories")
    parser.add_argument("--decisions", type=int, default=500, help="per round")
    parser.add_argument("--rounds", type=int, default=7, help="rounds per history")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if min(*options.outcomes, options.decisions, options.rounds) < 1:
        parser.error("--outcomes, --decisions and --rounds must be 1 or more")
    figures = measure(tuple(sorted(options.outcomes)), options.decisions, options.rounds)
    if options.json:
        print(json.dumps(figures))
    else:
        _show(figures)
    return 0 if figures["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
