"""A forecast of the bikes that will be rented each hour, with a training function of its own.

A ridge regression of log(1 + bikes) on hour of the day (working days and other days apart),
weather and temperature, in which older hours count less. With energy above 1 the memory (how fast
they fade) and the strength of the ridge are searched on the newest fifth of the rows, until the
time is up.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    FloatArray = npt.NDArray[np.float64]

TARGET = "cnt"
SHORT_COST, SPARE_COST = 2.0, 1.0
"""A bike that is missing costs twice as much as one that stands idle."""

HALF_LIVES_ROWS = (336.0, 672.0, 168.0, 2016.0)
RIDGES = (1.0, 10.0, 0.1)


def train(rows: pd.DataFrame, /, *, energy: int, seed: int, seconds: float) -> bytes:
    """Fit the weights; menace calls this with rows in the order of time.

    Parameters
    ----------
    rows
        Labelled rows.
    energy
        Budget, 1..100: at 1 the first setting is fitted and nothing is searched.
    seed
        Not needed: nothing here is random.
    seconds
        CPU-seconds that this call should take.
    """
    del seed
    began = time.process_time()
    features, target = design(rows), np.asarray(rows[TARGET], dtype=np.float64)
    settings = list(itertools.product(HALF_LIVES_ROWS, RIDGES))
    best = settings[0]
    if energy > 1:
        newest = max(len(rows) // 5, 1)
        least = np.inf
        for setting in settings:
            weights, surplus = fitted(features[:-newest], target[:-newest], *setting)
            guess = bikes(features[-newest:], weights, surplus)
            missed = cost(target[-newest:], guess).mean()
            if missed < least:
                least, best = missed, setting
            if time.process_time() - began > 0.8 * seconds:
                break
    weights, surplus = fitted(features, target, *best)
    model = {"weights": weights.tolist(), "surplus": surplus, "setting": best}
    return json.dumps(model).encode()


def predict(artifact: bytes, rows: pd.DataFrame, /) -> FloatArray:
    """Say how many bikes to have at hand in each hour."""
    model: dict[str, Any] = json.loads(artifact)
    return bikes(design(rows), np.array(model["weights"]), float(model["surplus"]))


def loss(truth: pd.Series[float], predictions: pd.Series[float], /) -> FloatArray:
    """Cost of each hour, in idle bikes: what is missing counts twice."""
    return cost(np.asarray(truth, dtype=np.float64), np.asarray(predictions, dtype=np.float64))


def cost(truth: FloatArray, guess: FloatArray) -> FloatArray:
    """Cost of guesses, in idle bikes."""
    short = np.maximum(truth - guess, 0.0)
    return np.asarray(SHORT_COST * short + SPARE_COST * np.maximum(guess - truth, 0.0))


def design(rows: pd.DataFrame) -> FloatArray:
    """Columns of the regression: one per hour and kind of day, and the weather."""
    slot = rows["hr"].to_numpy(dtype=int) + 24 * rows["workingday"].to_numpy(dtype=int)
    warm = rows["atemp"].to_numpy(dtype=float)
    wet = rows["weathersit"].to_numpy(dtype=float) >= 3
    weather = np.column_stack([warm, warm**2, rows["hum"].to_numpy(dtype=float), wet])
    return np.hstack([np.eye(48)[slot], weather])


def fitted(
    features: FloatArray, target: FloatArray, half_life_rows: float, ridge: float
) -> tuple[FloatArray, float]:
    """Fit the weights, and the factor by which to stock up, since a missing bike costs more."""
    age = np.arange(len(target))[::-1]
    share = np.exp2(-age / half_life_rows)[:, None]
    left = features.T @ (share * features) + ridge * np.eye(features.shape[1])
    weights = np.linalg.solve(left, features.T @ (share[:, 0] * np.log1p(target)))
    factors = np.linspace(0.8, 1.6, 17)
    guess = bikes(features, weights, 1.0)
    costs = [float((share[:, 0] * cost(target, guess * factor)).sum()) for factor in factors]
    return weights, float(factors[int(np.argmin(costs))])


def bikes(features: FloatArray, weights: FloatArray, surplus: float) -> FloatArray:
    """Turn weights into bikes; no hour has more than e⁹ of them."""
    return np.asarray(surplus * np.expm1(np.clip(features @ weights, 0.0, 9.0)))
