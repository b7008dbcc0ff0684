"""Members of a blend: small LightGBM classifiers on plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.intp]

LEAST_CHANCE = 0.01
"""Chances are clipped here: a member that is sure and wrong must not silence the others."""


class BlendMember:
    """A booster, or one class for everything where its window held only one.

    Parameters
    ----------
    booster
        The native booster, or ``None``.
    classes
        Number of classes.
    constant
        The class that is predicted without a booster.
    """

    def __init__(self, booster: Any, *, classes: int, constant: int = 0) -> None:
        self._booster = booster
        self._classes = classes
        self._constant = constant

    def odds(self, features: FloatArray) -> FloatArray:
        """Log-odds of every class against the first, shape ``(rows, classes − 1)``."""
        if self._booster is None:
            chance = np.zeros((len(features), self._classes))
            chance[:, self._constant] = 1.0
        else:
            found = np.asarray(self._booster.predict(features, num_threads=1))
            chance = np.column_stack([1.0 - found, found]) if found.ndim == 1 else found
        logs = np.log(np.clip(chance, LEAST_CHANCE, 1.0 - LEAST_CHANCE))
        against: FloatArray = logs[:, 1:] - logs[:, :1]
        return against


def train_member(
    features: FloatArray,
    truth: IntArray,
    *,
    classes: int,
    params: Mapping[str, float],
) -> BlendMember:
    """Train a member.

    Parameters
    ----------
    features
        Shape ``(rows, columns)``, missing values as NaN.
    truth
        Class codes 0 … classes − 1, shape ``(rows,)``.
    classes
        Number of classes, ≥ 2.
    params
        ``rounds``, ``num_leaves``, ``learning_rate``, ``min_data_in_leaf``.
    """
    if (truth == truth[0]).all():
        return BlendMember(None, classes=classes, constant=int(truth[0]))
    lightgbm = import_lightgbm()
    own = {name: value for name, value in params.items() if name != "rounds"}
    settings = {
        **own,
        "objective": "binary" if classes == 2 else "multiclass",
        "num_class": 1 if classes == 2 else classes,
        "num_threads": 1,
        "seed": 0,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    rows = lightgbm.Dataset(features, truth, params=settings)
    booster = lightgbm.train(settings, rows, num_boost_round=int(params["rounds"]))
    return BlendMember(booster, classes=classes)
