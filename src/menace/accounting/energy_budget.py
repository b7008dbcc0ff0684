"""How much energy a cycle gets, and every factor that led to it.

::

    energy = clamp(round(base × (1 + max(0, predicted)) × roi_factor × synergy_factor), 1, 100)
    base = energy given by the caller, or round(5 × energy score)
    roi_factor = 2 ** tanh((short-term mean + EMA) / 2)
    synergy_factor = 2 ** tanh(synergy sum)
"""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, SupportsIndex

from menace.errors import EnergyError

if TYPE_CHECKING:
    from menace.records import Json

MIN_ENERGY = 1
MAX_ENERGY = 100
ENERGY_PER_SCORE = 5
"""Base energy of a bot whose capital position allows everything (energy score 1)."""


def validated_energy(energy: object, *, bot: str | None = None) -> int:
    """Check that an energy is a whole number in 1..100, and return it as ``int``.

    Raises
    ------
    EnergyError
        If it is not; a bool or a float is no energy either.

    Examples
    --------
    >>> validated_energy(7)
    7
    """
    # SupportsIndex is what int and NumPy's integers have, and neither float nor str.
    if isinstance(energy, SupportsIndex) and not isinstance(energy, bool):
        number = operator.index(energy)
        if MIN_ENERGY <= number <= MAX_ENERGY:
            return number
    raise EnergyError(f"the energy is {energy!r}.", bot=bot, remedy="give a whole number in 1..100")


@dataclass(frozen=True, slots=True)
class EnergyAllotment:
    """The energy of a cycle and the factors behind it; goes into the decision record.

    Attributes
    ----------
    energy
        What the cycle gets, 1..100.
    base
        Given by the caller, or ``round(5 × energy_score)``, 0..100.
    energy_score
        How much the capital position allows, 0..1; ``None`` if it was not asked.
    predicted
        Predicted ROI delta of the cycle, dimensionless; only its positive part counts.
    roi_factor
        0.5..2, from short-term mean and EMA.
    synergy_factor
        ≥ 0; 1 while nothing is known of synergies. The engine's is 0.5..2.
    short_term_mean, ema
        What the ROI factor was made of; ``None`` counts as 0.
    unbounded
        The product before rounding and clamping.
    """

    energy: int
    base: int
    energy_score: float | None
    predicted: float
    roi_factor: float
    synergy_factor: float
    short_term_mean: float | None
    ema: float | None
    unbounded: float

    def to_json(self) -> Json:
        """All factors, by name."""
        return asdict(self)


def roi_factor(short_term_mean: float | None, ema: float | None) -> float:
    """``2 ** tanh((short_term_mean + ema) / 2)``: how far the past stretches a budget.

    Grows with both, is 1 where they cancel out or are unknown (``None`` counts as 0), and stays
    within 0.5..2. Near 0 it changes by ln 2 ≈ 0.69 per unit of their mean.

    Raises
    ------
    EnergyError
        If a figure is not finite.

    Examples
    --------
    >>> roi_factor(None, 0.0), round(roi_factor(1.0, 1.0), 3), round(roi_factor(-1.0, -1.0), 3)
    (1.0, 1.695, 0.59)
    """
    short = 0.0 if short_term_mean is None else _finite("the short-term ROI mean", short_term_mean)
    average = 0.0 if ema is None else _finite("the ROI average", ema)
    # Halved before they are added, so that no sum of finite figures overflows.
    return float(2.0 ** math.tanh(short / 2 + average / 2))


def synergy_factor(synergy_sum: float) -> float:
    """``2 ** tanh(synergy_sum)``: how far the working together of a bot's parts stretches a budget.

    Parameters
    ----------
    synergy_sum
        Weighted rolling changes of the synergy metrics, ``Σ_k (w_k / 10) · clip(Δ_k, −1, 1)``.

    Returns
    -------
    float
        0.5..2, and 1 at 0.

    Raises
    ------
    EnergyError
        If the sum is not finite.

    Examples
    --------
    >>> synergy_factor(0.0), round(synergy_factor(0.4), 3), round(synergy_factor(-4.0), 3)
    (1.0, 1.301, 0.5)
    """
    return float(2.0 ** math.tanh(_finite("the synergy sum", synergy_sum)))


class EnergyBudget:
    """Allots energy to cycles: more where the past paid, less where it did not.

    Examples
    --------
    >>> EnergyBudget().energy(energy_score=1.0, predicted=0.5).energy
    8
    >>> EnergyBudget().energy(energy=10, short_term_mean=-9.0, ema=-9.0).energy
    5
    """

    def energy(
        self,
        *,
        energy_score: float | None = None,
        energy: int | None = None,
        predicted: float = 0.0,
        short_term_mean: float | None = None,
        ema: float | None = None,
        synergy_factor: float = 1.0,
    ) -> EnergyAllotment:
        """Compute a cycle's energy.

        Parameters
        ----------
        energy_score
            How much the capital position allows, 0..1. May be ``None`` if ``energy`` is given.
        energy
            Base energy asked for by the caller, 1..100; goes before the energy score.
        predicted
            Predicted ROI delta of the cycle, dimensionless.
        short_term_mean, ema
            Short-term mean and EMA of the bot's ROI deltas; ``None`` if there are none yet.
        synergy_factor
            ≥ 0.

        Returns
        -------
        EnergyAllotment
            Rounding is to the nearest whole number, halves to the even one.

        Raises
        ------
        EnergyError
            If the energy is not a whole number in 1..100, neither energy nor score is given, or a
            figure is not finite or outside its range.
        """
        if energy_score is not None and not 0 <= energy_score <= 1:
            raise EnergyError(
                f"the energy score is {energy_score}.", remedy="give a number in 0..1"
            )
        if energy is not None:
            base = validated_energy(energy)
        elif energy_score is not None:
            base = round(energy_score * ENERGY_PER_SCORE)
        else:
            raise EnergyError(
                "neither an energy nor an energy score is given.", remedy="give one of them"
            )
        predicted = _finite("the predicted ROI", predicted)
        synergy_factor = _finite("the synergy factor", synergy_factor)
        if synergy_factor < 0:
            raise EnergyError(f"the synergy factor is {synergy_factor}.", remedy="give 0 or more")
        factor = roi_factor(short_term_mean, ema)
        unbounded = base * (1 + max(0.0, predicted)) * factor * synergy_factor
        # An overflow to infinity means "as much as possible"; the record stays plain JSON.
        unbounded = min(unbounded, 1e300)
        return EnergyAllotment(
            energy=max(MIN_ENERGY, round(min(unbounded, float(MAX_ENERGY)))),
            base=base,
            energy_score=energy_score,
            predicted=predicted,
            roi_factor=factor,
            synergy_factor=synergy_factor,
            short_term_mean=short_term_mean,
            ema=ema,
            unbounded=unbounded,
        )


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise EnergyError(f"{name} is {value}.", remedy="give a finite number")
    return float(value)
