"""``menace status``, ``why``, ``history``: what changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from menace.cli.app import app
from menace.cli.output import Column, Output, line, pairs, plain, table, usd, when
from menace.cli.wording import (
    cycle_text,
    issue_names,
    issue_text,
    reason_text,
    roi_text,
    without_class,
)
from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from menace.records import BotConfig, BotSnapshot, Cycle, Decision, LedgerEntry
    from menace.workspace import Workspace

_STATUS_COLUMNS = (
    Column("bot"),
    Column("model", 1),
    Column("rows", 3),
    Column("outcomes", 4),
    Column("loss", 1),
    Column("lately", 1),
    Column("debt", 2),
    Column("a cycle costs", 5),
    Column("settled", 6),
    Column("net", 1),
    Column("state"),
)

_CHOICE_COLUMNS = (
    Column("alternative"),
    Column("gain", 2),
    Column("error", 3),
    Column("cost", 1),
    Column("net"),
    Column("", 4),
)

_HISTORY_COLUMNS = (
    Column("cycle"),
    Column("began (UTC)", 2),
    Column("row", 4),
    Column("why", 3),
    Column("outcome"),
    Column("model", 1),
    Column("energy", 5),
    Column("cost"),
    Column("gain"),
    Column("ROI delta"),
)


@app.command
def status(*bots: str, output: Output = Output()) -> None:
    """Show how every bot stands: model, loss, debt, money, and what is wrong.

    Parameters
    ----------
    bots
        Only these; by default all.
    """
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        store = workspace.store
        chosen = [store.bot(name) for name in bots] if bots else store.bots()
        settled: dict[str, list[LedgerEntry]] = {}
        for entry in store.ledger():
            settled.setdefault(entry.bot, []).append(entry)
        rows = [_standing(workspace, bot, settled.get(bot.name, [])) for bot in chosen]

    def people(out: Console) -> None:
        if not rows:
            line(out, "no bots yet; menace bot add NAME --source FILE --target COLUMN")
            return
        table(out, _STATUS_COLUMNS, [_status_cells(row) for row in rows])
        line(out, "")
        for row in rows:
            for issue in row["issues"]:
                line(out, f"{row['bot']}: {issue_text(issue)}", style="yellow", wrap=True)
            if row["trouble"]:
                line(out, f"{row['bot']}: {row['trouble']}", style="red", wrap=True)
        line(out, _status_summary(rows), style="bold")

    output.show(rows, people=people)


@app.command
def why(bot: str, /, *, output: Output = Output()) -> None:
    """Explain the last decision: what could be done, what it was worth, who answered.

    Parameters
    ----------
    bot
        The bot.
    """
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        store = workspace.store
        config = store.bot(bot)
        found = store.decisions(bot, last=1)
        cycles = store.cycles(bot, last=1)
        entries = {entry.cycle_id: entry for entry in store.ledger(bot, last=1000)}
    if not found:
        sentence = f"no decision about {bot} yet; menace run --once makes one"
        output.show(None, people=lambda out: line(out, sentence))
        return
    decision = found[0]
    cycle = _cycle_row(cycles[0], entries.get(cycles[0].cycle_id)) if cycles else None
    output.show(
        {**plain(decision), "last_cycle": cycle},
        people=lambda out: _explain(out, config, decision, cycle),
    )


@app.command
def history(bot: str, /, *, last: int = 20, output: Output = Output()) -> None:
    """List a bot's cycles: when, why, what they cost, what they earned.

    Parameters
    ----------
    bot
        The bot.
    last
        So many of the newest.
    """
    from menace.workspace import Workspace

    if last < 1:
        raise ConfigError(f"--last is {last}.", bot=bot, remedy="give 1 or more")
    with Workspace.find() as workspace:
        workspace.store.bot(bot)
        cycles = workspace.store.cycles(bot, last=last)
        settled = {entry.cycle_id: entry for entry in workspace.store.ledger(bot)}
    rows = [_cycle_row(cycle, settled.get(cycle.cycle_id)) for cycle in cycles]

    def people(out: Console) -> None:
        if not rows:
            line(out, f"no cycles of {bot} yet; menace cycle {bot} runs one")
            return
        table(out, _HISTORY_COLUMNS, [_history_cells(row) for row in rows])
        for row in rows:
            if row["error"]:
                told = without_class(row["error"])
                line(out, f"cycle {row['cycle_id']} failed: {told}", style="red")

    output.show(rows, people=people)


def _history_cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    began = when(row["started_at"]).replace("T", " ").rstrip("Z")
    waiting = row["outcome"] == "promoted" and row["roi_delta"] is None
    return (
        row["cycle_id"],
        began,
        row["row"],
        row["reason"],
        str(row["outcome"]).replace("_", " ") + (", not settled" if waiting else ""),
        row["version"],
        row["energy"],
        usd(row["cost_usd"]),
        usd(row["gain_usd"], signed=True),
        None if row["roi_delta"] is None else roi_text(row["roi_delta"]),
    )


def _standing(
    workspace: Workspace, bot: BotConfig, entries: Sequence[LedgerEntry]
) -> dict[str, Any]:
    store = workspace.store
    snapshot = store.snapshot(bot.name)
    decisions = store.decisions(bot.name, last=1)
    last = decisions[0] if decisions else None
    inputs = last.inputs if last is not None else {}
    totals = snapshot.totals
    issues = _open_issues(snapshot, inputs)
    trouble = ""
    if last is not None and last.reason == "failed":
        trouble = without_class(str(inputs.get("error", "")))
    elif snapshot.loop.failures:
        trouble = without_class(store.cycles(bot.name, last=1)[0].error or "")
    return {
        "bot": bot.name,
        "champion_version": snapshot.champion_version,
        "rows": snapshot.loop.labelled_rows,
        "outcomes": totals.outcomes,
        "mean_loss": totals.loss_sum / totals.outcomes if totals.outcomes else None,
        "recent_loss": _recent_loss(workspace, snapshot),
        "debt_usd": inputs.get("debt_usd"),
        "cycle_cost_usd": snapshot.loop.cycle_cost_usd,
        "settled_cycles": len(entries),
        "net_usd": sum(entry.gain_usd - entry.cycle_cost_usd for entry in entries),
        "last_decision": None if last is None else {"run": last.run, "reason": last.reason},
        "issues": issues,
        "failures": snapshot.loop.failures,
        "trouble": trouble or None,
        "state": _state(bot, snapshot, issues, trouble, last),
    }


def _open_issues(snapshot: BotSnapshot, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Gather the findings of the last decision, and what has been noted since."""
    noted = [
        {
            "kind": issue.kind.value,
            "severity": issue.severity,
            "row": issue.row,
            "evidence": issue.evidence,
        }
        for issue in snapshot.loop.issues
    ]
    by_kind = {issue["kind"]: issue for issue in [*inputs.get("issues", []), *noted]}
    return sorted(by_kind.values(), key=lambda issue: -issue["severity"])


def _recent_loss(workspace: Workspace, snapshot: BotSnapshot) -> float | None:
    """Mean loss of the serving model on the newest tick that it was scored on."""
    models = 1 + workspace.settings.loop.archive_models
    samples = workspace.store.samples(snapshot.bot, "loss", last=models)
    own = [sample for sample in samples if sample.version == snapshot.champion_version]
    return own[-1].value if own else None


def _state(
    bot: BotConfig,
    snapshot: BotSnapshot,
    issues: Sequence[Mapping[str, Any]],
    trouble: str,
    last: Decision | None,
) -> str:
    from menace.report.wording import counted
    from menace.self_improvement_engine.purse import BUDGET_SPENT

    if snapshot.loop.failures:
        return counted(snapshot.loop.failures, "failure").upper()
    if trouble:
        return "TROUBLE"
    if last is not None and last.reason.startswith(BUDGET_SPENT):
        return "waits for money"
    if issues:
        return issue_names(issues)
    if snapshot.champion_version is None:
        return "watched only" if bot.source is None else "no model yet"
    return "well"


def _status_cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        row["bot"],
        row["champion_version"],
        row["rows"],
        row["outcomes"],
        row["mean_loss"],
        row["recent_loss"],
        usd(row["debt_usd"]),
        usd(row["cycle_cost_usd"]),
        row["settled_cycles"],
        usd(row["net_usd"], signed=True),
        row["state"],
    )


def _status_summary(rows: Sequence[Mapping[str, Any]]) -> str:
    from menace.report.wording import counted

    well = sum(row["state"] in {"well", "watched only"} for row in rows)
    troubled = sum(row["trouble"] is not None for row in rows)
    net = usd(sum(row["net_usd"] for row in rows), signed=True)
    settled = counted(sum(row["settled_cycles"] for row in rows), "settled cycle")
    return (
        f"{counted(len(rows), 'bot')}: {well} well, {troubled} in trouble, "
        f"{len(rows) - well - troubled} to look at; net {net} over {settled}"
    )


def _cycle_row(cycle: Cycle, entry: LedgerEntry | None) -> dict[str, Any]:
    return {
        "cycle_id": cycle.cycle_id,
        "started_at": cycle.started_at,
        "row": cycle.row,
        "state": cycle.state,
        "reason": cycle.details.get("reason"),
        "outcome": cycle.outcome or cycle.state.value,
        "version": cycle.version,
        "replaced_version": cycle.replaced_version,
        "energy": cycle.energy,
        "cpu_seconds": cycle.cpu_seconds,
        "cost_usd": cycle.cost_usd,
        "settled_rows": cycle.settled_rows,
        "gain_usd": cycle.gain_usd if cycle.replaced_version is not None else None,
        "roi_delta": entry.roi_delta if entry is not None else None,
        "error": cycle.error,
    }


def _explain(
    out: Console, bot: BotConfig, decision: Decision, cycle: Mapping[str, Any] | None
) -> None:
    inputs = decision.inputs
    answer = "run a cycle" if decision.run else "wait"
    back = inputs.get("roll_back")
    if back:
        answer = f"go back from version {back['from']} to version {back['to']}"
    at = when(decision.at).replace("T", " ").replace("Z", " UTC")
    line(out, f"{bot.name}: {answer}", style="bold")
    line(out, f"because {reason_text(decision.reason, inputs, run=decision.run)} ({at})", wrap=True)
    if inputs.get("error"):
        line(out, without_class(str(inputs["error"])), style="red", wrap=True)
    for issue in inputs.get("issues", []):
        line(out, f"finding: {issue_text(issue)}", style="yellow", wrap=True)
    if cycle is not None:
        line(out, f"last cycle: {cycle_text(cycle)}", wrap=True)
    _show_alternatives(out, inputs)
    figures = [(name, value) for name, value in _figures(decision) if value is not None]
    if figures:
        line(out, "\nwhat was known", style="bold")
        pairs(out, figures)


def _show_alternatives(out: Console, inputs: Mapping[str, Any]) -> None:
    from menace.report.alternatives import best_text, choice_rows

    rows = choice_rows(inputs)
    if not rows:
        return
    judged = inputs["alternatives"]
    line(out, f"\nwhat could be done (over {judged['horizon_ticks']:.3g} ticks)", style="bold")
    table(out, _CHOICE_COLUMNS, rows)
    line(out, f"judged best: {best_text(judged)}", wrap=True)


def _figures(decision: Decision) -> list[tuple[str, Any]]:
    inputs = decision.inputs
    staleness = inputs.get("staleness", {})
    return [
        ("answered by", decision.reason),
        ("rows seen", inputs.get("row")),
        ("rows since the last cycle", inputs.get("rows_since_cycle")),
        ("serving model", inputs.get("champion_version")),
        ("its age in ticks", inputs.get("age_ticks")),
        ("its debt", None if inputs.get("debt_usd") is None else usd(inputs["debt_usd"])),
        (
            "cost of a cycle",
            None if inputs.get("cycle_cost_usd") is None else usd(inputs["cycle_cost_usd"]),
        ),
        ("excess loss per row", staleness.get("excess_per_row")),
        ("staleness per row and tick", staleness.get("rate_per_row_and_tick")),
        ("models compared", staleness.get("witnesses")),
        ("value of running, ROI delta", inputs.get("policy_score")),
        ("recent ROI deltas, mean", inputs.get("short_term_roi")),
        ("ROI deltas, EMA", inputs.get("roi_ema")),
        ("energy score", inputs.get("energy_score")),
        ("policy state", inputs.get("policy_state")),
    ]
