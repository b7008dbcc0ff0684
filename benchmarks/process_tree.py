"""Memory of a process and all its descendants, read from ``/proc`` (Linux)."""

from __future__ import annotations

import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MB = 1e6


@dataclass(frozen=True, slots=True)
class TreePeak:
    """What a command and its descendants used at most, all of them at the same moment.

    Attributes
    ----------
    rss_mb
        Sum of resident sets, MB (10⁶ bytes); pages that processes share count once for each.
    pss_mb
        The same with shared pages divided among those who share them: what the machine really
        gave.
    processes
        Most processes at a time.
    seconds
        Wall time of the command.
    cpu_seconds
        CPU time of the command and its descendants.
    """

    rss_mb: float
    pss_mb: float
    processes: int
    seconds: float
    cpu_seconds: float


def run_watched(
    command: Sequence[str],
    *,
    every_seconds: float = 0.05,
    tick: Callable[[float], None] = lambda _seconds: None,
) -> TreePeak:
    """Run a command to its end and sample its tree's memory.

    Parameters
    ----------
    command
        Program and arguments; its output is thrown away.
    every_seconds
        Pause between samples.
    tick
        Called with the seconds since the start at every sample.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails.
    """
    began, cpu_began = time.monotonic(), children_cpu_seconds()
    rss = pss = 0.0
    most = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            members = _tree(process.pid)
            sampled = [_memory(pid) for pid in members]
            rss = max(rss, sum(one[0] for one in sampled))
            pss = max(pss, sum(one[1] for one in sampled))
            most = max(most, len(members))
            tick(time.monotonic() - began)
            time.sleep(every_seconds)
        errors = process.stderr.read() if process.stderr is not None else b""
    seconds = time.monotonic() - began
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=errors)
    return TreePeak(rss / MB, pss / MB, most, seconds, children_cpu_seconds() - cpu_began)


def children_cpu_seconds() -> float:
    """CPU time of all children that have ended, and theirs, since this process began."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def own_rss_bytes() -> int:
    """Resident set of this process."""
    return int(_memory("self")[0])


def _tree(root: int) -> list[int]:
    """Find a process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # gone in the meantime
            parent = int(stat.rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _memory(pid: int | str) -> tuple[float, float]:
    """Resident and proportional set of a process, bytes; nothing if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0, 0.0
    fields = {line.split(":")[0]: line.split()[1] for line in lines[1:] if "kB" in line}
    return 1024.0 * int(fields.get("Rss", 0)), 1024.0 * int(fields.get("Pss", 0))
