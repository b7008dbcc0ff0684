"""The protocol "whole system": menace is free in what a cycle does, and pays by CPU time.

Who predicts a batch and what that costs is measured, not looked up: a blend is trained on the
calibration part, then serves the scored batches in order. Between two of them a reference fit is
timed, so that whatever slows this machine down slows both.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.decision.stream import WINDOW_BATCHES
from benchmarks.decision.table_cache import MODEL
from menace.blending import FOUNDATION, REFRESHED, RefitRhythm, StreamBlend
from menace.model_automation_pipeline.blend_member import train_member
from menace.model_automation_pipeline.budget import process_cpu_seconds
from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm
from menace.model_automation_pipeline.lightgbm_model import (
    binning_seconds,
    count_bins,
    tree_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.decision.error_table import ErrorTable
    from benchmarks.decision.stream import Stream
    from menace.blending import Recipe


@dataclass(frozen=True, slots=True)
class System:
    """A way to play.

    Attributes
    ----------
    recipes
        The blend's foundation.
    replays
        Whether the blend lives through the calibration part, and so has archive and weights when
        scoring starts. Otherwise it begins with models of the last calibration batch, and the
        first of its small members is paid for.
    refits
        Whether it ever trains a member anew.
    """

    recipes: tuple[Recipe, ...] = FOUNDATION
    replays: bool = True
    refits: bool = True


SYSTEMS: Mapping[str, System] = {
    "menace": System(),
    "menace_never_refits": System(refits=False),
    "menace_no_archive": System(recipes=FOUNDATION[:1], replays=False),
}
"""menace, and what becomes of it when something is left out."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a system came to at one cost.

    Attributes
    ----------
    error
        Σ error rate of the scored batches.
    cycles
        Members trained anew.
    fit_seconds, follow_seconds
        CPU-seconds of training members, and of moving weights and counts after each batch.
    reference_seconds
        CPU-seconds of one reference fit, the mean over the scored batches.
    """

    c: float
    error: float
    cycles: int
    fit_seconds: float
    follow_seconds: float
    reference_seconds: float

    @property
    def cost(self) -> float:
        """Σ error + c · CPU time in reference fits."""
        return self.error + self.c * (self.fit_seconds + self.follow_seconds) / (
            self.reference_seconds
        )


def play_whole(
    stream: Stream,
    table: ErrorTable,
    system: System,
    *,
    costs: Sequence[float],
    advanced: Callable[[], None] = lambda: None,
) -> list[Run]:
    """Lead a system over a stream, at every cost in lockstep.

    The first scored batch is served by the protocol's fresh model, as everybody's is. After the
    last batch nothing is trained.
    """
    rows, labels = batches_of(stream)
    first = table.first
    players = [_Player(cost, work=_work(stream)) for cost in costs]
    founded = StreamBlend(
        rows[:first],
        labels[:first],
        classes=int(stream.labels.max()) + 1,
        train=train_member,
        recipes=system.recipes,
        replay=system.replays,
    )
    for player in players:
        player.begin(copy.deepcopy(founded), free=system.replays)
    reference: list[float] = []
    for batch in range(first, stream.batches):
        reference += _reference_seconds(stream, batch)
        fresh = table.wrong_rows(first - 1, batch) if batch == first else None
        for player in players:
            player.serve(rows[batch], labels[batch], wrong=fresh)
            if system.refits and batch < stream.batches - 1:
                player.refit_if_due()
        advanced()
    return [player.run(float(np.mean(reference))) for player in players]


class _Player:
    """One blend at one cost, and its accounts."""

    def __init__(self, cost: float, *, work: float) -> None:
        self._cost = cost
        self._work = work
        self._rhythm = RefitRhythm()
        self._error = 0.0
        self._cycles = 0
        self._fit_seconds = 0.0
        self._follow_seconds = 0.0

    def begin(self, blend: StreamBlend, *, free: bool) -> None:
        self._blend = blend
        if not free:
            self._refit()

    def serve(
        self,
        rows: NDArray[np.float64],
        labels: NDArray[np.intp],
        *,
        wrong: NDArray[np.bool_] | None,
    ) -> None:
        odds = self._blend.predict(rows)
        scores = np.hstack([np.zeros((len(odds), 1)), odds])
        error = float(np.mean(scores.argmax(axis=1) != labels if wrong is None else wrong))
        self._error += error
        begun = process_cpu_seconds()
        self._blend.learn(labels)
        self._rhythm.served(error)
        self._follow_seconds += process_cpu_seconds() - begun

    def refit_if_due(self) -> None:
        # Decided on the counted work of a fit: a measured time would make decisions differ.
        if self._rhythm.due(cost=self._cost * self._work):
            self._refit()

    def _refit(self) -> None:
        begun = process_cpu_seconds()
        self._blend.refit()
        self._rhythm.refitted()
        self._fit_seconds += process_cpu_seconds() - begun
        self._cycles += 1

    def run(self, reference_seconds: float) -> Run:
        return Run(
            self._cost,
            self._error,
            self._cycles,
            self._fit_seconds,
            self._follow_seconds,
            reference_seconds,
        )


def batches_of(
    stream: Stream, *, first: int | None = None
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.intp]]]:
    """Cut a stream into batches of rows and of labels: the ``first`` ones, or all."""
    rows = np.split(stream.features.astype(np.float64), stream.batches)
    return rows[:first], np.split(stream.labels.astype(np.intp), stream.batches)[:first]


def _reference_seconds(stream: Stream, batch: int) -> list[float]:
    """Time the protocol's fit on the window before a batch; nothing where it holds one class."""
    window = slice((batch - WINDOW_BATCHES) * stream.batch_rows, batch * stream.batch_rows)
    labels = stream.labels[window]
    if (labels == labels[0]).all():
        return []
    classifier = import_lightgbm().LGBMClassifier(**MODEL)
    begun = process_cpu_seconds()
    classifier.fit(stream.features[window], labels)
    return [process_cpu_seconds() - begun]


def _work(stream: Stream) -> float:
    """Count the work of training the refreshed member, in reference fits."""
    window = stream.features[: WINDOW_BATCHES * stream.batch_rows]
    bins, rows = count_bins(window), len(window)
    prepare = binning_seconds(rows, window.shape[1], bins)
    small = REFRESHED.params
    reference = {
        "num_leaves": MODEL["num_leaves"],
        "min_data_in_leaf": MODEL["min_child_samples"],
    }
    own = prepare + small["rounds"] * tree_seconds(rows, bins, small)
    full = prepare + float(MODEL["n_estimators"]) * tree_seconds(rows, bins, reference)
    return own / full
