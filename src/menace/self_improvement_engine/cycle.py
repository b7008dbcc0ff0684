"""Run one cycle, step by step, each committed before the next, so that a kill costs one step.

``decided → (patching) → training → evaluated → promoted | rejected | failed``. Settling comes
later, when the rows are in (:mod:`menace.self_improvement_engine.settlement`).
"""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from menace.errors import MenaceError, PipelineError
from menace.interfaces import StagedPipeline, WindowedPipeline
from menace.records import AutomationResult, CycleState, Package
from menace.self_improvement_engine.recipe_notes import (
    planned_window,
    recipes_after,
    refit_cost_usd,
)
from menace.self_improvement_policy.staleness import StalenessEstimator

if TYPE_CHECKING:
    from menace.interfaces import Pipeline, Services
    from menace.records import BotConfig, BotSnapshot, Cycle, Decision, Json

logger = logging.getLogger(__name__)

UNFINISHED = (
    CycleState.DECIDED,
    CycleState.PATCHING,
    CycleState.TRAINING,
    CycleState.EVALUATED,
)
MOST_ATTEMPTS = 2
"""A training that was cut short is tried once more; a second cut marks the cycle failed."""

OWN_STATUSES = ("promoted", "rejected", "failed", "no_data")
"""What a pipeline that deploys by itself may report."""


@runtime_checkable
class CodePatcher(Protocol):
    """Patches a bot's helper code before the pipeline runs."""

    def patch(self, bot_name: str, *, energy: int, cycle_id: int | None = None) -> Json:
        """Try to improve the code within the cycle's energy.

        Called again with the same ``cycle_id`` after a kill.

        Returns
        -------
        dict
            What was done, for the cycle's record. ``cpu_seconds`` and ``usd`` are charged to the
            cycle, the pipeline gets what is left of its ``energy`` after ``energy_used``, and
            ``modules`` names what was changed.
        """
        ...


@runtime_checkable
class CanaryKeeper(Protocol):
    """Lets patches stay or takes them back, by how their cycles settled; a patcher may be one."""

    def settle(self, bot_name: str) -> None:
        """Look at the patches whose cycle has settled. Called after every settlement."""
        ...


def row_of(snapshot: BotSnapshot) -> int:
    """Count the rows that are visible to the bot, its own clock; its outcomes without a source."""
    if snapshot.loop.position is not None:
        return snapshot.loop.position.row
    return snapshot.totals.outcomes


class CycleRunner:
    """Runs a bot's cycles.

    Parameters
    ----------
    services
        Store, clock, meter.
    pipeline
        Makes the challenger.
    patcher
        Patches helper code first, if given.
    """

    def __init__(
        self, services: Services, pipeline: Pipeline, patcher: CodePatcher | None = None
    ) -> None:
        self._services = services
        self._pipeline = pipeline
        self._patcher = patcher

    def run(
        self, bot: BotConfig, decision: Decision, *, energy: int, details: Json
    ) -> AutomationResult:
        """Open a cycle and bring it to its end or to its settlement.

        Raises
        ------
        CycleConflictError
            If the bot has a cycle under way.
        """
        store, now = self._services.store, self._services.clock.now()
        snapshot = store.snapshot(bot.name)
        row = row_of(snapshot)
        cycle = store.open_cycle(
            bot.name,
            energy=energy,
            row=row,
            at=now,
            decision_id=decision.decision_id,
            details=details,
        )
        return self._continue(bot, cycle)

    def resume(self, bot: BotConfig) -> AutomationResult | None:
        """Go on with the cycle that a killed process left, under the same id, if there is one."""
        found = self._services.store.cycles(bot.name, last=1, states=UNFINISHED)
        if not found:
            return None
        logger.info("bot %s: cycle %d goes on at %s", bot.name, found[0].cycle_id, found[0].state)
        return self._continue(bot, found[0])

    def _continue(self, bot: BotConfig, cycle: Cycle) -> AutomationResult:
        # The one broad except of menace: whatever a pipeline or a patcher raises fails this cycle,
        # is recorded, and harms neither the champion nor another bot.
        try:
            self._note_begin(bot, cycle)
            if cycle.state in {CycleState.DECIDED, CycleState.PATCHING}:
                cycle = self._patch(cycle)
            if cycle.state is CycleState.TRAINING:
                return self._train(bot, cycle)
            return self._conclude(bot, cycle, _recorded_result(cycle))
        except Exception as error:
            logger.exception("bot %s: cycle %d failed", bot.name, cycle.cycle_id)
            failed = self._services.store.cycle(cycle.cycle_id)
            return self._fail(
                bot, failed, f"{type(error).__name__}: {error}", self._paid(bot, failed, error)
            )

    def _note_begin(self, bot: BotConfig, cycle: Cycle) -> None:
        """Remember where the last cycle began; it answers the issues that were open."""
        store = self._services.store
        loop = store.snapshot(bot.name).loop
        if loop.last_cycle_row == cycle.row and loop.last_cycle_at == cycle.started_at:
            return  # noted before a restart
        store.save_loop(
            bot.name,
            dataclasses.replace(
                loop, last_cycle_row=cycle.row, last_cycle_at=cycle.started_at, issues=()
            ),
        )

    def _patch(self, cycle: Cycle) -> Cycle:
        if self._patcher is not None:
            if cycle.state is CycleState.DECIDED:
                cycle = self._advance(cycle, CycleState.PATCHING)
            patched = self._patcher.patch(cycle.bot, energy=cycle.energy, cycle_id=cycle.cycle_id)
            seconds = self._services.meter.charge(
                measured_seconds=float(patched.get("cpu_seconds", 0.0)),
                counted_seconds=float(patched.get("budget_seconds", 0.0)),
            )
            price = self._services.store.bot(cycle.bot).economics.cpu_second_usd
            cost_usd = seconds * price + float(patched.get("usd", 0.0))
            # On the cycle before its training begins, so that a failure is paid for, too.
            return self._advance(
                cycle,
                CycleState.TRAINING,
                details={**cycle.details, "patch": {**patched, "cost_usd": cost_usd}},
                cpu_seconds=seconds,
                cost_usd=cost_usd,
            )
        return self._advance(cycle, CycleState.TRAINING)

    def _train(self, bot: BotConfig, cycle: Cycle) -> AutomationResult:
        if cycle.attempts >= MOST_ATTEMPTS:
            raise MenaceError(
                f"its training was cut short {cycle.attempts} times.",
                bot=bot.name,
                cycle_id=cycle.cycle_id,
                remedy="look for what kills the process (memory?), then: menace cycle " + bot.name,
            )
        cycle = self._advance(cycle, CycleState.TRAINING, attempts=cycle.attempts + 1)
        staged = isinstance(self._pipeline, StagedPipeline)
        energy = max(1, cycle.energy - int(cycle.details.get("patch", {}).get("energy_used", 0)))
        if isinstance(self._pipeline, WindowedPipeline):
            result = self._pipeline.improve(
                bot.name,
                energy=energy,
                cycle_id=cycle.cycle_id,
                window=planned_window(cycle),
            )
        elif isinstance(self._pipeline, StagedPipeline):
            result = self._pipeline.improve(bot.name, energy=energy, cycle_id=cycle.cycle_id)
        else:
            result = _own_result(bot, self._pipeline.run(bot.name, energy=energy))
        # What patching cost is on the cycle already.
        result = dataclasses.replace(
            result,
            cpu_seconds=cycle.cpu_seconds + result.cpu_seconds,
            cost_usd=cycle.cost_usd + result.cost_usd,
        )
        if result.status == "failed":
            why = result.error or result.message or "the pipeline says that it failed"
            return self._fail(bot, cycle, why, result)
        cycle = self._advance(
            cycle,
            CycleState.EVALUATED,
            replaced_version=self._services.store.snapshot(bot.name).champion_version,
            # Only a staged pipeline's models lie here, where they can be scored and served again.
            version=result.package.version if staged and result.package else None,
            cpu_seconds=result.cpu_seconds,
            cost_usd=result.cost_usd,
            details={
                **cycle.details,
                "status": result.status,
                "roi": result.roi,
                "message": result.message,
                "metrics": result.metrics,
            },
        )
        return self._conclude(bot, cycle, result)

    def _conclude(self, bot: BotConfig, cycle: Cycle, result: AutomationResult) -> AutomationResult:
        """Promote or reject, and start the bot's debt anew."""
        store = self._services.store
        self._note_cost(bot, cycle, accepted=result.status in {"accepted", "promoted"})
        if result.status == "accepted" and cycle.version is not None:
            store.promote(
                bot.name,
                cycle.version,
                row=row_of(store.snapshot(bot.name)),
                at=self._services.clock.now(),
                cycle_id=cycle.cycle_id,
            )
            return self._result(bot, cycle, result, "promoted")
        if result.status == "promoted":
            # A pipeline of the user's own, which deploys by itself: there is nothing to compare
            # with, so its reported ROI stands in the cycle's details.
            self._advance(cycle, CycleState.PROMOTED, outcome="promoted")
            return self._result(bot, cycle, result, "promoted")
        if cycle.version is not None:
            store.reject(bot.name, cycle.version)
        self._advance(cycle, CycleState.REJECTED, outcome="rejected")
        return self._result(bot, cycle, result, result.status)

    def _note_cost(self, bot: BotConfig, cycle: Cycle, *, accepted: bool) -> None:
        """Note what the cycle shows of its recipe, and what a rejection tells of debt."""
        store = self._services.store
        loop = store.snapshot(bot.name).loop
        if loop.costed_cycle_id >= cycle.cycle_id:
            return  # noted before a restart
        estimator = StalenessEstimator.from_json(loop.staleness)
        if not accepted:
            estimator.cycle_rejected()
        store.save_loop(
            bot.name,
            dataclasses.replace(
                loop,
                cycle_cost_usd=refit_cost_usd(loop, cycle),
                costed_cycle_id=cycle.cycle_id,
                recipes=recipes_after(
                    loop,
                    cycle,
                    promotion_usd=bot.economics.promotion_usd if accepted else 0.0,
                ),
                failures=0,
                staleness=estimator.to_json(),
            ),
        )

    def _paid(self, bot: BotConfig, cycle: Cycle, error: Exception) -> AutomationResult | None:
        """Price what a training had used when it failed, where that is known."""
        if not isinstance(error, PipelineError) or not error.cpu_seconds:
            return None
        seconds = self._services.meter.charge(
            measured_seconds=error.cpu_seconds, counted_seconds=error.cpu_seconds
        )
        return AutomationResult(
            status="failed",
            cpu_seconds=cycle.cpu_seconds + seconds,
            cost_usd=cycle.cost_usd + seconds * bot.economics.cpu_second_usd,
        )

    def _fail(
        self, bot: BotConfig, cycle: Cycle, why: str, result: AutomationResult | None = None
    ) -> AutomationResult:
        """Mark the cycle failed; what it is known to have cost goes to the ledger all the same."""
        if cycle.state in UNFINISHED:
            spent = {}
            if result is not None:
                spent = {"cpu_seconds": result.cpu_seconds, "cost_usd": result.cost_usd}
            cycle = self._advance(cycle, CycleState.FAILED, error=why, outcome="failed", **spent)
            loop = self._services.store.snapshot(bot.name).loop
            self._services.store.save_loop(
                bot.name, dataclasses.replace(loop, failures=loop.failures + 1)
            )
        return AutomationResult(
            status="failed",
            bot=bot.name,
            energy=cycle.energy,
            cycle_id=cycle.cycle_id,
            cpu_seconds=cycle.cpu_seconds,
            cost_usd=cycle.cost_usd,
            message=f"cycle {cycle.cycle_id} failed; the champion keeps serving",
            error=why,
        )

    def _advance(self, cycle: Cycle, state: CycleState, **changes: object) -> Cycle:
        return self._services.store.advance_cycle(
            cycle.cycle_id,
            expected=cycle.state,
            state=state,
            at=self._services.clock.now(),
            **changes,
        )

    @staticmethod
    def _result(
        bot: BotConfig, cycle: Cycle, result: AutomationResult, status: str
    ) -> AutomationResult:
        return dataclasses.replace(
            result, status=status, bot=bot.name, energy=cycle.energy, cycle_id=cycle.cycle_id
        )


def _own_result(bot: BotConfig, result: AutomationResult) -> AutomationResult:
    """Check what a pipeline of the user's own reports.

    Raises
    ------
    PipelineError
        If it is not a result, its status is unknown, or a figure in it is not finite.
    """
    if not isinstance(result, AutomationResult) or result.status not in OWN_STATUSES:
        found = getattr(result, "status", type(result).__name__)
        raise PipelineError(
            f"the pipeline returned {found!r}.",
            bot=bot.name,
            remedy=f"return an AutomationResult with a status of {', '.join(OWN_STATUSES)}",
        )
    roi = None if result.roi is None else float(result.roi)
    checked = dataclasses.replace(
        result, roi=roi, cost_usd=float(result.cost_usd), cpu_seconds=float(result.cpu_seconds)
    )
    for name in ("roi", "cost_usd", "cpu_seconds"):
        value = getattr(checked, name)
        if value is not None and not math.isfinite(value):
            raise PipelineError(
                f"the pipeline returned {name} = {value}.",
                bot=bot.name,
                remedy="return finite numbers; roi may be None",
            )
    return checked


def _recorded_result(cycle: Cycle) -> AutomationResult:
    """Rebuild an evaluated cycle's result from its record, after a restart."""
    details = cycle.details
    metrics: Json = details.get("metrics", {})
    package = None
    if cycle.version is not None:
        package = Package(cycle.version, str(metrics.get("sha256", "")), "", {})
    return AutomationResult(
        status=str(details.get("status", "rejected")),
        package=package,
        roi=details.get("roi"),
        cpu_seconds=cycle.cpu_seconds,
        cost_usd=cycle.cost_usd,
        metrics=metrics,
        message=str(details.get("message", "")),
    )
