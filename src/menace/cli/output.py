"""How commands speak: tables for people, JSON for scripts, progress only where somebody looks."""

from __future__ import annotations

import json
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
        if self.quiet or self.json:
            yield
            return
        with console(stderr=True).status(what):
            yield

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Show a progress bar, on the error stream; yields ``report(done, total)``."""
        if self.quiet or self.json:
            yield lambda _done, _total: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console(stderr=True)) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def console(*, stderr: bool = False) -> Console:
    """Make a console; wide enough for a table even when the output is piped."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 140, highlight=False)


def table(
    out: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = ""
) -> None:
    """Print a table; numbers stand right."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for position, name in enumerate(columns):
        numeric = bool(rows) and all(_looks_numeric(row[position]) for row in rows)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(text(cell)) for cell in row))
    out.print(drawn)


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
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def usd(amount: float | None) -> str:
    """Write an amount of money with as many digits as it deserves."""
    if amount is None:
        return "–"
    size = abs(amount)
    digits = 2 if size >= 1 or size == 0 else 4 if size >= 0.01 else 6
    return f"{'−' if amount < 0 else ''}${size:,.{digits}f}"


def when(at: float | None) -> str:
    """POSIX seconds as ISO 8601 in UTC, to the second."""
    if at is None:
        return "–"
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
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return True
    return isinstance(cell, str) and cell.lstrip("−-$+")[:1].isdigit() and ":" not in cell
