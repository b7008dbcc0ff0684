"""How findings become severities."""

from __future__ import annotations

LARGEST_Z = 1000.0
"""A z-score is held here: beyond, and where there is no spread at all, more says nothing."""

SEVERE_Z = 5.0


def score(size: float, at_nine_tenths: float) -> float:
    """``1 − 10^(−size / at_nine_tenths)``: grows from 0 towards 1, and is 0.9 where they are equal.

    Examples
    --------
    >>> score(0.0, 5.0), round(score(5.0, 5.0), 12), round(score(10.0, 5.0), 12)
    (0.0, 0.9, 0.99)
    """
    return float(1.0 - 10.0 ** (-max(size, 0.0) / at_nine_tenths))


def severity_of(size: float, severe_size: float, z: float) -> float:
    """``min(score(size, severe_size), score(z, 5))``: neither a large fluke nor a sure trifle."""
    return min(score(size, severe_size), score(z, SEVERE_Z))
