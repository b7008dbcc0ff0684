"""Runs one command within limits and ends all it started. A program of its own, not imported.

Started by :mod:`menace.model_automation_pipeline.supervised_command` as
``python -I -S command_supervisor.py``, from which it imports nothing. One line of JSON on standard
input says what to run; the input then stays open as long as somebody waits for the command, and its
end, whatever the cause (a time-out, Ctrl-C, the death of the other process), is the end of the
command. One JSON object on standard output says how it went.

Being the reaper of whatever the command leaves behind (Linux), it knows the CPU time of all of it,
and can end processes that have left the command's group.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
INPUT = 0
CHUNK = 65_536


def descendants(ancestor: int) -> list[int]:
    """List the processes that stem from one, as the system knows them; empty without /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            # The name in brackets may hold anything, brackets and blanks too.
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
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


class Supervision:
    """One command from its start to the end of the last process that stems from it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._output = bytearray()
        self._output_bytes = 0
        self._peak_bytes = 0
        self._status: int | None = None
        self._reason = "exited"

    def run(self) -> dict[str, Any]:
        """Return how the command ended, what it used, and the end of its output."""
        _become_reaper()
        began = time.monotonic()
        reading, writing = os.pipe()
        try:
            # The command comes from the settings of the one who started this; no shell sees it.
            command = subprocess.Popen(  # noqa: S603
                self._order["command"],
                cwd=self._order["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
                preexec_fn=_prepare_child,  # noqa: PLW1509
            )
        except OSError as error:
            return {"reason": "not_started", "error": str(error)}
        os.close(writing)
        self._watch(command.pid, reading, began)
        self._end_all(command.pid)
        self._read(reading)
        command.returncode = os.waitstatus_to_exitcode(self._status or 0)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "reason": self._reason,
            "code": command.returncode,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "wall_seconds": time.monotonic() - began,
            "peak_memory_bytes": self._peak_bytes,
            "output": self._output.decode("utf-8", "replace"),
            "output_bytes": self._output_bytes,
        }

    def _watch(self, command: int, reading: int, began: float) -> None:
        """Return when the command has ended or must end."""
        os.set_blocking(reading, False)
        with selectors.DefaultSelector() as selector:
            selector.register(INPUT, selectors.EVENT_READ)
            selector.register(reading, selectors.EVENT_READ)
            while self._status is None:
                for key, _ in selector.select(POLL_SECONDS):
                    if key.fd == INPUT and not os.read(INPUT, CHUNK):
                        self._reason = "cancelled"
                        return
                    if key.fd == reading and not self._read(reading):
                        selector.unregister(reading)
                self._reap(command)
                if self._status is None and self._is_over_a_limit(began):
                    return

    def _is_over_a_limit(self, began: float) -> bool:
        if time.monotonic() - began > self._order["time_limit_seconds"]:
            self._reason = "time"
            return True
        limit: int | None = self._order["memory_limit_bytes"]
        if limit is None:
            return False
        family = descendants(os.getpid())
        used = sum(resident_bytes(process, shared=False) for process in family)
        if used > limit:
            # Forked processes share what they have not changed: that is counted once.
            used = sum(resident_bytes(process, shared=True) for process in family)
        self._peak_bytes = max(self._peak_bytes, used)
        if used > limit:
            self._reason = "memory"
        return used > limit

    def _read(self, reading: int) -> bool:
        """Keep the end of the output; false when there is nothing more to come."""
        limit = self._order["output_limit_bytes"]
        while True:
            try:
                chunk = os.read(reading, CHUNK)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._output_bytes += len(chunk)
            self._output += chunk
            del self._output[: max(len(self._output) - limit, 0)]
            if len(chunk) < CHUNK:
                return True

    def _reap(self, command: int, *, wait: bool = False) -> bool:
        """Take the ended processes off the system's table; false when none are left."""
        while True:
            try:
                process, status = os.waitpid(-1, 0 if wait else os.WNOHANG)
            except ChildProcessError:
                return False
            if process == 0:
                return True
            if process == command:
                self._status = status
            if wait:
                return True

    def _end_all(self, command: int) -> None:
        """Kill the command's group and, again and again, whatever else stems from it."""
        if self._status is None or sys.platform != "linux":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command, signal.SIGKILL)
        while self._reap(command):
            for process in descendants(os.getpid()) or [command]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self._reap(command, wait=True)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _become_reaper() -> None:
    """Inherit the processes whose parent ends before them."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prepare_child() -> None:
    """End with the supervisor, even a killed one; hear Ctrl-C again, which workers do not."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _order() -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(INPUT, CHUNK)
        if not more:
            raise SystemExit(1)
        line += more
    order: dict[str, Any] = json.loads(line)
    return order


def _main() -> None:
    report = json.dumps(Supervision(_order()).run()).encode("ascii")
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(report)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main()
