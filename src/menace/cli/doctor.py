"""``menace doctor``: is everything there that menace needs, and can every source be read."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import TYPE_CHECKING, Any

from menace.cli.app import EXIT_ERROR, app
from menace.cli.output import Column, Output, line, table
from menace.errors import MenaceError

if TYPE_CHECKING:
    from rich.console import Console

    from menace.records import BotConfig
    from menace.workspace import Workspace

_CHECKED = (
    "alembic",
    "libcst",
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
def doctor(*, output: Output = Output()) -> int:
    """Check the installation and the workspace, and name what is wrong with its remedy."""
    findings = [*_installation(), *_workspace()]

    def people(out: Console) -> None:
        cells = [(row["check"], "ok" if row["ok"] else "WRONG", row["found"]) for row in findings]
        table(out, [Column("check"), Column("state"), Column("found")], cells)
        wrong = [row for row in findings if not row["ok"]]
        line(out, "")
        for row in wrong:
            line(out, f"{row['check']}: {row['remedy']}", style="bold red")
        if not wrong:
            line(out, "all is well", style="green")

    output.show(findings, people=people)
    return 0 if all(row["ok"] for row in findings) else EXIT_ERROR


def _finding(check: str, ok: bool, found: object, remedy: str = "") -> dict[str, Any]:
    return {"check": check, "ok": ok, "found": str(found), "remedy": "" if ok else remedy}


def _installation() -> list[dict[str, Any]]:
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
    from menace.workspace import Workspace

    try:
        with Workspace.find() as workspace:
            findings = [_finding("workspace", True, workspace.folder)]
            findings.append(_sandbox_finding(is_needed=bool(workspace.settings.coding)))
            findings += [_source_finding(workspace, bot) for bot in workspace.store.bots()]
            return findings
    except MenaceError as error:
        wrong = _finding("workspace", False, error.message, error.remedy or "")
        return [wrong, _sandbox_finding(is_needed=False)]


def _sandbox_finding(*, is_needed: bool) -> dict[str, Any]:
    """Try the sandbox out; that there is none is wrong only where patching is configured."""
    from menace.self_coding_engine.sandbox import sandbox_state

    state = sandbox_state()
    if state.holds or is_needed:
        return _finding("sandbox", state.holds, state.message, state.remedy)
    return _finding("sandbox", True, f"none, and no bot's code is to be patched: {state.message}")


def _source_finding(workspace: Workspace, bot: BotConfig) -> dict[str, Any]:

    check = f"bot {bot.name}"
    if bot.source is None:
        return _finding(check, True, "reports outcomes only")
    try:
        workspace.pipeline(bot.name)
        loop = workspace.store.snapshot(bot.name).loop
        rows = workspace.services.rows_of(bot)
        batch = rows.read_new(loop.position, max_rows=1, last_at=loop.last_row_at)
    except MenaceError as error:
        return _finding(check, False, error.message, error.remedy or "")
    waiting = "new rows are waiting" if len(batch.frame) else "nothing new"
    return _finding(check, True, f"source readable, {waiting}")
