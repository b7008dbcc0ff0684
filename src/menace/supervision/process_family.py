"""What the system knows about the processes that stem from one: Linux's ``/proc``."""

from __future__ import annotations

import contextlib
import os
import resource

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = resource.getpagesize()


class Member:
    """A process of a family, at one moment.

    Parameters
    ----------
    process
        Its id.
    fields
        Those of its ``stat`` file, from the third on.

    Attributes
    ----------
    parent
        Its parent's id.
    cpu_seconds
        Of itself and of its own descendants that were waited for.
    threads
        How many it has.
    resident_bytes
        Memory that it holds, shared or not.
    """

    __slots__ = ("cpu_seconds", "parent", "process", "resident_bytes", "threads")

    def __init__(self, process: int, fields: list[bytes]) -> None:
        self.process = process
        self.parent = int(fields[1])
        self.cpu_seconds = sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
        self.threads = int(fields[17])
        self.resident_bytes = int(fields[21]) * _PAGE_BYTES


def family(ancestor: int) -> list[Member]:
    """List the processes that stem from one, as the system knows them; empty without /proc.

    Parents come before their children; the ancestor itself is not among them.
    """
    children: dict[int, list[Member]] = {}
    for name in _processes():
        with contextlib.suppress(OSError, IndexError, ValueError):
            member = _member(int(name))
            children.setdefault(member.parent, []).append(member)
    found: list[Member] = []
    waiting = [ancestor]
    while waiting:
        born = children.get(waiting.pop(), [])
        found += born
        waiting += [member.process for member in born]
    return found


def cpu_seconds(process: int) -> float:
    """CPU-seconds of a process and of its descendants that were waited for; 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return _member(process).cpu_seconds
    return 0.0


def proportional_bytes(process: int) -> int:
    """Memory of a process, where what it shares with others counts in part; 0 when it is gone."""
    with (
        contextlib.suppress(OSError, IndexError, ValueError),
        open(f"/proc/{process}/smaps_rollup", "rb") as file,  # noqa: PTH123 - many times a second
    ):
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _processes() -> list[str]:
    with contextlib.suppress(OSError):
        return [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208
    return []


def _member(process: int) -> Member:
    with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123 - many times a second
        # The name in brackets may hold anything, brackets and blanks too.
        return Member(process, file.read().rpartition(b")")[2].split())
