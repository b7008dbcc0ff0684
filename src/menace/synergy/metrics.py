"""How a bot's parts work together: four figures per settled cycle, and how they change.

::

    synergy_roi           = ROI delta − Σ over the changed modules of their expected deltas
    synergy_efficiency    = clip((gain per CPU-second − its EMA) / |its EMA|, −1, 5)
    synergy_resilience    = share − EMA of the shares,
                            share = clip((L_peak − L_settled) / (L_peak − L_before), 0, 1)
    synergy_antifragility = slope − EMA of the slopes, slope: Theil–Sen of ROI delta over stress,
                            stress = drift severity × volatility of the loss

All are dimensionless. Every EMA is that of the cycles before, ``ema ← (1 − α)·ema + α·x`` with
α = 0.1; a figure whose EMA has not begun deviates by 0 and begins it. What a cycle says nothing
about is ``None``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Self

from menace.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from menace.records import Json

METRICS = ("synergy_roi", "synergy_efficiency", "synergy_resilience", "synergy_antifragility")
"""Names of the four metrics, in the order of every vector of them."""

EMA_ALPHA = 0.1
LARGEST_EFFICIENCY = 5.0
SMALLEST_CPU_SECONDS = 1e-6
"""A cycle that used less says nothing about what a CPU-second brings."""
STRESS_CYCLES = 20
"""Cycles over which the slope of ROI delta over stress is taken."""
FEWEST_STRESSES = 3
"""Different stresses that it takes to say anything about a slope."""
KEPT_CYCLES = 100
KEPT_MODULES = 1000
ROLLING_CYCLES = 3

Measured = dict[str, float | None]
"""The four metrics of a cycle by name; ``None`` where it says nothing about one."""


@dataclass(frozen=True, slots=True)
class Shock:
    """What a bot suffered when a cycle was decided.

    Attributes
    ----------
    drift_severity
        Of the severest drift issue, 0..1; 0 without one.
    loss_before, loss_peak
        Mean loss before the drift and since, in units of loss; ``None`` without a drift issue.
    loss_volatility
        Standard deviation of the champion's mean loss per tick over their mean, ≥ 0,
        dimensionless; 0 where fewer than two ticks are known.
    """

    drift_severity: float = 0.0
    loss_before: float | None = None
    loss_peak: float | None = None
    loss_volatility: float = 0.0

    @property
    def stress(self) -> float:
        """``drift severity × volatility``, ≥ 0, dimensionless, to a millionth."""
        # Nothing finer is meant by it, and a slope over less has no bound.
        return round(self.drift_severity * self.loss_volatility, 6)

    def to_json(self) -> Json:
        """All figures, by name."""
        return {
            "drift_severity": self.drift_severity,
            "loss_before": self.loss_before,
            "loss_peak": self.loss_peak,
            "loss_volatility": self.loss_volatility,
        }


@dataclass(frozen=True, slots=True)
class SettledCycle:
    """What the metrics need to know of a settled cycle.

    Attributes
    ----------
    entry_id
        Number of its ledger entry; later cycles have greater ones.
    roi_delta
        Dimensionless; whoever bounds it for a policy bounds it here too.
    gain_usd
        Earned above the replaced champion, USD.
    cpu_seconds
        Used by the cycle, ≥ 0.
    shares
        Module that it changed → that module's share of the ROI delta, dimensionless.
    shock
        What the bot suffered when it was decided.
    loss_settled
        Mean loss of the model that the cycle made over its settlement rows, in units of loss;
        ``None`` if it made none that served.
    """

    entry_id: int
    roi_delta: float
    gain_usd: float = 0.0
    cpu_seconds: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    shock: Shock = Shock()
    loss_settled: float | None = None


def won_back(before: float, peak: float, settled: float | None) -> float | None:
    """Share of a lost quality that came back: ``(peak − settled) / (peak − before)`` in 0..1.

    Parameters
    ----------
    before, peak, settled
        Mean losses before a drift, since, and after the cycle; where no new model served
        (``None``) nothing came back.

    Returns
    -------
    float or None
        ``None`` where no quality was lost.

    Examples
    --------
    >>> won_back(0.25, 0.75, 0.375), won_back(0.25, 0.75, None)
    (0.75, 0.0)
    """
    lost = peak - before
    if lost <= 0:
        return None
    return 0.0 if settled is None else _clip((peak - settled) / lost, 0.0, 1.0)


def theil_sen_slope(points: Iterable[Sequence[float]]) -> float | None:
    """Median of the slopes between all pairs of points of different x (Sen 1968, JASA 63).

    Up to 29 % of the points may lie anywhere without moving it far.

    Returns
    -------
    float or None
        In units of y per unit of x; ``None`` below three different x.

    Examples
    --------
    >>> theil_sen_slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (3.0, 7.0), (4.0, 900.0)])
    2.0
    """
    pairs = list(points)
    if len({x for x, _ in pairs}) < FEWEST_STRESSES:
        return None
    return median(
        (later - earlier) / (right - left)
        for (left, earlier), (right, later) in combinations(pairs, 2)
        if left != right
    )


def rolling_change(values: Sequence[float]) -> float:
    """Mean of the last three values less that of the three before.

    With fewer than six values: the last less the one before; with fewer than two: 0.

    Examples
    --------
    >>> rolling_change([1.0, 1.0, 1.0, 2.0, 3.0, 4.0]), rolling_change([1.0, 3.0, 2.5])
    (2.0, -0.5)
    """
    if len(values) >= 2 * ROLLING_CYCLES:
        newest, before = values[-ROLLING_CYCLES:], values[-2 * ROLLING_CYCLES : -ROLLING_CYCLES]
        return fmean(newest) - fmean(before)
    return values[-1] - values[-2] if len(values) >= 2 else 0.0


@dataclass(slots=True)
class SynergyMetrics:
    """Measures the four metrics cycle by cycle; it is all that has to be kept between them.

    Attributes
    ----------
    cycles
        The newest 100 measured cycles, oldest first: ledger entry and metrics.
    expected
        Module → EMA of its share of the ROI deltas, dimensionless; those changed last stand last,
        and at most 1,000 are kept. Of a module that was never changed, 0 is expected.
    stresses
        (stress, ROI delta) of the newest 20 cycles.
    averages
        EMAs of gain per CPU-second (USD/s), share won back and slope; ``None`` before the first.

    Examples
    --------
    >>> metrics = SynergyMetrics()
    >>> alone = metrics.observe(SettledCycle(1, 0.5, 2.0, 4.0, {"trees": 0.5}))
    >>> alone["synergy_roi"], alone["synergy_efficiency"]
    (0.5, 0.0)
    >>> both = metrics.observe(SettledCycle(2, 1.5, 6.0, 4.0, {"trees": 0.75, "lags": 0.75}))
    >>> both["synergy_roi"], both["synergy_efficiency"]  # 1.5 − (0.5 + 0); 1.5 over 0.5, less 1
    (1.0, 2.0)
    >>> metrics.deltas()["synergy_efficiency"]
    2.0
    """

    cycles: list[tuple[int, Measured]] = field(default_factory=list)
    expected: dict[str, float] = field(default_factory=dict)
    stresses: list[tuple[float, float]] = field(default_factory=list)
    averages: dict[str, float | None] = field(default_factory=dict)

    def observe(self, cycle: SettledCycle) -> Measured:
        """Measure a cycle's metrics; a cycle that was observed already is not counted again.

        Raises
        ------
        DataError
            If a figure is not finite.
        """
        if self.cycles and cycle.entry_id <= self.cycles[-1][0]:
            return self.cycles[-1][1]
        _check_finite(cycle)
        measured: Measured = {
            "synergy_roi": self._roi(cycle),
            "synergy_efficiency": self._efficiency(cycle),
            "synergy_resilience": self._resilience(cycle.shock, cycle.loss_settled),
            "synergy_antifragility": self._antifragility(cycle),
        }
        self.cycles = [*self.cycles[1 - KEPT_CYCLES :], (cycle.entry_id, measured)]
        return measured

    def deltas(self) -> dict[str, float]:
        """Compute the rolling change of each metric, over the cycles that measured it.

        0 where the newest cycle did not, or there is none before it to compare with.
        """
        return {name: self._delta(name) for name in METRICS}

    def to_json(self) -> Json:
        """Everything, as :meth:`from_json` reads it."""
        return {
            "cycles": [[entry, *(values[m] for m in METRICS)] for entry, values in self.cycles],
            "expected": list(self.expected.items()),
            "stresses": [list(pair) for pair in self.stresses],
            "averages": dict(self.averages),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Restore what :meth:`to_json` gave; an empty document begins afresh.

        Raises
        ------
        DataError
            If a field is not what it must be.
        """
        try:
            return cls(
                cycles=[
                    (int(entry), dict(zip(METRICS, map(_read, values), strict=True)))
                    for entry, *values in data.get("cycles", ())
                ],
                expected={str(name): float(ema) for name, ema in data.get("expected", ())},
                stresses=[(float(x), float(y)) for x, y in data.get("stresses", ())],
                averages={str(k): _read(v) for k, v in dict(data.get("averages", {})).items()},
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError(
                f"the synergy metrics lack or garble a field: {error}.",
                remedy="give a document that SynergyMetrics.to_json() made",
            ) from error

    def _delta(self, name: str) -> float:
        if not self.cycles or self.cycles[-1][1][name] is None:
            return 0.0
        values = (values[name] for _, values in self.cycles)
        return rolling_change([value for value in values if value is not None])

    def _roi(self, cycle: SettledCycle) -> float:
        """ROI delta above what the changed modules brought so far."""
        surprise = cycle.roi_delta - sum(self.expected.get(name, 0.0) for name in cycle.shares)
        for name, share in cycle.shares.items():
            known = self.expected.pop(name, None)
            self.expected[name] = share if known is None else _ema(known, share)
        while len(self.expected) > KEPT_MODULES:
            del self.expected[next(iter(self.expected))]
        return surprise

    def _efficiency(self, cycle: SettledCycle) -> float | None:
        if cycle.cpu_seconds < SMALLEST_CPU_SECONDS:
            return None
        gain_per_second = cycle.gain_usd / cycle.cpu_seconds
        usual = self._averaged("gain_per_cpu_second", gain_per_second)
        change = gain_per_second - usual
        if usual == 0:
            change, usual = math.copysign(LARGEST_EFFICIENCY, change) if change else 0.0, 1.0
        return _clip(change / abs(usual), -1.0, LARGEST_EFFICIENCY)

    def _resilience(self, shock: Shock, loss_settled: float | None) -> float | None:
        if shock.loss_before is None or shock.loss_peak is None:
            return None
        share = won_back(shock.loss_before, shock.loss_peak, loss_settled)
        return None if share is None else share - self._averaged("won_back", share)

    def _antifragility(self, cycle: SettledCycle) -> float | None:
        newest = (cycle.shock.stress, cycle.roi_delta)
        self.stresses = [*self.stresses[1 - STRESS_CYCLES :], newest]
        slope = theil_sen_slope(self.stresses)
        return None if slope is None else slope - self._averaged("roi_over_stress", slope)

    def _averaged(self, name: str, value: float) -> float:
        """Average a value in; returns the EMA of those before it, or itself if it is the first."""
        known = self.averages.get(name)
        self.averages[name] = value if known is None else _ema(known, value)
        return value if known is None else known


def _ema(known: float, value: float) -> float:
    return (1 - EMA_ALPHA) * known + EMA_ALPHA * value


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _read(value: Any) -> float | None:
    return None if value is None else float(value)


def _check_finite(cycle: SettledCycle) -> None:
    figures: dict[str, float | None] = {
        "roi_delta": cycle.roi_delta,
        "gain_usd": cycle.gain_usd,
        "cpu_seconds": cycle.cpu_seconds,
        "loss_settled": cycle.loss_settled,
        **cycle.shock.to_json(),
        **cycle.shares,
    }
    for name, value in figures.items():
        if value is not None and not math.isfinite(value):
            raise DataError(f"a settled cycle's {name} is {value}.", remedy="give a finite number")
