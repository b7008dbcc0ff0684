"""Return on investment of cycles: one delta, a bot's history of deltas, and their trend.

A delta says what a cycle brought per USD that was spent::

    delta = (gain − cycle cost) / (serving cost + cycle cost)

0 is break-even and, by definition, what a skip earns; a rejected challenger has a gain of 0.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import fmean
from typing import TYPE_CHECKING, Self

from menace.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from menace.records import Json


def roi_delta(gain_usd: float, cycle_cost_usd: float, serving_cost_usd: float) -> float:
    """ROI delta of a settled cycle, dimensionless.

    Parameters
    ----------
    gain_usd
        Earned above what the replaced champion would have earned on the same rows, USD.
    cycle_cost_usd
        CPU-seconds × price + promotion, USD, ≥ 0.
    serving_cost_usd
        Cost of serving the settlement rows, USD, ≥ 0.

    Returns
    -------
    float
        0.0 where nothing was spent: without an investment there is no return on it.

    Raises
    ------
    DataError
        If a figure is not finite or a cost is negative.

    Examples
    --------
    >>> roi_delta(gain_usd=3.0, cycle_cost_usd=1.0, serving_cost_usd=1.0)
    1.0
    >>> roi_delta(gain_usd=0.0, cycle_cost_usd=1.0, serving_cost_usd=3.0)
    -0.25
    """
    _check_finite("gain_usd", gain_usd)
    for name, cost in (("cycle_cost_usd", cycle_cost_usd), ("serving_cost_usd", serving_cost_usd)):
        _check_finite(name, cost)
        if cost < 0:
            raise DataError(f"{name} is {cost}.", remedy="give a cost of 0 USD or more")
    spent_usd = serving_cost_usd + cycle_cost_usd
    return 0.0 if spent_usd == 0 else (gain_usd - cycle_cost_usd) / spent_usd


def roi_trend(points: Iterable[float]) -> float:
    """(mean of the later half − mean of the earlier half) / |mean of the earlier half|.

    Parameters
    ----------
    points
        ROI figures, oldest first. Of an odd count the middle one belongs to the later half: news
        weighs more.

    Returns
    -------
    float
        0.0 with fewer than two points. Where the earlier mean is 0, a ratio to it has no value, and
        the sign of the change is returned: 1.0, −1.0, or 0.0 if the later mean is 0 as well. A mean
        counts as 0 when it is below 10⁻¹² of the largest point, which is what rounding leaves of
        one.

    Raises
    ------
    DataError
        If a point is not finite.

    Examples
    --------
    >>> roi_trend([1.0, 1.0, 2.0, 1.0])
    0.5
    >>> roi_trend([-2.0, -1.0])
    0.5
    >>> roi_trend([0.3, -0.1, -0.2, 0.0, 0.0, 0.1])
    1.0
    """
    figures = [_check_finite("a point", point) for point in points]
    if len(figures) < 2:
        return 0.0
    middle = len(figures) // 2
    largest = max(abs(point) for point in figures)
    if largest == 0:
        return 0.0
    # In units of the largest point, so that neither a sum nor a ratio of extremes overflows.
    earlier = fmean(point / largest for point in figures[:middle])
    later = fmean(point / largest for point in figures[middle:])
    change = later - earlier
    if abs(earlier) > 1e-12:
        return change / abs(earlier)
    return 0.0 if abs(change) <= 1e-12 else math.copysign(1.0, change)


class RoiTracker:
    """A bot's history of ROI deltas: the newest ones and their exponential moving average.

    ``ema ← (1 − α) · ema + α · delta``; the first delta starts it. A mean of exactly 0 is a value,
    not "unset"; unset is ``None``.

    Parameters
    ----------
    alpha
        Weight α of a new delta, in (0, 1].
    keep
        So many newest deltas are kept, ≥ 1.
    deltas, ema
        A history to go on with, as :attr:`deltas` and :attr:`ema` gave it.

    Raises
    ------
    ConfigError
        If ``alpha`` or ``keep`` is outside its range.
    DataError
        If a delta or the average is not finite.

    Examples
    --------
    >>> tracker = RoiTracker(alpha=0.5)
    >>> [tracker.add(delta) for delta in (0.0, 1.0, 1.0)]
    [0.0, 0.5, 0.75]
    >>> tracker.short_term_mean(window=2)
    1.0
    """

    def __init__(
        self,
        alpha: float = 0.1,
        keep: int = 1000,
        *,
        deltas: Iterable[float] = (),
        ema: float | None = None,
    ) -> None:
        if not 0 < alpha <= 1:
            raise ConfigError(f"the ROI average's alpha is {alpha}.", remedy="give one in (0, 1]")
        if keep < 1:
            raise ConfigError(f"the ROI history keeps {keep}.", remedy="keep at least 1 delta")
        self.alpha = float(alpha)
        self.keep = int(keep)
        self._deltas: deque[float] = deque(
            (_check_finite("an ROI delta", delta) for delta in deltas), maxlen=self.keep
        )
        self._ema = None if ema is None else _check_finite("the ROI average", ema)

    @property
    def deltas(self) -> tuple[float, ...]:
        """The newest ``keep`` deltas, oldest first."""
        return tuple(self._deltas)

    @property
    def ema(self) -> float | None:
        """Exponential moving average of all deltas; ``None`` before the first."""
        return self._ema

    def add(self, delta: float) -> float:
        """Append a delta; returns the new average.

        Raises
        ------
        DataError
            If the delta is not finite.
        """
        delta = _check_finite("the ROI delta", delta)
        self._ema = (
            delta if self._ema is None else (1 - self.alpha) * self._ema + self.alpha * delta
        )
        self._deltas.append(delta)
        return self._ema

    def short_term_mean(self, window: int = 5) -> float | None:
        """Mean of the newest ``window`` deltas, or of as many as there are; ``None`` if none.

        Raises
        ------
        DataError
            If ``window`` is below 1.
        """
        if window < 1:
            raise DataError(f"the window is {window} deltas.", remedy="give 1 or more")
        newest = list(self._deltas)[-window:]
        return fmean(newest) if newest else None

    def to_json(self) -> Json:
        """Give the history as ``{"roi_deltas": […], "roi_delta_ema": …}``."""
        return {"roi_deltas": list(self._deltas), "roi_delta_ema": self._ema}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, alpha: float = 0.1, keep: int = 1000) -> Self:
        """Restore what :meth:`to_json` gave; of more than ``keep`` deltas the newest are kept.

        Raises
        ------
        DataError
            If a field is missing or not what it must be.
        ConfigError
            If a parameter is outside its range.
        """
        try:
            deltas, ema = list(data["roi_deltas"]), data["roi_delta_ema"]
        except (KeyError, TypeError) as error:
            raise DataError(
                f"the ROI history lacks {error}.",
                remedy="give a document with roi_deltas and roi_delta_ema",
            ) from error
        return cls(alpha, keep, deltas=deltas, ema=ema)


def _check_finite(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{name} is {value!r}.", remedy="give a finite number")
    return float(value)
