r"""Decide whether one of two texts is faster, from interleaved blocks that carry their own A/A run.

A block runs the present text twice under two names, *before* and *again*, and the new text,
*after*. Per block, :math:`d = \log t_{after} - \log t_{before}` and
:math:`e = \log t_{again} - \log t_{before}`: *e* is an A/A run under the very same load as *d*.
Because the order within a block is drawn at random, *d* of identical texts is symmetric about 0
whatever the machine does meanwhile, so the signed-rank distribution is exact [1]_.

The estimate is the Hodges–Lehmann median of the Walsh averages :math:`(d_i + d_j) / 2`, which
bears wild values in up to 29 % of the blocks; its interval is cut from the sorted Walsh averages
by the exact distribution of Wilcoxon's statistic [2]_. The noise floor is the larger of a least
gain worth having and the end of the A/A interval that lies farther from 0. *Faster* means that
the whole interval of *d* lies below minus the floor.

References
----------
.. [1] Fisher, The Design of Experiments, 1935, ch. III: randomisation justifies the test.
.. [2] Hollander, Wolfe, Chicken, Nonparametric Statistical Methods, 3rd ed., 2014, sec. 3.1–3.3.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.records import Json


@dataclass(frozen=True, slots=True)
class PairedSettings:
    """How sure a decision has to be.

    Attributes
    ----------
    looks
        Numbers of blocks after which it is decided whether to stop, rising. Each look gets its
        equal share of ``false_alarm``, so that looking more than once costs nothing in honesty.
    false_alarm
        Chance that identical texts are called faster in one comparison, noise floor aside.
    floor_tail
        Chance on each side that the A/A interval misses the true difference.
    least_gain
        Relative gain below which a change is not worth having: 0.01 is 1 %.
    """

    looks: tuple[int, ...] = (12, 24, 48)
    false_alarm: float = 0.001
    floor_tail: float = 0.05
    least_gain: float = 0.01


@dataclass(frozen=True, slots=True)
class SpeedComparison:
    """What came of timing two texts against each other.

    Attributes
    ----------
    ratio
        Time of the new text over that of the present one: 0.5 is twice as fast.
    low, high
        Interval of the ratio.
    noise_floor
        Ratio ≥ 1 that cannot be told from chance here: the interval has to lie below its inverse.
    faster
        Whether it does.
    blocks
        Blocks that were run.
    again_ratio
        Ratio that the A/A run found for the present text against itself.
    clock_ratio
        Ratio of times on the wall clock; ``None`` where only figures were compared.
    before_seconds, after_seconds
        Median time of one pass over the inputs, CPU-seconds.
    reason
        One sentence for people.
    cpu_seconds
        What the comparison itself used.
    """

    ratio: float
    low: float
    high: float
    noise_floor: float
    faster: bool
    blocks: int
    again_ratio: float = 1.0
    clock_ratio: float | None = None
    before_seconds: float = 0.0
    after_seconds: float = 0.0
    reason: str = ""
    cpu_seconds: float = 0.0

    def to_json(self) -> Json:
        """Plain JSON; an interval without an end has ``None`` there."""
        ends = {
            name: value if math.isfinite(value) else None
            for name, value in (("low", self.low), ("high", self.high))
        }
        return {
            "ratio": self.ratio,
            **ends,
            "noise_floor": self.noise_floor,
            "faster": self.faster,
            "blocks": self.blocks,
            "again_ratio": self.again_ratio,
            "clock_ratio": self.clock_ratio,
            "before_seconds": self.before_seconds,
            "after_seconds": self.after_seconds,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """A centre and its interval, on the scale of the differences."""

    centre: float
    low: float
    high: float


@lru_cache(maxsize=64)
def _cumulative(n: int) -> tuple[float, ...]:
    """P(W ≤ k) for k = 0 … n(n+1)/2 under symmetry; W is the sum of the positive ranks."""
    ways = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    reached, sums = 0, []
    for count in ways:
        reached += count
        sums.append(reached / 2**n)
    return tuple(sums)


def signed_rank_interval(differences: Sequence[float], tail: float) -> Estimate:
    """Hodges–Lehmann estimate with the exact interval, missed with chance ``tail`` on each side.

    Too few differences for that tail give an interval without ends.

    Examples
    --------
    >>> signed_rank_interval([-3.0, -1.0, -2.0, -5.0, -4.0], tail=1 / 32)
    Estimate(centre=-3.0, low=-5.0, high=-1.0)
    >>> signed_rank_interval([-3.0, -1.0], tail=0.05)
    Estimate(centre=-2.0, low=-inf, high=inf)
    """
    n = len(differences)
    walsh = sorted((differences[i] + differences[j]) / 2 for i in range(n) for j in range(i, n))
    centre = statistics.median(walsh)
    outside = sum(1 for chance in _cumulative(n) if chance <= tail)
    if not outside:
        return Estimate(centre, -math.inf, math.inf)
    return Estimate(centre, walsh[outside - 1], walsh[len(walsh) - outside])


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a comparison stands after some blocks, on the scale of the differences.

    Attributes
    ----------
    floor
        What cannot be told from chance, ≥ 0.
    better
        The new text is.
    hopeless
        More blocks are not expected to make it so: with the same estimate, and a width that
        shrinks by the square root of their number, the last interval would reach the least gain.
    """

    after: Estimate
    again: Estimate
    floor: float
    better: bool
    hopeless: bool


ONE_SIGMA = 0.1587
"""Chance that a normal variable lies more than a standard deviation above its mean."""


def _expected_high(after: Sequence[float], settings: PairedSettings) -> float:
    """Say where the interval of all blocks would end, if the estimate stayed as it is."""
    middle = signed_rank_interval(after, ONE_SIGMA)
    if not math.isfinite(middle.high):
        return -math.inf
    z = statistics.NormalDist().inv_cdf(1 - settings.false_alarm / len(settings.looks))
    shrunk = math.sqrt(len(after) / settings.looks[-1])
    return middle.centre + z * shrunk * (middle.high - middle.centre)


def judge(
    after: Sequence[float],
    again: Sequence[float],
    settings: PairedSettings,
    *,
    least_gain: float | None = None,
) -> Verdict:
    """Judge the differences of all blocks so far; negative is better.

    Parameters
    ----------
    after, again
        Per block: new less present, and present once more less present.
    least_gain
        On the scale of the differences; by default that of the settings, as a logarithm.
    """
    tail = settings.false_alarm / len(settings.looks)
    gain = -math.log1p(-settings.least_gain) if least_gain is None else least_gain
    new = signed_rank_interval(after, tail)
    noise = signed_rank_interval(again, settings.floor_tail)
    floor = max(gain, abs(noise.low), abs(noise.high))
    return Verdict(
        after=new,
        again=noise,
        floor=floor,
        better=new.high < -floor,
        hopeless=new.low > -gain or _expected_high(after, settings) > -gain,
    )
