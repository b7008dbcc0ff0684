"""From tables to results: cells, means and worst cells."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.decision.calendars import INTERVALS, every
from benchmarks.decision.policies import POLICIES, SERVING_VARIANTS, VARIANTS
from benchmarks.decision.replay import play, play_serving
from menace.sandbox_runner import hindsight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.decision.error_table import ErrorTable
    from benchmarks.decision.replay import Played

COSTS = (0.01, 0.03, 0.1, 0.3)
"""Costs of a retrain, in units of one whole batch wrong."""

BEST_CALENDAR = "best_calendar_in_hindsight"


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy on one stream at one cost; ``cost`` and ``hindsight`` in whole batches wrong."""

    stream: str
    c: float
    policy: str
    cost: float
    hindsight: float
    retrains: int

    @property
    def ratio(self) -> float:
        """Cost over the hindsight optimum; 1 where nothing was ever wrong."""
        return self.cost / self.hindsight if self.hindsight > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Cells of a stream: of those in the comparison, and of what stands beside it."""

    compared: tuple[Cell, ...]
    variants: tuple[Cell, ...]


def measure(
    table: ErrorTable,
    *,
    seed: int,
    costs: Sequence[float] = COSTS,
    played: Callable[[], None] = lambda: None,
) -> Measured:
    """Play everybody over a stream at every cost."""
    compared, variants = [], []
    for cost in costs:
        optimum = hindsight(table.losses(cost))

        def cell(
            name: str, run: Played, cost: float = cost, best: float = optimum.total_usd
        ) -> Cell:
            return Cell(table.name, cost, name, run.cost, best, run.retrains)

        for name, make in POLICIES.items():
            compared.append(cell(name, play(table, cost, make, seed=seed)))
        for name, make in VARIANTS.items():
            variants.append(cell(name, play(table, cost, make, seed=seed)))
        for name, make_serving in SERVING_VARIANTS.items():
            variants.append(cell(name, play_serving(table, cost, make_serving, seed=seed)))
        calendars = [play(table, cost, every(interval)) for interval in INTERVALS]
        variants.append(cell(BEST_CALENDAR, min(calendars, key=lambda run: run.cost)))
        played()
    return Measured(tuple(compared), tuple(variants))


def section(cells: Iterable[Cell]) -> dict[str, Any]:
    """Put cells into the results' form: mean and worst ratio by policy, best first."""
    cells = list(cells)
    ratios: dict[str, list[float]] = {}
    for cell in cells:
        ratios.setdefault(cell.policy, []).append(cell.ratio)
    mean = {policy: float(np.mean(values)) for policy, values in ratios.items()}
    best_first = sorted(mean, key=lambda policy: mean[policy])
    return {
        "mean": {policy: mean[policy] for policy in best_first},
        "worst": {policy: max(ratios[policy]) for policy in best_first},
        "cells": [asdict(cell) for cell in cells],
    }


def control_section(cells: Iterable[Cell]) -> dict[str, Any]:
    """Add what never retraining costs: on rows without drift it is the best that can be known."""
    cells = list(cells)
    never = {(cell.stream, cell.c): cell.cost for cell in cells if cell.policy == "never"}
    over_never: dict[str, list[float]] = {}
    for cell in cells:
        least = never[cell.stream, cell.c]
        over_never.setdefault(cell.policy, []).append(cell.cost / least if least > 0 else 1.0)
    return section(cells) | {
        "mean_over_never": {policy: float(np.mean(v)) for policy, v in over_never.items()},
        "worst_over_never": {policy: max(v) for policy, v in over_never.items()},
    }
