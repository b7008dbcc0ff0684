r"""What could be done now, each alternative valued in USD: gain, standard error, cost, net.

The :class:`~menace.self_improvement_policy.SelfImprovementPolicy` says *when* a cycle is worth it;
this module says *what* is worth most, from figures that are known already, in O(1).

**Horizon.** With staleness *a* (loss per row and tick), a cycle's cost *c* (in ticks whose rows are
all wrong), cycles are due every :math:`k^* = \sqrt{2c/a}` ticks. All alternatives are valued over
half of that, :math:`H = \max(1, \sqrt{c / 2a})` ticks: a refit of an excess *x* then gains
:math:`xH = \sqrt{\text{debt} \cdot c}`, which is more than *c* exactly when the debt has reached
the cost. Over this horizon the table and rent-or-buy speak with one tongue. What a cycle *teaches*
(which rows to learn from, which configuration) outlives its model: it counts over *K* intervals,
:math:`H_K = 2HK`.

**Wait**: 0 by definition.

**Roll back** to the archived model that leads the champion by most, paired on the same rows. A
switch costs nothing, but it is no free lunch. The largest of *n* noisy leads owes part of its size
to luck (the winner's curse), so the standard error *s* times the expected maximum of *n* standard
normals :math:`b_n` is taken off: gain :math:`= (d - b_n s) H`. It is eligible only where that is
still more than *z* standard errors.

**Refit on the recent window**: gain :math:`= f x H / \kappa`, with the excess *x* and the margin κ
of :mod:`~menace.self_improvement_policy.staleness`. *f* is what this bot's settled cycles of the
same recipe gained, relative to what had been expected of them: ridge regression through the origin,
shrunk to 1.

**Refit on all history**: the same, and δ more, with δ the lead per row of a model made from all
history over one made from the window. δ relative to the loss level has the prior N(0, τ²), is
learned from cycles that trained both, and is forgotten slowly. Where the champion itself was made
from all history, *x* already contains it, and it is the window that has −δ.

**Compare windows**: train both in one cycle and let rows that neither has seen choose. It gains as
much as the refit, and the expected value of what the comparison shows. The choice between the two
recipes has the stake :math:`V \sim N(m, s^2)`, :math:`m = K(\delta \cdot 2H - \Delta c)`; with
:math:`r^2` the share of the variance that a comparison resolves, the expected value of sample
information is :math:`sr\,\varphi(u) - |m|\,\Phi(-u)`, :math:`u = |m| / sr`. This is when all
history is tried for the first time: when knowing is worth more than the training costs.

**Search with energy E**: the refit, and the relative improvement that this bot's searches have
found on their validation rows lately, half of it (the best of many trials is partly luck), shrunk
to a prior, over :math:`H_K`, since refits inherit the configuration.

**Choice.** The greatest expected net among what is eligible; a tie goes to the earlier in the list.
A cycle is eligible by itself if it is a refit; what only promises knowledge or a find (comparison,
search) rides on a cycle that runs anyway and never starts one.

Sources: value of sample information and the unit normal loss integral: Raiffa and Schlaifer (1961),
"Applied Statistical Decision Theory", ch. 5. Winner's curse and shrinkage: Efron (2011), "Tweedie's
formula and selection bias". Expected normal order statistics: Blom (1958), "Statistical Estimates
and Transformed Beta-Variables". The horizon and the combination are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from menace.self_improvement_policy.recipes import EITHER, HISTORY, PRIOR, RECENT, work_rows

if TYPE_CHECKING:
    from menace.records import Json
    from menace.self_improvement_policy.recipes import (
        AlternativesPrior,
        GainBook,
        RecipeBook,
    )


class Kind(StrEnum):
    """What can be done when a decision is due."""

    WAIT = "wait"
    ROLL_BACK = "roll back"
    REFIT_RECENT = "refit recent"
    REFIT_HISTORY = "refit history"
    COMPARE_WINDOWS = "compare windows"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Archived:
    """The archived model that seems best.

    Attributes
    ----------
    lead
        Loss per row by which it is expected to be better than the champion.
    error
        Standard error of the lead.
    among
        Archived models that were compared, ≥ 1.
    """

    version: int
    lead: float
    error: float
    among: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a valuation rests on.

    Attributes
    ----------
    tick_usd
        What a tick's rows would cost if all were wholly wrong, USD ≥ 0.
    excess, excess_error
        *x*, loss per row of the champion above a model trained now, and its standard error.
    rate, level
        *a*, staleness per row and tick; loss level.
    cost_usd
        Expected cost of a refit on the recent window, promotion included, USD ≥ 0.
    promotion_usd
        What of it is the price of a promotion, the same for every window, USD ≥ 0.
    recipes, gains
        What earlier cycles have shown.
    champion_window
        What the champion was made from, ``recent`` or ``history``.
    recent_rows, history_rows
        Rows that either window choice would learn from; equal where there is no more history.
    tick_rows, validation_rows
        Rows of a tick, and those on which a comparison of windows would be judged.
    search_energy
        Energy of a search, ≥ 2; 0 where none is to be had.
    unit_usd
        Price of a unit of energy, USD.
    archived
        The best of the archive, if a rollback is allowed at this moment.
    compares
        Whether the pipeline can train both windows in one cycle.
    """

    tick_usd: float
    excess: float
    excess_error: float
    rate: float
    level: float
    cost_usd: float
    recipes: RecipeBook
    gains: GainBook
    champion_window: str = RECENT
    recent_rows: int = 1
    history_rows: int = 1
    tick_rows: int = 1
    validation_rows: int = 1
    search_energy: int = 0
    unit_usd: float = 0.0
    promotion_usd: float = 0.0
    archived: Archived | None = None
    compares: bool = True


@dataclass(frozen=True, slots=True)
class Alternative:
    """One thing that could be done now.

    Attributes
    ----------
    gain_usd, error_usd
        Expected gain above waiting, and its standard error, USD.
    lasting_usd
        What of the gain is what the cycle teaches, most of it due after the horizon, USD.
    cost_usd
        Expected cost, USD.
    eligible
        Whether it may be done on its own account.
    version
        Of a rollback: to which.
    window, energy
        Of a cycle.
    """

    kind: Kind
    gain_usd: float = 0.0
    error_usd: float = 0.0
    cost_usd: float = 0.0
    eligible: bool = True
    version: int | None = None
    window: str | None = None
    energy: int = 0
    lasting_usd: float = 0.0

    @property
    def refit_gain_usd(self) -> float:
        """Expected gain of the new model alone, within the horizon, USD."""
        return self.gain_usd - self.lasting_usd

    @property
    def net_usd(self) -> float:
        """Expected gain less cost, USD."""
        return self.gain_usd - self.cost_usd

    @property
    def is_cycle(self) -> bool:
        """Whether it needs a cycle."""
        return self.window is not None

    def to_json(self) -> Json:
        """Plain JSON; what does not apply is left out."""
        row: Json = {
            "kind": self.kind.value,
            "gain_usd": self.gain_usd,
            "error_usd": self.error_usd,
            "cost_usd": self.cost_usd,
            "net_usd": self.gain_usd - self.cost_usd,
            "eligible": self.eligible,
        }
        if self.version is not None:
            row["version"] = self.version
        if self.window is not None:
            row["window"], row["energy"] = self.window, self.energy
        return row


@dataclass(frozen=True, slots=True)
class Alternatives:
    """All of them, *wait* first.

    Attributes
    ----------
    horizon_ticks
        *H*, ≥ 1.
    """

    horizon_ticks: float
    rows: tuple[Alternative, ...]

    @property
    def best(self) -> Alternative:
        """The greatest net among what may be done on its own account."""
        return max((row for row in self.rows if row.eligible), key=_net)

    @property
    def best_refit(self) -> Alternative | None:
        """The greatest net among refits; ``None`` without any."""
        return max(
            (row for row in self.rows if row.is_cycle and row.eligible), key=_net, default=None
        )

    @property
    def rollback(self) -> Alternative | None:
        """Going back to the best of the archive, eligible or not; ``None`` without one."""
        return next((row for row in self.rows if row.kind is Kind.ROLL_BACK), None)

    def goes_back(self, *, cycle_runs: bool) -> bool:
        """Say whether to roll back: the archive leads clearly, and by more than a refit brings.

        Parameters
        ----------
        cycle_runs
            Whether a cycle would run otherwise.
        """
        back, refit = self.rollback, self.best_refit
        if back is None or not back.eligible:
            return False
        return not cycle_runs or refit is None or back.net_usd >= refit.net_usd

    def to_json(self) -> Json:
        """Plain JSON."""
        best = self.best
        others = [row.net_usd for row in self.rows if row.eligible and row is not best]
        return {
            "horizon_ticks": self.horizon_ticks,
            "best": best.kind.value,
            "lead_usd": best.net_usd - max(others) if others else 0.0,
            "rows": [row.to_json() for row in self.rows],
        }


def value(known: Known, prior: AlternativesPrior = PRIOR) -> Alternatives:
    """Value every alternative; see the module for the formulas.

    Examples
    --------
    >>> from menace.self_improvement_policy.recipes import GainBook, RecipeBook
    >>> known = Known(tick_usd=100.0, excess=0.06, excess_error=0.01, rate=0.01, level=0.2,
    ...               cost_usd=5.0, recipes=RecipeBook(), gains=GainBook())
    >>> [(row.kind.value, round(row.net_usd, 2)) for row in value(known).rows]
    [('wait', 0.0), ('refit recent', 2.59)]
    """
    horizon = _horizon(known)
    unit = horizon * known.tick_usd
    refits = _refits(known, unit, prior)
    base = refits[-1] if known.champion_window == HISTORY and len(refits) > 1 else refits[0]
    rows = [Alternative(Kind.WAIT), *_rollback(known, unit, prior), *refits]
    if len(refits) > 1 and known.compares:
        rows.append(_comparison(known, unit, refits, base, prior))
    if known.search_energy > 1:
        rows.append(_search(known, unit, base, prior))
    return Alternatives(horizon, tuple(rows))


def expected_maximum(count: int) -> float:
    """Say how large the largest of ``count`` independent standard normals is expected to be.

    By Blom's approximation, for 256 at most.

    Examples
    --------
    >>> [round(expected_maximum(count), 2) for count in (1, 2, 12)]
    [0.0, 0.59, 1.64]
    """
    return _BLOM[min(count, len(_BLOM) - 1)]


def _blom() -> tuple[float, ...]:
    from statistics import NormalDist

    normal = NormalDist()
    return (
        0.0,
        *(normal.inv_cdf((count - 0.375) / (count + 0.25)) for count in range(1, 257)),
    )


_BLOM = _blom()


def _net(row: Alternative) -> float:
    return row.gain_usd - row.cost_usd


def _horizon(known: Known) -> float:
    if known.tick_usd <= 0 or known.rate <= 0:
        return 1.0
    return max(1.0, math.sqrt(known.cost_usd / known.tick_usd / (2.0 * known.rate)))


def _rollback(known: Known, unit: float, prior: AlternativesPrior) -> list[Alternative]:
    found = known.archived
    if found is None:
        return []
    lead = found.lead - expected_maximum(found.among) * found.error
    return [
        Alternative(
            Kind.ROLL_BACK,
            gain_usd=lead * unit,
            error_usd=found.error * unit,
            eligible=lead > prior.rollback_z * found.error,
            version=found.version,
        )
    ]


def _refits(known: Known, unit: float, prior: AlternativesPrior) -> list[Alternative]:
    refits = [_refit(known, Kind.REFIT_RECENT, RECENT, unit, prior)]
    if known.history_rows > known.recent_rows:
        refits.append(_refit(known, Kind.REFIT_HISTORY, HISTORY, unit, prior))
    return refits


def _refit(
    known: Known, kind: Kind, window: str, unit: float, prior: AlternativesPrior
) -> Alternative:
    ratio, ratio_error = known.gains.ratio(window)
    excess = known.excess / prior.margin
    gain, variance = ratio * excess, (excess * ratio_error) ** 2
    variance += (ratio * known.excess_error / prior.margin) ** 2
    if window != known.champion_window:
        lead, error = known.recipes.history_lead()
        sign = 1.0 if window == HISTORY else -1.0
        gain += sign * lead * known.level
        variance += (error * known.level) ** 2
    return Alternative(
        kind,
        gain_usd=gain * unit,
        error_usd=math.sqrt(variance) * unit,
        cost_usd=_cost(known, window),
        window=window,
        energy=1,
    )


def _cost(known: Known, window: str) -> float:
    """Cost of a recipe: CPU time as it has been, or the refit's, by rows; and a promotion."""
    if window == RECENT:
        return known.cost_usd
    rows = work_rows(window, known.recent_rows, known.history_rows)
    # Refits that were mostly rejected have cost less than a promotion on average.
    promotion_usd = min(known.promotion_usd, known.cost_usd)
    row_usd = (known.cost_usd - promotion_usd) / known.recent_rows
    return known.recipes.row_usd.get(window, row_usd) * rows + promotion_usd


def _comparison(
    known: Known,
    unit: float,
    refits: list[Alternative],
    base: Alternative,
    prior: AlternativesPrior,
) -> Alternative:
    recent, history = refits
    knowledge_usd = _knowledge(known, unit, history.cost_usd - recent.cost_usd, prior)
    return Alternative(
        Kind.COMPARE_WINDOWS,
        gain_usd=base.gain_usd + knowledge_usd,
        error_usd=base.error_usd,
        cost_usd=_cost(known, EITHER),
        eligible=False,
        window=EITHER,
        energy=1,
        lasting_usd=knowledge_usd,
    )


def _knowledge(known: Known, unit: float, dearer_usd: float, prior: AlternativesPrior) -> float:
    """Value what a comparison is expected to show of which window to learn from, USD ≥ 0."""
    lead, error = known.recipes.history_lead()
    noise = prior.tick_noise**2 * known.tick_rows / max(1, known.validation_rows)
    noise = max(noise, prior.least_window_error**2)
    resolved = error / math.sqrt(1.0 + noise / (error * error))
    cycles, stake = prior.taught_cycles, 2.0 * unit * known.level
    mean = cycles * (lead * stake - dearer_usd)
    spread = cycles * resolved * stake
    if spread <= 0:
        return 0.0
    far = abs(mean) / spread
    density = math.exp(-0.5 * far * far) / math.sqrt(2.0 * math.pi)
    return spread * density - abs(mean) * 0.5 * math.erfc(far / math.sqrt(2.0))


def _search(known: Known, unit: float, base: Alternative, prior: AlternativesPrior) -> Alternative:
    improvement, error = known.recipes.search_improvement()
    lasting = 2.0 * prior.taught_cycles * unit * known.level
    return Alternative(
        Kind.SEARCH,
        gain_usd=base.gain_usd + improvement * lasting,
        error_usd=math.hypot(base.error_usd, error * lasting),
        cost_usd=base.cost_usd + (known.search_energy - 1) * known.unit_usd,
        eligible=False,
        window=base.window,
        energy=known.search_energy,
        lasting_usd=improvement * lasting,
    )
