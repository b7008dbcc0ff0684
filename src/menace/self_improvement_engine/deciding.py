"""Bring together what a decision rests on, have it judged, and store it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from menace.accounting.energy_budget import EnergyBudget, synergy_factor
from menace.records import Decision
from menace.self_improvement_engine.cycle import row_of
from menace.self_improvement_engine.planning import Planner
from menace.self_improvement_engine.purse import BUDGET_SPENT, budget_check, recent_rates
from menace.self_improvement_engine.trigger import (
    ROLL_BACK,
    WENT_BACK,
    Situation,
    assess,
    expected_cost_usd,
    judge,
)

if TYPE_CHECKING:
    from menace.accounting.module_roi_log import ModuleRoiLog
    from menace.accounting.roi_tracker import RoiTracker
    from menace.interfaces import EnergyScorer
    from menace.records import Json
    from menace.self_improvement_engine.organs import Organs
    from menace.self_improvement_policy.recipes import GainBook


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides for one bot whether a cycle is worth its cost now.

    Attributes
    ----------
    organs
        The engine's parts.
    roi
        The bot's ROI deltas.
    gains
        What its settled cycles gained, by recipe.
    interval
        Seconds after which a cycle runs whatever the policy says; ``None``: never for that reason.
    capital_bot
        Scales the energy of cycles that nobody asked for by number, if given.
    module_log
        Gives the policy's state the trend of what the last cycle changed, if given.
    synergy_sum
        Weighted rolling changes of the synergy metrics, −4..4; scales the energy.
    """

    organs: Organs
    roi: RoiTracker
    gains: GainBook
    interval: float | None
    capital_bot: EnergyScorer | None
    module_log: ModuleRoiLog | None = None
    synergy_sum: float = 0.0

    def decide(self, energy: int | None, *, requested: bool) -> Decision:
        """Decide, and store the decision, also a no.

        Parameters
        ----------
        energy
            Budget that the caller has in mind, 1..100.
        requested
            Whether somebody asked for a cycle.
        """
        organs = self.organs
        situation = self._situation(energy=1)
        budget = self._budget(energy, situation, asked_for=requested)
        if budget["energy"] != 1:
            situation = self._situation(energy=int(budget["energy"]))
        loop = situation.snapshot.loop
        refit_usd = expected_cost_usd(organs.bot, loop.cycle_cost_usd, energy=1)
        planner = Planner(organs.bot, organs.services.settings, organs.windows, self.gains)
        table = planner.alternatives(situation, energy=budget["energy"], refit_usd=refit_usd)
        run, reason = judge(
            organs.bot,
            situation,
            policy=organs.policy,
            requested=requested,
            interval=self.interval,
            issue_severity=organs.services.settings.issue_severity,
            learns=organs.bot.source is not None or not organs.needs_rows,
            staged=organs.staged,
            alternatives=table,
            went_back=self._went_back(situation),
        )
        inputs = {**situation.inputs(), "budget": budget}
        if table is not None:
            inputs["alternatives"] = table.to_json()
        if reason == ROLL_BACK and table is not None and table.rollback is not None:
            serving = situation.snapshot.champion_version
            inputs["roll_back"] = {"from": serving, "to": table.rollback.version}
        if run:
            plan = planner.plan(
                situation,
                table,
                energy=budget["energy"],
                asked=requested or energy is not None,
                refit_usd=refit_usd,
            )
            inputs["plan"] = plan.to_json()
        if run and not requested:
            purse = budget_check(self.capital_bot, organs.bot.name, plan.cost_usd)
            if purse is not None:
                inputs["purse"] = asdict(purse)
                run, reason = (run, reason) if purse else (False, f"{BUDGET_SPENT}: {purse.purse}")
        decision = Decision(organs.bot.name, run, reason, organs.services.clock.now(), inputs)
        return organs.store_decision(decision)

    def _went_back(self, situation: Situation) -> bool:
        """Whether the last decision has put the serving model in force on these very rows."""
        row = row_of(situation.snapshot)
        if situation.snapshot.champion_since_row != row:
            return False
        last = self.organs.services.store.decisions(self.organs.bot.name, last=1)
        reasons = {ROLL_BACK, WENT_BACK}
        return bool(last) and last[0].reason in reasons and last[0].inputs.get("row") == row

    def _budget(self, energy: int | None, situation: Situation, *, asked_for: bool) -> Json:
        """Energy of the cycle with every factor.

        A number that a person asked for stands. So does a refit, energy 1, where there is no
        capital bot: nothing says then that there is money for a search.
        """
        if asked_for:
            return {"energy": energy or 1, "asked_for": True}
        held = self.capital_bot is None and (energy or 1) == 1
        budget = (
            EnergyBudget()
            .energy(
                energy_score=situation.energy_score,
                energy=1 if held else energy,
                predicted=situation.policy_score,
                short_term_mean=situation.short_term_roi,
                ema=situation.roi_ema,
                synergy_factor=synergy_factor(self.synergy_sum),
            )
            .to_json()
        )
        return {**budget, "asked_for": False, "held": held, **({"energy": 1} if held else {})}

    def _situation(self, *, energy: int) -> Situation:
        organs, capital_bot = self.organs, self.capital_bot
        services = organs.services
        snapshot = services.store.snapshot(organs.bot.name)
        issues = (*snapshot.loop.issues, *organs.diagnosed(snapshot.totals.outcomes))
        return assess(
            organs.bot,
            snapshot,
            tuple(sorted(issues, key=lambda issue: -issue.severity)),
            policy=organs.policy,
            roi=self.roi,
            energy=energy,
            energy_score=None if capital_bot is None else self._energy_score(capital_bot),
            now=services.clock.now(),
            module_trend=None if self.module_log is None else self.module_log.changed_trend(),
        )

    def _energy_score(self, capital_bot: EnergyScorer) -> float:
        rates = recent_rates(self.organs.services.store, [self.organs.bot.name])
        return capital_bot.energy_score(load=0.0, **rates._asdict())
