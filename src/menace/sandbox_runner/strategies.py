"""The strategies that menace is compared with, played over the reference models' losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from menace.errors import DataError
from menace.sandbox_runner import drift_alarms
from menace.sandbox_runner.drift_alarms import DriftAlarm
from menace.sandbox_runner.hindsight import Schedule, calendar, follow, hindsight, never
from menace.sandbox_runner.rent_or_buy import RentOrBuy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.records import BotConfig
    from menace.sandbox_runner.loss_table import LossTable
    from menace.sandbox_runner.reference import Reference, RowLosses
    from menace.sandbox_runner.strategy import Strategy

CALENDAR_TICKS = (2, 5, 10, 20)
"""Ticks between the cycles of the calendars, beside 1, which is *always*."""

NEVER = "never"
ALWAYS = "always"
RENT_OR_BUY = "rent-or-buy"
HINDSIGHT = "hindsight optimum"
ADWIN, PAGE_HINKLEY, DDM = "ADWIN", "Page-Hinkley", "DDM"


@dataclass(frozen=True, slots=True)
class Played:
    """What a strategy did, and what it is, in a few words."""

    schedule: Schedule
    note: str


@dataclass(slots=True)
class ReplayedPast:
    """What has happened so far on one strategy's path; see :class:`~.strategy.Past`.

    Attributes
    ----------
    now
        The newest tick whose labels have arrived.
    model
        The model that served it.
    """

    _reference: Reference
    now: int
    model: int
    _served: set[int] = field(default_factory=set)

    @property
    def age(self) -> int:
        """Ticks that the model in force has served."""
        return self.now - self.model

    def error(self, model: int, tick: int, /) -> float:
        """Mean loss of a model on a tick's rows, in units of loss."""
        return float(self.row_losses(model, tick).mean())

    def row_losses(self, model: int, tick: int, /) -> RowLosses:
        """Losses of a model on a tick's rows.

        Raises
        ------
        DataError
            If the tick lies ahead or in the model's training data, or the model never served.
        """
        if model not in self._served or not model < tick <= self.now:
            raise DataError(
                f"at the end of tick {self.now} a strategy asked for model {model}'s losses "
                f"on tick {tick}.",
                remedy="look only at models that have served and ticks that have passed",
            )
        return self._reference.row_losses(model, tick)

    def moved(self, tick: int, model: int) -> ReplayedPast:
        """Move on to the end of a tick that ``model`` has served."""
        self.now, self.model = tick, model
        self._served.add(model)
        return self


def play(reference: Reference, table: LossTable, strategy: Strategy) -> Schedule:
    """Play a strategy over the counted ticks, showing it nothing that lies ahead."""
    past = ReplayedPast(reference, table.first - 1, table.first - 1)
    return follow(table, lambda tick, model: strategy.wants_cycle(past.moved(tick, model)))


def play_all(reference: Reference, table: LossTable, bot: BotConfig) -> dict[str, Played]:
    """Play all that menace is compared with, by the names that people read."""
    return dict(_played(reference, table, bot))


def _played(reference: Reference, table: LossTable, bot: BotConfig) -> Iterator[tuple[str, Played]]:
    counted = table.ticks - table.first
    yield NEVER, Played(never(table), "keeps the first model")
    yield ALWAYS, Played(calendar(table, 1), "a cycle after every tick")
    for every in CALENDAR_TICKS:
        if every < counted:
            note = f"a cycle every {every} ticks"
            yield f"every {every} ticks", Played(calendar(table, every), note)
    detectors = {ADWIN: drift_alarms.adwin, PAGE_HINKLEY: drift_alarms.page_hinkley}
    if reference.binary:
        detectors[DDM] = drift_alarms.ddm  # it counts mistakes, of which quantities have none
    for name, new_detector in detectors.items():
        alarm = DriftAlarm(new_detector)
        yield name, Played(play(reference, table, alarm), "a cycle upon each drift alarm")
    tick_usd = bot.tick_rows * bot.economics.loss_usd
    price = float(table.cycle_usd[table.first - 1]) + table.promotion_usd
    rule = RentOrBuy(price / tick_usd if tick_usd > 0 else float("inf"))
    yield (
        RENT_OR_BUY,
        Played(play(reference, table, rule), "a cycle when the excess loss has reached its price"),
    )
    yield HINDSIGHT, Played(hindsight(table), "the least that any schedule could have cost")
