"""What is compared: each takes a table and CPU-seconds and answers with a way to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from menace.config import load_dotted
from menace.records import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pandas as pd

    from benchmarks.search.tables import Table

    FloatArray = npt.NDArray[np.float64]
    Predict = Callable[[pd.DataFrame], FloatArray]

SYSTEMS = {
    "menace": "benchmarks.search.menace_pipeline:MenacePipeline",
    "flaml": "benchmarks.search.flaml_peer:Flaml",
    "optuna_lightgbm": "benchmarks.search.optuna_peer:OptunaLightGBM",
    "random_hist_boosting": "benchmarks.search.hist_boosting_peer:RandomHistBoosting",
}
"""Dotted paths by short name; the first is ours."""

VALIDATION_SHARE = 0.25


class System(Protocol):
    """A way to make a model within a budget."""

    def prepare(self) -> None:
        """Import libraries; what this takes is not counted, for anybody."""
        ...

    def fit(self, table: Table, seconds: float, seed: int) -> Predict:
        """Make a model of the training rows within so many CPU-seconds.

        Returns
        -------
        callable
            Takes a frame of rows; answers with class probabilities, shape (rows, classes), or
            numbers, shape (rows,).
        """
        ...


def load_system(name: str) -> System:
    """Make a system by its short name."""
    system: System = load_dotted(SYSTEMS[name])()
    return system


def random_params(
    rng: np.random.Generator, ranges: dict[str, tuple[float, float]]
) -> dict[str, float]:
    """Draw each parameter, uniformly in its logarithm."""
    return {
        name: float(np.exp(rng.uniform(np.log(low), np.log(high))))
        for name, (low, high) in ranges.items()
    }


def split(table: Table) -> int:
    """Say where the validation rows of the training rows begin: the last quarter.

    Rows without an order have been shuffled, so that the last ones are as good as any.
    """
    return len(table.train) - round(VALIDATION_SHARE * len(table.train))


def mean_loss(task: Task, truth: FloatArray, raw: FloatArray) -> float:
    """Log loss, or squared error, by which a peer of ours chooses."""
    if task is Task.REGRESSION:
        return float(np.square(raw - truth).mean())
    codes = truth.astype(np.intp)
    return float(-np.log(np.clip(raw[np.arange(len(codes)), codes], 1e-6, 1.0)).mean())
