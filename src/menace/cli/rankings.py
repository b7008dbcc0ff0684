"""``menace rankings``: which parts of a bot pay when they are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from menace.cli.app import app
from menace.cli.output import Column, Output, line, table
from menace.cli.wording import roi_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from menace.accounting import ModuleRoiLog

BAR_HALF = 16
"""Characters of a bar on either side of zero."""

_PARTS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")

_COLUMNS = (
    Column("module"),
    Column("ROI deltas, sum"),
    Column("losing │ paying", 1),
    Column("cycles", 3),
    Column("last", 2),
    Column("trend", 2),
    Column("bucket", 5),
    Column("", 4),
)


@app.command
def rankings(
    bot: str, /, *, threshold: float = 0.0, consecutive: int = 3, output: Output = Output()
) -> None:
    """Rank a bot's modules by what changing them brought, best first.

    Parameters
    ----------
    bot
        The bot.
    threshold
        A module whose last ROI deltas are alike, with a mean of at most this, is marked as flat.
    consecutive
        How many of its last ROI deltas are looked at for that.
    """
    from menace.accounting.module_roi_log import ModuleRoiLog, module_log_path
    from menace.workspace import Workspace

    with Workspace.find() as workspace:
        workspace.store.bot(bot)
        folder = workspace.services.state_folder
        log = ModuleRoiLog(None if folder is None else module_log_path(folder, bot))
    flat = set(log.flat(threshold, consecutive))
    rows = [_row(log, module, total, flat) for module, total in log.rankings()]
    document = {
        "bot": bot,
        "cycles": len(log.cycles),
        "modules": rows,
        "buckets": log.bucket_count,
        "collisions": log.collisions,
    }

    def people(out: Console) -> None:
        if not rows:
            line(out, f"no cycle of {bot} is settled yet; menace cycle {bot} runs one")
            return
        table(out, _COLUMNS, _cells(rows))
        line(out, "")
        line(out, _summary(document), style="bold")

    output.show(document, people=people)


def _row(log: ModuleRoiLog, module: str, total: float, flat: set[str]) -> dict[str, Any]:
    deltas = log.deltas(module)
    return {
        "module": module,
        "total": total,
        "cycles": log.changes(module),
        "last": deltas[-1],
        "trend": log.trend(module),
        "bucket": log.bucket_of(module),
        "flat": module in flat,
    }


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    largest = max(abs(row["total"]) for row in rows)
    return [
        (
            row["module"],
            roi_text(row["total"]),
            bar(row["total"], largest),
            row["cycles"],
            roi_text(row["last"]),
            None if row["trend"] is None else roi_text(row["trend"]),
            row["bucket"],
            "flat" if row["flat"] else "",
        )
        for row in rows
    ]


def bar(value: float, largest: float) -> str:
    """Draw a value as a bar to the left or right of zero, in eighths of a character.

    Parameters
    ----------
    value
        What is drawn.
    largest
        Largest absolute value of all bars, ≥ 0.

    Examples
    --------
    >>> bar(1.0, 1.0).count("█"), bar(-0.5, 1.0).count("█"), bar(0.0, 0.0).strip()
    (16, 8, '│')
    """
    eighths = round(8 * BAR_HALF * abs(value) / largest) if largest > 0 else 0
    if value and not eighths:
        eighths = 1  # something is not nothing
    whole, rest = divmod(eighths, 8)
    if value >= 0:
        return " " * BAR_HALF + "│" + ("█" * whole + _PARTS[rest]).ljust(BAR_HALF)
    # There are no blocks that fill a character from the right, save the half and the eighth.
    part = "" if rest == 0 else "▕" if rest < 4 else "▐"
    return (part + "█" * whole).rjust(BAR_HALF) + "│" + " " * BAR_HALF


def _summary(document: Mapping[str, Any]) -> str:
    from menace.report.wording import counted

    modules, collisions = len(document["modules"]), document["collisions"]
    told = (
        f"{counted(modules, 'module')} over {counted(document['cycles'], 'settled cycle')}; "
        f"{document['buckets']} buckets, {counted(collisions, 'collision')}"
    )
    flat = [row["module"] for row in document["modules"] if row["flat"]]
    return told + (f"; no longer moving: {', '.join(flat)}" if flat else "")
