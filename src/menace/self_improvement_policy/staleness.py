r"""How stale is the champion? A decision's debt, from paired losses of champion and archive.

Model. On a tick's rows, with :math:`\ell_m` the mean loss of model *m*,

.. math:: \ell_m = \text{difficulty} + \text{luck}_m + a \cdot \text{age}_m + \text{noise},
          \qquad a = \rho L,

where *L* is the level of the loss, ρ the relative staleness per tick and age counts ticks since the
training. The difficulty is common to all models that are scored on the same rows, so only paired
differences are used: they cancel it, and with it most of the noise and all of the season.

1. *Lead* of model *s* over *r*, with discounted sums :math:`D \leftarrow g D + (\ell_s - \ell_r)`,
   :math:`N \leftarrow g N + 1` and *n*₀ ticks of prior belief in the model above:
   :math:`d_{sr} = (D_{sr} + n_0 a (\text{age}_s - \text{age}_r)) / (N_{sr} + n_0)`.
2. *Staleness*: ridge regression through the origin of :math:`(\ell_r - \ell_{new}) / L` on
   :math:`\text{age}_r - \text{age}_{new}`, with *n*ρ worth of belief in ρ₀:
   :math:`\rho = (n_\rho \rho_0 + S_{xy}) / (n_\rho + S_{xx})`.
3. *Excess* of the champion *v* over a model trained now. Every archived model is a witness, *v*
   itself is one: *v*'s measured lead over it plus the witness's own expected staleness,
   :math:`x = \sum_r w_r (d_{vr} + a\,\text{age}_r) / \sum_r w_r` with
   :math:`w_r = 1 / (\tau + \text{age}_r)`.
4. *Debt*: what an excess that grew linearly to *x* at the rate *a* has accumulated, with a margin
   κ against deciding on noise: :math:`\text{debt} = (x / \kappa)^2 / (2a)` for *x* > 0, else 0.

Standard errors, for :mod:`~menace.self_improvement_policy.alternatives`. With :math:`Q \leftarrow
g Q + (\ell_s - \ell_r)^2` a tick's paired difference has the variance
:math:`\sigma^2 = (n_0 (\nu L)^2 + Q - D^2 / N) / (n_0 + N)`, with *n*₀ ticks of belief in the noise
ν *L*; the lead's error is :math:`\sigma / \sqrt{N + n_0}`. The excess adds up those of its leads
with the weights above, as if they erred together (all of them are paired with *v*), and in squares
the rate's, :math:`L \nu / \sqrt{n_\rho + S_{xx}}` per tick of the witnesses' mean age.

With staleness :math:`a k`, cost *c* of a cycle and interval *k*, the cost per tick
:math:`c / k + a k / 2` is least at :math:`k^* = \sqrt{2c/a}`; there the excess is
:math:`\sqrt{2 c a}` and the debt is exactly *c*. So *rent-or-buy on this debt is the optimal
calendar when staleness is linear*, and it reacts to what it sees when staleness is not.

Sources: the square-root interval is the economic order quantity (Harris 1913, "How many parts to
make at once"); rent-or-buy: Karlin et al. 1988, "Competitive snoopy caching". The estimator is
ours; ``docs/decision-quality.md`` has what else was tried and what it scored.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from menace.records import Json


@dataclass(frozen=True, slots=True)
class StalenessPrior:
    """The estimator's constants, the same for every bot.

    Attributes
    ----------
    relative_rate
        ρ₀: staleness per tick relative to the level of the loss.
    rate_weight
        *n*ρ: weight of ρ₀ against observed pairs, in squared ticks.
    lead_weight
        *n*₀: ticks of belief in the model against measured leads.
    memory
        *g*: share of a lead's evidence that outlives a tick, in (0, 1).
    margin
        κ: how much larger than the break-even excess the estimate must be.
    witness_age
        τ, ticks: how soon an old model's testimony fades.
    level_memory
        Share of the loss level that outlives a tick, in (0, 1).
    least_rate, least_level
        Lower bounds of ρ and *L*, which keep divisions finite.
    noise
        ν: standard deviation of a tick's paired difference relative to the level, before it was
        measured.
    """

    relative_rate: float = 0.04
    rate_weight: float = 300.0
    lead_weight: float = 6.0
    memory: float = 0.85
    margin: float = 1.25
    witness_age: float = 2.0
    level_memory: float = 0.95
    least_rate: float = 5e-4
    least_level: float = 1e-3
    noise: float = 0.2


PRIOR = StalenessPrior()


class Staleness(NamedTuple):
    """What a decision reads of a saved estimator, without rebuilding it.

    The figures change only when rows arrive or a cycle ends, so they are worked out then, and a
    decision costs the same however many models are scored.

    Attributes
    ----------
    debt
        In units of one tick's rows being wholly wrong, ≥ 0.
    age_ticks
        Ticks since the champion was trained, ≥ 0.
    explanation
        The figures behind the debt.
    archive
        The archived model that seems best: ``version``, ``lead`` and ``error`` (loss per row by
        which it is better than the champion), and ``among`` how many; ``None`` without any.
    """

    debt: float
    age_ticks: float
    explanation: Json
    archive: Json | None

    @classmethod
    def read(cls, data: Json, *, champion: int | None) -> Self:
        """Read from :meth:`StalenessEstimator.to_json`; an empty object is a new estimator's.

        ``champion`` is the version that serves now. One that no tick has seen yet was just made:
        its figures are worked out here.
        """
        if not data:
            return cls.read(StalenessEstimator().to_json(), champion=0)
        if champion is not None and champion != data["champion"]:
            estimator = StalenessEstimator.from_json(data)
            estimator.champion = champion
            archive = estimator.best_archived()
            return cls(estimator.debt, estimator.age_ticks, estimator.explain(), archive)
        return cls(data["debt"], data["age_ticks"], data["explanation"], data.get("archive"))


@dataclass(slots=True)
class StalenessEstimator:
    """Estimates a champion's debt from the losses of champion and archive on the same rows.

    Work and memory are quadratic in the number of models that are scored (about ten), whatever the
    length of the bot's history.

    Examples
    --------
    >>> estimator = StalenessEstimator()
    >>> for _ in range(6):
    ...     estimator.observe({1: 0.10}, champion=1)
    >>> estimator.age_ticks
    6.0
    >>> before = estimator.debt
    >>> for _ in range(6):  # the archived model 1 shows how much a refit has gained
    ...     estimator.observe({1: 0.20, 2: 0.10}, champion=2)
    >>> estimator.rate > 0.1 * 0.04
    True
    """

    champion: int = 0
    ages: dict[int, float] = field(default_factory=dict)
    leads: dict[tuple[int, int], tuple[float, float, float]] = field(default_factory=dict)
    sum_xy: float = 0.0
    sum_xx: float = 0.0
    level: float | None = None
    prior: StalenessPrior = PRIOR

    @property
    def relative_rate(self) -> float:
        """ρ: staleness per tick relative to the level of the loss, > 0."""
        prior = self.prior
        numerator = prior.rate_weight * prior.relative_rate + self.sum_xy
        return max(prior.least_rate, numerator / (prior.rate_weight + self.sum_xx))

    @property
    def rate(self) -> float:
        """*a*: staleness, loss per row and tick, > 0 once something was observed."""
        return (
            0.0
            if self.level is None
            else self.relative_rate * max(self.level, self.prior.least_level)
        )

    @property
    def age_ticks(self) -> float:
        """Ticks since the champion was trained, ≥ 0."""
        return self.ages.get(self.champion, 0.0)

    @property
    def excess(self) -> float:
        """*x*: expected loss per row of the champion above a model trained now."""
        if self.champion not in self.ages:
            return 0.0
        weighted = total = 0.0
        for witness, age in self.ages.items():
            weight = 1.0 / (self.prior.witness_age + age)
            weighted += weight * (self.lead(self.champion, witness) + self.rate * age)
            total += weight
        return weighted / total

    @property
    def debt(self) -> float:
        """Accumulated excess loss, in units of one tick's rows being wholly wrong, ≥ 0."""
        if self.rate <= 0:
            return 0.0
        excess = max(0.0, self.excess / self.prior.margin)
        return excess * excess / (2.0 * self.rate)

    @property
    def excess_error(self) -> float:
        """Standard error of :attr:`excess`, loss per row."""
        if self.champion not in self.ages:
            return 0.0
        errors = ages = total = 0.0
        for witness, age in self.ages.items():
            weight = 1.0 / (self.prior.witness_age + age)
            if witness != self.champion:
                errors += weight * self.lead_error(self.champion, witness)
            ages += weight * age
            total += weight
        rate = self._noise / math.sqrt(self.prior.rate_weight + self.sum_xx)
        return math.hypot(errors / total, rate * ages / total)

    @property
    def _noise(self) -> float:
        """ν *L*."""
        return self.prior.noise * max(self.level or 0.0, self.prior.least_level)

    def lead(self, model: int, other: int) -> float:
        """Posterior mean of ``loss(model) − loss(other)`` per row; 0 for a model and itself."""
        low, high = min(model, other), max(model, other)
        total, count, _ = self.leads.get((low, high), (0.0, 0.0, 0.0))
        measured = total if model == low else -total
        expected = self.rate * (self.ages[model] - self.ages[other])
        weight = self.prior.lead_weight
        return (measured + weight * expected) / (count + weight)

    def lead_error(self, model: int, other: int) -> float:
        """Give the standard error of the :meth:`lead` of two different models, loss per row."""
        pair = (min(model, other), max(model, other))
        total, count, squares = self.leads.get(pair, (0.0, 0.0, 0.0))
        weight = self.prior.lead_weight
        spread = max(0.0, squares - total * total / count) if count > 0 else 0.0
        variance = (weight * self._noise**2 + spread) / (weight + count)
        return math.sqrt(variance / (weight + count))

    def best_archived(self) -> Json | None:
        """Find the archived model with the greatest lead over the champion; ``None`` without any.

        Leads are compared less a standard error each, so that the best known goes before the
        luckiest.
        """
        others = [version for version in self.ages if version != self.champion]
        if not others or self.champion not in self.ages:
            return None
        found = [
            (self.lead(self.champion, other), self.lead_error(self.champion, other), other)
            for other in others
        ]
        lead, error, version = max(found, key=lambda one: (one[0] - one[1], one[2]))
        return {"version": version, "lead": lead, "error": error, "among": len(others)}

    def observe(self, losses: Mapping[int, float], *, champion: int, ticks: float = 1.0) -> None:
        """Take in one tick.

        Parameters
        ----------
        losses
            Model version → mean loss on the tick's rows, the same rows for all. A version that is
            new was trained just before; one that is no longer there is forgotten.
        champion
            The version that served.
        ticks
            Length of the tick in units of ``tick_rows``, > 0.
        """
        self._forget_all_but(losses)
        self.champion = champion
        for version in losses:
            self.ages[version] = self.ages.get(version, 0.0) + ticks
        loss = losses[champion]
        keep = self.prior.level_memory
        self.level = loss if self.level is None else keep * self.level + (1 - keep) * loss
        self._add_leads(losses)
        self._add_staleness(losses)

    def cycle_rejected(self) -> None:
        """Take in that a fresh model was no better: the champion counts as just trained."""
        present = self.age_ticks
        self.ages = {version: max(0.0, age - present) for version, age in self.ages.items()}

    def explain(self) -> Json:
        """Return the figures behind the debt, for the decision record."""
        return {
            "excess_per_row": self.excess,
            "excess_error_per_row": self.excess_error,
            "rate_per_row_and_tick": self.rate,
            "relative_rate_per_tick": self.relative_rate,
            "loss_level": self.level,
            "witnesses": len(self.ages),
        }

    def to_json(self) -> Json:
        """Everything but the constants, as a JSON object, and what :class:`Staleness` reads of it.

        The leads, most of it, are a text of JSON within: only who rebuilds the estimator parses it.
        """
        return {
            "debt": self.debt,
            "age_ticks": self.age_ticks,
            "explanation": self.explain(),
            "archive": self.best_archived(),
            "champion": self.champion,
            "ages": [[version, age] for version, age in self.ages.items()],
            "leads": json.dumps([[*pair, *sums] for pair, sums in self.leads.items()]),
            "sum_xy": self.sum_xy,
            "sum_xx": self.sum_xx,
            "level": self.level,
        }

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Rebuild from :meth:`to_json`; an empty object gives a new estimator."""
        if not data:
            return cls()
        estimator = cls(
            champion=int(data["champion"]),
            ages={int(version): float(age) for version, age in data["ages"]},
            sum_xy=float(data["sum_xy"]),
            sum_xx=float(data["sum_xx"]),
            level=None if data["level"] is None else float(data["level"]),
        )
        for low, high, total, count, *squares in json.loads(data["leads"]):
            # Earlier versions kept no squares: such a lead is as noisy as one before any tick.
            spread = count * estimator._noise**2 + (total * total / count if count else 0.0)
            estimator.leads[low, high] = (total, count, squares[0] if squares else spread)
        return estimator

    def _forget_all_but(self, losses: Mapping[int, float]) -> None:
        self.ages = {version: age for version, age in self.ages.items() if version in losses}
        self.leads = {
            pair: sums
            for pair, sums in self.leads.items()
            if pair[0] in losses and pair[1] in losses
        }

    def _add_leads(self, losses: Mapping[int, float]) -> None:
        memory = self.prior.memory
        versions = sorted(losses)
        for position, low in enumerate(versions):
            for high in versions[position + 1 :]:
                total, count, squares = self.leads.get((low, high), (0.0, 0.0, 0.0))
                difference = losses[low] - losses[high]
                self.leads[low, high] = (
                    memory * total + difference,
                    memory * count + 1.0,
                    memory * squares + difference * difference,
                )

    def _add_staleness(self, losses: Mapping[int, float]) -> None:
        """One tick weighs 1 in all, however many archived models testify."""
        newest = min(losses, key=lambda version: (self.ages[version], -version))
        others = [version for version in losses if version != newest]
        if not others or self.level is None:
            return
        scale = max(self.level, self.prior.least_level)
        for version in others:
            gap = self.ages[version] - self.ages[newest]
            self.sum_xy += gap * (losses[version] - losses[newest]) / scale / len(others)
            self.sum_xx += gap * gap / len(others)
