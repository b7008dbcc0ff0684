"""menace itself: the live engine's own estimator, policy and judgement, over a table.

At the end of a batch the models that menace has are scored on it (predicting costs nothing), the
staleness estimator takes their losses in, cycles that are due are settled and learned from, and the
engine's ``assess`` and ``judge`` say whether to run: the code and the order of the live loop. One
batch is one tick, and the price of an error is such that a whole batch wrong costs 1 USD.

What the calibration part is used for: a model is taken every third batch, as many as the archive
holds, and the estimator learns the stream's staleness from their losses. These models are free for
everybody there. They go on being scored after scoring has started, as *witnesses* of how stale the
model in force is; they never serve. ``live_only`` forgets them when scoring starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.decision.stream import WINDOW_BATCHES
from menace.accounting.roi_tracker import RoiTracker, roi_delta
from menace.config import LoopSettings
from menace.diagnostic_manager.drift import find_drift
from menace.diagnostic_manager.manager import DIAGNOSIS_ROWS
from menace.records import (
    BotConfig,
    BotSnapshot,
    BotTotals,
    Economics,
    Issue,
    IssueKind,
    LoopState,
    SourcePosition,
)
from menace.self_improvement_engine.trigger import assess, judge
from menace.self_improvement_policy import SelfImprovementPolicy
from menace.self_improvement_policy.staleness import StalenessEstimator

if TYPE_CHECKING:
    from benchmarks.decision.replay import Past, Policy, ServingPolicy
    from menace.self_improvement_policy import PolicyState
    from menace.self_improvement_policy.prior import LearnedPrior

CALIBRATION_STRIDE = 3
"""Batches between the models that are taken from the calibration part."""

SETTLEMENT_TICKS = 10
"""A cycle is settled over so many batches, as by the default settings of a bot."""

BATCH_ROWS = 100
"""Rows of a batch in the bot's books; only ratios to it matter."""


@dataclass(slots=True)
class _Unsettled:
    """A cycle whose settlement rows are not in yet."""

    state: PolicyState
    new: int
    replaced: int
    gain_usd: float = 0.0
    ticks: int = 0


class MenacePolicy:
    """The live loop's judgement.

    Parameters
    ----------
    past
        The calibration part.
    cost
        Cost of a retrain, in units of one whole batch wrong.
    seed
        Of the policy's generator.
    witnesses
        Whether models of the calibration part stay as witnesses.
    diagnostics
        Whether drift issues are diagnosed, as the live engine's manager does, and judged too.
    prior
        What the policy starts from beside rent-or-buy. None by default: the one that ships was
        learned on the public streams, so that it would know what it is measured on.
    """

    def __init__(
        self,
        past: Past,
        cost: float,
        seed: int,
        *,
        witnesses: bool = True,
        diagnostics: bool = False,
        prior: LearnedPrior | None = None,
    ) -> None:
        settings = LoopSettings()
        self._keep = 1 + settings.archive_models
        self._severity = settings.issue_severity
        self._cost, self._diagnostics = cost, diagnostics
        self._bot = BotConfig(
            name=f"benchmark at {cost:g}",
            source=None,
            target="label",
            tick_rows=BATCH_ROWS,
            settlement_rows=SETTLEMENT_TICKS * BATCH_ROWS,
            economics=Economics(loss_usd=1.0 / BATCH_ROWS),
        )
        self._policy = SelfImprovementPolicy(rng=seed, prior=prior)
        self._roi = RoiTracker()
        self._estimator = StalenessEstimator()
        self._models: list[int] = []
        self._unsettled: list[_Unsettled] = []
        self._asked: PolicyState | None = None
        self._last_cycle_row: int | None = None
        self._wrong: list[float] = []
        self._calibrate(past)
        if not witnesses:
            self._models.clear()
        self._champion = past.model
        self._add(past.model)

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~benchmarks.decision.replay.Policy`."""
        if past.model != self._champion:
            self._promoted(past.model)
        self._observe(past)
        self._settle_due()
        snapshot = self._snapshot(past)
        situation = assess(
            self._bot,
            snapshot,
            self._issues(past) if self._diagnostics else (),
            policy=self._policy,
            roi=self._roi,
            energy=1,
            energy_score=None,
            now=float(past.now),
        )
        run, _ = judge(
            self._bot,
            situation,
            policy=self._policy,
            requested=False,
            interval=None,
            issue_severity=self._severity,
        )
        if run:
            self._asked = situation.state
            self._last_cycle_row = _row(past)
        return run

    def _calibrate(self, past: Past) -> None:
        for batch in range(WINDOW_BATCHES, past.first):
            if (past.first - batch) % CALIBRATION_STRIDE == 0:
                self._add(batch - 1)
            if self._models:
                losses = {model: past.error(model, batch) for model in self._models}
                self._estimator.observe(losses, champion=self._models[-1])

    def _add(self, model: int) -> None:
        """Take a model in; the oldest one that does not serve makes room."""
        if len(self._models) >= self._keep:
            self._models.pop(1 if self._models[0] == self._estimator.champion else 0)
        self._models.append(model)

    def _promoted(self, model: int) -> None:
        """Note the cycle, and close the book on the one whose model serves no more."""
        for cycle in self._unsettled:
            self._settle(cycle)
        self._unsettled.clear()
        if self._asked is not None:
            self._unsettled.append(_Unsettled(self._asked, model, self._champion))
        self._champion = model
        self._wrong.clear()
        self._add(model)

    def _observe(self, past: Past) -> None:
        losses = {model: past.error(model, past.now) for model in self._models}
        self._estimator.observe(losses, champion=self._champion)
        for cycle in self._unsettled:
            cycle.gain_usd += past.error(cycle.replaced, past.now) - losses[cycle.new]
            cycle.ticks += 1

    def _settle_due(self) -> None:
        due = [cycle for cycle in self._unsettled if cycle.ticks >= SETTLEMENT_TICKS]
        for cycle in due:
            self._settle(cycle)
            self._unsettled.remove(cycle)

    def _settle(self, cycle: _Unsettled) -> None:
        """Learn from what the cycle earned above the model that it replaced, on the same rows."""
        delta = roi_delta(gain_usd=cycle.gain_usd, cycle_cost_usd=self._cost, serving_cost_usd=0.0)
        self._policy.update(cycle.state, delta, action="run")
        self._roi.add(delta)

    def _snapshot(self, past: Past) -> BotSnapshot:
        loop = LoopState(
            position=SourcePosition(_row(past), {}),
            labelled_rows=_row(past),
            staleness=self._estimator.to_json(),
            cycle_cost_usd=self._cost,
            last_cycle_row=self._last_cycle_row,
        )
        return BotSnapshot(
            bot=self._bot.name,
            totals=BotTotals(),
            loop=loop,
            champion_version=self._champion,
            champion_row=self._champion * BATCH_ROWS,
            open_cycle_id=None,
        )

    def _issues(self, past: Past) -> tuple[Issue, ...]:
        rows = past.row_losses(past.model, past.now)
        self._wrong.extend(rows.astype(float).tolist())
        del self._wrong[:-DIAGNOSIS_ROWS]
        drift = find_drift(self._wrong, recent_rows=max(DIAGNOSIS_ROWS // 4, len(rows)))
        if drift is None:
            return ()
        return (Issue(self._bot.name, IssueKind.DRIFT, drift.severity, {}, _row(past)),)


class ArchiveServingPolicy(MenacePolicy):
    """The same judgement, but whichever model of the archive seems best may serve again.

    Not comparable like for like: the others, the hindsight optimum among them, never go back.
    """

    def serves(self, past: Past) -> int:
        """See :class:`~benchmarks.decision.replay.ServingPolicy`."""
        newest = past.live[-1]
        if newest not in self._models:
            self._promoted(newest)
        self._champion = min(reversed(self._models), key=lambda model: self._lead(model, newest))
        return self._champion

    def _lead(self, model: int, newest: int) -> float:
        """Lead over the newest model, which serves first until something is known of it."""
        if newest not in self._estimator.ages:
            return 0.0
        return self._estimator.lead(model, newest)


def menace(past: Past, cost: float, seed: int) -> Policy:
    """Judge as the live loop does, after calibration."""
    return MenacePolicy(past, cost, seed)


def menace_live_only(past: Past, cost: float, seed: int) -> Policy:
    """Without the calibration part's models as witnesses once scoring has started."""
    return MenacePolicy(past, cost, seed, witnesses=False)


def menace_diagnostics(past: Past, cost: float, seed: int) -> Policy:
    """With drift issues diagnosed and judged, too."""
    return MenacePolicy(past, cost, seed, diagnostics=True)


def menace_archive(past: Past, cost: float, seed: int) -> ServingPolicy:
    """With archived models allowed to serve again."""
    return ArchiveServingPolicy(past, cost, seed)


def _row(past: Past) -> int:
    return (past.now + 1) * BATCH_ROWS
