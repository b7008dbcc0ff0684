"""Rows that trainings learn from: made up ones of every task, and the bundled stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from menace.records import BotConfig

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = Path(__file__).parents[2] / "examples" / "bike_sharing" / "bike_sharing.csv.gz"


@pytest.fixture(scope="session")
def bikes() -> pd.DataFrame:
    return pd.read_csv(STREAM)


@pytest.fixture
def bike_bot() -> BotConfig:
    return BotConfig(
        "bikes",
        None,
        "busy",
        drop=("cnt", "dteday"),
        window_rows=840,
        holdout_rows=168,
        settlement_rows=672,
    )


@pytest.fixture
def rows() -> Callable[..., pd.DataFrame]:
    """Give a function that makes rows whose target ``y`` follows from numbers, text and a date."""

    def make(
        count: int, task: str = "binary", *, seed: int = 0, noise: float = 0.2
    ) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        size, weight = rng.normal(size=count), rng.normal(size=count)
        colour = rng.choice(["red", "green", "blue"], size=count)
        score = size - weight + np.where(colour == "red", 1.0, 0.0)
        score = score + noise * rng.normal(size=count)
        target: np.ndarray = score
        if task == "binary":
            target = (score > 0).astype(int)
        elif task == "multiclass":
            target = np.array(["low", "middle", "high"])[np.digitize(score, [-0.7, 0.9])]
        frame = pd.DataFrame({"size": size, "weight": weight, "colour": colour})
        frame["day"] = pd.date_range("2024-03-01", periods=count, freq="h").strftime("%Y-%m-%d")
        frame.loc[rng.random(count) < 0.05, "weight"] = np.nan
        return frame.assign(y=target)

    return make
