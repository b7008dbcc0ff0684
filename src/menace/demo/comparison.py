"""The demonstration's own choice of strategies, and what its report says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.report import Fact
from menace.sandbox_runner.comparison import Comparison, compare_with
from menace.sandbox_runner.hindsight import calendar, hindsight, never
from menace.sandbox_runner.history_report import Wording, history_report
from menace.sandbox_runner.strategies import HINDSIGHT, Played

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from menace.records import BotConfig
    from menace.report import Report
    from menace.sandbox_runner import LossTable
    from menace.sandbox_runner.live import LiveTick
    from menace.workspace import Workspace

CALENDARS = (1, 2, 4, 8, 16)
"""Weeks between the cycles of the calendars that menace is compared with."""

WORDING = Wording(
    title="Two years of bike rentals under menace's care",
    subtitle=(
        "Every week the truth of the last 168 hours arrives; menace decides whether a new "
        "model is worth its cost. All strategies use the same pipeline and the same prices."
    ),
    tick_name="week",
    loss_name="error rate",
    loss_is_share=True,
)


@dataclass(frozen=True, slots=True)
class WeeklyComparison:
    """The comparison, and what each calendar came to.

    Attributes
    ----------
    calendars_usd
        Weeks between cycles → total, USD, for all calendars.
    """

    compared: Comparison
    calendars_usd: Mapping[int, float]


def compare_strategies(table: LossTable, lived: Sequence[LiveTick]) -> WeeklyComparison:
    """Put what menace did beside never, always, the best calendar and the hindsight optimum."""
    calendars = {every: calendar(table, every) for every in CALENDARS}
    best = min(CALENDARS, key=lambda every: calendars[every].total_usd)
    played = {
        "never retrain": Played(never(table), "keeps the first model"),
        "always": Played(calendars[1], "a cycle every week"),
        f"every {best} weeks": Played(calendars[best], "the best calendar, chosen in hindsight"),
        HINDSIGHT: Played(hindsight(table), "the least that any schedule could have cost"),
    }
    return WeeklyComparison(
        compare_with(lived, played, note="decides each week, knowing only the past"),
        {every: plan.total_usd for every, plan in calendars.items()},
    )


def demo_report(
    workspace: Workspace,
    bot: BotConfig,
    lived: Sequence[LiveTick],
    weekly: WeeklyComparison,
    facts: Sequence[Fact],
) -> Report:
    """Gather what the report shows."""
    prices = [
        Fact("a wrong hour", f"${bot.economics.loss_usd:.2f}"),
        Fact("a CPU-second", f"${bot.economics.cpu_second_usd:,.2f}"),
        *(
            Fact(f"a calendar of {every} weeks", f"${total:,.2f}")
            for every, total in weekly.calendars_usd.items()
        ),
    ]
    return history_report(
        workspace.store,
        bot,
        lived,
        weekly.compared,
        wording=WORDING,
        economics=prices,
        environment=facts,
        modules=workspace.engine(bot.name).module_log,
    )
