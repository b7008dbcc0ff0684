"""``menace patch``: try to patch a bot's helper code now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.cli.app import EXIT_ERROR, app
from menace.cli.output import Column, Output, line, table
from menace.errors import CodingError

if TYPE_CHECKING:
    from rich.console import Console

    from menace.patches import GateReport, PatchResult
    from menace.self_coding_engine import SelfCodingEngine

NOTHING_FOUND = ("none", "rejected")


@app.command
def patch(
    bot: str,
    /,
    *,
    target: str | None = None,
    describe: str = "",
    dry_run: bool = False,
    seconds: float = 60.0,
    output: Output = Output(),
) -> int:
    """Try to patch a bot's helper code now, whatever the policy says.

    A patch that passes every gate becomes a commit on the present branch. It is a canary until the
    bot's next cycle has settled, which takes it back if it did not pay.

    Parameters
    ----------
    bot
        The bot, which menace.toml describes in a table [coding.BOT].
    target
        The file, relative to the repository; by default the one that was tried longest ago.
    describe
        What you want, in your own words; only a language model reads it.
    dry_run
        Show what would be done, and change nothing.
    seconds
        CPU-seconds for proposing and judging.
    """
    from menace.self_improvement_engine.patching import held_bot
    from menace.workspace import Workspace

    if not 0.0 < seconds < float("inf"):
        raise CodingError(f"--seconds is {seconds}.", bot=bot, remedy="give more than 0")
    with Workspace.find() as workspace:
        coding = workspace.coding(bot)
        with held_bot(workspace.services, bot), output.phases(f"patching {bot}") as told:
            file = target or _next_target(coding, bot)
            result = coding.apply_patch(file, describe, dry_run=dry_run, seconds=seconds, told=told)
    output.show(
        {"bot": bot, "target": file, "dry_run": dry_run, "result": result},
        people=lambda out: _tell(out, file, result),
    )
    return EXIT_ERROR if result.status in NOTHING_FOUND else 0


def _next_target(coding: SelfCodingEngine, bot: str) -> str:
    targets = coding.targets_in_turn(bot)
    if not targets:
        raise CodingError(
            "no file of its code may be patched now.",
            bot=bot,
            remedy="see the targets in menace.toml; files with uncommitted edits, or with a patch "
            "that waits for a person, are left alone",
        )
    return targets[0]


def _tell(out: Console, file: str, result: PatchResult) -> None:
    number = "" if result.patch_id is None else f"patch {result.patch_id}, "
    line(out, f"{file}: {number}{_WORDS.get(result.status, result.status)}", style="bold")
    if result.message:
        line(out, result.message, wrap=True)
    if result.gates:
        line(out, "")
        table(
            out,
            [Column("gate"), Column("verdict"), Column("what was found"), Column("s", 1)],
            [(g.name, _verdict(g), g.reason, round(g.seconds, 2)) for g in result.gates],
        )
    if result.diff:
        line(out, "")
        tell_diff(out, result.diff)
    if result.patch_id is not None and not result.reverted:
        line(out, "")
        line(out, f"take it back: menace patches revert {result.patch_id}", style="dim")


_WORDS = {
    "canary": "in the code, a canary until the next cycle settles",
    "kept": "in the code",
    "none": "left as it is",
    "proposed": "proposed only",
    "rejected": "left as it is",
    "waiting": "waits for a person",
}


def _verdict(report: GateReport) -> str:
    return {True: "passed", False: "REFUSED", None: "no judgement"}[report.passed]


def tell_diff(out: Console, diff: str) -> None:
    """Print a diff, what goes in red and what comes in green."""
    styles: tuple[tuple[str, str], ...] = (
        ("+++", "bold"),
        ("---", "bold"),
        ("+", "green"),
        ("-", "red"),
        ("@@", "cyan"),
    )
    for text in diff.splitlines():
        style = next((style for mark, style in styles if text.startswith(mark)), None)
        line(out, text, style=style)
