"""Make the prior that ships with the package from many streams.

``python -m benchmarks.prior --data DIR --spec benchmarks/specs/public.toml --out FILE``

Every stream's models are fitted as in the decision benchmark (and cached where it caches them). At
each of the benchmark's prices :func:`~menace.sandbox_runner.counterfactuals` says what running was
worth against waiting. A cell of debt and age enters the prior if at least three streams met it at
20 ticks or more and their mean lies two standard errors or more from 0; a stream counts as much as
40 ticks of a bot's own history. Nothing is drawn: the same data and libraries give the same bytes.

``--check`` also plays menace over each stream with a prior that the other streams have made, and
with that and what the stream's own calibration part teaches.
"""

from __future__ import annotations

import os

# Before any library reads it: two threads under contention are far slower than one.
os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import dataclasses
import functools
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks.decision.measure import COSTS
from benchmarks.decision.menace_policy import MenacePolicy
from benchmarks.decision.replay import play
from benchmarks.decision.spec import read_spec
from benchmarks.decision.stream import WINDOW_BATCHES
from benchmarks.decision.table_cache import error_table
from menace.errors import MenaceError
from menace.sandbox_runner import LossTable, hindsight
from menace.sandbox_runner.counterfactuals import counterfactual_evidence
from menace.self_improvement_policy.prior import (
    KIND,
    VERSION,
    Evidence,
    LearnedPrior,
    document,
)
from menace.state_file import write_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.decision.error_table import ErrorTable
    from menace.self_improvement_policy.prior import Cell

LEAST_STREAMS = 3
LEAST_TICKS = 20
LEAST_STANDARD_ERRORS = 2.0
STREAM_WEIGHT = 40.0
"""Ticks of a bot's own history that a stream counts for."""

DIGITS = 3
"""Of an advantage in the file: what may differ between machines lies far behind."""

STARTS = (0, 2, 4, 6)
"""Batches by which the check lets scoring start later: single cells are chaotic."""


def stream_evidence(table: ErrorTable) -> LearnedPrior:
    """Pool a stream's evidence at all prices; all its batches teach."""
    pooled = LearnedPrior({})
    for cost in COSTS:
        losses = LossTable.of_losses(
            np.nan_to_num(table.errors), cycle_usd=cost, first=WINDOW_BATCHES
        )
        pooled = pooled.plus(counterfactual_evidence(losses, tick_usd=1.0))
    return pooled


def pooled_prior(streams: Iterable[LearnedPrior]) -> LearnedPrior:
    """Keep what several streams agree on."""
    by_cell: dict[Cell, list[float]] = {}
    for stream in streams:
        for cell, found in stream.evidence.items():
            if found.weight >= LEAST_TICKS:
                by_cell.setdefault(cell, []).append(found.advantage)
    kept = {}
    for cell, advantages in by_cell.items():
        count = len(advantages)
        mean = math.fsum(advantages) / count
        if count < LEAST_STREAMS:
            continue
        error = float(np.std(advantages, ddof=1)) / math.sqrt(count)
        if abs(mean) >= LEAST_STANDARD_ERRORS * error:
            kept[cell] = Evidence(STREAM_WEIGHT * count, round(mean, DIGITS))
    return LearnedPrior(kept)


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """Cost over hindsight of menace, mean over prices and starts, by stream.

    Attributes
    ----------
    rule
        From rent-or-buy alone.
    learned
        From the prior that the other streams have made.
    trained
        From that, pooled with what the calibration part of the stream itself has taught at the
        price in question: what ``menace replay --train`` does.
    """

    rule: dict[str, float]
    learned: dict[str, float]
    trained: dict[str, float]

    def saved(self, instead: dict[str, float]) -> tuple[float, float]:
        """Mean over the streams of what it saves against the rule, and its standard error."""
        saved = [self.rule[name] - instead[name] for name in self.rule]
        return float(np.mean(saved)), float(np.std(saved, ddof=1)) / math.sqrt(len(saved))


def check(
    tables: Sequence[ErrorTable], evidence: Sequence[LearnedPrior], *, witnesses: bool, seed: int
) -> Checked:
    """Play menace over each stream with what all the others have taught."""
    checked = Checked({}, {}, {})
    for left_out, table in enumerate(tables):
        learned = pooled_prior(e for k, e in enumerate(evidence) if k != left_out)
        ratio = functools.partial(_mean_ratio, table, witnesses=witnesses, seed=seed)
        name = table.name
        checked.rule[name] = ratio(None)
        checked.learned[name] = ratio(learned)
        checked.trained[name] = ratio(learned, own=True)
    return checked


def _mean_ratio(
    table: ErrorTable,
    prior: LearnedPrior | None,
    *,
    witnesses: bool,
    seed: int,
    own: bool = False,
) -> float:
    ratios = []
    for later in STARTS:
        started = dataclasses.replace(table, first=table.first + later)
        for cost in COSTS:
            known = prior
            if own and prior is not None:
                calibration = started.calibration().losses(cost)
                known = prior.plus(counterfactual_evidence(calibration, tick_usd=1.0))
            menace = functools.partial(MenacePolicy, witnesses=witnesses, prior=known)
            least = hindsight(started.losses(cost)).total_usd
            ratios.append(play(started, cost, menace, seed=seed).cost / least)
    return float(np.mean(ratios))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 2 with one message if the input is wrong."""
    options = _options(arguments)
    out = Console(stderr=True, quiet=options.quiet)
    try:
        specs = read_spec(options.spec)
        with Progress(console=out, disable=options.quiet) as bar:
            task = bar.add_task("streams", total=len(specs))
            tables, evidence = [], []
            for spec in specs:
                tables.append(error_table(spec, options.data, options.cache))
                evidence.append(stream_evidence(tables[-1]))
                bar.advance(task)
        prior = pooled_prior(evidence)
        options.out.unlink(missing_ok=True)
        origin = {"streams": [spec.name for spec in specs], "prices": list(COSTS)}
        write_state(options.out, kind=KIND, version=VERSION, data=document(prior, **origin))
    except (MenaceError, OSError) as error:
        print(f"benchmarks.prior: {error}", file=sys.stderr)
        return 2
    print(f"{len(prior)} cells of debt and age in {options.out}")
    if options.check:
        for name, witnesses in (("with calibration witnesses", True), ("cold start", False)):
            checked = check(tables, evidence, witnesses=witnesses, seed=options.seed)
            for what in ("learned", "trained"):
                saved, deviation = checked.saved(getattr(checked, what))
                print(f"{name}: {what} saves {saved:+.4f} ± {deviation:.4f} of the hindsight cost")
            print(json.dumps(dataclasses.asdict(checked), indent=1))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prior", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the streams")
    parser.add_argument("--spec", type=Path, required=True, help="TOML with [[streams]]")
    parser.add_argument("--out", type=Path, required=True, help="the prior file")
    parser.add_argument("--cache", type=Path, help="folder of fitted tables")
    parser.add_argument("--check", action="store_true", help="measure it, one stream left out")
    parser.add_argument("--seed", type=int, default=0, help="of the policies in the check")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    options.cache = options.cache or Path(tempfile.gettempdir()) / "menace-tables"
    return options


if __name__ == "__main__":
    sys.exit(main())
