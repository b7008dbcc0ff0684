"""Keep a few extremes from deciding over a mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WINSORIZED_SHARE = 0.05
"""Share on either side: a twentieth of the points may be anything without moving a mean far."""


def winsorized(points: Iterable[float], share: float = WINSORIZED_SHARE) -> list[float]:
    """Hold the largest and the smallest points at the next ones, in the given order.

    Of n points the ``floor(share · n)`` largest become equal to the largest of the rest, and the
    smallest likewise (Dixon, "Simplified estimation from censored normal samples", Ann. Math.
    Statist. 31, 1960). A median would resist more, and miss what matters here: returns in which a
    few large gains pay for many small costs. With fewer than ``1 / share`` points nothing changes.

    Parameters
    ----------
    share
        0 .. 0.5, without the end.

    Examples
    --------
    >>> winsorized([1.0, 2.0, 900.0, 3.0, 4.0], share=0.2)
    [2.0, 2.0, 4.0, 3.0, 4.0]
    >>> winsorized([1.0, 900.0])
    [1.0, 900.0]
    """
    figures = list(points)
    ordered = sorted(figures)
    held = int(share * len(figures))
    if held == 0:
        return figures
    lowest, highest = ordered[held], ordered[-1 - held]
    return [min(max(figure, lowest), highest) for figure in figures]
