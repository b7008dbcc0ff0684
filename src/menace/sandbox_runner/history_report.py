"""The report of a loop that was watched tick by tick, beside the strategies it is compared with."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from menace.report import CyclePoint, DecisionPoint, ModuleRow, Report, TickPoint, VersionSpan
from menace.report.alternatives import best_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.accounting import ModuleRoiLog
    from menace.interfaces import Store
    from menace.records import BotConfig, Decision
    from menace.report import Fact
    from menace.sandbox_runner.comparison import Comparison
    from menace.sandbox_runner.live import LiveTick

_TELLING = ("debt_usd", "cycle_cost_usd", "age_ticks", "policy_score", "roi_ema", "short_term_roi")
_ALL = 10_000


@dataclass(frozen=True, slots=True)
class Wording:
    """What the report calls things; see :class:`menace.report.Report`."""

    title: str
    subtitle: str
    tick_name: str
    loss_name: str
    loss_is_share: bool


def history_report(
    store: Store,
    bot: BotConfig,
    lived: Sequence[LiveTick],
    compared: Comparison,
    *,
    wording: Wording,
    economics: Sequence[Fact],
    environment: Sequence[Fact],
    drawn: Sequence[str] | None = None,
    modules: ModuleRoiLog | None = None,
) -> Report:
    """Gather what the report shows.

    Parameters
    ----------
    store
        Holds the decisions and cycles of the loop that was watched.
    drawn
        The strategies that the charts show; by default all.
    modules
        What changing each part of the bot brought.
    """
    tick_of = {tick.row: position for position, tick in enumerate(lived)}
    entries = {entry.cycle_id: entry for entry in store.ledger(bot.name)}
    courses = {
        name: course
        for name, course in compared.cumulated_usd.items()
        if drawn is None or name in drawn
    }
    return Report(
        title=wording.title,
        subtitle=wording.subtitle,
        generated_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bot=bot.name,
        ticks=[
            TickPoint(
                row=tick.row,
                label=tick.label,
                loss=tick.mean_loss,
                version=tick.version,
                cumulated_usd={name: float(course[at]) for name, course in courses.items()},
            )
            for at, tick in enumerate(lived)
        ],
        decisions=[
            DecisionPoint(tick_of[row], decision.run, decision.reason, _telling(decision))
            for decision in store.decisions(bot.name, last=_ALL)
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
            for cycle in store.cycles(bot.name, last=_ALL)
            if cycle.row in tick_of
        ],
        versions=_spans(lived),
        modules=[] if modules is None else _module_rows(modules),
        strategies=compared.rows,
        economics=economics,
        environment=environment,
        tick_name=wording.tick_name,
        loss_name=wording.loss_name,
        loss_is_share=wording.loss_is_share,
    )


def _module_rows(log: ModuleRoiLog) -> list[ModuleRow]:
    return [
        ModuleRow(name, total, log.changes(name), log.trend(name)) for name, total in log.rankings()
    ]


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
    judged = decision.inputs.get("alternatives")
    if judged:
        known = {"judged_best": best_text(judged), **known}
    return {**known, "issues": ", ".join(issue["kind"] for issue in issues) or "none"}
