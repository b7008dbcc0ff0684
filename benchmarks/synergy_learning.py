"""Whether the synergy learners find the metric that drives ROI, and with which discount γ.

A synthetic bot: four metrics drawn anew each cycle from N(0, σ²), of which one alone drives the ROI
delta, ``ROI delta = metric + noise``, with noise of the same variance (signal-to-noise 1). What the
learners see is what an engine measures: the rolling change of each metric, whose correlation with
the ROI delta is 0.29, not 0.71. After 400 cycles the weight of the driving metric should be the
greatest; then another metric drives, and after 200 more the mean value that the network predicts
over the last 50 states should be greatest for the new one.

``python -m benchmarks.synergy_learning [--seeds N] [--gammas G …] [--scale σ] [--json]``
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from menace.synergy import METRICS, SynergyWeightLearner
from menace.synergy.dqn_learner import SYNERGY_SETTINGS, DQNSynergyLearner
from menace.synergy.metrics import rolling_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from menace.records import Json

CYCLES = 400
FURTHER_CYCLES = 200
LAST_STATES = 50
GAMMAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
DRIVERS = range(len(METRICS))
SETTLED_ON = 6
"""Values of a metric that its rolling change looks at."""


class SyntheticBot:
    """A bot whose ROI delta follows one of its four metrics, and noise of the same size.

    Parameters
    ----------
    driver
        Number of the metric that drives the ROI delta.
    rng
        Draws metrics and noise.
    scale
        Their standard deviation σ, > 0.
    """

    def __init__(self, driver: int, rng: np.random.Generator, *, scale: float = 1.0) -> None:
        self.driver = driver
        self._rng, self._scale = rng, scale
        self._values: list[list[float]] = [[] for _ in METRICS]

    def cycle(self) -> tuple[float, dict[str, float]]:
        """Settle a cycle; returns its ROI delta and the rolling change of each metric."""
        drawn = self._scale * self._rng.normal(size=len(METRICS) + 1)
        for values, value in zip(self._values, drawn[:-1].tolist(), strict=True):
            values.append(value)
            del values[:-SETTLED_ON]
        changes = (rolling_change(values) for values in self._values)
        return float(drawn[self.driver] + drawn[-1]), dict(zip(METRICS, changes, strict=True))


class Finding(NamedTuple):
    """What a learner came to: whether it ranked the driver first, and then the new driver."""

    found: bool
    followed: bool
    weights: tuple[float, ...]


def first_of(figures: Mapping[str, float]) -> int | None:
    """Give the number of the greatest figure; None where two share the first place."""
    values = list(figures.values())
    best = max(values)
    return values.index(best) if values.count(best) == 1 else None


def try_weights(driver: int, seed: int, *, scale: float = 1.0) -> Finding:
    """Have the manual gradient learn for 400 cycles."""
    learner = SynergyWeightLearner()
    bot = SyntheticBot(driver, np.random.default_rng([seed, driver]), scale=scale)
    for _ in range(CYCLES):
        learner.update(*bot.cycle())
    weights = learner.weights
    return Finding(first_of(weights) == driver, False, tuple(weights.values()))


def try_dqn(
    driver: int, seed: int, *, gamma: float = SYNERGY_SETTINGS.gamma, scale: float = 1.0
) -> Finding:
    """Have the Q-network learn for 400 cycles, then 200 more with the next metric driving."""
    settings = dataclasses.replace(SYNERGY_SETTINGS, gamma=gamma)
    learner = DQNSynergyLearner(seed=seed, settings=settings)
    bot = SyntheticBot(driver, np.random.default_rng([seed, driver]), scale=scale)
    for _ in range(CYCLES):
        learner.update(*bot.cycle())
    weights = dict(learner.weights)
    bot.driver = (driver + 1) % len(METRICS)
    states = []
    for _ in range(FURTHER_CYCLES):
        roi_delta, deltas = bot.cycle()
        learner.update(roi_delta, deltas)
        states.append(deltas)
    predicted = [learner.predicted(deltas) for deltas in states[-LAST_STATES:]]
    means = {name: float(np.mean([values[name] for values in predicted])) for name in weights}
    return Finding(
        first_of(weights) == driver, first_of(means) == bot.driver, tuple(weights.values())
    )


def measure(seeds: int, gammas: tuple[float, ...], scale: float) -> list[Json]:
    """Try every learner with every driver and seed; a row per learner."""
    manual = [[try_weights(d, seed, scale=scale) for seed in range(seeds)] for d in DRIVERS]
    rows = [_row("manual gradient", manual)]
    for gamma in gammas:
        found = []
        for driver in DRIVERS:
            print(f"\rγ = {gamma}, driver {driver}   ", end="", file=sys.stderr, flush=True)
            found.append([try_dqn(driver, n, gamma=gamma, scale=scale) for n in range(seeds)])
        rows.append(_row(f"DQN, γ = {gamma}", found))
    print(file=sys.stderr)
    return rows


def _row(learner: str, findings: list[list[Finding]]) -> Json:
    """Sum up a learner; ``findings`` holds a list per driver."""
    means = np.array([np.mean([f.weights for f in of_driver], axis=0) for of_driver in findings])
    off_diagonal = ~np.eye(len(DRIVERS), dtype=bool)
    return {
        "learner": learner,
        "seeds": len(findings[0]),
        "found": [sum(f.found for f in of_driver) for of_driver in findings],
        "followed": [sum(f.followed for f in of_driver) for of_driver in findings],
        "driver_weight": round(float(means.diagonal().mean()), 2),
        "other_weights": round(float(means[off_diagonal].mean()), 2),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=25, help="of each of the four drivers")
    parser.add_argument("--gammas", type=float, nargs="*", default=GAMMAS)
    parser.add_argument("--scale", type=float, default=1.0, help="σ of metrics and noise")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or options.scale <= 0:
        parser.error("--seeds must be 1 or more, --scale positive")
    rows = measure(options.seeds, tuple(options.gammas), options.scale)
    if options.json:
        print(json.dumps({"cycles": CYCLES, "rows": rows}))
        return 0
    print(f"{'':<18}{'driver first':<22}{'new driver first':<22}{'weights: driver, others'}")
    for row in rows:
        found, followed = (
            f"{'/'.join(map(str, row[name]))} of {row['seeds']}" for name in ("found", "followed")
        )
        weights = f"{row['driver_weight']}, {row['other_weights']}"
        print(f"{row['learner']:<18}{found:<22}{followed:<22}{weights}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
