"""Cells of the protocol "whole system", kept so that a stopped run goes on with the next stream."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import menace.blending
from benchmarks.decision.policies import POLICIES
from benchmarks.decision.replay import play
from benchmarks.decision.whole_system import SYSTEMS, Run, play_whole
from menace.errors import DataError
from menace.model_automation_pipeline import blend_member
from menace.sandbox_runner import hindsight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.decision.error_table import ErrorTable
    from benchmarks.decision.stream import Stream

MENACE = "menace"


@dataclass(frozen=True, slots=True)
class WholeCell:
    """One system on one stream at one cost; ``cost`` and ``hindsight`` in whole batches wrong.

    ``hindsight`` is the optimum of the protocol "same models".
    """

    stream: str
    c: float
    policy: str
    cost: float
    hindsight: float
    cycles: int
    error: float
    fit_in_reference_fits: float
    follow_in_reference_fits: float

    @property
    def ratio(self) -> float:
        """Cost over the hindsight optimum; 1 where nothing was ever wrong."""
        return self.cost / self.hindsight if self.hindsight > 0 else 1.0


def whole_cells(
    stream: Stream,
    table: ErrorTable,
    cache: Path,
    key: str,
    *,
    seed: int,
    costs: Sequence[float],
    advanced: Callable[[int], None] = lambda batches: None,
) -> list[WholeCell]:
    """Measure every system on a stream, and let the peers pay one reference fit per retrain.

    Parameters
    ----------
    stream, table
        The stream, and its table of errors.
    cache, key
        Folder and file name under which finished runs are kept.
    seed
        Of peers that draw.
    costs
        Of a reference fit.
    advanced
        Called with the number of batches that are done since the last call.
    """
    path = cache / f"{key}-{_code()}.whole.json"
    kept = _restored(path)
    for name, system in SYSTEMS.items():
        if name in kept:
            advanced(table.batches - table.first)
            continue
        kept[name] = play_whole(stream, table, system, costs=costs, advanced=lambda: advanced(1))
        _keep(path, kept)
    cells = []
    for place, cost in enumerate(costs):
        best = hindsight(table.losses(cost)).total_usd
        cells += [_cell(table.name, name, runs[place], best) for name, runs in kept.items()]
        for name, make in POLICIES.items():
            if name != MENACE:
                run = play(table, cost, make, seed=seed)
                fits = float(run.retrains)
                error = run.cost - cost * fits
                cells.append(
                    WholeCell(
                        table.name, cost, name, run.cost, best, run.retrains, error, fits, 0.0
                    )
                )
    return cells


def whole_section(cells: Iterable[WholeCell]) -> dict[str, Any]:
    """Put cells into the results' form: mean, worst cell and worst stream by system."""
    cells = list(cells)
    by_system: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        by_system.setdefault(cell.policy, {}).setdefault(cell.stream, []).append(cell.ratio)
    mean = {
        name: float(np.mean([ratio for ratios in streams.values() for ratio in ratios]))
        for name, streams in by_system.items()
    }
    best_first = sorted(mean, key=lambda name: mean[name])
    return {
        "mean": {name: mean[name] for name in best_first},
        "worst": {name: max(max(r) for r in by_system[name].values()) for name in best_first},
        "worst_stream": {
            name: max(float(np.mean(r)) for r in by_system[name].values()) for name in best_first
        },
        "cells": [asdict(cell) for cell in cells],
    }


def _cell(stream: str, name: str, run: Run, best: float) -> WholeCell:
    unit = run.reference_seconds
    return WholeCell(
        stream,
        run.c,
        name,
        run.cost,
        best,
        run.cycles,
        run.error,
        run.fit_seconds / unit,
        run.follow_seconds / unit,
    )


def _code() -> str:
    """Hash the code that a run depends on: what another version measured is not taken for ours."""
    digest = hashlib.sha256()
    folder = Path(menace.blending.__file__).parent
    files = [*sorted(folder.glob("*.py")), Path(blend_member.__file__)]
    for file in [*files, Path(__file__).with_name("whole_system.py")]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _restored(path: Path) -> dict[str, list[Run]]:
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {name: [Run(**run) for run in runs] for name, runs in document.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged: {error}.", remedy=f"rm {path}") from error


def _keep(path: Path, kept: dict[str, list[Run]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    document = {name: [asdict(run) for run in runs] for name, runs in kept.items()}
    unfinished.write_text(json.dumps(document), encoding="utf-8")
    unfinished.replace(path)
