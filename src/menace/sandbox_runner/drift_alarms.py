"""Run a cycle when a drift detector gives alarm on the losses of the model in force."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.sandbox_runner.strategy import Past


class Detector(Protocol):
    """What is used of a detector of river."""

    @property
    def drift_detected(self) -> bool:
        """Whether the newest value gave alarm."""

    def update(self, x: float) -> Any:
        """Take in a value."""


class DriftAlarm:
    """Feeds every served row's loss to the detector; an alarm within the tick asks for a cycle.

    A new model gets a new detector, since the losses of two models are two series.

    Parameters
    ----------
    new_detector
        Makes one, such as :func:`adwin`.
    """

    def __init__(self, new_detector: Callable[[], Detector]) -> None:
        self._new_detector = new_detector
        self._detector = new_detector()
        self._model: int | None = None

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~menace.sandbox_runner.strategy.Strategy`."""
        if past.model != self._model:
            self._model, self._detector = past.model, self._new_detector()
        alarm = False
        for loss in past.row_losses(past.model, past.now).tolist():
            self._detector.update(loss)
            alarm = alarm or self._detector.drift_detected
        return alarm


def adwin() -> Detector:
    """ADWIN with δ = 0.002 (Bifet and Gavaldà 2007, "Learning from time-changing data")."""
    return _river("drift", "ADWIN", delta=0.002)


def page_hinkley() -> Detector:
    """Page-Hinkley with river's defaults (Page 1954, "Continuous inspection schemes")."""
    return _river("drift", "PageHinkley")


def ddm() -> Detector:
    """DDM with river's defaults (Gama et al. 2004); for losses of 0 or 1 only."""
    return _river("drift.binary", "DDM")


def _river(module: str, name: str, **options: float) -> Detector:
    # Imported late, because it takes a second; untyped, because river has no type hints.
    made: Detector = getattr(importlib.import_module(f"river.{module}"), name)(**options)
    return made
