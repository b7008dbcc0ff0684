"""``menace replay``: what caring for a bot would have cost, by any strategy."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from menace.cli.app import app
from menace.cli.bots import parse_source
from menace.cli.output import Column, Output, line, plain, table, usd
from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from menace.config import LoopSettings
    from menace.interfaces import Executor, LabelledRows, Services
    from menace.records import BotConfig
    from menace.sandbox_runner import Replay
    from menace.sandbox_runner.pretraining import Pretraining

_COLUMNS = (
    Column("strategy"),
    Column("cycles", 1),
    Column("loss", 2),
    Column("cycles cost", 3),
    Column("total"),
    Column("regret"),
    Column("against menace", 1),
)

_TRAINED_COLUMNS = (
    Column("debt / cycle cost"),
    Column("age in ticks"),
    Column("ticks", 1),
    Column("advantage of running", 2),
    Column("Q(run) before"),
    Column("after"),
)

CHANGES_SHOWN = 6


@dataclasses.dataclass(frozen=True, slots=True)
class _Ground:
    """What a replay stands on."""

    bot: BotConfig
    rows: LabelledRows
    loop: LoopSettings
    executor: Executor | None
    services: Services | None = None


@app.command
def replay(
    bot: str | None = None,
    /,
    *,
    file: Path | None = None,
    ticks: int | None = None,
    report: Path | None = None,
    train: Annotated[bool, Parameter(negative=())] = False,
    force: Annotated[bool, Parameter(negative=())] = False,
    target: str | None = None,
    time: str | None = None,
    drop: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    tick_rows: int | None = None,
    window_rows: int | None = None,
    holdout_rows: int | None = None,
    settlement_rows: int | None = None,
    loss_usd: float | None = None,
    cpu_second_usd: float | None = None,
    promotion_usd: float | None = None,
    seed: int | None = None,
    output: Output = Output(),
) -> None:
    """Replay a bot's history and say what each strategy would have cost, in USD.

    The real loop lives through the history in a sandbox of its own, and nothing live is touched.
    Beside it stand never and always retraining, calendars, drift detectors, rent-or-buy, and the
    least that any schedule could have cost. CPU time is charged by counted work.

    Parameters
    ----------
    bot
        The bot. What is given below stands in for its own settings.
    file
        Replay this CSV or Parquet file instead of its source. With --target no bot is needed.
    ticks
        So many of the newest ticks; 300 by default.
    report
        Write an HTML report with charts to this file.
    train
        Teach the bot's policy what its history would have paid, before it goes live.
    force
        With --train: also if the policy has learned from live cycles already.
    target
        The column that is predicted.
    time
        The column that orders the rows.
    drop
        Columns that no model may see.
    tick_rows
        So many rows make a tick.
    window_rows
        Newest rows that a model is trained on.
    holdout_rows
        Newest rows of the window on which champion and challenger are compared.
    settlement_rows
        Rows after a promotion over which it must prove that it paid.
    loss_usd
        USD lost per unit of loss.
    cpu_second_usd
        USD per CPU-second.
    promotion_usd
        Fixed cost of a promotion, USD.
    seed
        Seed of everything random.
    """
    from menace.report import write_report
    from menace.sandbox_runner import replay as replay_history
    from menace.sandbox_runner.pretraining import pretrain

    economics = {
        "loss_usd": loss_usd,
        "cpu_second_usd": cpu_second_usd,
        "promotion_usd": promotion_usd,
    }
    given: dict[str, Any] = {
        "target": target,
        "time": time,
        "drop": tuple(drop) if drop else None,
        "tick_rows": tick_rows,
        "window_rows": window_rows,
        "holdout_rows": holdout_rows,
        "settlement_rows": settlement_rows,
        "seed": seed,
        "source": None if file is None else parse_source(str(file.absolute()), None),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    prices = {name: value for name, value in economics.items() if value is not None}
    _check_training(bot, {*changes, *prices}, train=train, force=force)
    with ExitStack() as opened:
        ground = _ground(opened, bot, changes, prices)
        with output.progress("replaying") as progress:
            replayed = replay_history(
                ground.bot,
                ground.rows,
                ticks=ticks,
                loop=ground.loop,
                executor=ground.executor,
                progress=progress,
            )
        trained = None
        if train and ground.services is not None:
            trained = pretrain(ground.services, replayed, force=force)
    if report is not None:
        write_report(report, replayed.report)

    def people(out: Console) -> None:
        _tell(out, replayed, report)
        if trained is not None:
            _tell_trained(out, trained)

    output.show(_document(replayed, report, trained), people=people)


def _check_training(bot: str | None, changed: set[str], *, train: bool, force: bool) -> None:
    """Refuse to teach a bot what holds for other prices or another rhythm than its own."""
    if force and not train:
        raise ConfigError("--force goes with --train.", remedy="add --train, or leave it out")
    if not train:
        return
    if bot is None:
        raise ConfigError(
            "--train teaches a bot, and none is named.", remedy="menace replay BOT --train"
        )
    others = sorted(changed - {"source"})
    if others:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise ConfigError(
            f"--train teaches the bot at its own settings, not with {flags}.",
            bot=bot,
            remedy=f"menace replay {bot} --train, or leave out --train",
        )


def _ground(
    opened: ExitStack, name: str | None, changes: dict[str, Any], prices: dict[str, float]
) -> _Ground:
    """Find the bot and its rows, or make a bot of what was given."""
    from menace.config import LoopSettings, validated_bot
    from menace.data_sources import rows_of
    from menace.execution.process_pool import ProcessPool
    from menace.workspace import Workspace

    if name is None:
        if "source" not in changes or "target" not in changes:
            raise ConfigError(
                "it is not said what to replay.",
                remedy="menace replay BOT, or menace replay --file FILE --target COLUMN",
            )
        file = Path(changes["source"]["location"])
        stem = "".join(c if c.isalnum() else "-" for c in file.name.split(".")[0]).strip("-")
        bot = validated_bot({"name": stem[:64] or "file", **changes, "economics": prices})
        pool = ProcessPool(1)
        opened.callback(pool.close)
        return _Ground(bot, rows_of(bot, Path.cwd()), LoopSettings(), pool)
    workspace = opened.enter_context(Workspace.find())
    known = dataclasses.asdict(workspace.store.bot(name))
    bot = validated_bot({**known, **changes, "economics": {**known["economics"], **prices}})
    if bot.source is None:
        raise ConfigError(
            "the bot is watched only: it has no source whose rows could be replayed.",
            bot=name,
            remedy=f"menace replay {name} --file FILE",
        )
    loop, services = workspace.settings.loop, workspace.services
    executor = services.executor if loop.workers > 0 else None
    return _Ground(bot, services.rows_of(bot), loop, executor, services)


def _document(replayed: Replay, report: Path | None, trained: Pretraining | None) -> dict[str, Any]:
    history = replayed.history
    return {
        "bot": replayed.bot.name,
        "ticks": history.ticks - history.first,
        "tick_rows": history.tick_rows,
        "first_model_rows": history.first * history.tick_rows,
        "rows_before": history.rows_before,
        "meter": "counted",
        "strategies": [
            {**plain(row), "regret_usd": replayed.regret_usd[row.name]}
            for row in replayed.strategies
        ],
        "report": report,
        "trained": trained,
    }


def _tell(out: Console, replayed: Replay, report: Path | None) -> None:
    from menace.report.wording import counted

    history = replayed.history
    own = next(row.total_usd for row in replayed.strategies if row.is_menace)
    table(
        out,
        _COLUMNS,
        [
            (
                row.name,
                row.cycles,
                usd(row.loss_usd),
                usd(row.cycle_usd),
                usd(row.total_usd),
                usd(replayed.regret_usd[row.name], signed=True),
                f"{row.total_usd / own - 1:+.1%}" if own > 0 else None,
            )
            for row in replayed.strategies
        ],
        title=f"{replayed.bot.name}: {counted(history.ticks - history.first, 'tick')} of "
        f"{history.tick_rows:,} rows",
    )
    line(out, "")
    skipped = f", after {history.rows_before:,} older ones" if history.rows_before else ""
    line(
        out,
        f"The first model was trained on {history.first * history.tick_rows:,} rows{skipped}; it "
        "is free for everybody. CPU time is counted, not measured.",
        style="dim",
        wrap=True,
    )
    if report is not None:
        line(out, f"report: {report}")


def _tell_trained(out: Console, trained: Pretraining) -> None:
    from menace.self_improvement_policy.state import AGE_EDGES, DEBT_EDGES

    largest = sorted(trained.changes, key=lambda change: -abs(change.after - change.before))
    line(out, "")
    table(
        out,
        _TRAINED_COLUMNS,
        [
            (
                _bucket_text(change.debt, DEBT_EDGES),
                _bucket_text(change.age, AGE_EDGES),
                change.ticks,
                _signed(change.advantage),
                _signed(change.before),
                _signed(change.after),
            )
            for change in largest[:CHANGES_SHOWN]
        ],
        title="What its history taught, largest changes first",
    )
    line(out, "")
    line(
        out,
        f"Trained in {len(trained.changes)} cells of debt and age; rent-or-buy was borne out in "
        f"{trained.borne_out_ratio:.0%} of the evidence. The policy is in {trained.policy}.",
        wrap=True,
    )


def _bucket_text(bucket: int, edges: Sequence[float]) -> str:
    if bucket == 0:
        return f"below {edges[0]:g}"
    if bucket == len(edges):
        return f"{edges[-1]:g} or more"
    return f"{edges[bucket - 1]:g} to {edges[bucket]:g}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
