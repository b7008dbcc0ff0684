"""Replay a history through the real loop, beside what other strategies would have cost."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.config import LoopSettings
from menace.errors import ConfigError
from menace.execution.inline_executor import InlineExecutor
from menace.report import Fact
from menace.sandbox_runner.comparison import MENACE, Comparison, compare_with
from menace.sandbox_runner.history import read_history
from menace.sandbox_runner.history_report import Wording, history_report
from menace.sandbox_runner.live import run_live
from menace.sandbox_runner.reference import build_reference
from menace.sandbox_runner.sandbox import sandbox
from menace.sandbox_runner.strategies import (
    ADWIN,
    ALWAYS,
    CALENDAR_TICKS,
    DDM,
    HINDSIGHT,
    NEVER,
    PAGE_HINKLEY,
    RENT_OR_BUY,
    play_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from menace.interfaces import Executor, LabelledRows
    from menace.records import BotConfig
    from menace.report import Report, StrategyRow
    from menace.sandbox_runner.history import History
    from menace.sandbox_runner.live import LiveTick
    from menace.sandbox_runner.loss_table import LossTable
    from menace.sandbox_runner.reference import Reference
    from menace.sandbox_runner.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay came to.

    Attributes
    ----------
    strategies
        Menace and the others, in USD; the hindsight optimum is last.
    regret_usd
        Strategy → its total less that of the hindsight optimum, USD. Menace's can be negative: it
        may go back to an archived model, learn from all history and search, which the others may
        not.
    history
        What was replayed; ticks before its ``first`` trained the first model and do not count.
    report
        What :func:`menace.report.write_report` draws.
    table, reference
        All models' losses, for whoever wants to learn from them.
    """

    bot: BotConfig
    strategies: tuple[StrategyRow, ...]
    regret_usd: dict[str, float]
    history: History
    report: Report
    table: LossTable
    reference: Reference


class _Steps:
    """Counts the work of both threads, and stops the one when the other has been stopped."""

    def __init__(self, report: Callable[[int, int], None], total: int) -> None:
        self._report, self._total, self._done = report, total, 0
        self._lock = threading.Lock()
        self.stopped = threading.Event()

    def step(self) -> None:
        if self.stopped.is_set():
            raise CancelledError
        with self._lock:
            self._done += 1
            self._report(self._done, self._total)


def replay(
    bot: BotConfig,
    rows: LabelledRows,
    *,
    ticks: int | None = None,
    loop: LoopSettings | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Replay:
    """Replay a history, tick by tick, in a sandbox that touches no live state.

    Menace is the real loop: a new bot in a temporary workspace of its own, with observation,
    decision, training, gate, settlement and learning as they are live. The other strategies are
    played over the losses of every model that any cycle would have made. CPU time is charged by
    counted work, so that the same seed and data give the same figures.

    Parameters
    ----------
    bot
        The bot; a new one of the same settings is replayed, which knows nothing of what the live
        one has learned.
    rows
        Its labelled rows, such as ``workspace.services.rows_of(bot)``; they are only read.
    ticks
        So many of the newest; by default 300. The work grows with their square.
    loop
        How the loop decides; by default as in a new workspace.
    executor
        Where the other strategies' models are trained, beside the loop; by default in this
        process, after it.
    progress
        Called as ``progress(done, total)``.

    Raises
    ------
    ConfigError
        If the bot has a pipeline of its own: the other strategies' models are made by menace's.
    DataError
        If the rows are too few, or wrong.
    PipelineError
        If no first model can be trained.

    Examples
    --------
    >>> from menace.sandbox_runner import replay
    >>> from menace.workspace import Workspace
    >>> def regret_usd(name: str) -> float:
    ...     with Workspace.find() as workspace:
    ...         bot = workspace.store.bot(name)
    ...         replayed = replay(bot, workspace.services.rows_of(bot))
    ...     return replayed.regret_usd["menace"]
    """
    if bot.pipeline is not None:
        raise ConfigError(
            f"its models are made by a pipeline of its own, {bot.pipeline!r}; only menace's can be "
            "replayed.",
            bot=bot.name,
            remedy="replay the rows with menace's: menace replay --file FILE --target COLUMN",
        )
    loop = loop or LoopSettings()
    history = read_history(rows, bot, ticks=ticks)
    bot = _with_task(bot, history)
    steps = _Steps(progress, 2 * (history.ticks - history.first) + 1)
    with sandbox(bot, history.rows, loop=loop) as box:
        lived, reference = _run_both(_Run(bot, history, box, steps), loop, executor)
        table = reference.table(bot, gate_z=loop.gate_z)
        played = play_all(reference, table, bot)
        compared = compare_with(lived, played, note="decides each tick, knowing only the past")
        report = _report(bot, history, box, lived, compared)
    least = compared.rows[-1].total_usd
    return Replay(
        bot=bot,
        strategies=compared.rows,
        regret_usd={row.name: row.total_usd - least for row in compared.rows},
        history=history,
        report=report,
        table=table,
        reference=reference,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """What both threads need."""

    bot: BotConfig
    history: History
    box: Sandbox
    steps: _Steps


def _run_both(
    run: _Run, loop: LoopSettings, executor: Executor | None
) -> tuple[list[LiveTick], Reference]:
    """Let menace live through the history, and train the others' models beside it or after it."""

    def build() -> Reference:
        return build_reference(
            run.history.rows,
            run.bot,
            first=run.history.first,
            executor=executor or InlineExecutor(),
            gate_z=loop.gate_z,
            done=run.steps.step,
        )

    if executor is None:
        return _live(run), build()
    with ThreadPoolExecutor(1) as beside:
        building: Future[Reference] = beside.submit(build)
        try:
            return _live(run), building.result()
        finally:
            # Ctrl-C and errors alike: at most one more model is waited for.
            run.steps.stopped.set()


def _live(run: _Run) -> list[LiveTick]:
    history, box = run.history, run.box
    box.rows.reveal(history.first * history.tick_rows)
    return run_live(
        box.engine,
        box.store,
        run.bot,
        reveal=lambda tick: box.rows.reveal((tick + 1) * history.tick_rows),
        label=lambda tick: history.label(tick, run.bot.time),
        first=history.first,
        ticks=history.ticks,
        done=run.steps.step,
    )


def _report(
    bot: BotConfig, history: History, box: Sandbox, lived: Sequence[LiveTick], compared: Comparison
) -> Report:
    metric = box.store.bot(bot.name).metric
    name = "loss" if metric is None else metric.value.replace("_", " ")
    prices = bot.economics
    return history_report(
        box.store,
        bot,
        lived,
        compared,
        wording=Wording(
            title=f"What caring for {bot.name} would have cost",
            subtitle=(
                f"Its own history, replayed in ticks of {history.tick_rows:,} rows: after each, "
                "every strategy decides whether a new model is worth its cost. All use the same "
                "pipeline and the same prices."
            ),
            tick_name="tick",
            loss_name=name,
            loss_is_share=name == "error rate",
        ),
        economics=[
            Fact("a unit of loss", f"${prices.loss_usd:g}"),
            Fact("a CPU-second", f"${prices.cpu_second_usd:g}"),
            Fact("a promotion", f"${prices.promotion_usd:g}"),
            Fact("CPU time", "counted, not measured"),
        ],
        environment=[
            Fact("rows replayed", f"{history.ticks * history.tick_rows:,}"),
            Fact("of them for the first model", f"{history.first * history.tick_rows:,}"),
        ],
        drawn=_drawn(compared),
        modules=box.engine.module_log,
    )


def _drawn(compared: Comparison) -> list[str]:
    """Choose the lines of the charts: the best of each family, so that they can be told apart."""
    totals = {row.name: row.total_usd for row in compared.rows}
    calendars = [name for every in CALENDAR_TICKS if (name := f"every {every} ticks") in totals]
    detectors = [name for name in (ADWIN, PAGE_HINKLEY, DDM) if name in totals]
    best = [
        min(family, key=lambda name: totals[name]) for family in (calendars, detectors) if family
    ]
    return [NEVER, ALWAYS, *best, RENT_OR_BUY, MENACE, HINDSIGHT]


def _with_task(bot: BotConfig, history: History) -> BotConfig:
    """Fix what the bot predicts by its first window, as the loop does with its first model."""
    from menace.model_automation_pipeline.target import Target

    end = history.first * history.tick_rows
    window = history.rows.iloc[max(0, end - bot.window_rows) : end]
    target = Target.detect(window, bot)
    return dataclasses.replace(
        bot, task=bot.task or target.task, metric=bot.metric or target.metric
    )
