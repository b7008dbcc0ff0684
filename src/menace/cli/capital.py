"""``menace capital …`` and ``menace budget …``: what there is to spend, and what may be spent."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from cyclopts import App

from menace.cli.app import app
from menace.cli.output import Column, Output, line, pairs, plain, table, usd, when
from menace.errors import CapitalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from menace.capital_management_bot import CapitalManagementBot
    from menace.workspace import Workspace

capital_app = App(name="capital", help="See what there is to spend; put money in or take it out.")
budget_app = App(name="budget", help="Limit what a day's cycles may cost.")
app.command(capital_app)
app.command(budget_app)

_BUDGETS = (Column("budget"), Column("a day"), Column("spent today"), Column("left"))
_ENTRIES = (
    Column("entry", 1),
    Column("at (UTC)"),
    Column("what"),
    Column("bot", 1),
    Column("amount"),
    Column("cash"),
    Column("memo", 2),
)
_FACTORS = {
    "trend": "profit trend",
    "steadiness": "steadiness of profits",
    "success": "cycles that were promoted",
    "deploy_eff": "cycles that paid",
    "reliability": "cycles that did not fail",
    "idleness": "idle workers",
}


@capital_app.default
def show(*, output: Output = Output()) -> None:
    """Show balances, profit, runway and budgets, and the energy score with its factors."""
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        standing = _standing(workspace)
    output.show(standing, people=lambda out: _tell_standing(out, standing))


@capital_app.command
def deposit(usd_amount: float, /, *, memo: str = "", output: Output = Output()) -> None:
    """Put money in.

    Parameters
    ----------
    usd_amount
        USD, above 0.
    memo
        What to remember about it.
    """
    _book(lambda bot: bot.deposit(usd_amount, memo=memo), f"put in {usd(usd_amount)}", output)


@capital_app.command
def withdraw(usd_amount: float, /, *, memo: str = "", output: Output = Output()) -> None:
    """Take money out, of what is not set aside for a bot.

    Parameters
    ----------
    usd_amount
        USD, above 0.
    memo
        What to remember about it.
    """
    _book(lambda bot: bot.withdraw(usd_amount, memo=memo), f"took out {usd(usd_amount)}", output)


@capital_app.command
def allocate(bot: str, usd_amount: float, /, *, output: Output = Output()) -> None:
    """Set money aside for a bot: from then on that pays its cycles, and nothing else does.

    Parameters
    ----------
    bot
        The bot.
    usd_amount
        USD; below 0 gives back. When nothing is left to give back, cash pays the bot again.
    """

    def move(capital: CapitalManagementBot) -> int:
        if usd_amount < 0:
            return capital.release(bot, -usd_amount)
        return capital.allocate(bot, usd_amount)

    told = "gave back" if usd_amount < 0 else "set aside"
    _book(move, f"{told} {usd(abs(usd_amount))} for {bot}", output)


@capital_app.command
def entries(*, bot: str | None = None, last: int = 20, output: Output = Output()) -> None:
    """List what moved: deposits, settled cycles, allocations.

    Parameters
    ----------
    bot
        Only entries that concern this bot.
    last
        So many of the newest.
    """
    from menace.double_entry import CASH, usd_of
    from menace.workspace import Workspace

    if last < 1:
        raise CapitalError(f"--last is {last}.", bot=bot, remedy="give 1 or more")
    with Workspace.find() as workspace:
        found = workspace.store.capital_entries(last=last, bot=bot)

    def people(out: Console) -> None:
        if not found:
            line(out, "nothing has moved yet; menace capital deposit USD")
            return
        rows = [
            (
                entry.entry_id,
                when(entry.at).replace("T", " ").rstrip("Z"),
                str(entry.kind) + (f" of cycle {entry.cycle_id}" if entry.cycle_id else ""),
                entry.bot,
                usd(usd_of(sum(abs(p.nano_usd) for p in entry.postings) // 2)),
                usd(
                    usd_of(sum(p.nano_usd for p in entry.postings if p.account == CASH)),
                    signed=True,
                ),
                entry.memo or None,
            )
            for entry in found
        ]
        table(out, _ENTRIES, rows)

    output.show(found, people=people)


@budget_app.default
def show_budgets(*, output: Output = Output()) -> None:
    """List the daily budgets, and what is left of each today."""
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        rows = _budget_rows(workspace.capital_bot)

    def people(out: Console) -> None:
        if not rows:
            line(out, "no budgets; menace budget set USD [--bot BOT]")
            return
        _tell_budgets(out, rows)

    output.show(rows, people=people)


@budget_app.command(name="set")
def set_budget(daily_usd: float, /, *, bot: str | None = None, output: Output = Output()) -> None:
    """Limit what cycles may cost on one day (UTC); when it is spent, they wait.

    Parameters
    ----------
    daily_usd
        USD; 0 lets no cycle run but those that somebody asks for.
    bot
        Whose cycles; by default those of all bots together.
    """
    _limit(daily_usd, bot, output)


@budget_app.command
def lift(*, bot: str | None = None, output: Output = Output()) -> None:
    """Take a daily budget away.

    Parameters
    ----------
    bot
        Whose; by default that of all bots together.
    """
    _limit(None, bot, output)


def _limit(daily_usd: float | None, bot: str | None, output: Output) -> None:
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        capital = workspace.capital_bot
        capital.set_budget(daily_usd, bot=bot)
        rows = _budget_rows(capital)
    whose = bot or "all bots"
    told = f"no budget for {whose}" if daily_usd is None else f"{usd(daily_usd)} a day for {whose}"
    output.show(rows, people=lambda out: line(out, told))


def _book(move: Any, told: str, output: Output) -> None:
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        capital = workspace.capital_bot
        entry_id = move(capital)
        balances = capital.balances()
    data = {"entry_id": entry_id, "balances": balances}
    cash = usd(balances.get("cash", 0.0))
    output.show(data, people=lambda out: line(out, f"{told}; cash is {cash}"))


def _standing(workspace: Workspace) -> dict[str, Any]:
    from menace.self_improvement_engine.purse import recent_rates

    capital = workspace.capital_bot
    position = capital.position()
    rates = recent_rates(workspace.store, [bot.name for bot in workspace.store.bots()])
    score = capital.energy_factors(load=0.0, **rates._asdict())
    return {
        "configured": capital.is_configured(),
        "balances": capital.balances(),
        "profit_usd": capital.profit(),
        **dataclasses.asdict(position),
        "runway_days": position.runway_days if math.isfinite(position.runway_days) else None,
        "budgets": _budget_rows(capital),
        "rates": rates._asdict(),
        "energy": score.to_json(),
    }


def _budget_rows(capital: CapitalManagementBot) -> list[dict[str, Any]]:
    spent = capital.spent_today()
    rows = []
    for budget in capital.budgets():
        own = math.fsum(spent.values()) if budget.bot is None else spent.get(budget.bot, 0.0)
        left = None if budget.daily_usd is None else budget.daily_usd - own
        rows.append({**plain(budget), "spent_usd": own, "left_usd": left})
    return rows


def _tell_budgets(out: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    cells = [
        (
            row["bot"] or "all bots",
            usd(row["daily_usd"]),
            usd(row["spent_usd"]),
            usd(row["left_usd"]),
        )
        for row in rows
    ]
    table(out, _BUDGETS, cells)


def _tell_standing(out: Console, standing: Mapping[str, Any]) -> None:
    balances, energy = standing["balances"], standing["energy"]
    if not standing["configured"]:
        line(out, "no capital yet: engines spend energy 1 a cycle", style="yellow")
        line(out, "next: menace capital deposit USD, or menace budget set USD", style="dim")
    runway = standing["runway_days"]
    lasts = "as long as nothing is spent" if runway is None else f"{runway:,.1f} days"
    rows: list[tuple[str, Any]] = [
        ("cash", usd(balances.get("cash", 0.0))),
        *(
            (f"set aside for {account.partition(':')[2]}", usd(amount))
            for account, amount in balances.items()
            if account.startswith("allocation:")
        ),
        ("put in by the owner", usd(balances.get("owner", 0.0))),
        ("earned", usd(balances.get("gains", 0.0))),
        ("spent", usd(balances.get("costs", 0.0))),
        ("profit", usd(standing["profit_usd"], signed=True)),
        ("spending a day", usd(standing["spending_usd_per_day"])),
        ("the capital lasts", lasts),
    ]
    pairs(out, rows)
    line(out, "")
    if standing["budgets"]:
        _tell_budgets(out, standing["budgets"])
        line(out, "")
    line(out, f"energy score {energy['score']:.2f}", style="bold")
    line(out, f"= runway {energy['runway']:.2f} × the weighted mean of")
    from menace.capital_management_bot.energy import WEIGHTS

    pairs(
        out,
        [
            (f"  {told}", f"{energy[name]:.2f} × {WEIGHTS[name]:g}")
            for name, told in _FACTORS.items()
        ],
    )
