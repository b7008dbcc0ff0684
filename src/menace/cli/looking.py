"""``menace status``, ``why``, ``history``, ``doctor``: what changes nothing."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import TYPE_CHECKING, Any

from menace.cli.app import EXIT_ERROR, app
from menace.cli.output import Output, pairs, table, text, usd, when

if TYPE_CHECKING:
    from rich.console import Console

    from menace.records import BotConfig, Cycle, Decision
    from menace.workspace import Workspace

_CHECKED = (
    "alembic",
    "lightgbm",
    "numpy",
    "optuna",
    "pandas",
    "river",
    "scikit-learn",
    "skops",
    "sqlalchemy",
)


@app.command
def status(*, output: Output = Output()) -> None:
    """Show how every bot stands: champion, loss, debt, last decision, money."""
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        rows = [_standing(workspace, bot) for bot in workspace.store.bots()]

    def people(out: Console) -> None:
        if not rows:
            out.print("no bots yet; menace bot add NAME --source FILE --target COLUMN")
            return
        table(
            out,
            [
                "bot",
                "champion",
                "rows",
                "outcomes",
                "mean loss",
                "debt",
                "cycle costs",
                "cycles",
                "net",
                "last decision",
            ],
            [
                (
                    row["bot"],
                    row["champion_version"],
                    row["rows"],
                    row["outcomes"],
                    row["mean_loss"],
                    usd(row["debt_usd"]),
                    usd(row["cycle_cost_usd"]),
                    row["cycles"],
                    usd(row["net_usd"]),
                    row["last_decision"],
                )
                for row in rows
            ],
        )
        for row in rows:
            for issue in row["issues"]:
                out.print(
                    f"{row['bot']}: {issue['kind']} (severity {issue['severity']:.2f})",
                    style="yellow",
                    markup=False,
                )

    output.show(rows, people=people)


@app.command
def why(bot: str, /, *, output: Output = Output()) -> None:
    """Explain the last decision: what was known, what it was worth, who answered.

    Parameters
    ----------
    bot
        The bot.
    """
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        config = workspace.store.bot(bot)
        found = workspace.store.decisions(bot, last=1)
    if not found:
        output.show(
            None,
            people=lambda out: out.print(
                f"no decision about {bot} yet; menace run --once makes one"
            ),
        )
        return
    decision = found[0]
    output.show(decision, people=lambda out: _explain(out, config, decision))


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

    with Workspace.find() as workspace:
        workspace.store.bot(bot)
        cycles = workspace.store.cycles(bot, last=last)
        settled = {entry.cycle_id: entry for entry in workspace.store.ledger(bot)}
    rows = [_cycle_row(cycle, settled.get(cycle.cycle_id)) for cycle in cycles]

    def people(out: Console) -> None:
        if not rows:
            out.print(f"no cycles of {bot} yet; menace cycle {bot} runs one")
            return
        table(
            out,
            [
                "cycle",
                "began",
                "row",
                "why",
                "outcome",
                "version",
                "energy",
                "cost",
                "gain",
                "ROI delta",
            ],
            [
                (
                    row["cycle_id"],
                    when(row["started_at"]),
                    row["row"],
                    row["reason"],
                    row["outcome"],
                    row["version"],
                    row["energy"],
                    usd(row["cost_usd"]),
                    usd(row["gain_usd"]),
                    None if row["roi_delta"] is None else f"{row['roi_delta']:+.2f}",
                )
                for row in rows
            ],
        )

    output.show(rows, people=people)


@app.command
def doctor(*, output: Output = Output()) -> int:
    """Check the installation and the workspace, and name what is wrong with its remedy."""
    findings = [*_installation(), *_workspace()]

    def people(out: Console) -> None:
        table(
            out,
            ["check", "state", "found", "remedy"],
            [
                (row["check"], "ok" if row["ok"] else "WRONG", row["found"], row["remedy"])
                for row in findings
            ],
        )

    output.show(findings, people=people)
    return 0 if all(row["ok"] for row in findings) else EXIT_ERROR


def _standing(workspace: Workspace, bot: BotConfig) -> dict[str, Any]:
    store = workspace.store
    snapshot = store.snapshot(bot.name)
    decisions = store.decisions(bot.name, last=1)
    inputs = decisions[0].inputs if decisions else {}
    entries = store.ledger(bot.name)
    totals = snapshot.totals
    answer = None
    if decisions:
        answer = f"{'run' if decisions[0].run else 'wait'}: {decisions[0].reason}"
    return {
        "bot": bot.name,
        "champion_version": snapshot.champion_version,
        "rows": snapshot.loop.labelled_rows,
        "outcomes": totals.outcomes,
        "mean_loss": totals.loss_sum / totals.outcomes if totals.outcomes else None,
        "debt_usd": inputs.get("debt_usd"),
        "cycle_cost_usd": snapshot.loop.cycle_cost_usd,
        "cycles": len(entries),
        "net_usd": sum(entry.gain_usd - entry.cycle_cost_usd for entry in entries),
        "last_decision": answer,
        "issues": inputs.get("issues", []),
    }


def _cycle_row(cycle: Cycle, entry: Any) -> dict[str, Any]:
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


def _explain(out: Console, bot: BotConfig, decision: Decision) -> None:
    inputs = decision.inputs
    out.print(
        f"{bot.name}: {'run a cycle' if decision.run else 'wait'}, says {decision.reason}",
        style="bold",
        markup=False,
    )
    debt, cost = inputs.get("debt_usd"), inputs.get("cycle_cost_usd")
    if debt is not None and cost is not None:
        verb = "has reached" if debt >= cost else "has not reached"
        out.print(
            f"The champion's debt, {usd(debt)}, {verb} the cost of a cycle, {usd(cost)}.",
            markup=False,
        )
    staleness = inputs.get("staleness", {})
    rows = [
        ("decided at", when(decision.at)),
        ("rows seen", inputs.get("row")),
        ("champion", inputs.get("champion_version")),
        ("its age in ticks", inputs.get("age_ticks")),
        ("excess loss per row", staleness.get("excess_per_row")),
        ("staleness per row and tick", staleness.get("rate_per_row_and_tick")),
        ("models as witnesses", staleness.get("witnesses")),
        ("value of running", inputs.get("policy_score")),
        ("policy state", inputs.get("policy_state")),
        ("recent ROI deltas", inputs.get("short_term_roi")),
        ("their EMA", inputs.get("roi_ema")),
        ("energy score", inputs.get("energy_score")),
        ("issues", _issues(inputs.get("issues", []))),
        ("error", inputs.get("error")),
    ]
    pairs(out, [(name, value) for name, value in rows if value is not None])


def _issues(issues: list[dict[str, Any]]) -> str:
    return ", ".join(f"{i['kind']} ({text(i['severity'])})" for i in issues) or "none"


def _finding(check: str, ok: bool, found: object, remedy: str = "") -> dict[str, Any]:
    return {"check": check, "ok": ok, "found": str(found), "remedy": "" if ok else remedy}


def _installation() -> list[dict[str, Any]]:
    from menace.errors import MenaceError
    from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm

    findings = [
        _finding(
            "python", sys.version_info >= (3, 11), platform.python_version(), "use 3.11 or newer"
        )
    ]
    for name in _CHECKED:
        try:
            findings.append(_finding(name, True, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(_finding(name, False, "missing", f"pip install {name}"))
    try:
        import_lightgbm()
        findings.append(_finding("OpenMP runtime", True, "loads"))
    except MenaceError as error:
        findings.append(_finding("OpenMP runtime", False, error.message, error.remedy or ""))
    return findings


def _workspace() -> list[dict[str, Any]]:
    from menace.errors import MenaceError
    from menace.workspace import Workspace

    try:
        with Workspace.find() as workspace:
            findings = [_finding("workspace", True, workspace.folder)]
            findings += [_source_finding(workspace, bot) for bot in workspace.store.bots()]
            return findings
    except MenaceError as error:
        return [_finding("workspace", False, error.message, error.remedy or "")]


def _source_finding(workspace: Workspace, bot: BotConfig) -> dict[str, Any]:
    from menace.errors import MenaceError

    check = f"bot {bot.name}"
    if bot.source is None:
        return _finding(check, True, "reports outcomes only")
    try:
        loop = workspace.store.snapshot(bot.name).loop
        rows = workspace.services.rows_of(bot)
        batch = rows.read_new(loop.position, max_rows=1, last_at=loop.last_row_at)
    except MenaceError as error:
        return _finding(check, False, error.message, error.remedy or "")
    waiting = "new rows are waiting" if len(batch.frame) else "nothing new"
    return _finding(check, True, f"source readable, {waiting}")
