"""The family of gradient-boosted trees: LightGBM through its native interface.

What a fit costs is counted as well as measured, so that a run can be repeated to the bit::

    seconds = FIT + rows · (features · CELL + bins · SORT)
            + trees · (rows · (ROW + bins · GATHER) + leaves · (LEAF + bins · SCAN))

``bins`` is the number of histogram bins of all features together. The rates were fitted to 122 fits
of 20 rounds: five real streams and synthetic data of 5 and 40 features, 500 to 50,000 rows, 7 to
127 leaves, two and five classes and regression, LightGBM 4.7.0, one thread of a shared server.
Counted over measured seconds:

========  ==================
quantile  counted / measured
========  ==================
least     0.76
5 %       0.79
50 %      0.99
95 %      1.28
greatest  1.50
========  ==================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from menace.errors import PackageError
from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm
from menace.records import Metric, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from menace.model_automation_pipeline.target import Target

    FloatMatrix = npt.NDArray[np.float32]
    FloatArray = npt.NDArray[np.float64]

DEFAULT_PARAMS: dict[str, float] = {
    "rounds": 60,
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 10,
}
MODEL_FILE = "model.txt"
OTHERS = frozenset({"rounds", "half_life", "categories", "poisson"})
"""Parameters that are not LightGBM's own."""

FIT_SECONDS = 1.9e-3
CELL_SECONDS = 9.5e-8
SORT_SECONDS = 6.9e-10
ROW_SECONDS = 3.5e-8
GATHER_SECONDS = 2.9e-11
LEAF_SECONDS = 8.0e-6
SCAN_SECONDS = 8.2e-9
PREDICT_SECONDS = 5e-8
"""CPU-seconds of scoring one row with one tree; measured 1e-8 .. 1e-7."""

_MAX_BINS = 255
_ROWS_OF_A_BIN = 3
_SAMPLED_ROWS = 2000

_LOSSES = {
    Metric.ERROR_RATE: ("binary_error", "multi_error"),
    Metric.LOG_LOSS: ("binary_logloss", "multi_logloss"),
    Metric.ABSOLUTE_ERROR: ("l1", "l1"),
    Metric.SQUARED_ERROR: ("l2", "l2"),
}


def count_bins(matrix: FloatMatrix) -> int:
    """Count the histogram bins of all features together, from a sample of the rows."""
    sample = matrix[:: max(1, len(matrix) // _SAMPLED_ROWS)]
    most = max(1, min(_MAX_BINS, len(matrix) // _ROWS_OF_A_BIN))
    return sum(min(most, len(np.unique(column))) for column in sample.T)


def binning_seconds(rows: int, features: int, bins: int) -> float:
    """Return the counted CPU-seconds of preparing the rows of a fit."""
    return FIT_SECONDS + rows * (features * CELL_SECONDS + bins * SORT_SECONDS)


def tree_seconds(rows: int, bins: int, params: Mapping[str, float]) -> float:
    """Return the counted CPU-seconds of growing one tree.

    Shares of rows and features save what they leave out (measured: a little less).
    """
    bins = round(bins * params.get("feature_fraction", 1.0))
    possible = max(rows / (1.6 * params["min_data_in_leaf"]), 2.0)
    leaves = min(params["num_leaves"], possible)
    of_rows = rows * (ROW_SECONDS + bins * GATHER_SECONDS)
    return of_rows + leaves * (LEAF_SECONDS + bins * SCAN_SECONDS)


def trees_per_round(target: Target) -> int:
    """One tree a round, or one for each of more than two classes."""
    return target.classes if target.classes > 2 else 1


class LightGBMModel:
    """A fitted booster.

    Parameters
    ----------
    booster
        The native booster.
    target
        What it predicts.
    """

    def __init__(self, booster: Any, target: Target) -> None:
        self._booster = booster
        self._target = target
        self.rounds = int(booster.current_iteration())
        """Boosting rounds it uses."""

    def keep(self, rounds: int) -> None:
        """Use the first ``rounds`` only."""
        self.rounds = min(rounds, self.rounds)

    def raw(self, matrix: FloatMatrix) -> FloatArray:
        """Class probabilities, shape (rows, classes), or numbers, shape (rows,)."""
        if not len(matrix):
            return np.empty((0, self._target.classes) if self._target.classes else 0)
        values = np.asarray(
            self._booster.predict(matrix, num_iteration=self.rounds, num_threads=1),
            dtype=np.float64,
        )
        if self._target.classes == 2:
            return np.column_stack([1.0 - values, values])
        return values

    def files(self) -> dict[str, bytes]:
        """Write the model in LightGBM's own text format."""
        return {
            MODEL_FILE: self._booster.model_to_string(num_iteration=self.rounds).encode("utf-8")
        }


def fit_lightgbm(
    matrix: FloatMatrix,
    truth: FloatArray,
    target: Target,
    params: Mapping[str, float],
    *,
    seed: int,
    weights: FloatArray | None = None,
    categories: Sequence[int] = (),
    validation: tuple[FloatMatrix, FloatArray] | None = None,
    after_round: Callable[[int, float], bool] | None = None,
) -> LightGBMModel:
    """Fit a booster on one thread, the same for the same seed and data.

    Parameters
    ----------
    matrix, truth
        Encoded rows, and codes of their classes or numbers.
    target
        What is predicted.
    params
        ``rounds`` and native parameters; besides, ``poisson`` (1: the logarithm of the mean of a
        number ≥ 0 is what is boosted) and what is meant for others (``OTHERS``).
    weights
        Of the rows, shape (rows,); by default all the same.
    categories
        Columns whose codes are split as sets; by default codes are split like numbers.
    validation
        Rows on which the loss is taken after each round.
    after_round
        Called with the rounds done (from 1) and the mean validation loss (NaN without
        ``validation``); True stops the fit there, keeping these rounds.
    """
    lightgbm = import_lightgbm()
    # A window of a few dozen rows could not be split at all with leaves of the usual size.
    native = _native(params, most_leaf_rows=max(2, len(matrix) // 10))
    settings = {**native, **_settings(target, seed, poisson=bool(params.get("poisson")))}
    train_set = lightgbm.Dataset(
        matrix,
        label=truth,
        weight=weights,
        categorical_feature=list(categories),
        params=settings,
    )
    valid_sets = [train_set.create_valid(validation[0], label=validation[1])] if validation else []

    def ask(environment: Any) -> None:
        results = environment.evaluation_result_list
        loss = float(results[0][2]) if results else float("nan")
        if after_round is not None and after_round(environment.iteration + 1, loss):
            raise lightgbm.callback.EarlyStopException(environment.iteration, results)

    booster = lightgbm.train(
        settings,
        train_set,
        num_boost_round=int(params["rounds"]),
        valid_sets=valid_sets,
        callbacks=[ask],
    )
    return LightGBMModel(booster, target)


def load_lightgbm(files: Mapping[str, bytes], target: Target, features: int) -> LightGBMModel:
    """Read what :meth:`LightGBMModel.files` wrote.

    Raises
    ------
    PackageError
        If it is not a LightGBM model, or does not fit the features and the target.
    """
    lightgbm = import_lightgbm()
    text = files[MODEL_FILE].decode("utf-8", errors="replace")
    if not text.startswith("tree\n") or "\nend of parameters\n" not in text:
        raise PackageError(f"{MODEL_FILE} is not a whole LightGBM model in text form.")
    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise PackageError(f"{MODEL_FILE} cannot be read by LightGBM: {error}.") from error
    if booster.num_feature() != features or booster.num_model_per_iteration() != trees_per_round(
        target
    ):
        raise PackageError(f"{MODEL_FILE} does not fit the manifest beside it.")
    return LightGBMModel(booster, target)


def _native(params: Mapping[str, float], *, most_leaf_rows: int) -> dict[str, Any]:
    native: dict[str, Any] = {key: value for key, value in params.items() if key not in OTHERS}
    native["num_leaves"] = int(native["num_leaves"])
    native["min_data_in_leaf"] = min(int(native["min_data_in_leaf"]), most_leaf_rows)
    if "extra_trees" in native:
        native["extra_trees"] = bool(native["extra_trees"])
    if native.get("bagging_fraction", 1.0) < 1.0:
        native["bagging_freq"] = 1
    return native


def _settings(target: Target, seed: int, *, poisson: bool) -> dict[str, Any]:
    if target.task is Task.REGRESSION:
        absolute = target.metric is Metric.ABSOLUTE_ERROR
        squared = "poisson" if poisson else "regression"
        settings: dict[str, Any] = {"objective": "regression_l1" if absolute else squared}
    elif target.classes == 2:
        settings = {"objective": "binary"}
    else:
        settings = {"objective": "multiclass", "num_class": target.classes}
    return {
        **settings,
        "metric": _LOSSES[target.metric][target.classes > 2],
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
