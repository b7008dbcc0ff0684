"""Decide: is a cycle worth its cost now? Who answered, and all that was known, is in the decision.

Asked in this order: manual request, cooling down after failures, first model, anything new at all,
interval, policy, diagnostics. Where the policy is asked, an archived model may be worth more than a
cycle: the answer is then to go back to it. Everything is read in one statement, whatever the length
of the bot's history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.self_improvement_engine.cycle import row_of
from menace.self_improvement_policy import state_of
from menace.self_improvement_policy.staleness import Staleness

if TYPE_CHECKING:
    from menace.accounting.roi_tracker import RoiTracker
    from menace.records import BotConfig, BotSnapshot, Issue, Json
    from menace.self_improvement_policy import PolicyState, SelfImprovementPolicy
    from menace.self_improvement_policy.alternatives import Alternatives

FIRST_MODEL_ROWS = 20
"""Fewer labelled rows than this make no model."""

LONGEST_COOLING_TICKS = 64
MEASURING_WITNESSES = 2
"""Models on the same rows that it takes to measure a lead."""

FORGIVING_TICKS = 128.0
"""How slowly a verdict against running fades: a way back, not a second judge."""

ROLL_BACK = "roll back"
"""The reason of a decision that runs no cycle, but lets an archived model serve."""

WENT_BACK = "nothing new since the rollback"
WATCHED_ONLY = "watched only: it has no source to learn from"
SHORT_TERM_CYCLES = 5


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a bot when a decision is due.

    Attributes
    ----------
    debt_usd
        Accumulated excess loss of the champion over a fresh model, USD.
    cycle_cost_usd
        Expected cost of a cycle, USD.
    age_ticks
        Ticks since the champion was trained.
    rows_since_cycle
        Rows that became visible since the last cycle began.
    module_trend
        Trend of the best-ranked module that the last settled cycle changed; ``None`` where nobody
        asked for it.
    archive
        The best of the archive; see :class:`~menace.self_improvement_policy.staleness.Staleness`.
    """

    snapshot: BotSnapshot
    issues: tuple[Issue, ...]
    debt_usd: float
    cycle_cost_usd: float
    age_ticks: float
    rows_since_cycle: int
    seconds_since_cycle: float | None
    short_term_roi: float | None
    roi_ema: float | None
    energy_score: float | None
    module_trend: float | None
    state: PolicyState
    policy_score: float
    estimate: Json
    archive: Json | None = None

    def inputs(self) -> Json:
        """Everything, as the decision record keeps it."""
        return {
            "row": row_of(self.snapshot),
            "outcomes": self.snapshot.totals.outcomes,
            "champion_version": self.snapshot.champion_version,
            "debt_usd": self.debt_usd,
            "cycle_cost_usd": self.cycle_cost_usd,
            "age_ticks": self.age_ticks,
            "rows_since_cycle": self.rows_since_cycle,
            "seconds_since_cycle": self.seconds_since_cycle,
            "short_term_roi": self.short_term_roi,
            "roi_ema": self.roi_ema,
            "energy_score": self.energy_score,
            "module_trend": self.module_trend,
            "policy_state": list(self.state),
            "policy_score": self.policy_score,
            "staleness": self.estimate,
            "issues": [
                {
                    "kind": i.kind.value,
                    "severity": round(i.severity, 4),
                    "row": i.row,
                    "evidence": i.evidence,
                }
                for i in self.issues
            ],
        }


def assess(
    bot: BotConfig,
    snapshot: BotSnapshot,
    issues: tuple[Issue, ...],
    *,
    policy: SelfImprovementPolicy,
    roi: RoiTracker,
    energy: int,
    energy_score: float | None,
    now: float,
    module_trend: float | None = None,
) -> Situation:
    """Gather what a decision rests on. Pure: everything it needs is passed in."""
    loop = snapshot.loop
    staleness = Staleness.read(loop.staleness, champion=snapshot.champion_version)
    tick_usd = bot.tick_rows * bot.economics.loss_usd
    debt_usd = staleness.debt * tick_usd
    cost_usd = expected_cost_usd(bot, loop.cycle_cost_usd, energy)
    drift = max((i.severity for i in issues if i.kind.value == "drift"), default=0.0)
    short_mean = roi.short_term_mean(SHORT_TERM_CYCLES)
    state = state_of(
        debt_ratio=_ratio(debt_usd, cost_usd),
        age_ticks=staleness.age_ticks,
        drift_severity=drift,
        short_mean=short_mean,
        ema=roi.ema,
        energy_score=energy_score,
        module_trend=module_trend,
    )
    return Situation(
        snapshot=snapshot,
        issues=issues,
        debt_usd=debt_usd,
        cycle_cost_usd=cost_usd,
        age_ticks=staleness.age_ticks,
        rows_since_cycle=row_of(snapshot) - (loop.last_cycle_row or 0),
        seconds_since_cycle=None if loop.last_cycle_at is None else now - loop.last_cycle_at,
        short_term_roi=short_mean,
        roi_ema=roi.ema,
        energy_score=energy_score,
        module_trend=module_trend,
        state=state,
        policy_score=policy.score(state),
        estimate=staleness.explanation,
        archive=staleness.archive,
    )


def _ratio(debt_usd: float, cost_usd: float) -> float:
    """Debt in units of the cycle's cost; any debt is too much where a cycle costs nothing."""
    if cost_usd > 0:
        return debt_usd / cost_usd
    return math.inf if debt_usd > 0 else 0.0


def expected_cost_usd(bot: BotConfig, refit_usd: float | None, energy: int) -> float:
    """Cost of a cycle: the refit as it has been, the search as it is budgeted, USD."""
    unit_usd = bot.seconds_per_energy * bot.economics.cpu_second_usd
    refit = unit_usd + bot.economics.promotion_usd if refit_usd is None else refit_usd
    return refit + (energy - 1) * unit_usd


def judge(
    bot: BotConfig,
    situation: Situation,
    *,
    policy: SelfImprovementPolicy,
    requested: bool,
    interval: float | None,
    issue_severity: float,
    learns: bool = True,
    staged: bool = True,
    alternatives: Alternatives | None = None,
    went_back: bool = False,
) -> tuple[bool, str]:
    """Say whether to run, and who said so.

    Parameters
    ----------
    alternatives
        What could be done now; without them nothing is gone back to.
    went_back
        Whether a decision on these very rows was to go back, and it was done. A process that was
        killed after it then decides as one that was not.
    learns
        False for a bot that cannot be trained here; it is watched only.
    staged
        Whether the pipeline leaves models that can be scored; one that does not never has a
        champion here, and is asked for a first model only once.
    """
    if requested:
        return True, "manual request"
    beforehand = _beforehand(bot, situation, learns=learns, staged=staged)
    if beforehand is not None:
        return beforehand
    if went_back:
        return False, WENT_BACK
    elapsed = situation.seconds_since_cycle
    if interval is not None and (elapsed is None or elapsed >= interval):
        return True, "interval"
    runs = bool(policy.decide(situation.state)) or _forgiven(bot, situation, policy)
    if alternatives is not None and alternatives.goes_back(cycle_runs=runs):
        return False, ROLL_BACK
    if runs:
        return True, "policy"
    severe = [
        issue
        for issue in situation.issues
        if issue.severity >= issue_severity and not _muted(bot, situation, issue)
    ]
    if severe:
        return True, f"diagnostics: {severe[0].kind.value}"
    return False, "policy"


def _beforehand(
    bot: BotConfig, situation: Situation, *, learns: bool, staged: bool
) -> tuple[bool, str] | None:
    """Answer what comes before any weighing; ``None`` where there is something to weigh."""
    loop = situation.snapshot.loop
    if not learns:
        return False, WATCHED_ONLY
    # Before the first model too: a source that cannot be learned from is not tried at every look.
    cooling = bot.tick_rows * min(2**loop.failures, LONGEST_COOLING_TICKS)
    if loop.failures and situation.rows_since_cycle < cooling:
        return False, f"cooling down after {loop.failures} failed cycles"
    begun = loop.last_cycle_row is not None
    if begun and bot.source is not None and situation.rows_since_cycle <= 0:
        return False, "nothing new since the last cycle"
    without_model = situation.snapshot.champion_version is None and (staged or not begun)
    if without_model and bot.source is not None:
        if loop.labelled_rows >= FIRST_MODEL_ROWS:
            return True, "first model"
        return False, f"waiting for the first {FIRST_MODEL_ROWS} labelled rows"
    return None


def _forgiven(bot: BotConfig, situation: Situation, policy: SelfImprovementPolicy) -> bool:
    """Whether what was learned against running has been outlived.

    A policy learns from cycles only: once it has turned against a state it would never hear
    otherwise. So with the ticks *n* since the last cycle its word fades,
    ``w·score + (1 − w)·prior`` with ``w = exp(−n / 128)``, and rent-or-buy speaks again.
    """
    ticks = situation.rows_since_cycle / bot.tick_rows
    trust = math.exp(-max(0.0, ticks) / FORGIVING_TICKS)
    prior = policy.prior_score(situation.state)
    return prior > 0 and trust * situation.policy_score + (1 - trust) * prior > 0


def _muted(bot: BotConfig, situation: Situation, issue: Issue) -> bool:
    """Whether a cycle has answered the issue, or it is none that a cycle could answer.

    Where a debt is measured, drift is priced in it already; an alarm that triggered besides cost
    more than it saved (docs/decision-quality.md). It is measured once a second model is scored
    beside the champion; before that an alarm is all there is.
    """
    if issue.kind.value in {"waiting_for_labels", "latency"}:
        return True
    if issue.kind.value == "drift" and situation.estimate["witnesses"] >= MEASURING_WITNESSES:
        return True
    if issue.kind.value == "damaged_package":
        return False  # nothing serves until a cycle has made the model anew
    answered = situation.snapshot.loop.last_cycle_row is not None
    return answered and situation.rows_since_cycle < bot.settlement_rows
