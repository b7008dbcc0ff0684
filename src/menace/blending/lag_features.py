"""How a row differs from the ones before it: known when it is served, whatever its label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

MANY_VALUES = 12
"""A column with no more distinct values is a category, whose differences mean nothing."""

SAMPLED_ROWS = 5000
LEAST_CORRELATION = 0.1
SHORTEST_PERIOD = 4
NEAR_THE_BEST = 0.9
"""The shortest period this close to the best one is taken: a week repeats what a day says."""


def dominant_period(series: FloatArray, *, longest: int) -> int | None:
    """Find the period, in rows, with which a series repeats itself.

    Parameters
    ----------
    series
        Shape ``(rows,)``.
    longest
        Longest period looked at, rows.

    Returns
    -------
    int or None
        The shortest peak of the autocorrelation within 10 % of the highest, ``None`` if no peak
        reaches 0.1.

    Examples
    --------
    >>> import numpy as np
    >>> dominant_period(np.tile([0.0, 0, 0, 1, 1, 1], 50), longest=100)
    6
    """
    centred = series - series.mean()
    longest = min(longest, len(centred) - 2)
    power = float(centred @ centred)
    if longest <= SHORTEST_PERIOD or power <= 0:
        return None
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(spectrum * np.conj(spectrum))[: longest + 2] / power
    peaks = [
        lag
        for lag in range(SHORTEST_PERIOD, longest + 1)
        if correlation[lag] > LEAST_CORRELATION
        and correlation[lag] >= correlation[lag - 1]
        and correlation[lag] >= correlation[lag + 1]
    ]
    if not peaks:
        return None
    best = max(correlation[lag] for lag in peaks)
    return next(lag for lag in peaks if correlation[lag] >= NEAR_THE_BEST * best)


class LagFeatures:
    """Each number minus the row before, and minus its mean over the last ``span`` rows.

    Models trained on levels do not survive a trend; models trained on differences do.

    Parameters
    ----------
    history
        Rows in time order, shape ``(rows, columns)``: they say which columns are numbers, and what
        stands in for a missing value.
    span
        Rows of the trailing mean, ≥ 1: a period of the stream, where it has one.

    Examples
    --------
    >>> import numpy as np
    >>> lags = LagFeatures(np.arange(20.0)[:, None], span=2)
    >>> lags.encode(np.array([[5.0], [7.0], [8.0]])).tolist()
    [[0.0, 0.0], [2.0, 2.0], [1.0, 2.0]]
    >>> lags.move_on(np.array([[5.0], [7.0], [8.0]]))
    >>> lags.encode(np.array([[10.0]])).tolist()
    [[2.0, 2.5]]
    """

    def __init__(self, history: FloatArray, *, span: int) -> None:
        sample = history[:SAMPLED_ROWS]
        many = [len(np.unique(column[~np.isnan(column)])) > MANY_VALUES for column in sample.T]
        self._columns = np.flatnonzero(many)
        self._span = span
        numbers = history[:, self._columns]
        known = ~np.isnan(numbers)
        sums = np.where(known, numbers, 0.0).sum(axis=0)
        self._stand_in = sums / np.maximum(known.sum(axis=0), 1)
        self._before = np.empty((0, len(self._columns)))

    @property
    def width(self) -> int:
        """Number of features."""
        return 2 * len(self._columns)

    def encode(self, rows: FloatArray) -> FloatArray:
        """Features of the rows that come next, shape ``(rows, width)``."""
        numbers = self._filled(rows)
        # Nothing comes before the very first row but itself.
        before = self._before if len(self._before) else numbers[:1]
        series = np.vstack([before, numbers])
        start = len(series) - len(numbers)
        sums = np.vstack([np.zeros(series.shape[1]), np.cumsum(series, axis=0)])
        at = np.arange(start, len(series))
        first = np.maximum(0, at - self._span)
        means = (sums[at] - sums[first]) / (at - first)[:, None]
        return np.hstack([numbers - series[at - 1], numbers - means])

    def move_on(self, rows: FloatArray) -> None:
        """Remember the rows: the next ones come after them."""
        before = self._before if len(self._before) else self._filled(rows[:1])
        newest = self._filled(rows[-self._span :])
        self._before = np.vstack([before, newest])[-self._span :]

    def _filled(self, rows: FloatArray) -> FloatArray:
        numbers = rows[:, self._columns]
        return np.where(np.isnan(numbers), self._stand_in, numbers)
