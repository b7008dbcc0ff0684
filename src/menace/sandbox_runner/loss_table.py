"""The model × tick table that every comparison of schedules is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from menace.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LossTable:
    """What every model would have lost on every tick, and what every cycle would have cost.

    Model *i* is the one that a cycle at the end of tick *i* makes; it can serve from tick *i* + 1.

    Attributes
    ----------
    loss_usd
        ``loss_usd[i, t]``: loss of model *i* on tick *t*, USD, shape ``(ticks, ticks)``; only the
        part with ``t > i`` is used.
    cycle_usd
        ``cycle_usd[t]``: cost of a cycle at the end of tick *t*, USD, shape ``(ticks,)``.
    promotion_usd
        What is added to it where the gate accepts the challenger, USD, ≥ 0.
    accepted
        ``accepted[i, t]``: whether the gate lets the challenger of tick *t* replace champion *i*,
        shape ``(ticks, ticks)``.
    first
        The first tick that counts; model ``first − 1`` serves it, at no cost.
    """

    loss_usd: NDArray[np.float64]
    cycle_usd: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    first: int = 1
    promotion_usd: float = 0.0

    def __post_init__(self) -> None:
        """Check the shapes."""
        ticks = len(self.cycle_usd)
        if self.loss_usd.shape != (ticks, ticks) or self.accepted.shape != (ticks, ticks):
            raise DataError(
                f"a loss table of {ticks} ticks needs {ticks} × {ticks} losses and verdicts, "
                f"not {self.loss_usd.shape} and {self.accepted.shape}.",
                remedy="give square arrays with one row per model and one column per tick",
            )
        if not 1 <= self.first < ticks:
            raise DataError(
                f"the first tick that counts is {self.first} of {ticks}.",
                remedy="give one from 1 to the number of ticks − 1",
            )

    @property
    def ticks(self) -> int:
        """Number of ticks."""
        return len(self.cycle_usd)

    @classmethod
    def of_losses(
        cls, loss_usd: NDArray[np.float64], *, cycle_usd: float, first: int = 1
    ) -> LossTable:
        """Make a table in which every cycle costs the same and every challenger is accepted."""
        ticks = len(loss_usd)
        return cls(
            loss_usd, np.full(ticks, cycle_usd), np.ones((ticks, ticks), dtype=np.bool_), first
        )
