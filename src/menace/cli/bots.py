"""``menace init``, ``menace bot …``, ``menace observe``: what menace cares for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from menace.cli.app import app
from menace.cli.output import Column, Output, line, table, usd
from menace.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rich.console import Console

bot_app = App(name="bot", help="Put bots under care, and list them.")
app.command(bot_app)

_LISTED = (
    Column("bot"),
    Column("kind", 2),
    Column("source"),
    Column("target"),
    Column("tick rows", 1),
    Column("USD per loss", 1),
)


@app.command
def init(folder: Path = Path(), /, *, output: Output = Output()) -> None:
    """Make a workspace: a folder with a menace.toml.

    Parameters
    ----------
    folder
        The current one by default.
    """
    from menace.workspace import Workspace

    path = Workspace.create(folder)

    def people(out: Console) -> None:
        line(out, f"made {path}")
        line(out, "next: menace bot add NAME --source FILE --target COLUMN", style="dim")

    output.show({"workspace": path.parent.resolve()}, people=people)


@bot_app.command
def add(
    name: str,
    /,
    *,
    target: str,
    source: str | None = None,
    time: str | None = None,
    drop: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    url: str | None = None,
    task: str | None = None,
    metric: str | None = None,
    tick_rows: int | None = None,
    window_rows: int | None = None,
    holdout_rows: int | None = None,
    settlement_rows: int | None = None,
    seconds_per_energy: float | None = None,
    max_error_rate: float | None = None,
    max_latency_seconds: float | None = None,
    loss_usd: float | None = None,
    cpu_second_usd: float | None = None,
    promotion_usd: float | None = None,
    serving_usd_per_row: float | None = None,
    seed: int | None = None,
    pipeline: str | None = None,
    output: Output = Output(),
) -> None:
    """Put a bot under care.

    Parameters
    ----------
    name
        Unique in the workspace.
    target
        The column that is predicted.
    source
        A CSV or Parquet file that grows, an SQL query (with --url), or package.module:function.
        Without one the bot is watched only: it reports outcomes (menace observe), menace
        diagnoses them, and trains no model; such a bot needs --metric.
    time
        The column that orders the rows.
    drop
        Columns that no model may see, such as ones that leak the target.
    url
        The database of an SQL source, as a SQLAlchemy URL.
    task
        binary, multiclass or regression; by default the data decide.
    metric
        error_rate, log_loss, absolute_error or squared_error; by default the task decides.
    tick_rows
        So many newly labelled rows make a tick, at which a decision is due.
    window_rows
        Newest rows that a model is trained on.
    holdout_rows
        Newest rows of the window on which champion and challenger are compared.
    settlement_rows
        Rows after a promotion over which it must prove that it paid.
    seconds_per_energy
        CPU-seconds that one unit of energy buys.
    max_error_rate
        A mean loss above this is an issue.
    max_latency_seconds
        A latency above this is an issue.
    loss_usd
        USD lost per unit of loss: for classification, per wrong prediction.
    cpu_second_usd
        USD per CPU-second.
    promotion_usd
        Fixed cost of a promotion, USD.
    serving_usd_per_row
        Cost of one prediction, USD.
    seed
        Seed of everything random in the bot's cycles.
    pipeline
        Name of a table [pipelines.NAME] in menace.toml: code of your own that makes the models. By
        default menace's own makes them.
    """
    from menace.workspace import Workspace

    economics = {
        "loss_usd": loss_usd,
        "cpu_second_usd": cpu_second_usd,
        "promotion_usd": promotion_usd,
        "serving_usd_per_row": serving_usd_per_row,
    }
    given: dict[str, Any] = {
        "time": time,
        "drop": tuple(drop) if drop else None,
        "task": task,
        "metric": metric,
        "tick_rows": tick_rows,
        "window_rows": window_rows,
        "holdout_rows": holdout_rows,
        "settlement_rows": settlement_rows,
        "seconds_per_energy": seconds_per_energy,
        "max_error_rate": max_error_rate,
        "max_latency_seconds": max_latency_seconds,
        "seed": seed,
        "pipeline": pipeline,
        "economics": {k: v for k, v in economics.items() if v is not None} or None,
    }
    values = {
        "name": name,
        "source": None if source is None and url is None else parse_source(source or "", url),
        "target": target,
        **{key: value for key, value in given.items() if value is not None},
    }
    if values["source"] is None and metric is None:
        raise ConfigError(
            "a bot without a source is watched only, and its losses need a metric.",
            bot=name,
            remedy="add --source to have menace improve it, or --metric error_rate (classes) or "
            "--metric absolute_error (quantities) to watch it",
        )
    with Workspace.find() as workspace:
        bot = workspace.add_bot(values)

    def people(out: Console) -> None:
        if bot.source is None:
            line(out, f"bot {bot.name} is watched: it reports outcomes only")
            line(out, f"next: menace observe {bot.name} FILE", style="dim")
            return
        line(out, f"bot {bot.name} is under care")
        line(out, f"next: menace cycle {bot.name}, or menace run", style="dim")

    output.show(bot, people=people)


@bot_app.command(name="list")
def list_bots(*, output: Output = Output()) -> None:
    """List the bots under care."""
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        bots = workspace.store.bots()
    rows = [
        (
            bot.name,
            bot.source.kind if bot.source else None,
            bot.source.location if bot.source else "watched only",
            bot.target,
            bot.tick_rows,
            usd(bot.economics.loss_usd),
        )
        for bot in bots
    ]

    def people(out: Console) -> None:
        if not rows:
            line(out, "no bots yet; menace bot add NAME --source FILE --target COLUMN")
            return
        table(out, _LISTED, rows)

    output.show(bots, people=people)


@app.command
def observe(bot: str, file: Path, /, *, output: Output = Output()) -> None:
    """Report outcomes of predictions that were served elsewhere.

    An outcome whose prediction id is known already is left out, so a file may be sent twice.

    Parameters
    ----------
    bot
        The bot that served them.
    file
        CSV (.csv, .csv.gz), JSON lines (.jsonl) or Parquet with the columns prediction_id,
        prediction, truth and, if you have them, at (ISO 8601 or POSIX seconds), loss, value_usd,
        serving_cost_usd, latency_seconds.
    """
    from menace.cli.tables import outcomes_of, read_table
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        workspace.store.bot(bot)
        with output.working(f"reading {file.name}"):
            table_read = read_table(file, as_text=("prediction_id",))
            outcomes = outcomes_of(table_read, file, bot)
        with output.working(f"storing {len(outcomes):,} outcomes"):
            # At once: a file with a wrong row leaves nothing of itself behind.
            try:
                new = workspace.data_bot.observe(bot, outcomes)
            except DataError as error:
                raise DataError(f"{file}: {error.message}", bot=bot, remedy=error.remedy) from error
    result = {"bot": bot, "rows": len(outcomes), "new": new, "known": len(outcomes) - new}
    output.show(
        result,
        people=lambda out: line(
            out, f"{new:,} new outcomes of {bot}, {len(outcomes) - new:,} were known"
        ),
    )


def parse_source(source: str, url: str | None) -> dict[str, Any]:
    """Tell what kind of source is meant.

    Raises
    ------
    ConfigError
        For nothing at all, a query without a database, or a database without a query.
    """
    if re.match(r"\s*(select|with)\s", source, re.IGNORECASE):
        if url is None:
            raise ConfigError(
                "the source is an SQL query, but no database is named.",
                remedy="add --url, such as --url sqlite:///served.db",
            )
        return {"kind": "sql", "location": source, "url": url}
    if not source.strip() and url is None:
        raise ConfigError(
            "the source is empty.", remedy="name a file, or leave --source out to watch only"
        )
    if url is not None:
        raise ConfigError(
            f"--url is given, but {source!r} is no SQL query.",
            remedy="begin the source with SELECT or WITH, or leave --url out",
        )
    if re.fullmatch(r"[\w.]+:\w+", source) and not Path(source).exists():
        return {"kind": "callable", "location": source}
    if source.endswith((".parquet", ".pq")) or Path(source).is_dir():
        return {"kind": "parquet", "location": source}
    return {"kind": "csv", "location": source}
