"""How often each class came lately, by the value of each column: features that follow the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.intp]

BINS = 16
PRIOR_ROWS = 10.0
NEWEST_ROWS = 50
MOST_CLASSES = 4
"""Rates of so many classes at most are kept, the most frequent ones."""


class RecentRates:
    r"""Target statistics with forgetting.

    For a column's bin *b* and a class *c* the feature is

    .. math:: \frac{s_{b,c} + m\,\bar p_c}{n_b + m}

    with counts that lose half their weight every ``half_life`` batches, the stream's recent rate
    :math:`\bar p_c` and m = 10. A model that was trained on such features follows a drift in its
    inputs' meaning without being trained again: only counts move. Features of a batch rest on the
    labels of earlier batches alone.

    Parameters
    ----------
    history
        Rows in time order, shape ``(rows, columns)``: they say where bins begin.
    truth
        Their class codes, shape ``(rows,)``.
    classes
        Number of classes, ≥ 2.
    half_life
        Batches, > 0.

    References
    ----------
    .. [1] Micci-Barreca, D. (2001). A preprocessing scheme for high-cardinality categorical
       attributes. SIGKDD Explorations 3(1).

    Examples
    --------
    >>> import numpy as np
    >>> rows, truth = np.array([[0.0], [1.0]] * 20), np.array([0, 1] * 20)
    >>> rates = RecentRates(rows, truth, classes=2, half_life=4.0)
    >>> rates.learn(rows, truth)
    >>> rates.encode(np.array([[0.0], [1.0]])).round(2)[:, 2].tolist()
    [0.17, 0.83]
    """

    def __init__(
        self, history: FloatArray, truth: IntArray, *, classes: int, half_life: float = 4.0
    ) -> None:
        self._edges = [_edges(column) for column in history.T]
        sizes = [len(edges) + 2 for edges in self._edges]
        self._offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._keep = 0.5 ** (1.0 / half_life)
        counts = np.bincount(truth, minlength=classes)
        others = 1 + np.argsort(-counts[1:], kind="stable")
        self._classes = np.sort(others[: MOST_CLASSES - 1])
        self._rows = np.zeros(sum(sizes))
        self._hits = np.zeros((sum(sizes), len(self._classes)))
        self._total = 0.0
        self._total_hits = np.zeros(len(self._classes))
        self._newest = np.full(len(self._classes), np.nan)

    @property
    def width(self) -> int:
        """Number of features."""
        return (len(self._edges) + 2) * len(self._classes)

    def encode(self, rows: FloatArray) -> FloatArray:
        """Features of rows that come next, shape ``(rows, width)``."""
        return self.features(self.codes(rows))

    def features(self, codes: IntArray) -> FloatArray:
        """Features of rows whose :meth:`codes` are known, shape ``(rows, width)``."""
        base = (self._total_hits + 0.5) / (self._total + 1.0)
        smooth = (self._hits + PRIOR_ROWS * base) / (self._rows + PRIOR_ROWS)[:, None]
        by_column = smooth[codes].reshape(len(codes), -1)
        newest = np.where(np.isnan(self._newest), base, self._newest)
        alike = np.broadcast_to(np.concatenate([base, newest]), (len(codes), 2 * len(base)))
        return np.hstack([alike, by_column])

    def learn(self, rows: FloatArray, truth: IntArray) -> None:
        """Take in one batch of labelled rows."""
        self.count(self.codes(rows), truth)

    def count(self, codes: IntArray, truth: IntArray) -> None:
        """Take in one batch whose :meth:`codes` are known."""
        hit = truth[:, None] == self._classes
        flat, size = codes.ravel(), len(self._rows)
        self._rows *= self._keep
        self._rows += np.bincount(flat, minlength=size)
        self._hits *= self._keep
        for place, mine in enumerate(hit.T):
            self._hits[:, place] += np.bincount(codes[mine].ravel(), minlength=size)
        self._total = self._keep * self._total + len(codes)
        self._total_hits = self._keep * self._total_hits + hit.sum(axis=0)
        self._newest = hit[-NEWEST_ROWS:].mean(axis=0)

    def codes(self, rows: FloatArray) -> IntArray:
        """Bin of every value, shape ``(rows, columns)``; missing values have a bin of their own."""
        codes = np.empty(rows.shape, dtype=np.intp)
        for place, edges in enumerate(self._edges):
            column = rows[:, place]
            found = np.searchsorted(edges, column)
            codes[:, place] = np.where(np.isnan(column), len(edges) + 1, found)
        codes += self._offsets
        return codes


def _edges(column: FloatArray) -> FloatArray:
    values = np.unique(column[~np.isnan(column)])
    if len(values) <= 2 * BINS:
        return (values[1:] + values[:-1]) / 2
    return np.unique(np.quantile(column[~np.isnan(column)], np.linspace(0, 1, BINS + 1)[1:-1]))
