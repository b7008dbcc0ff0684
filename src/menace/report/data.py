"""What a report is made of: plain, frozen data, filled by whoever ran the loop.

The report reads nothing else: no store, no clock, no models. Ticks are counted from 0 in the order
of ``Report.ticks``; money is USD. A number that is not known is ``None``; NaN and infinities are
treated as not known, so that a run with a hole in it can still be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from menace.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUTCOMES = ("promoted", "rejected", "rolled_back", "failed")
"""How a cycle can end, in the order in which the report shows them."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled fact for people: a price, a version, a setting."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class TickPoint:
    """One tick of the bot.

    Attributes
    ----------
    row
        Labelled rows seen at the end of the tick.
    label
        What people call the tick: a date, or the row.
    loss
        Mean loss of the serving model on the tick's rows, ≥ 0; ``None`` if nothing was labelled.
    version
        The model version that served, ``None`` before the first.
    cumulated_usd
        Strategy name → USD lost and spent from the first tick to the end of this one.
    """

    row: int
    label: str
    loss: float | None
    version: int | None = None
    cumulated_usd: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """What was decided at the end of a tick, and on what grounds.

    Attributes
    ----------
    tick
        Index of the tick.
    run
        Whether a cycle was started.
    reason
        Who decided it, or why, in a few words.
    inputs
        Everything that was known. Names end in their unit (``debt_usd``, ``age_rows``); the most
        telling ones come first: a mark shows the first four, the table the first six.
    """

    tick: int
    run: bool
    reason: str
    inputs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CyclePoint:
    """What became of a cycle.

    Attributes
    ----------
    tick
        Index of the tick at which it was decided.
    outcome
        One of :data:`OUTCOMES`.
    roi_delta
        The settled ROI delta, dimensionless; ``None`` while the cycle is not settled.
    version
        The version that the cycle made or went back to, if any.
    cost_usd
        What the cycle cost, USD.
    gain_usd
        USD earned above the replaced champion; ``None`` while the cycle is not settled.
    """

    tick: int
    outcome: str
    roi_delta: float | None = None
    version: int | None = None
    cost_usd: float = 0.0
    gain_usd: float | None = None


@dataclass(frozen=True, slots=True)
class VersionSpan:
    """An uninterrupted run of ticks, both ends included, on which one version served."""

    version: int
    first_tick: int
    last_tick: int


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """What one way of caring for the bot cost over the whole stream.

    Attributes
    ----------
    name
        As in ``TickPoint.cumulated_usd``.
    loss_usd, cycle_usd, total_usd
        USD lost to wrong predictions, USD spent on cycles, and their sum.
    cycles
        How often it trained.
    is_menace
        The strategy that the others are compared with; at most one.
    is_hindsight
        The least that any schedule over the same models could have cost; at most one.
    note
        What it does, in a few words, for the table.
    """

    name: str
    loss_usd: float
    cycle_usd: float
    total_usd: float
    cycles: int
    is_menace: bool = False
    is_hindsight: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """What changing one module of the bot brought.

    Attributes
    ----------
    name
        As cycles name it: ``window``, ``family:linear``.
    roi_delta
        Sum of its shares of the cycles' ROI deltas, dimensionless.
    cycles
        Settled cycles that changed it.
    trend
        Trend of its ROI, dimensionless; ``None`` if it is not known.
    """

    name: str
    roi_delta: float
    cycles: int
    trend: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One bot's stream from its first tick to its last.

    Attributes
    ----------
    title, subtitle
        The headline, and a sentence on what was run.
    generated_at
        When, as ISO 8601 text.
    bot
        The bot's name.
    tick_name
        What a tick is, in the singular: ``week``, ``batch``.
    loss_name
        What the loss is called: ``error rate``, ``absolute error``.
    loss_is_share
        Whether a loss is a share of rows, to be shown in percent.
    modules
        What changing each part of the bot brought, best first.
    economics, environment
        The prices, and what the run ran on.

    Raises
    ------
    ReportError
        If a decision, a cycle or a version names a tick that is not there, an outcome is unknown,
        or two strategies are marked as menace or as hindsight.
    """

    title: str
    subtitle: str
    generated_at: str
    bot: str
    ticks: Sequence[TickPoint] = ()
    decisions: Sequence[DecisionPoint] = ()
    cycles: Sequence[CyclePoint] = ()
    versions: Sequence[VersionSpan] = ()
    strategies: Sequence[StrategyRow] = ()
    economics: Sequence[Fact] = ()
    environment: Sequence[Fact] = ()
    tick_name: str = "tick"
    loss_name: str = "loss"
    loss_is_share: bool = False
    modules: Sequence[ModuleRow] = ()

    def __post_init__(self) -> None:
        for decision in self.decisions:
            self._check_tick("a decision", decision.tick)
        for cycle in self.cycles:
            self._check_tick("a cycle", cycle.tick)
            if cycle.outcome not in OUTCOMES:
                raise ReportError(
                    f"the cycle at tick {cycle.tick} has the outcome {cycle.outcome!r}.",
                    bot=self.bot,
                    remedy=f"give one of {', '.join(OUTCOMES)}",
                )
        for span in self.versions:
            self._check_tick(f"version {span.version}", span.first_tick)
            self._check_tick(f"version {span.version}", span.last_tick)
            if span.last_tick < span.first_tick:
                raise ReportError(
                    f"version {span.version} serves from tick {span.first_tick} "
                    f"to tick {span.last_tick}, which lies before it.",
                    bot=self.bot,
                    remedy="give the first tick first",
                )
        for role in ("is_menace", "is_hindsight"):
            names = [row.name for row in self.strategies if getattr(row, role)]
            if len(names) > 1:
                raise ReportError(
                    f"the strategies {names[0]!r} and {names[1]!r} are both marked {role}.",
                    bot=self.bot,
                    remedy="mark one",
                )

    @property
    def menace(self) -> StrategyRow | None:
        """The strategy that the others are compared with, if it is there."""
        return next((row for row in self.strategies if row.is_menace), None)

    def _check_tick(self, what: str, tick: int) -> None:
        if not 0 <= tick < len(self.ticks):
            raise ReportError(
                f"{what} names tick {tick}, but there are {len(self.ticks)} ticks.",
                bot=self.bot,
                remedy="count ticks from 0, in the order of Report.ticks",
            )
