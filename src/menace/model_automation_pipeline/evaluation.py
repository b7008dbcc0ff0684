"""Scores predictions row by row and compares two models on the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from menace.errors import DataError
from menace.records import Metric

if TYPE_CHECKING:
    import numpy.typing as npt

    from menace.records import Json

    FloatArray = npt.NDArray[np.float64]

PROBABILITY_FLOOR = 1e-6
"""Probabilities are clipped to [1e-6, 1]: one row costs at most 13.8 units of log loss."""

Z_LIMIT = 1e6
"""Bound of the reported z: two models whose gain is the same in every row have no spread."""


def row_losses(metric: Metric, truth: FloatArray, raw: FloatArray) -> FloatArray:
    """Score each row.

    Parameters
    ----------
    metric
        ``error_rate``: 1 where the most probable class is not the true one, else 0.
        ``log_loss``: −ln of the true class's probability, clipped at ``PROBABILITY_FLOOR``.
        ``absolute_error`` and ``squared_error``: in units of the target, and their square.
    truth
        Shape (rows,): codes of the true classes, −1 for one that the model does not know, or
        numbers.
    raw
        What the model says: class probabilities of shape (rows, classes), or numbers of shape
        (rows,).

    Returns
    -------
    ndarray, shape (rows,)
        Losses ≥ 0. They are not finite where a prediction is not.

    Examples
    --------
    >>> truth, raw = np.array([0.0, 1.0]), np.array([[0.9, 0.1], [0.8, 0.2]])
    >>> row_losses(Metric.ERROR_RATE, truth, raw).tolist()
    [0.0, 1.0]
    """
    if metric is Metric.ABSOLUTE_ERROR:
        return np.asarray(np.abs(raw - truth))
    if metric is Metric.SQUARED_ERROR:
        return np.asarray(np.square(raw - truth))
    codes = truth.astype(np.intp)
    if metric is Metric.ERROR_RATE:
        wrong = (raw.argmax(axis=1) != codes).astype(np.float64)
        return np.where(np.isfinite(raw).all(axis=1), wrong, np.nan)
    known = raw[np.arange(len(codes)), np.maximum(codes, 0)]
    probability = np.where(codes >= 0, known, 0.0)
    return np.asarray(-np.log(np.clip(probability, PROBABILITY_FLOOR, 1.0)))


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """What a challenger gains over a champion, row by row on the same rows.

    With ``d_i = champion's loss − challenger's loss`` in row i, the mean gain is ``mean(d)`` and
    its standard error ``std(d, ddof=1) / √rows``. Rows are taken as independent; in a stream
    neighbouring rows are often alike, so that the true error is rather larger.

    Attributes
    ----------
    rows
        Rows compared, ≥ 2.
    champion_loss, challenger_loss
        Mean losses, in units of the metric.
    mean_gain
        Units of loss per row; positive where the challenger is better.
    standard_error
        Of ``mean_gain``, ≥ 0.
    z
        ``mean_gain / standard_error``, bounded to ±1e6.
    p
        One-sided probability of such a gain or a larger one if there were none, 0..1 (normal).
    finite
        False if one of the challenger's losses is not finite; the figures are then meaningless.
    """

    rows: int
    champion_loss: float
    challenger_loss: float
    mean_gain: float
    standard_error: float
    z: float
    p: float
    finite: bool = True

    def to_json(self) -> Json:
        """Plain JSON; a figure that is not finite is ``null``."""
        figures: Json = {"rows": self.rows, "finite": self.finite}
        for name in ("champion_loss", "challenger_loss", "mean_gain", "standard_error", "z", "p"):
            value = getattr(self, name)
            figures[name] = value if math.isfinite(value) else None
        return figures


def compare(champion: FloatArray, challenger: FloatArray) -> PairedComparison:
    """Compare per-row losses of two models on the same rows.

    Examples
    --------
    >>> compared = compare(np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0, 0.0]))
    >>> compared.mean_gain, round(compared.standard_error, 4), round(compared.p, 4)
    (0.5, 0.2887, 0.0416)

    Raises
    ------
    DataError
        If there are fewer than two rows, or not as many of one as of the other.
    """
    if champion.shape != challenger.shape or champion.ndim != 1 or len(champion) < 2:
        raise DataError(
            f"cannot pair losses of shapes {champion.shape} and {challenger.shape}.",
            remedy="score both models on the same two or more rows",
        )
    rows = len(champion)
    finite = bool(np.isfinite(challenger).all())
    # A champion that predicts nonsense is worse than anything that does not.
    difference = np.where(np.isfinite(champion), champion, np.finfo(np.float32).max) - challenger
    mean_gain = float(difference.mean())
    standard_error = float(difference.std(ddof=1)) / math.sqrt(rows) if finite else math.nan
    z = _z(mean_gain, standard_error) if finite else math.nan
    return PairedComparison(
        rows=rows,
        champion_loss=float(champion.mean()),
        challenger_loss=float(challenger.mean()),
        mean_gain=mean_gain,
        standard_error=standard_error,
        z=z,
        p=0.5 * math.erfc(z / math.sqrt(2.0)),
        finite=finite,
    )


def _z(mean_gain: float, standard_error: float) -> float:
    if mean_gain == 0.0:
        return 0.0
    if standard_error == 0.0:
        return math.copysign(Z_LIMIT, mean_gain)
    return min(max(mean_gain / standard_error, -Z_LIMIT), Z_LIMIT)
