"""``menace cycle``, ``run``, ``predict``, ``rollback``, ``demo``: what changes something."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from menace.cli.app import EXIT_ERROR, app
from menace.cli.output import Output, console, table, usd
from menace.errors import DataError, WorkspaceError

if TYPE_CHECKING:
    from rich.console import Console

    from menace.records import AutomationResult
    from menace.workspace import Workspace


@app.command
def cycle(bot: str, /, *, energy: int = 1, output: Output = Output()) -> int:
    """Run an improvement cycle now, whatever the policy says.

    Parameters
    ----------
    bot
        The bot to improve.
    energy
        Budget, 1..100: 1 refits the champion's configuration, more searches around it.
    """
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        engine = workspace.engine(bot)
        with output.working(f"improving {bot} (energy {energy})"):
            result = engine.run_cycle(energy)
    output.show(_summary(result), people=lambda out: _tell_result(out, bot, result))
    return EXIT_ERROR if result.status in {"failed", "no_data"} else 0


@app.command
def run(
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
    poll_seconds: float | None = None,
    output: Output = Output(),
) -> int:
    """Care for all bots: take new rows in, decide, improve where it pays, settle, learn.

    Stops cleanly on Ctrl-C and SIGTERM: a cycle that is under way finishes first.

    Parameters
    ----------
    once
        Look at every bot once and stop.
    poll_seconds
        Pause between two looks; by default what menace.toml says.
    """
    from menace.workspace import Workspace

    stop = threading.Event()
    with Workspace.find() as workspace:
        pause = poll_seconds if poll_seconds is not None else workspace.settings.loop.poll_seconds
        if once:
            return _look_once(workspace, output, stop)
        previous = {
            number: signal.signal(number, lambda *_: stop.set())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            if not output.quiet and not output.json:
                console(stderr=True).print(
                    f"caring for {len(workspace.store.bots())} bots in {workspace.folder}, "
                    f"every {pause:g} s; Ctrl-C stops",
                    style="dim",
                )
            while not stop.is_set():
                _look_once(workspace, output, stop)
                stop.wait(pause)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    return 0


@app.command
def predict(bot: str, file: Path, /, *, out: Path | None = None, output: Output = Output()) -> None:
    """Predict the rows of a file with the bot's champion.

    Parameters
    ----------
    bot
        Whose champion.
    file
        CSV, JSON lines or Parquet with the bot's feature columns.
    out
        CSV file for the rows with a column "prediction"; by default the predictions are printed.
    """
    from menace.cli.tables import read_table
    from menace.model_automation_pipeline import ModelAutomationPipeline
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        with output.working(f"predicting {file.name}"):
            rows = read_table(file)
            pipeline = ModelAutomationPipeline(workspace.services)
            predictions = pipeline.predictor(bot, _champion(workspace, bot)).predict(rows)
        if out is not None:
            _write_whole(out, rows.assign(prediction=predictions).to_csv(index=False))
    shown = {"bot": bot, "rows": len(predictions), "out": out, "predictions": predictions}
    if out is not None:
        del shown["predictions"]

    def people(console_: Console) -> None:
        if out is not None:
            console_.print(f"{len(predictions):,} predictions in {out}")
        else:
            console_.print("\n".join(map(str, predictions)), markup=False)

    output.show(shown, people=people)


@app.command
def rollback(
    bot: str, /, *, to: Annotated[int | None, Parameter()] = None, output: Output = Output()
) -> None:
    """Let a former champion serve again, at no training cost.

    Parameters
    ----------
    bot
        The bot.
    to
        The version; by default the champion before the present one.
    """
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        version = workspace.engine(bot).roll_back(to=to)
    output.show(
        {"bot": bot, "version": version.version},
        people=lambda out: out.print(f"version {version.version} of {bot} serves again"),
    )


@app.command
def demo(
    folder: Path = Path("menace-demo"),
    /,
    *,
    price: float = 3.0,
    ticks: int | None = None,
    seed: int = 0,
    output: Output = Output(),
) -> None:
    """Show the whole loop on two years of a real city's bike rentals, week by week.

    Leaves a workspace behind, on which status, why and history work, and a report.html.

    Parameters
    ----------
    folder
        Where the workspace is made; an earlier demo's is replaced.
    price
        What a reference fit costs, in percent of a tick's rows being wrong.
    ticks
        Stop after so many weeks; by default all.
    seed
        Seed of everything random.
    """
    from menace.demo import run_demo

    with output.progress("revealing weeks") as progress:
        result = run_demo(folder, price_percent=price, ticks=ticks, seed=seed, progress=progress)

    def people(out: Console) -> None:
        table(
            out,
            ["strategy", "cycles", "loss", "cycles cost", "total", "against menace"],
            [
                (
                    row.name,
                    row.cycles,
                    usd(row.loss_usd),
                    usd(row.cycle_usd),
                    usd(row.total_usd),
                    f"{row.total_usd / result.menace_usd - 1:+.1%}",
                )
                for row in result.strategies
            ],
            title=result.title,
        )
        out.print(f"report:    {result.report}")
        out.print(f"workspace: {result.folder}")
        out.print(
            f"look at it: cd {result.folder} && menace status · menace why {result.bot} · "
            f"menace history {result.bot}",
            style="dim",
        )

    output.show(result, people=people)


def _look_once(workspace: Workspace, output: Output, stop: threading.Event) -> int:
    registry = workspace.registry()
    if not registry.engines:
        raise WorkspaceError(
            f"the workspace {workspace.folder} has no bots.",
            remedy="menace bot add NAME --source FILE --target COLUMN",
        )
    with output.working(f"looking at {len(registry.engines)} bots"):
        looked = registry.tick_all(stop=stop.is_set)
    rows: list[dict[str, Any]] = [
        {
            "bot": name,
            "run": bool(decision),
            "reason": decision.reason if decision is not None else "failed",
            "result": _summary(result) if result is not None else None,
        }
        for name, (decision, result) in looked.items()
    ]

    def people(out: Console) -> None:
        table(
            out,
            ["bot", "cycle", "why", "result", "message"],
            [
                (
                    row["bot"],
                    row["run"],
                    row["reason"],
                    row["result"]["status"] if row["result"] else None,
                    (row["result"]["error"] or row["result"]["message"]) if row["result"] else None,
                )
                for row in rows
            ],
        )

    output.show(rows, people=people)
    failed = [row for row in rows if row["result"] and row["result"]["status"] == "failed"]
    return EXIT_ERROR if failed else 0


def _summary(result: AutomationResult) -> dict[str, Any]:
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


def _tell_result(out: Console, bot: str, result: AutomationResult) -> None:
    out.print(f"{bot}: {result.status}", style="bold", markup=False)
    if result.message:
        out.print(result.message, markup=False)
    if result.error:
        out.print(result.error, style="red", markup=False)
    if result.cycle_id is not None:
        out.print(
            f"cycle {result.cycle_id}, energy {result.energy}, "
            f"{result.cpu_seconds:.2f} CPU-seconds, {usd(result.cost_usd)}",
            style="dim",
        )


def _champion(workspace: Workspace, bot: str) -> int:
    version = workspace.store.snapshot(bot).champion_version
    if version is None:
        raise DataError("the bot has no model yet.", bot=bot, remedy=f"menace cycle {bot}")
    return version


def _write_whole(path: Path, content: str) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(
            f"{path} cannot be written: {error.strerror}.",
            remedy="choose a folder that you may write to, with space left",
        ) from error
