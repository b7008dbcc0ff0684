"""What a member of a blend is trained on, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.intp]


class View(StrEnum):
    """Which features a member sees."""

    PLAIN = "plain"
    LAGS = "lags"
    RATES = "rates"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a member is trained.

    Attributes
    ----------
    name
        Unique in a blend.
    view
        Its features.
    batches
        So many of the newest batches are its window; ``None``: all history.
    params
        Of the trainer: ``rounds``, ``num_leaves``, ``learning_rate``, ``min_data_in_leaf``, ….
    """

    name: str
    view: View
    batches: int | None
    params: Mapping[str, float] = field(default_factory=dict)


FULL_SIZE = {
    "rounds": 120,
    "num_leaves": 31,
    "learning_rate": 0.06,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
}
SMALL_SIZE = {"rounds": 10, "num_leaves": 8, "learning_rate": 0.4, "min_data_in_leaf": 10}

FOUNDATION = (
    Recipe("recent", View.PLAIN, 5, FULL_SIZE),
    Recipe("season", View.PLAIN, 20, FULL_SIZE),
    Recipe("history", View.PLAIN, None, FULL_SIZE),
    Recipe("recent, lags", View.LAGS, 5, FULL_SIZE),
    Recipe("season, lags", View.LAGS, 20, FULL_SIZE),
    Recipe("history, lags", View.LAGS, None, FULL_SIZE),
    Recipe("history, rates", View.RATES, None, FULL_SIZE),
    Recipe("history, lags and rates", View.BOTH, None, FULL_SIZE),
)
"""Members that are trained once, on what is there when a blend begins."""

REFRESHED = Recipe("newest", View.PLAIN, 5, SMALL_SIZE)
"""The member that a cycle trains anew: small, for beside the others it has only news to tell.

In the streams it was chosen on it costs a fifth of a fit of 60 trees of 31 leaves and brings a
blend most of what that would.
"""


class Scorer(Protocol):
    """A trained member."""

    def odds(self, features: FloatArray) -> FloatArray:
        """Log-odds of every class against the first, shape ``(rows, classes − 1)``."""
        ...


class Trainer(Protocol):
    """Trains members."""

    def __call__(
        self,
        features: FloatArray,
        truth: IntArray,
        *,
        classes: int,
        params: Mapping[str, float],
    ) -> Scorer:
        """Train on labelled rows; ``truth`` holds codes 0 … classes − 1."""
        ...
