"""What engines cost whose synergy weights are learned, fixed at 1.0, or left out, on real streams.

The real loop, tick by tick in a sandbox, on the streams of a spec; CPU time is charged by counted
work. A tick is a batch of the spec; a wrong prediction costs 1 USD / rows of a batch, so that a
batch all wrong costs 1 USD, and a promotion ``--cost`` USD. The first two batches train the first
model. What is summed up is what losses and cycles cost.

``OMP_NUM_THREADS=1 python -m benchmarks.synergy_streams --data FOLDER [--spec FILE] [--ticks N]
[--cost USD] [--json]``
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.decision.spec import read_spec
from menace.config import LoopSettings
from menace.records import BotConfig, Economics, Metric, SourceConfig, Task
from menace.sandbox_runner.live import run_live
from menace.sandbox_runner.sandbox import sandbox
from menace.synergy import SynergyWeightLearner
from menace.synergy.dqn_learner import DQNSynergyLearner

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.decision.spec import StreamSpec
    from menace.records import Json
    from menace.self_improvement_engine.synergy_step import SynergyLearner

SPEC = Path(__file__).with_name("specs") / "public.toml"
FIRST_TICKS = 2
LEARNERS: dict[str, tuple[float, Callable[[], SynergyLearner]]] = {
    "left out (κ = 0)": (0.0, lambda: SynergyWeightLearner(lr=0.0)),
    "fixed at 1.0": (0.1, lambda: SynergyWeightLearner(lr=0.0)),
    "manual gradient": (0.1, SynergyWeightLearner),
    "DQN": (0.1, DQNSynergyLearner),
}


def live(
    stream: StreamSpec, rows: pd.DataFrame, learner: SynergyLearner, *, kappa: float, cost: float
) -> Json:
    """Let an engine live through a stream; returns what it cost, USD."""
    bot = BotConfig(
        name=stream.name,
        source=SourceConfig("csv", stream.file),
        target=stream.target,
        drop=stream.drop,
        task=Task.BINARY,
        metric=Metric.ERROR_RATE,
        tick_rows=stream.batch_rows,
        window_rows=8 * stream.batch_rows,
        settlement_rows=10 * stream.batch_rows,
        economics=Economics(loss_usd=1 / stream.batch_rows, promotion_usd=cost),
    )
    with sandbox(bot, rows, loop=LoopSettings()) as box:
        box.engine.synergy_learner, box.engine.synergy_kappa = learner, kappa
        box.rows.reveal(FIRST_TICKS * stream.batch_rows)
        lived = run_live(
            box.engine,
            box.store,
            bot,
            reveal=lambda tick: box.rows.reveal((tick + 1) * stream.batch_rows),
            label=str,
            first=FIRST_TICKS,
            ticks=len(rows) // stream.batch_rows,
        )
        settled = len(box.store.ledger(bot.name))
    return {
        "usd": round(sum(tick.loss_usd + tick.cycle_usd for tick in lived), 3),
        "cycles": sum(tick.cycles for tick in lived),
        "settled": settled,
        "weights": {name: round(weight, 3) for name, weight in learner.weights.items()},
    }


def measure(spec: Path, data: Path, *, ticks: int, cost: float) -> list[Json]:
    """Every stream with every learner."""
    found = []
    for stream in read_spec(spec):
        rows = pd.read_csv(data / stream.file, nrows=ticks * stream.batch_rows)
        row: Json = {"stream": stream.name, "ticks": len(rows) // stream.batch_rows}
        for name, (kappa, learner) in LEARNERS.items():
            start = time.perf_counter()
            row[name] = live(stream, rows, learner(), kappa=kappa, cost=cost)
            seconds = time.perf_counter() - start
            print(
                f"{stream.name}, {name}: {row[name]['usd']} USD, {seconds:.0f} s", file=sys.stderr
            )
        found.append(row)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the streams' files")
    parser.add_argument("--spec", type=Path, default=SPEC)
    parser.add_argument("--ticks", type=int, default=120, help="batches of each stream at most")
    parser.add_argument("--cost", type=float, default=0.05, help="of a promotion, USD")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.ticks <= FIRST_TICKS or options.cost < 0:
        parser.error(f"--ticks must be above {FIRST_TICKS}, --cost 0 or more")
    found = measure(options.spec, options.data, ticks=options.ticks, cost=options.cost)
    means = {
        name: round(sum(row[name]["usd"] for row in found) / len(found), 3) for name in LEARNERS
    }
    if options.json:
        print(json.dumps({"streams": found, "mean_usd": means}))
        return 0
    print(f"{'USD (cycles)':<18}{'ticks':>6}" + "".join(f"{name:>20}" for name in LEARNERS))
    for row in found:
        cells = (f"{row[name]['usd']:.3f} ({row[name]['cycles']})" for name in LEARNERS)
        print(f"{row['stream']:<18}{row['ticks']:>6}" + "".join(f"{cell:>20}" for cell in cells))
    print(f"{'mean':<24}" + "".join(f"{means[name]:>20.3f}" for name in LEARNERS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
