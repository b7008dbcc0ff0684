"""How much each synergy metric counts: one weight per metric, learned from what cycles earned.

::

    w_k ← clamp(w_k + lr · ROI delta · Δ_k, 0, 10)
    sum = Σ_k (w_k / 10) · clip(Δ_k, −1, 1)

A metric that rises when cycles pay, and falls when they do not, gains weight.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from menace.errors import ConfigError, DataError, StateFileError
from menace.state_file import read_state, write_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from menace.records import Json

WEIGHT_OF = {
    "synergy_roi": "roi",
    "synergy_efficiency": "efficiency",
    "synergy_resilience": "resilience",
    "synergy_antifragility": "antifragility",
}
"""Metric → name of its weight, in the order of every vector of them."""

FIRST_WEIGHT = 1.0
LARGEST_WEIGHT = 10.0


def synergy_sum(weights: Mapping[str, float], deltas: Mapping[str, float]) -> float:
    """``Σ_k (w_k / 10) · clip(Δ_k, −1, 1)``, in −4..4: how far the parts pull together.

    Parameters
    ----------
    weights
        By name, each 0..10; a missing one is 0.
    deltas
        Rolling change by metric; a missing one is 0.

    Examples
    --------
    >>> weights = {"roi": 10.0, "efficiency": 5.0}
    >>> synergy_sum(weights, {"synergy_roi": 0.5, "synergy_efficiency": -9.0})
    0.0
    """
    return sum(
        weights.get(weight, 0.0) / LARGEST_WEIGHT * min(max(deltas.get(metric, 0.0), -1.0), 1.0)
        for metric, weight in WEIGHT_OF.items()
    )


class SynergyWeightLearner:
    """Learns one weight per synergy metric, by the sign in which it moves with the ROI.

    Not safe to share between threads, nor between engines: each has its own.

    Parameters
    ----------
    path
        JSON file of the weights, read at once if it exists and written after every update;
        ``None``: only in memory.
    lr
        Learning rate, ≥ 0; at 0 the weights stay as they are.

    Attributes
    ----------
    weights
        ``roi``, ``efficiency``, ``resilience``, ``antifragility``, each 0..10; all 1.0 at first.
    learned_through
        For the learner's keeper: the id of the newest ledger entry that was learned from, 0 before
        the first. It is saved with the weights, so that no entry is learned from twice.

    Raises
    ------
    ConfigError
        If ``lr`` is outside its range.
    StateFileError
        If the file is torn, foreign or newer than this version.

    Examples
    --------
    >>> learner = SynergyWeightLearner(lr=0.1)
    >>> learner.update(2.0, {"synergy_roi": 1.5, "synergy_resilience": -0.5})
    >>> learner.weights
    {'roi': 1.3, 'efficiency': 1.0, 'resilience': 0.9, 'antifragility': 1.0}
    """

    KIND: ClassVar[str] = "synergy_weights"
    VERSION: ClassVar[int] = 1

    def __init__(self, path: Path | str | None = None, lr: float = 0.1) -> None:
        if not 0 <= lr < math.inf:
            raise ConfigError(f"the synergy learner's lr is {lr}.", remedy="give a number ≥ 0")
        self.path = None if path is None else Path(path)
        self.lr = float(lr)
        self.weights = dict.fromkeys(WEIGHT_OF.values(), FIRST_WEIGHT)
        self.learned_through = 0
        self._load()

    def update(self, roi_delta: float, deltas: Mapping[str, float]) -> None:
        """Learn from a settled cycle, and write the file.

        Parameters
        ----------
        roi_delta
            What the cycle brought, dimensionless.
        deltas
            Rolling change by metric (``synergy_roi`` …); a missing one is 0.

        Raises
        ------
        DataError
            If a figure is not finite or a metric is unknown; nothing is changed.
        StateFileError
            If the file cannot be written.
        """
        unknown = deltas.keys() - WEIGHT_OF.keys()
        if unknown:
            raise DataError(
                f"{sorted(unknown)} are no synergy metrics.", remedy=f"give {', '.join(WEIGHT_OF)}"
            )
        changes = {metric: float(deltas.get(metric, 0.0)) for metric in WEIGHT_OF}
        for name, value in {"roi_delta": float(roi_delta), **changes}.items():
            if not math.isfinite(value):
                raise DataError(f"{name} is {value}.", remedy="give a finite number")
        for metric, gradient in self._gradients(float(roi_delta), changes).items():
            weight = self.weights[WEIGHT_OF[metric]] + self.lr * gradient
            self.weights[WEIGHT_OF[metric]] = min(max(weight, 0.0), LARGEST_WEIGHT)
        self.save()

    def save(self) -> None:
        """Write the file; without a path, do nothing.

        Raises
        ------
        StateFileError
            If it cannot be written.
        """
        if self.path is not None:
            write_state(self.path, kind=self.KIND, version=self.VERSION, data=self._to_json())

    def _gradients(self, roi_delta: float, deltas: Mapping[str, float]) -> dict[str, float]:
        """Say by how much each metric's weight should move, before the learning rate."""
        return {metric: roi_delta * delta for metric, delta in deltas.items()}

    def _to_json(self) -> Json:
        return {"weights": dict(self.weights), "learned_through": self.learned_through}

    def _restore(self, data: Json) -> None:
        weights = {name: float(data["weights"][name]) for name in self.weights}
        if not all(0 <= weight <= LARGEST_WEIGHT for weight in weights.values()):
            raise ValueError(f"the weights {weights} are not all in 0..10")
        self.weights = weights
        self.learned_through = int(data["learned_through"])

    def _load(self) -> None:
        if self.path is None:
            return
        data = read_state(self.path, kind=self.KIND, version=self.VERSION)
        if data is None:
            return
        try:
            self._restore(data)
        except (KeyError, TypeError, ValueError, DataError) as error:
            raise StateFileError(
                f"the synergy file {self.path} lacks a field or holds a wrong one: {error}.",
                remedy=f"go back to the backup beside it: mv {self.path}.bak {self.path}",
            ) from error
