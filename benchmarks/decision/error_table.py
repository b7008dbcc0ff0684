"""The table that everything is computed from: which rows each model would have got wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.decision.stream import WINDOW_BATCHES
from menace.sandbox_runner import LossTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_MODEL = WINDOW_BATCHES - 1
CALIBRATION_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """Errors of every model on every later batch.

    Model *i* is trained at the end of batch *i*, on the window that ends with it, and can serve
    from batch *i* + 1.

    Attributes
    ----------
    name
        The stream's.
    errors
        ``errors[i, t]``: share of wrong labels, 0..1, of model *i* on batch *t*; NaN unless
        ``FIRST_MODEL ≤ i < t``. Shape ``(batches, batches)``.
    wrong
        ``wrong[i]``: one bit per row, eight to a byte, 1 where model *i* is wrong.
    batch_rows
        Rows per batch.
    first
        The first batch that is scored; model ``first − 1`` serves it.
    """

    name: str
    errors: NDArray[np.float64]
    wrong: NDArray[np.uint8]
    batch_rows: int
    first: int

    @classmethod
    def of_wrong(cls, name: str, wrong: NDArray[np.uint8], batches: int, rows: int) -> ErrorTable:
        """Make the table from the packed rows."""
        share = np.full((batches, batches), np.nan)
        for model in range(FIRST_MODEL, batches - 1):
            bits = np.unpackbits(wrong[model], count=batches * rows).reshape(batches, rows)
            share[model, model + 1 :] = bits[model + 1 :].mean(axis=1)
        return cls(name, share, wrong, rows, first_scored(batches))

    @property
    def batches(self) -> int:
        """Number of batches."""
        return len(self.errors)

    def wrong_rows(self, model: int, batch: int) -> NDArray[np.bool_]:
        """Which rows of a batch a model got wrong, in order, shape ``(batch_rows,)``."""
        start = batch * self.batch_rows
        low, high = start // 8, -(-(start + self.batch_rows) // 8)
        bits = np.unpackbits(self.wrong[model, low:high])
        return bits[start - 8 * low :][: self.batch_rows].astype(np.bool_)

    def calibration(self) -> ErrorTable:
        """Cut out the part before scoring starts: a table of its own, scored from its start."""
        end = self.first
        return ErrorTable(
            self.name,
            self.errors[:end, :end].copy(),
            self.wrong[:end],
            self.batch_rows,
            first=WINDOW_BATCHES,
        )

    def losses(self, cost: float) -> LossTable:
        """Make the loss table: units are one whole batch wrong, a cycle costs ``cost`` of them."""
        return LossTable.of_losses(np.nan_to_num(self.errors), cycle_usd=cost, first=self.first)


def first_scored(batches: int) -> int:
    """Batch with which scoring starts: 40 % of those that a model can serve come before it."""
    return WINDOW_BATCHES + int((batches - WINDOW_BATCHES) * CALIBRATION_SHARE)
