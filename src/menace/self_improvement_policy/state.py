"""The state that the policy decides in: seven small integers, each a bucket of one figure.

A figure ``x`` falls into bucket *number of edges ≤ x*: an edge belongs to the bucket above it, so a
debt of exactly one cycle cost lies in the bucket that starts at 1.0.

================  =======================  ===============================  =======  ==============
component         figure, unit             edges                            buckets  unknown (None)
================  =======================  ===============================  =======  ==============
``debt``          debt / expected cost of  0.25 0.5 0.75 1.0 1.5 2.0 4.0    8        0: no debt
                  a cycle, dimensionless                                             known
``age``           ticks since the          2 4 8 16                         5        4: oldest
                  champion's promotion
``drift``         severity of the worst    0.5 0.9                          3        0: none found
                  drift issue, 0..1
``short_mean``    mean of the last ROI     −0.5 −0.05 0.05 0.5              5        2: around zero
                  deltas, dimensionless
``ema``           EMA of ROI deltas,       −0.5 −0.05 0.05 0.5              5        2: around zero
                  dimensionless
``energy``        energy score, 0..1       1/3 2/3                          3        1: middling
``module_trend``  trend of the modules'    −0.1 0.1                         3        1: flat
                  ROI, dimensionless
================  =======================  ===============================  =======  ==============

8 · 5 · 3 · 5 · 5 · 3 · 3 = 27,000 states. Why these edges: the debt has its finest grain around 1,
where the answer turns; ages double, because what a week more means depends on the weeks before; 0.9
is the severity at which an issue triggers a cycle by itself; an ROI delta within ±0.05 is noise for
any settlement of a few hundred rows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

from menace.errors import DataError

DEBT_EDGES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
AGE_EDGES = (2.0, 4.0, 8.0, 16.0)
DRIFT_EDGES = (0.5, 0.9)
ROI_EDGES = (-0.5, -0.05, 0.05, 0.5)
ENERGY_EDGES = (1 / 3, 2 / 3)
TREND_EDGES = (-0.1, 0.1)


class PolicyState(NamedTuple):
    """Where a bot stands when a decision is due; see the module's table for each bucket's edges."""

    debt: int
    age: int
    drift: int
    short_mean: int
    ema: int
    energy: int
    module_trend: int


BUCKETS = PolicyState(
    debt=len(DEBT_EDGES) + 1,
    age=len(AGE_EDGES) + 1,
    drift=len(DRIFT_EDGES) + 1,
    short_mean=len(ROI_EDGES) + 1,
    ema=len(ROI_EDGES) + 1,
    energy=len(ENERGY_EDGES) + 1,
    module_trend=len(TREND_EDGES) + 1,
)
"""How many buckets each component has; a valid component lies in ``0 .. buckets − 1``."""

STATE_COUNT = math.prod(BUCKETS)
"""How many states there are: 27,000, and never more than 50,000."""


def state_of(
    *,
    debt_ratio: float | None,
    age_ticks: float | None,
    drift_severity: float | None,
    short_mean: float | None,
    ema: float | None,
    energy_score: float | None,
    module_trend: float | None,
) -> PolicyState:
    """Sort seven figures into their buckets.

    Parameters
    ----------
    debt_ratio
        Debt in units of the expected cycle cost; may be negative (better than a fresh model was
        expected to be) or infinite (a cycle costs nothing).
    age_ticks
        Ticks since the champion's promotion, ≥ 0.
    drift_severity
        Severity of the worst drift issue, 0..1.
    short_mean, ema
        Short-term mean and EMA of the bot's ROI deltas, dimensionless.
    energy_score
        How much the capital position allows, 0..1.
    module_trend
        Trend of the modules' ROI, dimensionless.

    Returns
    -------
    PolicyState
        ``None`` for a figure means unknown; the module's table says which bucket that is.

    Raises
    ------
    DataError
        If a figure is NaN or outside its range; the message names it.

    Examples
    --------
    >>> state_of(debt_ratio=1.0, age_ticks=3, drift_severity=0.0, short_mean=None, ema=0.2,
    ...          energy_score=1.0, module_trend=0.0)
    PolicyState(debt=4, age=1, drift=0, short_mean=2, ema=3, energy=2, module_trend=1)
    """
    return PolicyState(
        debt=_bucket("debt_ratio", debt_ratio, DEBT_EDGES, unknown=0),
        age=_bucket("age_ticks", age_ticks, AGE_EDGES, unknown=len(AGE_EDGES), low=0.0),
        drift=_bucket("drift_severity", drift_severity, DRIFT_EDGES, unknown=0, low=0.0, high=1.0),
        short_mean=_bucket("short_mean", short_mean, ROI_EDGES, unknown=2),
        ema=_bucket("ema", ema, ROI_EDGES, unknown=2),
        energy=_bucket("energy_score", energy_score, ENERGY_EDGES, unknown=1, low=0.0, high=1.0),
        module_trend=_bucket("module_trend", module_trend, TREND_EDGES, unknown=1),
    )


def debt_centre(bucket: int) -> float:
    """Typical debt ratio of a debt bucket: the middle of its edges.

    The two open buckets have no middle: the lowest counts as reaching down to 0, where every debt
    starts; the highest counts as its edge. A bucket beyond either end counts as that end.

    Examples
    --------
    >>> [debt_centre(bucket) for bucket in range(8)]
    [0.125, 0.375, 0.625, 0.875, 1.25, 1.75, 3.0, 4.0]
    """
    if bucket >= len(DEBT_EDGES):
        return DEBT_EDGES[-1]
    upper = DEBT_EDGES[max(bucket, 0)]
    lower = DEBT_EDGES[bucket - 1] if bucket > 0 else 0.0
    return (lower + upper) / 2


def _bucket(
    name: str,
    figure: float | None,
    edges: tuple[float, ...],
    *,
    unknown: int,
    low: float = -math.inf,
    high: float = math.inf,
) -> int:
    if figure is None:
        return unknown
    # NaN compares false with everything, so it fails this test as well.
    if not low <= figure <= high:
        raise DataError(
            f"{name} is {figure}, outside {low} .. {high}.",
            remedy="give a number in that range, or None if it is not known",
        )
    return bisect_right(edges, figure)
