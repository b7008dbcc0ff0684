"""Value what could be done now, and plan what is done: go back, or a cycle by some recipe.

*When* is for the policy and the others that :mod:`~menace.self_improvement_engine.trigger` asks;
here is *what*. The formulas stand in :mod:`menace.self_improvement_policy.alternatives`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.model_automation_pipeline.windows import history_size
from menace.self_improvement_engine.cycle import row_of
from menace.self_improvement_policy.alternatives import (
    Alternatives,
    Archived,
    Kind,
    Known,
    value,
)
from menace.self_improvement_policy.recipes import EITHER, HISTORY, RECENT, RecipeBook, work_rows

if TYPE_CHECKING:
    from menace.config import LoopSettings
    from menace.records import BotConfig, BotSnapshot, Json
    from menace.self_improvement_engine.trigger import Situation
    from menace.self_improvement_policy.recipes import GainBook

ROLLBACK_PAUSE_TICKS = 4
"""A model that has begun to serve, however it came to, serves at least so many ticks before the
loop goes back on its own account: leads are measured by then, and somebody's choice stands."""

ASKED_ENERGY = 5
"""Energy of the search whose value is shown where nobody has allowed one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a cycle is to be run.

    Attributes
    ----------
    kind
        Which alternative it is.
    window
        Which rows it learns from.
    energy
        Its budget, 1..100.
    cost_usd
        What it is expected to cost, USD.
    gain_usd, horizon_rows
        What it was expected to gain, USD, and the rows of a horizon; ``None`` where nothing serves
        yet.
    refit_gain_usd
        What of the gain the new model was to bring within the horizon, USD: what a search or a
        comparison teaches is due later, and no settlement sees it.
    work_rows
        What its cost is counted by; see :func:`menace.self_improvement_policy.recipes.work_rows`.
    """

    kind: str
    window: str
    energy: int
    cost_usd: float
    gain_usd: float | None = None
    refit_gain_usd: float | None = None
    horizon_rows: float = 0.0
    work_rows: float = 0.0

    def to_json(self) -> Json:
        """Plain JSON, as decision and cycle keep it."""
        return {
            "kind": self.kind,
            "window": self.window,
            "energy": self.energy,
            "cost_usd": self.cost_usd,
            "gain_usd": self.gain_usd,
            "refit_gain_usd": self.refit_gain_usd,
            "horizon_rows": self.horizon_rows,
            "work_rows": self.work_rows,
        }


@dataclass(frozen=True, slots=True)
class Planner:
    """Values alternatives for one bot, and plans its cycles.

    Attributes
    ----------
    settings
        Of the loop.
    windows
        Window choices that the pipeline knows.
    gains
        What the bot's settled cycles gained, by recipe.
    """

    bot: BotConfig
    settings: LoopSettings
    windows: tuple[str, ...]
    gains: GainBook

    def alternatives(
        self, situation: Situation, *, energy: int, refit_usd: float
    ) -> Alternatives | None:
        """Value what could be done; ``None`` where no model serves that could be compared.

        Parameters
        ----------
        energy
            That the budget gives.
        refit_usd
            Expected cost of a refit on the recent window, USD.
        """
        snapshot = situation.snapshot
        if snapshot.champion_version is None:
            return None
        bot, estimate = self.bot, situation.estimate
        recipes = RecipeBook.from_json(snapshot.loop.recipes)
        recent, history = self._rows(snapshot)
        return value(
            Known(
                tick_usd=bot.tick_rows * bot.economics.loss_usd,
                excess=estimate["excess_per_row"],
                excess_error=estimate.get("excess_error_per_row", 0.0),
                rate=estimate["rate_per_row_and_tick"],
                level=estimate["loss_level"] or 0.0,
                cost_usd=refit_usd,
                promotion_usd=bot.economics.promotion_usd,
                recipes=recipes,
                gains=self.gains,
                champion_window=recipes.made_of.get(str(snapshot.champion_version), RECENT),
                recent_rows=recent,
                history_rows=history,
                tick_rows=bot.tick_rows,
                validation_rows=(recent - min(bot.holdout_rows, recent // 5)) // 4,
                search_energy=energy if energy > 1 else self.settings.search_energy or ASKED_ENERGY,
                unit_usd=bot.seconds_per_energy * bot.economics.cpu_second_usd,
                archived=self._archived(situation),
                compares=EITHER in self.windows,
            )
        )

    def plan(
        self,
        situation: Situation,
        table: Alternatives | None,
        *,
        energy: int,
        asked: bool,
        refit_usd: float,
    ) -> Plan:
        """Plan a cycle.

        Energy above 1 is a search, as it was budgeted. At energy 1 it is whatever is worth most, a
        search too where the settings allow one and nobody ``asked`` for this energy.
        """
        unit_usd = self.bot.seconds_per_energy * self.bot.economics.cpu_second_usd
        if table is None:
            kind = Kind.SEARCH if energy > 1 else Kind.REFIT_RECENT
            cost_usd = refit_usd + (energy - 1) * unit_usd
            return Plan(kind.value, RECENT, energy, cost_usd)
        searches = not asked and self.settings.search_energy > 1
        cycles = [row for row in table.rows if row.is_cycle]
        if energy > 1:
            cycles = [row for row in cycles if row.kind is Kind.SEARCH]
        elif not searches:
            cycles = [row for row in cycles if row.kind is not Kind.SEARCH]
        chosen = max(cycles, key=lambda row: row.net_usd)
        window = chosen.window or RECENT
        return Plan(
            chosen.kind.value,
            window,
            chosen.energy,
            chosen.cost_usd,
            gain_usd=chosen.gain_usd,
            refit_gain_usd=chosen.refit_gain_usd,
            horizon_rows=table.horizon_ticks * self.bot.tick_rows,
            work_rows=work_rows(window, *self._rows(situation.snapshot)),
        )

    def _rows(self, snapshot: BotSnapshot) -> tuple[int, int]:
        """Rows that a cycle would learn from: in the window, and of all history."""
        labelled = max(1, snapshot.loop.labelled_rows)
        recent = min(self.bot.window_rows, labelled)
        if HISTORY not in self.windows:
            return recent, recent
        return recent, history_size(self.bot, labelled, self.settings.max_history_rows)

    def _archived(self, situation: Situation) -> Archived | None:
        """Look up the best archived model, unless the champion has only begun to serve."""
        found, since = situation.archive, situation.snapshot.champion_since_row
        if found is None:
            return None
        pause = ROLLBACK_PAUSE_TICKS * self.bot.tick_rows
        if since is not None and row_of(situation.snapshot) - since < pause:
            return None
        return Archived(found["version"], found["lead"], found["error"], found["among"])
