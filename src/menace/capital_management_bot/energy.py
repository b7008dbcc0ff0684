r"""How much energy the capital allows: a formula over seven figures, each in 0..1.

::

    score   = runway × (0.25 trend + 0.15 steadiness + 0.20 success + 0.20 deploy_eff
                        + 0.10 (1 − failure) + 0.10 (1 − load))
    runway  = 1 − exp(−runway_days / scale),  runway_days = capital / mean daily spending
    trend   = (1 + profit trend) / 2
    steadiness = capital / (capital + volatility)

The runway is a factor, not a term: without money nothing else counts. Spending is counted gross,
as if no gain came in any more, since gains are estimates and costs are not.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from menace.errors import CapitalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.records import Json

RUNWAY_SCALE_DAYS = 10.0
"""A capital that lasts so many days gives 63 % of the runway factor, thrice as many 95 %."""

WEIGHTS = {
    "trend": 0.25,
    "steadiness": 0.15,
    "success": 0.20,
    "deploy_eff": 0.20,
    "reliability": 0.10,
    "idleness": 0.10,
}
"""They add up to 1. With no cycle settled and a flat trend they come to 0.475."""


@dataclass(frozen=True, slots=True)
class CapitalPosition:
    """How the capital stands.

    Attributes
    ----------
    capital_usd
        Cash and what is set aside for bots, USD.
    spending_usd_per_day
        Mean over the window, gross, USD, ≥ 0.
    profit_trend
        −1..1; see :func:`profit_trend`.
    volatility_usd
        What profits swing by over a window: standard deviation of a day's profit × √days, USD.
    days
        Days of the window that the books know.
    """

    capital_usd: float
    spending_usd_per_day: float
    profit_trend: float
    volatility_usd: float
    days: int

    @property
    def runway_days(self) -> float:
        """Days that the capital lasts at the recent pace of spending; infinite where none is."""
        if self.capital_usd <= 0:
            return 0.0
        if self.spending_usd_per_day == 0:
            return math.inf
        return self.capital_usd / self.spending_usd_per_day


@dataclass(frozen=True, slots=True)
class EnergyScore:
    """A score and what it is made of, each in 0..1; the factors by their names in the formula."""

    score: float
    runway: float
    trend: float
    steadiness: float
    success: float
    deploy_eff: float
    reliability: float
    idleness: float

    def to_json(self) -> Json:
        """All by name."""
        return asdict(self)


def position_of(
    capital_usd: float, spending_usd: Sequence[float], profits_usd: Sequence[float]
) -> CapitalPosition:
    """Sum up the days of a window, oldest first.

    Examples
    --------
    >>> position = position_of(100.0, [1.0, 3.0], [1.0, 3.0])
    >>> position.runway_days, position.profit_trend, round(position.volatility_usd, 9)
    (50.0, 0.5, 2.0)
    """
    days = len(profits_usd)
    return CapitalPosition(
        capital_usd=capital_usd,
        spending_usd_per_day=fmean(spending_usd) if days else 0.0,
        profit_trend=profit_trend(profits_usd),
        volatility_usd=stdev(profits_usd) * math.sqrt(days) if days > 1 else 0.0,
        days=days,
    )


def profit_trend(profits_usd: Sequence[float]) -> float:
    """(mean of the later half − mean of the earlier half) / (|the one| + |the other|), −1..1.

    Parameters
    ----------
    profits_usd
        Profit of each day, oldest first, USD. Of an odd count the middle day belongs to the later
        half.

    Returns
    -------
    float
        0.0 with fewer than two days, or without any profit. ±1 where the halves differ in sign.

    Examples
    --------
    >>> profit_trend([1.0, 1.0, 3.0, 3.0]), profit_trend([2.0, -1.0]), profit_trend([5.0])
    (0.5, -1.0, 0.0)
    """
    if len(profits_usd) < 2:
        return 0.0
    middle = len(profits_usd) // 2
    earlier, later = fmean(profits_usd[:middle]), fmean(profits_usd[middle:])
    size = abs(earlier) + abs(later)
    return 0.0 if size == 0 else max(-1.0, min(1.0, (later - earlier) / size))


def energy_score(
    position: CapitalPosition,
    *,
    load: float,
    success_rate: float,
    deploy_eff: float,
    failure_rate: float,
    runway_scale_days: float = RUNWAY_SCALE_DAYS,
) -> EnergyScore:
    """Compute the score: never falls with capital, trend, success_rate and deploy_eff.

    It never rises with spending, volatility, load and failure_rate.

    Parameters
    ----------
    load
        Share of the workers that are busy, 0..1.
    success_rate, failure_rate
        Shares of the recent cycles that ended promoted, and failed, 0..1.
    deploy_eff
        Share of the recent cycles that earned more than they cost, 0..1.
    runway_scale_days
        Days of capital that give 63 % of the runway factor, > 0.

    Raises
    ------
    CapitalError
        If a ratio is not a number in 0..1.

    Examples
    --------
    >>> rich = CapitalPosition(1000.0, 1.0, profit_trend=0.2, volatility_usd=10.0, days=30)
    >>> rates = {"load": 0.0, "success_rate": 0.8, "deploy_eff": 0.8, "failure_rate": 0.0}
    >>> round(energy_score(rich, **rates).score, 3)
    0.819
    """
    rates = {
        "load": load,
        "success_rate": success_rate,
        "deploy_eff": deploy_eff,
        "failure_rate": failure_rate,
    }
    for name, value in rates.items():
        _check_ratio(name, value)
    capital_usd = max(0.0, position.capital_usd)
    swing_usd = capital_usd + position.volatility_usd
    terms = {
        "trend": (1 + position.profit_trend) / 2,
        "steadiness": capital_usd / swing_usd if swing_usd > 0 else 0.0,
        "success": float(success_rate),
        "deploy_eff": float(deploy_eff),
        "reliability": 1.0 - failure_rate,
        "idleness": 1.0 - load,
    }
    runway = -math.expm1(-position.runway_days / runway_scale_days)
    weighted = math.fsum(weight * terms[name] for name, weight in WEIGHTS.items())
    return EnergyScore(score=min(1.0, runway * weighted), runway=runway, **terms)


def _check_ratio(name: str, value: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 <= value <= 1):
        raise CapitalError(f"{name} is {value!r}.", remedy="give a share, a number in 0..1")
