"""From cells to figures: how often and by how much ours is better or worse."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from menace.records import Json

WIN_SHARE = 0.6
WORST_LOSS = 0.02
OVERSPENT = 0.1


def summarised(cells: Sequence[Json], *, ours: str) -> Json:
    """Compare ours with each peer, cell by cell (table, budget, seed).

    Returns
    -------
    dict
        For each peer ``win_share`` (share of cells with the lower test loss), ``mean_ratio``
        (geometric mean of our loss over theirs), ``worst_loss`` (greatest relative excess of our
        loss over theirs; below 0 where we always win), ``worst_cell``, the same per table averaged
        over seeds (``tables``), and ``worst_score`` (greatest relative shortfall of our accuracy or
        R² against theirs). ``cpu`` has for each system the greatest and mean CPU time over budget.
    """
    by_key = {(c["system"], c["table"], c["seconds"], c["seed"]): c for c in cells}
    mine = [cell for cell in cells if cell["system"] == ours]
    systems = list(dict.fromkeys(cell["system"] for cell in cells))
    against = {}
    for system in systems:
        pairs = [
            (cell, by_key[system, cell["table"], cell["seconds"], cell["seed"]])
            for cell in mine
            if system != ours and (system, cell["table"], cell["seconds"], cell["seed"]) in by_key
        ]
        if pairs:
            against[system] = _compared(pairs)
    return {
        "against": against,
        "cpu": {name: _cpu(c for c in cells if c["system"] == name) for name in systems},
    }


def _compared(pairs: Sequence[tuple[Json, Json]]) -> Json:
    ratios = [mine["loss"] / theirs["loss"] for mine, theirs in pairs]
    worst = max(range(len(pairs)), key=ratios.__getitem__)
    shortfalls = [1.0 - mine["score"] / theirs["score"] for mine, theirs in pairs]
    tables = {}
    for mine, _ in pairs:
        key = f"{mine['table']} {mine['seconds']:g}"
        chosen = [
            ratio
            for ratio, (own, _) in zip(ratios, pairs, strict=True)
            if (own["table"], own["seconds"]) == (mine["table"], mine["seconds"])
        ]
        tables[key] = round(statistics.geometric_mean(chosen), 4)
    return {
        "cells": len(pairs),
        "win_share": sum(ratio < 1.0 for ratio in ratios) / len(ratios),
        "mean_ratio": round(statistics.geometric_mean(ratios), 4),
        "worst_loss": round(ratios[worst] - 1.0, 4),
        "worst_cell": {name: pairs[worst][0][name] for name in ("table", "seconds", "seed")},
        "worst_score": round(max(shortfalls), 4),
        "beyond_worst_loss": sum(ratio > 1.0 + WORST_LOSS for ratio in ratios),
        "tables": tables,
        "reached": {
            "win_share": sum(ratio < 1.0 for ratio in ratios) >= WIN_SHARE * len(ratios),
            "worst_loss": ratios[worst] <= 1.0 + WORST_LOSS,
        },
    }


def _cpu(cells: Iterable[Json]) -> Json:
    shares = [cell["cpu_seconds"] / cell["seconds"] for cell in cells]
    return {
        "mean_over_budget": round(statistics.fmean(shares), 3),
        "most_over_budget": round(max(shares), 3),
        "kept": max(shares) <= 1.0 + OVERSPENT,
    }
