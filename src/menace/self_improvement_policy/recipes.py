"""What a bot's cycles have shown of the recipes that a cycle can follow: costs, leads, gains.

A recipe is a window choice (which rows a cycle learns from) and an energy. The formulas stand in
:mod:`menace.self_improvement_policy.alternatives`, which values them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from menace.records import Json

RECENT, HISTORY, EITHER = "recent", "history", "either"
"""Which rows a cycle learns from: the bot's window, all history, or whichever proves better."""


@dataclass(frozen=True, slots=True)
class AlternativesPrior:
    """The constants, the same for every bot.

    Attributes
    ----------
    margin
        κ: as in :class:`~menace.self_improvement_policy.staleness.StalenessPrior`.
    rollback_z
        *z*: standard errors by which an archived model must lead.
    gain_weight, gain_spread, gain_memory
        Belief in *f* = 1 in cycles, the standard deviation of one cycle's ratio, and how much of
        the evidence outlives a cycle.
    window_spread
        τ: standard deviation of δ relative to the loss level before anything is known.
    window_memory
        Share of the evidence about δ that outlives a comparison.
    least_window_error
        Least relative standard error of one comparison: models differ beyond their rows, too.
    tick_noise
        Standard deviation of a tick's paired difference, relative to the level; says how much a
        comparison will resolve.
    taught_cycles
        *K*: so many intervals a cycle's lesson is of use.
    search_improvement, search_weight, search_memory, search_spread
        Relative improvement expected of a search, belief in it in searches, memory per search, and
        its standard deviation.
    search_luck
        Share of a search's improvement on its validation rows that is believed.
    cost_memory
        Weight of the older cycles in a recipe's cost.
    """

    margin: float = 1.25
    rollback_z: float = 1.0
    gain_weight: float = 4.0
    gain_spread: float = 1.0
    gain_memory: float = 0.85
    window_spread: float = 0.1
    window_memory: float = 0.8
    least_window_error: float = 0.03
    tick_noise: float = 0.2
    taught_cycles: float = 10.0
    search_improvement: float = 0.02
    search_weight: float = 3.0
    search_memory: float = 0.7
    search_spread: float = 0.02
    search_luck: float = 0.5
    cost_memory: float = 0.7


PRIOR = AlternativesPrior()
GREATEST_RATIO = 5.0
"""One settled cycle counts as at most so many times what was expected of it, or its cost."""


@dataclass(slots=True)
class GainBook:
    r"""How much of the expected gain the settled cycles of a bot have really had, by recipe.

    With *e* the expected and *y* the realised gain of a settled cycle, both in units of the larger
    of *e* and the cycle's cost, and *g* the memory: :math:`S_{ey} \leftarrow g S_{ey} + ey`,
    :math:`S_{ee} \leftarrow g S_{ee} + e^2`, :math:`f = (n + S_{ey}) / (n + S_{ee})`.

    Examples
    --------
    >>> book = GainBook()
    >>> book.ratio("recent")
    (1.0, 0.5)
    >>> for _ in range(3):
    ...     book.add("recent", expected_usd=10.0, gained_usd=0.0, cost_usd=4.0)
    >>> ratio, error = book.ratio("recent")
    >>> round(ratio, 3), round(error, 3)
    (0.609, 0.39)
    """

    sums: dict[str, tuple[float, float]] = field(default_factory=dict)
    prior: AlternativesPrior = PRIOR

    def add(self, recipe: str, *, expected_usd: float, gained_usd: float, cost_usd: float) -> None:
        """Take in a settled cycle; the expectation is for the rows that it was settled over."""
        scale = max(abs(expected_usd), cost_usd)
        if scale <= 0:
            return
        expected = expected_usd / scale
        gained = max(-GREATEST_RATIO, min(GREATEST_RATIO, gained_usd / scale))
        product, square = self.sums.get(recipe, (0.0, 0.0))
        memory = self.prior.gain_memory
        self.sums[recipe] = (
            memory * product + expected * gained,
            memory * square + expected * expected,
        )

    def ratio(self, recipe: str) -> tuple[float, float]:
        """*f*, at least 0, and its standard error."""
        product, square = self.sums.get(recipe, (0.0, 0.0))
        weight = self.prior.gain_weight
        mean = max(0.0, (weight + product) / (weight + square))
        return mean, self.prior.gain_spread / math.sqrt(weight + square)

    def to_json(self) -> Json:
        """Plain JSON."""
        return {recipe: list(sums) for recipe, sums in self.sums.items()}

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Rebuild from :meth:`to_json`."""
        return cls({recipe: (float(ey), float(ee)) for recipe, (ey, ee) in data.items()})


@dataclass(slots=True)
class RecipeBook:
    """What a bot's cycles have shown of the recipes, besides gains.

    Attributes
    ----------
    row_usd
        Window choice → cost per row of work without promotions, USD; EMA over its cycles.
    window_lead
        Sums Σ y/v and Σ 1/v of the comparisons of all history (lead *y* over the window, relative
        to the level, variance *v*), discounted.
    searches
        Discounted sum of relative improvements, and discounted count.
    made_of
        Version → window choice, of the models that were not made from the recent window.
    """

    row_usd: dict[str, float] = field(default_factory=dict)
    window_lead: tuple[float, float] = (0.0, 0.0)
    searches: tuple[float, float] = (0.0, 0.0)
    made_of: dict[str, str] = field(default_factory=dict)
    prior: AlternativesPrior = PRIOR

    REMEMBERED_VERSIONS = 64

    def add_cost(self, window: str, *, cost_usd: float, work_rows: float) -> None:
        """Take in what a cycle of energy 1 that was not made from the window alone has cost.

        Parameters
        ----------
        cost_usd
            Without the price of a promotion, which does not grow with the rows, USD ≥ 0.
        work_rows
            See :func:`work_rows`.
        """
        newest = cost_usd / max(1.0, work_rows)
        before, memory = self.row_usd.get(window, newest), self.prior.cost_memory
        self.row_usd[window] = memory * before + (1 - memory) * newest

    def add_comparison(self, *, lead: float, error: float, level: float) -> None:
        """Take in a comparison: lead of all history over the window per row, and its error."""
        if level <= 0:
            return
        prior = self.prior
        variance = max(prior.least_window_error, error / level) ** 2
        relative = max(-1.0, min(1.0, lead / level))
        total, precision = self.window_lead
        memory = prior.window_memory
        self.window_lead = (
            memory * total + relative / variance,
            memory * precision + 1.0 / variance,
        )

    def add_search(self, improvement: float) -> None:
        """Take in the relative improvement that a search found, ≥ 0; 0 if it found none."""
        total, count = self.searches
        memory = self.prior.search_memory
        self.searches = (memory * total + max(0.0, min(0.5, improvement)), memory * count + 1.0)

    def note_version(self, version: int, window: str) -> None:
        """Remember what a version was made from."""
        self.made_of.pop(str(version), None)
        if window != RECENT:
            self.made_of[str(version)] = window
        for oldest in list(self.made_of)[: -self.REMEMBERED_VERSIONS]:
            del self.made_of[oldest]

    def history_lead(self) -> tuple[float, float]:
        """δ relative to the loss level, and its standard error."""
        total, precision = self.window_lead
        precision += 1.0 / self.prior.window_spread**2
        return total / precision, 1.0 / math.sqrt(precision)

    def search_improvement(self) -> tuple[float, float]:
        """Relative improvement to be expected of the next search, and its standard error."""
        prior = self.prior
        total, count = self.searches
        weight = prior.search_weight + count
        expected = prior.search_weight * prior.search_improvement + prior.search_luck * total
        return expected / weight, prior.search_spread / math.sqrt(weight / prior.search_weight)

    def to_json(self) -> Json:
        """Plain JSON."""
        return {
            "row_usd": self.row_usd,
            "window_lead": list(self.window_lead),
            "searches": list(self.searches),
            "made_of": self.made_of,
        }

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Rebuild from :meth:`to_json`; an empty object gives a new book."""
        if not data:
            return cls()
        lead, searches = data["window_lead"], data["searches"]
        return cls(
            row_usd=dict(data["row_usd"]),
            window_lead=(lead[0], lead[1]),
            searches=(searches[0], searches[1]),
            made_of=dict(data["made_of"]),
        )


def work_rows(window: str, recent_rows: int, history_rows: int) -> float:
    """Rows that a cycle of a window choice trains on, relative to two fits of the window.

    A refit fits twice (before the hold-out, and on everything); a comparison fits each window once
    more.

    Examples
    --------
    >>> [work_rows(window, 1000, 3000) for window in ("recent", "history", "either")]
    [1000.0, 3000.0, 3000.0]
    """
    if window == HISTORY:
        return float(history_rows)
    if window == EITHER:
        return (3.0 * recent_rows + history_rows) / 2.0
    return float(recent_rows)
