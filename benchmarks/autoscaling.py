"""How often the number of engines changes in a day of 10,000 looks, and how often it turns back.

Three deciders see the same readings: the rule alone, the rule with a cooldown of fixed length, and
menace's (agreement of the recent looks, and a cooldown that doubles with every reversal). The days:

- ``noise``: the trend is noise around its threshold; there is nothing to follow;
- ``wandering``: it is a random walk, so that it stays above or below for a while;
- ``opposite``: the worst there is, always the opposite of what was last done;
- ``rise and fall``: +1 in the first half of the day, −1 in the second, with noise of a third.

Energy allows everything, from 1 to 5 engines. Only the decision is simulated: no store, no engines.

``python -m benchmarks.autoscaling [--seeds N] [--looks N] [--json]``
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from menace.records import Scaling, ScalingAction
from menace.self_improvement_engine.autoscaler import (
    DAY_SECONDS,
    Reading,
    ScalingRules,
    judge_scaling,
    wanted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from menace.records import Json

    Decide = Callable[[Reading, int, deque[Reading], list[Scaling]], ScalingAction]
    Trend = Callable[[int, int], float]

RULES = ScalingRules()
ENERGY = 0.9
MOST_REVERSALS = 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate the days and print how often the number of engines changed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--looks", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    rows = [
        _figures(day, name, decide, seeds=given.seeds, looks=given.looks)
        for day in ("noise", "wandering", "opposite", "rise and fall")
        for name, decide in _DECIDERS.items()
    ]
    own = [row for row in rows if row["decider"] == "menace"]
    met = all(row["most_reversals"] <= MOST_REVERSALS for row in own)
    if given.json:
        print(json.dumps({"looks": given.looks, "rows": rows, "met": met}))
    else:
        _print(rows)
    if not met:
        sys.exit(1)


def _figures(day: str, name: str, decide: Decide, *, seeds: int, looks: int) -> Json:
    print(f"{day}: {name}", file=sys.stderr)
    begun = time.process_time()
    runs = [_simulated(_trend(day, seed, looks), decide, looks) for seed in range(seeds)]
    seconds = time.process_time() - begun
    return {
        "day": day,
        "decider": name,
        "changes": float(np.mean([len(moved) for _, moved in runs])),
        "reversals": float(np.mean([_reversals(moved) for _, moved in runs])),
        "most_reversals": max(_reversals(moved) for _, moved in runs),
        "engines_at_noon": float(np.mean([counts[looks // 2 - 1] for counts, _ in runs])),
        "engines_at_the_end": float(np.mean([counts[-1] for counts, _ in runs])),
        "cpu_us_per_look": 1e6 * seconds / (seeds * looks),
    }


def _simulated(trend: Trend, decide: Decide, looks: int) -> tuple[list[int], list[Scaling]]:
    readings: deque[Reading] = deque(maxlen=1000)
    moved: list[Scaling] = []
    counts: list[int] = []
    engines = 1
    for look in range(looks):
        reading = Reading(look * DAY_SECONDS / looks, ENERGY, trend(look, engines))
        action = decide(reading, engines, readings, moved)
        readings.append(reading)
        if action is not ScalingAction.WAIT:
            engines += 1 if action is ScalingAction.CREATE else -1
            moved.append(Scaling(action, "", reading.at))
        counts.append(engines)
    return counts, moved


def _trend(day: str, seed: int, looks: int) -> Trend:
    noise = np.random.default_rng(seed).normal(size=looks)
    if day == "noise":
        return lambda look, _engines: float(noise[look])
    if day == "wandering":
        walk = np.cumsum(noise)
        return lambda look, _engines: float(walk[look])
    if day == "opposite":
        return lambda _look, engines: -1.0 if engines > 1 else 1.0
    return lambda look, _engines: (1.0 if 2 * look < looks else -1.0) + float(noise[look]) / 3


def _rule_alone(
    reading: Reading, engines: int, _readings: deque[Reading], _moved: list[Scaling]
) -> ScalingAction:
    action, _ = wanted(RULES, reading)
    full = action is ScalingAction.CREATE and engines >= RULES.max_engines
    bare = action is ScalingAction.REMOVE and engines <= RULES.min_engines
    return ScalingAction.WAIT if full or bare else action


def _with_cooldown(
    reading: Reading, engines: int, readings: deque[Reading], moved: list[Scaling]
) -> ScalingAction:
    if moved and reading.at - moved[-1].at < RULES.cooldown_seconds:
        return ScalingAction.WAIT
    return _rule_alone(reading, engines, readings, moved)


def _own(
    reading: Reading, engines: int, readings: deque[Reading], moved: list[Scaling]
) -> ScalingAction:
    verdict = judge_scaling(RULES, reading, engines=engines, earlier=readings, moved=moved[-100:])
    return verdict.action


_DECIDERS: dict[str, Decide] = {
    "rule alone": _rule_alone,
    "fixed cooldown": _with_cooldown,
    "menace": _own,
}


def _reversals(moved: Sequence[Scaling]) -> int:
    return sum(before.action is not after.action for before, after in itertools.pairwise(moved))


def _print(rows: Sequence[Json]) -> None:
    heads = ("day", "decider", "changes", "reversals", "most", "at noon", "at the end", "µs a look")
    print(("{:<15}{:<16}" + "{:>12}" * 6).format(*heads))
    for row in rows:
        day, decider, changes, reversals, most, noon, end, cpu_us = row.values()
        print(
            f"{day:<15}{decider:<16}{changes:>12,.1f}{reversals:>12,.1f}{most:>12,}"
            f"{noon:>12.1f}{end:>12.1f}{cpu_us:>12.1f}"
        )


if __name__ == "__main__":
    main()
