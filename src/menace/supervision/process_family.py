"""What the system knows about the processes that stem from one: Linux's ``/proc``."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def descendants(ancestor: int) -> list[int]:
    """List the processes that stem from one, as the system knows them; empty without /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            children.setdefault(int(_statistics(entry)[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    waiting = [ancestor]
    while waiting:
        born = children.get(waiting.pop(), [])
        found += born
        waiting += born
    return found


def resident_bytes(process: int, *, shared: bool) -> int:
    """Memory of a process; with ``shared``, what several hold together is counted once in all."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        if not shared:
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            return pages * resource.getpagesize()
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(process: int) -> float:
    """CPU-seconds of a process and of its descendants that were waited for; 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        used = _statistics(Path(f"/proc/{process}/stat"))[11:15]
        return sum(map(int, used)) / _TICKS_PER_SECOND
    return 0.0


def threads(process: int) -> int:
    """Threads of a process; 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(_statistics(Path(f"/proc/{process}/stat"))[17])
    return 0


def _statistics(stat: Path) -> list[str]:
    """Fields of a ``stat`` file from the third on; the name before may hold brackets and blanks."""
    return stat.read_text(errors="replace").rpartition(")")[2].split()
