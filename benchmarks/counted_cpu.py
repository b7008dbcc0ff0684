"""Counted against measured CPU-seconds of a training, and how a search keeps its budget.

The counted seconds are what a repeatable run is charged; their rates stand in
``menace.model_automation_pipeline.lightgbm_model``. A refit (energy 1) is measured over windows of
the bundled stream, as the least of several runs; a search at several energies once.

``python -m benchmarks.counted_cpu [--runs N]``
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pandas as pd

from menace.model_automation_pipeline.training import TrainingJob, train_challenger
from menace.records import BotConfig

STREAM = Path(__file__).parents[1] / "examples" / "bike_sharing" / "bike_sharing.csv.gz"
WINDOWS = (500, 840, 1500, 5000, 15000)
ENERGIES = (2, 4, 8)
TARGETS = {"busy": ("cnt", "dteday"), "weathersit": ("busy", "cnt"), "cnt": ("busy", "dteday")}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="refits, of which the least counts")
    runs = parser.parse_args().runs
    rows = pd.read_csv(STREAM)
    print("| target | rows | measured s | counted s | counted / measured |")
    print("|---|---|---|---|---|")
    for target, drop in TARGETS.items():
        bot = BotConfig("b", None, target, drop=drop, seconds_per_energy=100.0)
        for size in WINDOWS:
            sized = dataclasses.replace(bot, window_rows=size, holdout_rows=size // 5)
            job = TrainingJob(sized, rows.iloc[-size:], size)
            outcomes = [train_challenger(job) for _ in range(runs)]
            measured = min(outcome.cpu_seconds for outcome in outcomes)
            counted = outcomes[0].counted_seconds
            print(
                f"| {target} | {size} | {measured:.3f} | {counted:.3f} | {counted / measured:.2f} |"
            )
    print("\n| energy, s | rows | trials | measured s | counted s |")
    print("|---|---|---|---|---|")
    bot = BotConfig("b", None, "busy", drop=TARGETS["busy"], seconds_per_energy=1.0)
    for energy in ENERGIES:
        for size in (1500, 15000):
            sized = dataclasses.replace(bot, window_rows=size, holdout_rows=size // 5)
            job = TrainingJob(sized, rows.iloc[-size:], size, energy=energy)
            outcome = train_challenger(job)
            trials = 0 if outcome.search is None else outcome.search.trials
            print(
                f"| {energy} | {size} | {trials} | {outcome.cpu_seconds:.2f} "
                f"| {outcome.counted_seconds:.2f} |"
            )


if __name__ == "__main__":
    main()
