"""The heart of a supervisor: watches one process family from its start to its end.

Standard library only, and what else is true of: supervisors start without ``site``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import sys
import time

from menace.supervision.process_family import family, proportional_bytes

TYPE_CHECKING = False  # as type checkers know it: importing typing takes a tenth of the start
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from typing import Any

    from menace.supervision.process_family import Member

POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
INPUT = 0
CHUNK = 65_536


class Supervision:
    """One command from its start to the end of the last process that stems from it.

    Subclasses say how it is started (:meth:`start`), which limits it has beyond time and memory
    (:meth:`is_over_a_limit`), and what is told in the end (:meth:`report`).

    Parameters
    ----------
    order
        Holds ``time_limit_seconds`` and ``memory_limit_bytes``; ``None``: no limit.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.reason = "exited"
        self.peak_bytes = 0
        self._status: int | None = None
        self._began = 0.0
        self._selector = selectors.DefaultSelector()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command, and :meth:`listen` to what it says."""
        raise NotImplementedError

    def run(self) -> dict[str, Any]:
        """Return how the command ended and what it used."""
        _prctl(PR_SET_CHILD_SUBREAPER, 1)  # inherit the processes whose parent ends before them
        self._began = time.monotonic()
        self.listen(INPUT, self._hear)
        try:
            command = self.start()
        except OSError as error:
            return {"reason": "not_started", "error": str(error)}
        self._wake_at_the_end_of(command.pid)
        self._watch(command.pid)
        self.before_the_end()
        self._end_all(command.pid)
        for key in tuple(self._selector.get_map().values()):
            if key.fd != INPUT:
                key.data()  # what was said last
        command.returncode = os.waitstatus_to_exitcode(self._status or 0)
        return self.report(command.returncode)

    def report(self, code: int) -> dict[str, Any]:
        """Tell how it went."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "reason": self.reason,
            "code": code,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "wall_seconds": time.monotonic() - self._began,
            "peak_memory_bytes": self.peak_bytes,
        }

    def listen(
        self, descriptor: int, hear: Callable[[], bool], events: int = selectors.EVENT_READ
    ) -> None:
        """Call ``hear`` whenever the descriptor is ready, until it returns false."""
        self._selector.register(descriptor, events, hear)

    def look(self) -> list[Member]:
        """List the processes that stem from the command, if anything depends on it."""
        return [] if self.order["memory_limit_bytes"] is None else family(os.getpid())

    def is_over_a_limit(self, members: list[Member]) -> bool:
        """Say whether the command must end, and if so, set the reason."""
        limit_seconds: float | None = self.order["time_limit_seconds"]
        if limit_seconds is not None and time.monotonic() - self._began > limit_seconds:
            self.reason = "time"
            return True
        limit_bytes: int | None = self.order["memory_limit_bytes"]
        if limit_bytes is None:
            return False
        held = self.held_bytes(members)
        used = held + sum(member.resident_bytes for member in members)
        if used > limit_bytes:
            # Forked processes share what they have not changed: that is counted once.
            used = held + sum(proportional_bytes(member.process) for member in members)
        self.peak_bytes = max(self.peak_bytes, used)
        if used > limit_bytes:
            self.reason = "memory"
        return used > limit_bytes

    def held_bytes(self, members: list[Member]) -> int:
        """Memory that the command holds outside its processes."""
        return 0

    def before_the_end(self) -> None:
        """Do what must be done while what is left of the command still runs."""

    def _hear(self) -> bool:
        if not os.read(INPUT, CHUNK):
            self.reason = "cancelled"
        return self.reason == "exited"

    def _wake_at_the_end_of(self, command: int) -> None:
        """Have the end of the command heard at once, where the system can do that (Linux)."""
        if sys.platform == "linux":
            self.listen(os.pidfd_open(command), lambda: False)

    def _watch(self, command: int) -> None:
        """Return when the command has ended or must end."""
        while self._status is None and self.reason == "exited":
            for key, _ in self._selector.select(POLL_SECONDS):
                if not key.data():
                    self._selector.unregister(key.fd)
            self._reap(command)
            if (
                self._status is None
                and self.reason == "exited"
                and self.is_over_a_limit(self.look())
            ):
                return

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
            for process in [member.process for member in family(os.getpid())] or [command]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self._reap(command, wait=True)


class Capture:
    """What comes out of a pipe: how much in all, and so many bytes of it.

    Parameters
    ----------
    limit_bytes
        How much is kept.
    keep_end
        Whether that is the last, or the first.
    """

    def __init__(self, limit_bytes: int, *, keep_end: bool) -> None:
        self.kept = bytearray()
        self.total_bytes = 0
        self._limit = limit_bytes
        self._keep_end = keep_end
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)

    def listen(self, supervision: Supervision) -> None:
        """Close the writing end here, where another process has it by now, and hear it."""
        os.close(self.writing)
        supervision.listen(self._reading, self.read)

    def read(self) -> bool:
        """Take what there is; false when there is nothing more to come."""
        while True:
            try:
                chunk = os.read(self._reading, CHUNK)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self.total_bytes += len(chunk)
            if self._keep_end:
                self.kept += chunk
                del self.kept[: max(len(self.kept) - self._limit, 0)]
            else:
                self.kept += chunk[: max(self._limit - len(self.kept), 0)]
            if len(chunk) < CHUNK:
                return True


def prepare_child() -> None:
    """As a child before its program starts: end with the supervisor, even a killed one.

    Also hear Ctrl-C again, which workers do not.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read_order() -> dict[str, Any]:
    """Read the line on standard input that says what to do; exits when there is none."""
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(INPUT, CHUNK)
        if not more:
            raise SystemExit(1)
        line += more
    order: dict[str, Any] = json.loads(line)
    return order


def tell(report: dict[str, Any]) -> None:
    """Write the report to standard output, if anybody still listens."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(json.dumps(report).encode("ascii"))
        sys.stdout.buffer.flush()


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
