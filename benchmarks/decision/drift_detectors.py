"""Retrain when a drift detector gives alarm on the rows that the model in force got wrong."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.decision.replay import Past, Policy


class Detector(Protocol):
    """What is used of a detector of river."""

    @property
    def drift_detected(self) -> bool:
        """Whether the newest value gave alarm."""

    def update(self, x: float) -> Any:
        """Take in a value."""


class DriftAlarm:
    """Feeds every served row to the detector; an alarm within the batch asks for a retrain.

    A new model gets a new detector, since the errors of two models are two series.
    """

    def __init__(self, new_detector: Callable[[], Detector]) -> None:
        self._new_detector = new_detector
        self._detector = new_detector()
        self._model: int | None = None

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~benchmarks.decision.replay.Policy`."""
        if past.model != self._model:
            self._model, self._detector = past.model, self._new_detector()
        alarm = False
        for wrong in past.wrong_rows(past.model, past.now).tolist():
            self._detector.update(wrong)
            alarm = alarm or self._detector.drift_detected
        return alarm


def adwin(_past: Past, _cost: float, _seed: int) -> Policy:
    """ADWIN with δ = 0.002 (Bifet and Gavaldà 2007)."""
    return DriftAlarm(lambda: _river("drift", "ADWIN", delta=0.002))


def page_hinkley(_past: Past, _cost: float, _seed: int) -> Policy:
    """Page-Hinkley with river's defaults (Page 1954)."""
    return DriftAlarm(lambda: _river("drift", "PageHinkley"))


def ddm(_past: Past, _cost: float, _seed: int) -> Policy:
    """DDM with river's defaults (Gama et al. 2004)."""
    return DriftAlarm(lambda: _river("drift.binary", "DDM"))


def _river(module: str, name: str, **options: float) -> Detector:
    # Imported late, because it takes a second; untyped, because river has no type hints.
    made: Detector = getattr(importlib.import_module(f"river.{module}"), name)(**options)
    return made
