"""FLAML, with the order in time told to it and its clock on this process's CPU time.

FLAML keeps its budget by the clock on the wall. On a machine with other work that would take CPU
time away from it, so in this process (one cell, nothing else) ``time.time`` is the CPU time used.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from menace.errors import MissingDependencyError
from menace.model_automation_pipeline.budget import process_cpu_seconds
from menace.records import Task

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.search.systems import FloatArray, Predict
    from benchmarks.search.tables import Table

PACKAGE = "flaml"


def require_flaml() -> None:
    """Fail early if the package is not there.

    Raises
    ------
    MissingDependencyError
        With the line that installs it.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise MissingDependencyError(
            "the peer package flaml is not installed.",
            remedy="./scripts/setup bench, or: pip install 'menace[bench]'",
        )


class Flaml:
    """``AutoML.fit`` with its defaults: all its learners, no ensemble, a refit on all rows."""

    def prepare(self) -> None:
        """See :class:`~benchmarks.search.systems.System`."""
        require_flaml()
        self._automl: Any = importlib.import_module("flaml.automl").AutoML()
        logging.getLogger("flaml").setLevel(logging.ERROR)
        for name in ("lightgbm", "sklearn.ensemble", "sklearn.linear_model", "xgboost"):
            importlib.import_module(name)
        vars(time)["time"] = process_cpu_seconds

    def fit(self, table: Table, seconds: float, seed: int) -> Predict:
        """See :class:`~benchmarks.search.systems.System`."""
        regression = table.task is Task.REGRESSION
        automl = self._automl
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            automl.fit(
                table.features(table.train),
                table.train[table.target].to_numpy(),
                task="regression" if regression else "classification",
                metric="mse" if regression else "log_loss",
                time_budget=seconds,
                split_type="time" if table.ordered else "auto",
                n_jobs=1,
                seed=seed,
                verbose=0,
            )

        def predict(frame: pd.DataFrame) -> FloatArray:
            features = table.features(frame)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                raw = automl.predict(features) if regression else automl.predict_proba(features)
            return np.asarray(raw, dtype=np.float64)

        return predict
