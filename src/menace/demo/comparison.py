"""What each strategy cost, tick by tick, and the report that shows it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from menace.report import (
    CyclePoint,
    DecisionPoint,
    Fact,
    Report,
    StrategyRow,
    TickPoint,
    VersionSpan,
)
from menace.sandbox_runner import hindsight
from menace.sandbox_runner.hindsight import calendar, never

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from menace.demo.live import LiveTick
    from menace.records import BotConfig, Decision
    from menace.sandbox_runner import LossTable, Schedule
    from menace.workspace import Workspace

MENACE = "menace"
CALENDARS = (1, 2, 4, 8, 16)
"""Weeks between the cycles of the calendars that menace is compared with."""

_TELLING = ("debt_usd", "cycle_cost_usd", "age_ticks", "policy_score", "roi_ema", "short_term_roi")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The strategies' totals and their course.

    Attributes
    ----------
    cumulated_usd
        Strategy name → cost up to and with each tick, USD, shape ``(ticks,)``.
    calendars_usd
        Weeks between cycles → total, USD, for all calendars.
    """

    rows: tuple[StrategyRow, ...]
    cumulated_usd: Mapping[str, NDArray[np.float64]]
    calendars_usd: Mapping[int, float]


def compare_strategies(table: LossTable, lived: Sequence[LiveTick]) -> Comparison:
    """Put what menace did beside what schedules over the same models would have cost."""
    calendars = {every: calendar(table, every) for every in CALENDARS}
    best = min(CALENDARS, key=lambda every: calendars[every].total_usd)
    plans: dict[str, tuple[Schedule, str]] = {
        "never retrain": (never(table), "keeps the first model"),
        "always": (calendars[1], "a cycle every week"),
        f"every {best} weeks": (calendars[best], "the best calendar, chosen in hindsight"),
        "hindsight optimum": (hindsight(table), "the least that any schedule could have cost"),
    }
    rows = [_row(name, plan, note) for name, (plan, note) in plans.items()]
    own = StrategyRow(
        name=MENACE,
        loss_usd=sum(tick.loss_usd for tick in lived),
        cycle_usd=sum(tick.cycle_usd for tick in lived),
        total_usd=sum(tick.loss_usd + tick.cycle_usd for tick in lived),
        cycles=sum(tick.cycles for tick in lived),
        is_menace=True,
        note="decides each week, knowing only the past",
    )
    cumulated = {name: np.cumsum(plan.per_tick_usd) for name, (plan, _) in plans.items()}
    cumulated[MENACE] = np.cumsum([tick.loss_usd + tick.cycle_usd for tick in lived])
    return Comparison(
        rows=(*rows[:-1], own, rows[-1]),
        cumulated_usd=cumulated,
        calendars_usd={every: plan.total_usd for every, plan in calendars.items()},
    )


def demo_report(
    workspace: Workspace,
    bot: BotConfig,
    lived: Sequence[LiveTick],
    compared: Comparison,
    facts: Sequence[Fact],
) -> Report:
    """Gather what the report shows."""
    tick_of = {tick.row: position for position, tick in enumerate(lived)}
    store = workspace.store
    entries = {entry.cycle_id: entry for entry in store.ledger(bot.name)}
    return Report(
        title="Two years of bike rentals under menace's care",
        subtitle=(
            "Every week the truth of the last 168 hours arrives; menace decides whether a new "
            "model is worth its cost. All strategies use the same pipeline and the same prices."
        ),
        generated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bot=bot.name,
        ticks=[
            TickPoint(
                row=tick.row,
                label=tick.label,
                loss=tick.mean_loss,
                version=tick.version,
                cumulated_usd={
                    name: float(course[position]) for name, course in compared.cumulated_usd.items()
                },
            )
            for position, tick in enumerate(lived)
        ],
        decisions=[
            DecisionPoint(tick_of[row], decision.run, decision.reason, _telling(decision))
            for decision in store.decisions(bot.name, last=10_000)
            if (row := decision.inputs.get("row")) in tick_of
        ],
        cycles=[
            CyclePoint(
                tick=tick_of[cycle.row],
                outcome=cycle.outcome or cycle.state.value,
                roi_delta=entries[cycle.cycle_id].roi_delta if cycle.cycle_id in entries else None,
                version=cycle.version,
                cost_usd=cycle.cost_usd,
                gain_usd=entries[cycle.cycle_id].gain_usd if cycle.cycle_id in entries else None,
            )
            for cycle in store.cycles(bot.name, last=10_000)
            if cycle.row in tick_of
        ],
        versions=_spans(lived),
        strategies=compared.rows,
        economics=[
            Fact("a wrong hour", f"${bot.economics.loss_usd:.2f}"),
            Fact("a CPU-second", f"${bot.economics.cpu_second_usd:,.2f}"),
            *(
                Fact(f"a calendar of {every} weeks", f"${total:,.2f}")
                for every, total in compared.calendars_usd.items()
            ),
        ],
        environment=facts,
        tick_name="week",
        loss_name="error rate",
        loss_is_share=True,
    )


def _row(name: str, plan: Schedule, note: str) -> StrategyRow:
    return StrategyRow(
        name=name,
        loss_usd=plan.loss_usd,
        cycle_usd=plan.cycle_usd,
        total_usd=plan.total_usd,
        cycles=len(plan.cycles),
        is_hindsight=name.startswith("hindsight"),
        note=note,
    )


def _spans(lived: Sequence[LiveTick]) -> list[VersionSpan]:
    spans = []
    served = [(tick.version, position) for position, tick in enumerate(lived)]
    for version, group in itertools.groupby(served, key=lambda pair: pair[0]):
        positions = [position for _, position in group]
        if version is not None:
            spans.append(VersionSpan(version, positions[0], positions[-1]))
    return spans


def _telling(decision: Decision) -> dict[str, object]:
    known = {
        name: decision.inputs[name] for name in _TELLING if decision.inputs.get(name) is not None
    }
    issues = decision.inputs.get("issues") or []
    return {**known, "issues": ", ".join(issue["kind"] for issue in issues) or "none"}
