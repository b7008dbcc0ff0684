"""``menace run``: the service loop. Quiet while nothing happens, one line for what does."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from menace.cli.app import EXIT_ERROR, app
from menace.cli.autoscaling import Scaler, first_engines, scaling_text
from menace.cli.output import Column, Output, console, line, plain, table, usd, when
from menace.cli.wording import issue_text, reason_text, roi_text, without_class
from menace.errors import ConfigError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from menace.records import AutomationResult, Decision, LedgerEntry
    from menace.self_improvement_engine import ImprovementEngineRegistry
    from menace.workspace import Workspace

    Ticked = Mapping[str, tuple[Decision | None, AutomationResult | None]]

ELSEWHERE = "another process cares for it"


@app.command
def run(
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
    poll_seconds: float | None = None,
    autoscale: Annotated[bool, Parameter(negative=())] = False,
    output: Output = Output(),
) -> int:
    """Care for all bots: take new rows in, decide, improve where it pays, settle, learn.

    Prints one line for each cycle, settlement, failure and finding, and nothing while nothing
    happens. Stops cleanly on Ctrl-C and SIGTERM: a cycle that is under way finishes first.

    Parameters
    ----------
    once
        Look at every bot once and stop.
    poll_seconds
        Pause between two looks; by default what menace.toml says.
    autoscale
        Care for as many bots at a time as capital and returns allow, within the bounds of
        [autoscale] in menace.toml.
    """
    from menace.report.wording import counted
    from menace.workspace import Workspace

    if poll_seconds is not None and not 0 < poll_seconds < float("inf"):
        raise ConfigError(
            f"--poll-seconds is {poll_seconds:g}.", remedy="give seconds above 0, such as 60"
        )
    if once:
        with Workspace.find() as workspace:
            registry = _registry(workspace, autoscale=autoscale)
            return _look_once(registry, output, Scaler(workspace, registry) if autoscale else None)
    quiet = output.quiet or output.json
    with _stopping(quiet=quiet) as stop, Workspace.find() as workspace:
        registry = _registry(workspace, autoscale=autoscale)
        scaler = Scaler(workspace, registry) if autoscale else None
        pause = workspace.settings.loop.poll_seconds if poll_seconds is None else poll_seconds
        if not quiet:
            line(
                console(stderr=True),
                f"caring for {counted(len(registry.engines), 'bot')} in {workspace.folder}, "
                f"every {pause:g} s; Ctrl-C stops",
                style="dim",
            )
        serve(workspace, registry, output, stop=stop, pause_seconds=pause, scaler=scaler)
    return 0


def _registry(workspace: Workspace, *, autoscale: bool) -> ImprovementEngineRegistry:
    if not workspace.store.bots():
        raise WorkspaceError(
            f"the workspace {workspace.folder} has no bots.",
            remedy="menace bot add NAME --source FILE --target COLUMN",
        )
    return workspace.registry(first_engines(workspace) if autoscale else None)


def serve(
    workspace: Workspace,
    registry: ImprovementEngineRegistry,
    output: Output,
    *,
    stop: threading.Event,
    pause_seconds: float,
    scaler: Scaler | None = None,
) -> None:
    """Look at all bots, again and again, until ``stop`` is set.

    Bots that are added meanwhile are cared for from the next look on, and so do money and budgets
    count. With a ``scaler``, that decides which bots are looked at.
    """
    entries = workspace.store.ledger(last=1)
    seen = entries[-1].entry_id or 0 if entries else 0
    memory = Memory()
    while not stop.is_set():
        _refresh(workspace, registry, with_new=scaler is None)
        news = memory.news(registry.tick_all(stop=stop.is_set))
        for entry in workspace.store.ledger(after=seen):
            seen = max(seen, entry.entry_id or 0)
            news.append(_settled(entry))
        if scaler is not None and not stop.is_set():
            news += [_news(*item) for item in scaler.news()]
        _tell(news, output)
        stop.wait(pause_seconds)


class Memory:
    """Remembers what was told about each bot, so that only news is told."""

    def __init__(self) -> None:
        self._trouble: dict[str, str] = {}
        self._findings: dict[str, set[str]] = {}

    def news(self, ticked: Ticked) -> list[dict[str, Any]]:
        """Compare what one look brought with what is known.

        Returns
        -------
        list of dict
            What is new, each with ``bot``, ``kind`` (``cycle``, ``trouble``, ``well again``,
            ``finding``), ``at`` (POSIX seconds) and ``told``, a sentence.
        """
        found: list[dict[str, Any]] = []
        for bot, (decision, result) in ticked.items():
            found += self._of_trouble(bot, decision, result)
            if decision is None:
                continue
            found += self._of_findings(bot, decision)
            if result is not None:
                found.append(_cycle_news(bot, decision, result))
        return found

    def _of_trouble(
        self, bot: str, decision: Decision | None, result: AutomationResult | None
    ) -> list[dict[str, Any]]:
        trouble = ""
        if decision is None and result is not None:
            trouble = without_class(result.error or result.message)
        elif decision is not None and decision.reason == ELSEWHERE:
            trouble = f"{ELSEWHERE} at the moment"
        before = self._trouble.get(bot, "")
        self._trouble[bot] = trouble
        if trouble == before:
            return []
        return [_news(bot, "trouble" if trouble else "well again", trouble or "looked at again")]

    def _of_findings(self, bot: str, decision: Decision) -> list[dict[str, Any]]:
        issues = decision.inputs.get("issues", [])
        before = self._findings.get(bot, set())
        self._findings[bot] = {issue["kind"] for issue in issues}
        return [
            _news(bot, "finding", issue_text(issue), at=decision.at)
            for issue in issues
            if issue["kind"] not in before
        ]


def summary(result: AutomationResult) -> dict[str, Any]:
    """Give a result's fields as scripts get them."""
    return {
        "bot": result.bot,
        "status": result.status,
        "cycle_id": result.cycle_id,
        "version": result.package.version if result.package else None,
        "energy": result.energy,
        "expected_roi": result.roi,
        "cpu_seconds": result.cpu_seconds,
        "cost_usd": result.cost_usd,
        "message": result.message,
        "error": result.error,
    }


def _cycle_news(bot: str, decision: Decision, result: AutomationResult) -> dict[str, Any]:
    why = reason_text(decision.reason, decision.inputs, run=decision.run)
    version = f" version {result.package.version}" if result.package else ""
    told = f"{result.status.replace('_', ' ')}{version}"
    if result.cycle_id is not None:
        told = f"cycle {result.cycle_id}: {told}, cost {usd(result.cost_usd)}"
    if result.error:
        told = f"{told}: {without_class(result.error)}"
    elif result.status == "no_data":
        told = f"{told}: {result.message}"
    news = _news(bot, "cycle", f"{told} (because {why})", at=decision.at)
    return {**news, "reason": decision.reason, "result": summary(result)}


def _settled(entry: LedgerEntry) -> dict[str, Any]:
    told = f"cycle {entry.cycle_id} settled: cost {usd(entry.cycle_cost_usd)}, nothing to compare"
    if entry.rows:
        told = (
            f"cycle {entry.cycle_id} settled over {entry.rows:,} rows: "
            f"gain {usd(entry.gain_usd, signed=True)}, cost {usd(entry.cycle_cost_usd)}, "
            f"ROI delta {roi_text(entry.roi_delta)}"
        )
    return {**_news(entry.bot, "settled", told, at=entry.at), "entry": plain(entry)}


def _news(bot: str, kind: str, told: str, *, at: float | None = None) -> dict[str, Any]:
    return {"at": time.time() if at is None else at, "bot": bot, "kind": kind, "told": told}


def _tell(news: list[dict[str, Any]], output: Output) -> None:
    if output.json:
        for item in news:
            sys.stdout.write(json.dumps(plain(item), allow_nan=False) + "\n")
        sys.stdout.flush()
        return
    out = console()
    for item in news:
        bad = item["kind"] == "trouble" or item.get("result", {}).get("status") == "failed"
        style = "red" if bad else "yellow" if item["kind"] == "finding" else None
        told = item["told"] if item["kind"] in {"cycle", "settled"} else _labelled(item)
        line(out, f"{when(item['at'])} {item['bot']}: {told}", style=style)


def _labelled(item: Mapping[str, Any]) -> str:
    return f"{item['kind']}: {item['told']}"


def _look_once(registry: ImprovementEngineRegistry, output: Output, scaler: Scaler | None) -> int:
    with output.working("looking at the bots"):
        looked = registry.tick_all()
        scaled = None if scaler is None else scaler.scale()
    rows: list[dict[str, Any]] = [
        {
            "bot": name,
            "run": bool(decision),
            "reason": decision.reason if decision is not None else "failed",
            "result": summary(result) if result is not None else None,
        }
        for name, (decision, result) in looked.items()
    ]
    failed = [row for row in rows if row["result"] and row["result"]["status"] == "failed"]
    if scaled is not None:
        rows.append({"scaling": plain(scaled)})

    def people(out: Console) -> None:
        shown = [Column("bot"), Column("cycle"), Column("what came of it"), Column("cost", 1)]
        table(out, shown, [_once_cells(*item) for item in looked.items()])
        if scaled is not None:
            line(out, scaling_text(scaled))

    output.show(rows, people=people)
    return EXIT_ERROR if failed else 0


def _once_cells(
    bot: str, looked: tuple[Decision | None, AutomationResult | None]
) -> tuple[Any, ...]:
    decision, result = looked
    if decision is None or result is None:
        why = ""
        if decision is not None:
            why = reason_text(decision.reason, decision.inputs, run=decision.run)
        elif result is not None:
            why = without_class(result.error or result.message)
        return bot, "no" if decision is not None else "FAILED", why, None
    version = f" version {result.package.version}" if result.package else ""
    told = f"{result.status.replace('_', ' ')}{version}"
    because = without_class(result.error) if result.error else result.message
    return bot, "FAILED" if result.error else "yes", f"{told}: {because}", usd(result.cost_usd)


def _refresh(workspace: Workspace, registry: ImprovementEngineRegistry, *, with_new: bool) -> None:
    """Let engines know of money that was put in since, and new bots have one."""
    capital_bot = workspace.configured_capital_bot
    for engine in registry.engines.values():
        engine.capital_bot = capital_bot
    for bot in workspace.store.bots() if with_new else ():
        if bot.name not in registry.engines:
            registry.register_engine(bot.name, workspace.engine(bot.name))


@contextmanager
def _stopping(*, quiet: bool) -> Iterator[threading.Event]:
    """Give an event that SIGTERM and Ctrl-C set; a second one ends the process at once.

    To be ended at once is safe, too: every step of a cycle is committed before the next.
    """
    stop = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def ask(_number: int, _frame: object) -> None:
        stop.set()
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        if not quiet:
            sys.stderr.write("stopping after what is under way; once more stops at once\n")

    previous = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
