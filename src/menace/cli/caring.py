"""``menace cycle``, ``predict``, ``rollback``, ``demo``: what somebody asks for by hand."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from menace.cli.app import EXIT_ERROR, app
from menace.cli.output import Column, Output, console, line, table, usd
from menace.cli.service import summary
from menace.cli.wording import without_class
from menace.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from menace.records import AutomationResult, ModelVersion
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
        number = result.cycle_id
        patched = {} if number is None else workspace.store.cycle(number).details.get("patch", {})

    def people(out: Console) -> None:
        _tell_result(out, bot, result)
        if patched:
            told = f"its code: {patched.get('status', 'patched')}"
            line(out, ": ".join([told, *filter(None, [patched.get("message")])]), wrap=True)

    output.show({**summary(result), "patch": patched or None}, people=people)
    return EXIT_ERROR if result.status in {"failed", "no_data"} else 0


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
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        champion = _champion(workspace, bot)
        with output.working(f"predicting {file.name}"):
            rows = read_table(file)
            missing = _missing_features(champion, rows, file)
            predictions = _predicted(workspace, champion, rows)
        if missing and not output.quiet:
            line(
                console(stderr=True),
                f"warning: {file} has no {', '.join(missing)}; taken as missing values",
                style="yellow",
            )
        if out is not None:
            _write_whole(out, rows.assign(prediction=predictions).to_csv(index=False))
    shown = {"bot": bot, "rows": len(predictions), "out": out, "predictions": predictions}
    if out is not None:
        del shown["predictions"]

    def people(screen: Console) -> None:
        if out is not None:
            line(screen, f"{len(predictions):,} predictions in {out}")
        else:
            line(screen, "\n".join(map(str, predictions)))

    output.show(shown, people=people)


@app.command
def rollback(bot: str, /, *, to: int | None = None, output: Output = Output()) -> None:
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
        people=lambda out: line(out, f"version {version.version} of {bot} serves again"),
    )


@app.command
def demo(
    folder: Path = Path("menace-demo"),
    /,
    *,
    price: float = 3.0,
    ticks: int | None = None,
    seed: int = 0,
    coding: bool = False,
    output: Output = Output(),
) -> None:
    """Show the whole loop on two years of a real city's bike rentals, week by week.

    Leaves a workspace behind, on which status, why and history work, and a report.html. With
    --coding it shows instead how a bot's helper code is patched, beside a bot whose code is not.

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
    coding
        Show self-coding; weeks and seed count, the price is one of its own.
    """
    if coding:
        from menace.cli.coding_demo import show_coding_demo

        show_coding_demo(folder, weeks=ticks, seed=seed, output=output)
        return
    from menace.demo import run_demo

    with output.progress("revealing weeks") as progress:
        result = run_demo(folder, price_percent=price, ticks=ticks, seed=seed, progress=progress)

    def people(out: Console) -> None:
        table(
            out,
            [
                "strategy",
                Column("cycles", 1),
                "loss",
                Column("cycles cost", 2),
                "total",
                "against menace",
            ],
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
        line(out, "")
        line(out, f"report:    {result.report}")
        line(out, f"workspace: {result.folder}")
        line(out, f"look at it: cd {result.folder}", style="dim")
        menace = _own_command(result.folder)
        for command in ("status", f"why {result.bot}", f"history {result.bot}"):
            line(out, f"            {menace} {command}", style="dim")

    output.show(result, people=people)


def _tell_result(out: Console, bot: str, result: AutomationResult) -> None:
    version = f" version {result.package.version}" if result.package else ""
    line(out, f"{bot}: {result.status.replace('_', ' ')}{version}", style="bold")
    if result.message:
        line(out, result.message)
    if result.error:
        line(out, without_class(result.error), style="red")
    if result.cycle_id is not None:
        line(
            out,
            f"cycle {result.cycle_id}, energy {result.energy}, "
            f"{result.cpu_seconds:.2f} CPU-seconds, {usd(result.cost_usd)}",
            style="dim",
        )


def _own_command(folder: Path) -> str:
    """Name this command as it is found from ``folder``, whose reader may have no activated venv."""
    called = Path(sys.argv[0])
    if called.name != "menace" or shutil.which("menace"):
        return "menace"
    return os.path.relpath(called.absolute(), folder.absolute())


def _champion(workspace: Workspace, bot: str) -> ModelVersion:
    version = workspace.store.snapshot(bot).champion_version
    if version is not None:
        return workspace.store.model(bot, version)
    if workspace.store.bot(bot).source is None:
        raise DataError(
            "the bot is watched only: menace has no model of it.",
            bot=bot,
            remedy="predict where its model is served",
        )
    raise DataError("the bot has no model yet.", bot=bot, remedy=f"menace cycle {bot}")


def _predicted(
    workspace: Workspace, champion: ModelVersion, rows: pd.DataFrame
) -> list[str] | list[float]:
    from menace.model_automation_pipeline.window_pipeline import WindowPipeline

    pipeline = workspace.pipeline(champion.bot)
    if not isinstance(pipeline, WindowPipeline):
        raise DataError(
            "the bot's pipeline keeps its models to itself.",
            bot=champion.bot,
            remedy="predict where its model is served",
        )
    return pipeline.predict(champion.bot, champion.version, rows)


def _missing_features(champion: ModelVersion, rows: pd.DataFrame, file: Path) -> list[str]:
    """Name the model's columns that a table lacks; a model bears some of them missing, not all."""
    made = champion.manifest.get("code", {}).get("columns", [])
    features = [str(feature["name"]) for feature in champion.manifest.get("features", [])]
    wanted = [name for name in features if name not in made]
    missing = [name for name in wanted if name not in rows.columns]
    if wanted and len(missing) == len(wanted):
        raise DataError(
            f"{file} has none of the model's columns: {', '.join(wanted)}.",
            bot=champion.bot,
            remedy="give a file with the columns that the bot's source has",
        )
    return missing


def _write_whole(path: Path, content: str) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        try:
            temporary.write_text(content, encoding="utf-8")
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror}.",
            remedy="choose a folder that exists and that you may write to, with space left",
        ) from error
