"""Plain Optuna over LightGBM, as a practitioner writes it: TPE, early stopping, a refit."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.search.systems import mean_loss, split
from menace.model_automation_pipeline.budget import process_cpu_seconds
from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm
from menace.model_automation_pipeline.search import import_optuna
from menace.records import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from benchmarks.search.systems import FloatArray, Predict
    from benchmarks.search.tables import Table

MAX_ROUNDS = 1000
PATIENCE_ROUNDS = 30
SEARCH_SHARE = 0.75


class OptunaLightGBM:
    """Trials until the refit of the best would not fit in any more; the budget is CPU time."""

    def prepare(self) -> None:
        """See :class:`~benchmarks.search.systems.System`."""
        import_lightgbm()
        import_optuna()
        importlib.import_module("optuna.samplers")

    def fit(self, table: Table, seconds: float, seed: int) -> Predict:
        """See :class:`~benchmarks.search.systems.System`."""
        run = _Run(table, seconds, seed)
        optuna = import_optuna()
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(run.objective, callbacks=[run.after_trial])
        final, rounds = run.refitted()

        def predict(frame: pd.DataFrame) -> FloatArray:
            return _raw(final.predict(table.features(frame), num_iteration=rounds), table)

        return predict


class _Run:
    """The data, the clock, and the best that was found."""

    def __init__(self, table: Table, seconds: float, seed: int) -> None:
        self._started = process_cpu_seconds()
        self._table, self._seconds = table, seconds
        self._lightgbm = import_lightgbm()
        self._settings = _settings(table, seed)
        self._features = table.features(table.train)
        self._truth = table.train[table.target].to_numpy(dtype=np.float64)
        self._cut = cut = split(table)
        self._train = self._lightgbm.Dataset(
            self._features.iloc[:cut], self._truth[:cut], free_raw_data=False
        )
        self._valid = self._train.create_valid(self._features.iloc[cut:], self._truth[cut:])
        self._loss, self._refit_seconds = np.inf, 0.0
        self._params: dict[str, Any] = {}
        self._rounds = 1

    def _used(self) -> float:
        return process_cpu_seconds() - self._started

    def _stopping(self, late: Callable[[], bool]) -> Callable[[Any], None]:
        def stop(_: Any) -> None:
            if late():
                raise self._lightgbm.callback.EarlyStopException(0, [])

        return stop

    def _must_refit(self, refit_seconds: float) -> bool:
        limit = min(SEARCH_SHARE * self._seconds, self._seconds - 1.1 * refit_seconds)
        return self._used() > limit

    def objective(self, trial: Any) -> float:
        """Fit with early stopping and score on the validation rows."""
        params, begun = _suggested(trial), self._used()
        booster = self._lightgbm.train(
            {**self._settings, **params},
            self._train,
            num_boost_round=MAX_ROUNDS,
            valid_sets=[self._valid],
            callbacks=[
                self._lightgbm.early_stopping(PATIENCE_ROUNDS, verbose=False),
                self._stopping(lambda: self._must_refit((self._used() - begun) * 4 / 3)),
            ],
        )
        # Where the deadline struck there is no best round; all that were made are used.
        rounds = booster.best_iteration
        rounds = rounds if rounds > 1 else booster.current_iteration()
        validation = self._features.iloc[self._cut :]
        raw = _raw(booster.predict(validation, num_iteration=rounds), self._table)
        loss = mean_loss(self._table.task, self._truth[self._cut :], raw)
        if loss < self._loss:
            self._loss, self._params, self._rounds = loss, params, rounds
            self._refit_seconds = (self._used() - begun) * 4 / 3
        return loss

    def after_trial(self, study: Any, _: Any) -> None:
        """Stop where the refit needs what is left."""
        if self._must_refit(self._refit_seconds):
            study.stop()

    def refitted(self) -> tuple[Any, int]:
        """Fit the best to all rows; returns it with its rounds."""
        final = self._lightgbm.train(
            {**self._settings, **self._params},
            self._lightgbm.Dataset(self._features, self._truth),
            num_boost_round=self._rounds,
            callbacks=[self._stopping(lambda: self._used() > self._seconds)],
        )
        return final, final.current_iteration()


def _suggested(trial: Any) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 4, 256, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 2, 128, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 100.0, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "bagging_freq": 1,
    }


def _settings(table: Table, seed: int) -> dict[str, Any]:
    common = {"num_threads": 1, "verbosity": -1, "seed": seed, "feature_pre_filter": False}
    if table.task is Task.REGRESSION:
        return {**common, "objective": "regression", "metric": "l2"}
    if table.task is Task.BINARY:
        return {**common, "objective": "binary", "metric": "binary_logloss"}
    classes = int(table.train[table.target].max()) + 1
    return {
        **common,
        "objective": "multiclass",
        "metric": "multi_logloss",
        "num_class": classes,
    }


def _raw(values: Any, table: Table) -> FloatArray:
    raw = np.asarray(values, dtype=np.float64)
    return np.column_stack([1.0 - raw, raw]) if table.task is Task.BINARY else raw
