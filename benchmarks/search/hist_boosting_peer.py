"""Random search over scikit-learn's histogram boosting, with early stopping and a refit.

Boosting goes on in steps of 25 rounds (``warm_start``), between which the clock is looked at: the
estimator itself knows no deadline.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.search.systems import mean_loss, random_params, split
from menace.model_automation_pipeline.budget import process_cpu_seconds
from menace.records import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from benchmarks.search.systems import FloatArray, Predict
    from benchmarks.search.tables import Table

MAX_ROUNDS = 1000
STEP_ROUNDS = 25
PATIENCE_STEPS = 2
SEARCH_SHARE = 0.75
RANGES = {
    "learning_rate": (0.01, 0.3),
    "max_leaf_nodes": (4, 256),
    "min_samples_leaf": (2, 128),
    "l2_regularization": (1e-3, 100.0),
    "max_features": (0.4, 1.0),
}


class RandomHistBoosting:
    """Draws until three quarters are spent, or the refit of the best takes what is left."""

    def prepare(self) -> None:
        """See :class:`~benchmarks.search.systems.System`."""
        self._ensemble = importlib.import_module("sklearn.ensemble")
        importlib.import_module("sklearn.metrics")

    def fit(self, table: Table, seconds: float, seed: int) -> Predict:
        """See :class:`~benchmarks.search.systems.System`."""
        started = process_cpu_seconds()
        rng = np.random.default_rng(seed)
        features = table.features(table.train)
        truth = table.train[table.target].to_numpy()
        cut = split(table)
        best: dict[str, Any] = {"loss": np.inf, "refit": 0.0, "params": {}, "rounds": STEP_ROUNDS}

        def used() -> float:
            return process_cpu_seconds() - started

        def late(refit_seconds: float) -> bool:
            return used() > min(SEARCH_SHARE * seconds, seconds - 1.1 * refit_seconds)

        draws = 0
        while not late(best["refit"]):
            # The first one is the library's own configuration.
            params = _whole(random_params(rng, RANGES)) if draws else {}
            draws += 1
            begun = used()
            model = self._make(table, seed, params)
            losses: list[float] = []

            def after_step(model: Any, losses: list[float] = losses, begun: float = begun) -> bool:
                raw = _raw(model, features.iloc[cut:], table)
                losses.append(mean_loss(table.task, truth[cut:], raw))
                waited = len(losses) - 1 - int(np.argmin(losses))
                return waited >= PATIENCE_STEPS or late((used() - begun) * 4 / 3)

            _boost(model, features.iloc[:cut], truth[:cut], MAX_ROUNDS, after_step)
            if min(losses) < best["loss"]:
                steps = 1 + int(np.argmin(losses))
                best = {
                    "loss": min(losses),
                    "params": params,
                    "rounds": STEP_ROUNDS * steps,
                    "refit": (used() - begun) * 4 / 3 * steps / len(losses),
                }
        final = self._make(table, seed, best["params"])
        _boost(final, features, truth, best["rounds"], lambda _: used() > 0.97 * seconds)

        def predict(frame: pd.DataFrame) -> FloatArray:
            return _raw(final, table.features(frame), table)

        return predict

    def _make(self, table: Table, seed: int, params: dict[str, Any]) -> Any:
        kind = "Regressor" if table.task is Task.REGRESSION else "Classifier"
        make = getattr(self._ensemble, f"HistGradientBoosting{kind}")
        return make(random_state=seed, early_stopping=False, warm_start=True, **params)


def _boost(
    model: Any,
    features: pd.DataFrame,
    truth: FloatArray,
    rounds: int,
    after_step: Callable[[Any], bool],
) -> None:
    for done in range(STEP_ROUNDS, rounds + 1, STEP_ROUNDS):
        model.set_params(max_iter=done)
        model.fit(features, truth)
        if after_step(model):
            return


def _whole(params: dict[str, float]) -> dict[str, Any]:
    whole = ("max_leaf_nodes", "min_samples_leaf")
    return {name: round(value) if name in whole else value for name, value in params.items()}


def _raw(model: Any, features: pd.DataFrame, table: Table) -> FloatArray:
    raw = (
        model.predict(features) if table.task is Task.REGRESSION else model.predict_proba(features)
    )
    return np.asarray(raw, dtype=np.float64)
