"""Run the demonstration: a fresh workspace, the live loop, the comparison, the report."""

from __future__ import annotations

import math
import platform
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace import __version__
from menace.config import CONFIG_NAME, LoopSettings, WorkspaceSettings, validated_bot
from menace.demo.comparison import compare_strategies, demo_report
from menace.demo.stream import Stream, bundled_path
from menace.errors import ConfigError, WorkspaceError
from menace.report import Fact, write_report
from menace.sandbox_runner.comparison import MENACE
from menace.sandbox_runner.live import run_live
from menace.sandbox_runner.reference import Reference, build_reference, reference_fit_seconds
from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from menace.interfaces import Executor
    from menace.records import BotConfig, Json
    from menace.report import StrategyRow
    from menace.sandbox_runner.live import LiveTick

BOT = "bikes"
TICK_ROWS = 168
"""A week of hours."""

WINDOW_TICKS = 5
SETTLEMENT_TICKS = 8
LOSS_USD = 1.0
"""A wrong answer costs a dollar: an hour with too few bikes at hand, or too many."""

MARKER = ".menace-demo"

DEMO_TOML = """\
# The demonstration's workspace. CPU time is charged by counted work, so that the demonstration
# shows the same figures on every machine; a workspace of your own charges what it measures.
[loop]
workers = 0
meter = "counted"
"""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demonstration came to.

    Attributes
    ----------
    strategies
        Never, always, best calendar, menace, hindsight optimum, in USD.
    calendars_usd
        Weeks between cycles → total, USD, for all calendars.
    seconds
        Wall time.
    """

    title: str
    folder: Path
    report: Path
    bot: str
    strategies: tuple[StrategyRow, ...]
    calendars_usd: Mapping[int, float]
    ticks: int
    cpu_seconds: float
    seconds: float

    @property
    def menace_usd(self) -> float:
        """Menace's total, USD."""
        return next(row.total_usd for row in self.strategies if row.name == MENACE)


class _Progress:
    """Adds up the work of both threads."""

    def __init__(self, report: Callable[[int, int], None], total: int) -> None:
        self._report, self._total, self._done = report, total, 0
        self._lock = threading.Lock()

    def step(self) -> None:
        with self._lock:
            self._done += 1
            self._report(self._done, self._total)


def run_demo(
    folder: Path,
    *,
    price_percent: float = 3.0,
    ticks: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    reference: Reference | None = None,
) -> DemoResult:
    """Show the loop on the bundled stream.

    Parameters
    ----------
    folder
        Where the workspace is made; an earlier demonstration there is replaced.
    price_percent
        What a reference fit costs, in percent of a tick's rows being wrong, > 0.
    ticks
        Reveal so many weeks; by default all.
    seed
        Seed of everything random.
    progress
        Called as ``progress(done, total)``.
    reference
        Models of all ticks, from :func:`demo_reference` with the same seed and ticks: they do not
        depend on the price, so several prices can share them.

    Raises
    ------
    ConfigError
        If the price or the number of ticks makes no sense.
    WorkspaceError
        If the folder holds something that is not a demonstration's.
    """
    from menace.execution.process_pool import ProcessPool

    began = time.monotonic()
    stream = Stream.read(bundled_path(), batch_rows=TICK_ROWS)
    count = len(stream.batches) if ticks is None else ticks
    _check(count, len(stream.batches), price_percent)
    file = fresh_folder(folder, stream)
    models = count - WINDOW_TICKS + 1 if reference is None else 0
    steps = _Progress(progress, count - WINDOW_TICKS + models + 1)
    with _workspace(folder) as workspace, ThreadPoolExecutor(1) as beside:
        executor = ProcessPool(1)
        try:
            rows = whole_stream(workspace, stream, count)
            bot = workspace.add_bot(bot_values(file, price_percent, rows, seed))
            building = beside.submit(
                lambda: reference or _build(rows, bot, executor, workspace, steps)
            )
            lived = run_live(
                workspace.engine(bot.name),
                workspace.store,
                bot,
                reveal=lambda batch: stream.reveal(file, batch),
                label=stream.label,
                first=WINDOW_TICKS,
                ticks=count,
                done=steps.step,
            )
            built = building.result()
        finally:
            executor.close()
        compared = compare_strategies(
            built.table(bot, gate_z=workspace.settings.loop.gate_z), lived
        )
        report = folder / "report.html"
        facts = _facts(price_percent, lived, began)
        write_report(report, demo_report(workspace, bot, lived, compared, facts))
    steps.step()
    return DemoResult(
        title=f"{count - WINDOW_TICKS} weeks of bike rentals, a fit costs {price_percent:g} % "
        "of a week's rows being wrong",
        folder=folder,
        report=report,
        bot=BOT,
        strategies=compared.compared.rows,
        calendars_usd=compared.calendars_usd,
        ticks=count - WINDOW_TICKS,
        cpu_seconds=sum(tick.cpu_seconds for tick in lived),
        seconds=time.monotonic() - began,
    )


def demo_reference(
    folder: Path,
    *,
    ticks: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Reference:
    """Train the models of all ticks, for :func:`run_demo` at several prices.

    Parameters and errors are those of :func:`run_demo`; nothing is left in the folder but the
    workspace, without a bot.
    """
    from menace.execution.process_pool import ProcessPool

    stream = Stream.read(bundled_path(), batch_rows=TICK_ROWS)
    count = len(stream.batches) if ticks is None else ticks
    _check(count, len(stream.batches), 1.0)
    file = fresh_folder(folder, stream)
    steps = _Progress(progress, count - WINDOW_TICKS + 1)
    with _workspace(folder) as workspace:
        rows = whole_stream(workspace, stream, count)
        bot = validated_bot(bot_values(file, 1.0, rows, seed))
        executor = ProcessPool(1)
        try:
            return _build(rows, bot, executor, workspace, steps)
        finally:
            executor.close()


def bot_values(file: Path, price_percent: float, rows: pd.DataFrame, seed: int) -> Json:
    """Describe the demonstration's bot, as the fields of a configuration.

    A CPU-second is priced such that one fit on a full window costs ``price_percent`` of the losses
    of a tick whose rows are all wrong.
    """
    values: Json = {
        "name": BOT,
        "source": {"kind": "csv", "location": str(file.absolute())},
        "target": "busy",
        "drop": ("cnt", "dteday"),
        "tick_rows": TICK_ROWS,
        "window_rows": WINDOW_TICKS * TICK_ROWS,
        "holdout_rows": TICK_ROWS,
        "settlement_rows": SETTLEMENT_TICKS * TICK_ROWS,
        "seed": seed,
    }
    fit = reference_fit_seconds(rows, validated_bot(values))
    price = price_percent / 100 * TICK_ROWS * LOSS_USD / fit
    return {**values, "economics": {"loss_usd": LOSS_USD, "cpu_second_usd": price}}


def whole_stream(workspace: Workspace, stream: Stream, ticks: int) -> pd.DataFrame:
    """Read all that will be revealed, through the door through which the loop reads it.

    For the comparison only; the loop's own file holds what has been revealed and no more.
    """
    whole = workspace.folder / ".whole.csv"
    try:
        stream.begin(whole)
        for batch in range(ticks):
            stream.reveal(whole, batch)
        values = {
            "name": BOT,
            "source": {"kind": "csv", "location": str(whole)},
            "target": "busy",
            "drop": ("cnt", "dteday"),
        }
        rows = workspace.services.rows_of(validated_bot(values))
        return rows.read_new(None, max_rows=ticks * TICK_ROWS).frame
    finally:
        whole.unlink(missing_ok=True)


def _workspace(folder: Path) -> Workspace:
    """Open the demonstration's workspace, whatever the environment says of another."""
    loop = LoopSettings(workers=0, meter="counted")
    return Workspace(folder, settings=WorkspaceSettings(loop=loop))


def _build(
    rows: pd.DataFrame,
    bot: BotConfig,
    executor: Executor,
    workspace: Workspace,
    steps: _Progress,
) -> Reference:
    return build_reference(
        rows,
        bot,
        first=WINDOW_TICKS,
        executor=executor,
        gate_z=workspace.settings.loop.gate_z,
        done=steps.step,
    )


def _check(count: int, most: int, price_percent: float) -> None:
    if not WINDOW_TICKS + 2 <= count <= most:
        raise ConfigError(
            f"{count} weeks were asked for.", remedy=f"give from {WINDOW_TICKS + 2} to {most}"
        )
    if not 0 < price_percent < math.inf:
        raise ConfigError(f"the price is {price_percent} percent.", remedy="give more than 0")


def fresh_folder(folder: Path, stream: Stream) -> Path:
    """Make the workspace's folder with the stream's first weeks.

    Only one that a demonstration has made is replaced.

    Raises
    ------
    WorkspaceError
        If the folder holds something else, or cannot be written.
    """
    if folder.exists():
        if not (folder / MARKER).exists():
            raise WorkspaceError(
                f"{folder} exists and was not made by a demonstration.",
                remedy="name another folder: menace demo FOLDER",
            )
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True)
        (folder / MARKER).write_text("This folder may be replaced by the next demonstration.\n")
        (folder / CONFIG_NAME).write_text(DEMO_TOML, encoding="utf-8")
        file = folder / "bike_sharing.csv"
        stream.begin(file)
        for batch in range(WINDOW_TICKS):
            stream.reveal(file, batch)
    except OSError as error:
        raise WorkspaceError(
            f"{folder} cannot be written: {error.strerror}.",
            remedy="name a folder that you may write to: menace demo FOLDER",
        ) from error
    return file


def _facts(price_percent: float, lived: list[LiveTick], began: float) -> tuple[Fact, ...]:
    return (
        Fact("python", platform.python_version()),
        Fact("menace", __version__),
        Fact("price of a fit", f"{price_percent:g} % of a week's rows being wrong"),
        Fact("CPU time measured in cycles", f"{sum(t.cpu_seconds for t in lived):.1f} s"),
        Fact("wall time", f"{time.monotonic() - began:.0f} s"),
    )
