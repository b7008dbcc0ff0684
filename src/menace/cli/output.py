"""How commands speak: tables for people, JSON for scripts, progress only where somebody looks."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

PIPED_WIDTH = 140
"""Characters per line where nobody says how wide the reader's screen is."""

NOTHING = "–"
"""Stands where there is no value."""

COLUMN_GAP = 3
"""Characters between two columns of a table."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Output:
    """How to speak."""

    json: Annotated[bool, Parameter(negative=(), help="Print JSON for scripts.")] = False
    quiet: Annotated[
        bool, Parameter(name=["--quiet", "-q"], negative=(), help="No progress, only results.")
    ] = False

    def show(self, data: Any, *, people: Callable[[Console], None]) -> None:
        """Print ``data`` as JSON, or let ``people`` draw it."""
        if self.json:
            json.dump(plain(data), sys.stdout, indent=2, allow_nan=False)
            sys.stdout.write("\n")
            return
        people(console())

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show that something is under way, on the error stream, while the block runs."""
        if not self._is_watched():
            yield
            return
        with console(stderr=True).status(what):
            yield

    @contextmanager
    def phases(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show which step of something is under way; yields ``told(phrase)``."""
        if not self._is_watched():
            yield lambda _phrase: None
            return
        from rich.markup import escape

        with console(stderr=True).status(escape(what)) as status:
            yield lambda phrase: status.update(escape(f"{what} · {phrase}"))

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Show a progress bar, on the error stream; yields ``report(done, total)``."""
        if not self._is_watched():
            yield lambda _done, _total: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console(stderr=True)) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def _is_watched(self) -> bool:
        return sys.stderr.isatty() and not self.quiet and not self.json


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table for people.

    Attributes
    ----------
    rank
        Where the terminal is too narrow, columns are left out from the highest rank down; one of
        rank 0 always stays, and is folded if need be.
    """

    name: str
    rank: int = 0


def console(*, stderr: bool = False) -> Console:
    """Make a console; wide enough for a table when the output is piped and no width is asked for.

    Colours go to terminals only, and ``NO_COLOR`` switches them off there too.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, emoji=False)


def line(out: Console, sentence: str, *, style: str | None = None, wrap: bool = False) -> None:
    """Print one line as it is: no markup, and not wrapped unless asked for: paths stay whole."""
    out.print(sentence, style=style, markup=False, soft_wrap=not wrap)


def table(
    out: Console,
    columns: Sequence[Column | str],
    rows: Sequence[Sequence[Any]],
    *,
    title: str = "",
) -> None:
    """Print a table; numbers stand right, and columns that do not fit are left out by rank."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    known = [item if isinstance(item, Column) else Column(item) for item in columns]
    cells = [[text(cell) for cell in row] for row in rows]
    shown = _fitting(known, cells, out.width)
    drawn = Table(
        box=SIMPLE_HEAD,
        title=escape(title) or None,
        title_justify="left",
        pad_edge=False,
        show_edge=False,
    )
    for position in shown:
        numeric = bool(rows) and all(_looks_numeric(row[position]) for row in rows)
        drawn.add_column(
            known[position].name, justify="right" if numeric else "left", overflow="fold"
        )
    for row in cells:
        drawn.add_row(*(escape(row[position]) for position in shown))
    out.print(drawn)


def _fitting(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Positions of the columns that fit side by side, the least needed left out first."""
    widths = [
        max([len(column.name), *(len(row[position]) for row in cells)])
        for position, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    while sum(widths[position] + COLUMN_GAP for position in shown) - COLUMN_GAP > width:
        last = max(shown, key=lambda position: (columns[position].rank, position))
        if columns[last].rank == 0:
            break
        shown.remove(last)
    return shown


def pairs(out: Console, rows: Sequence[tuple[str, Any]]) -> None:
    """Print names and values in two columns."""
    from rich.markup import escape
    from rich.table import Table

    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(style="dim")
    drawn.add_column(overflow="fold")
    for name, value in rows:
        drawn.add_row(escape(name), escape(text(value)))
    out.print(drawn)


def text(value: Any) -> str:
    """Write a value as people read it; a dash for nothing."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    return str(value)


def usd(amount: float | None, *, signed: bool = False) -> str:
    """Write an amount of money as the report does: with as many digits as it deserves."""
    from menace.report.wording import usd as written

    return written(amount, signed=signed)


def when(at: float | None) -> str:
    """POSIX seconds as ISO 8601 in UTC, to the second."""
    if at is None:
        return NOTHING
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def plain(data: Any) -> Any:
    """Turn records into what JSON can hold; figures that are not finite become null."""
    if is_dataclass(data) and not isinstance(data, type):
        return plain(asdict(data))
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if hasattr(data, "_asdict"):
        return plain(data._asdict())
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if isinstance(data, Enum):
        return data.value
    if isinstance(data, Path):
        return str(data)
    if isinstance(data, float) and data - data != 0:
        return None
    return data


def _looks_numeric(cell: Any) -> bool:
    if cell is None:
        return True
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return True
    if not isinstance(cell, str) or ":" in cell:
        return False
    return cell == NOTHING or cell.lstrip("<−-$+")[:1].isdigit()
