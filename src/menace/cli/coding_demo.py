"""``menace demo --coding``: what it shows on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.cli.output import Column, Output, line, table, usd

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from menace.demo.coding_demo import CodingDemoResult
    from menace.patches import Patch


def show_coding_demo(folder: Path, *, weeks: int | None, seed: int, output: Output) -> None:
    """Run it with a progress bar and show what came of it."""
    from menace.demo.coding_demo import WEEKS, run_coding_demo

    with output.progress("living weeks, with and without patches") as progress:
        result = run_coding_demo(
            folder, weeks=WEEKS if weeks is None else weeks, seed=seed, progress=progress
        )
    output.show(result, people=lambda out: _tell(out, result))


def _tell(out: Console, result: CodingDemoResult) -> None:
    table(
        out,
        ["patch", Column("file", 1), Column("by", 2), "became", "because"],
        [_cells(patch) for patch in result.patches],
        title=result.title,
    )
    line(out, "")
    table(
        out,
        ["bot", Column("cycles", 1), "loss", "cycles and patching", "total"],
        [
            (
                lived.name,
                lived.cycles,
                usd(lived.loss_usd),
                usd(lived.cycle_usd),
                usd(lived.total_usd),
            )
            for lived in (result.left_alone, result.patched)
        ],
    )
    change = result.patched.total_usd / result.left_alone.total_usd - 1.0
    line(out, f"patching changed the total by {change:+.1%}".replace("-", "−"), style="bold")
    line(out, "")
    line(out, f"look at it: cd {result.folder}", style="dim")
    for command in (f"patches {result.bot}", f"history {result.bot}"):
        line(out, f"            menace {command}", style="dim")


def _cells(patch: Patch) -> tuple[object, ...]:
    refused = next((report for report in patch.gates if report.passed is False), None)
    why = patch.explanation if refused is None else f"{refused.name}: {refused.reason}"
    return (patch.patch_id, patch.target, patch.proposer, str(patch.status), why)
