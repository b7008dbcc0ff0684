"""The sandbox's supervisor: starts bubblewrap, and holds what runs in it to its limits.

Started by :class:`menace.supervision.supervisor_process.SupervisorProcess`, without ``site``. When
menace runs as root, it gives up root before bubblewrap starts, for a user id that nobody else has.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import subprocess
from base64 import b64decode, b64encode

from menace.supervision.process_family import family
from menace.supervision.supervision import (
    Capture,
    Supervision,
    prepare_child,
    read_order,
    tell,
)

TYPE_CHECKING = False  # as type checkers know it: see supervision.py
if TYPE_CHECKING:
    from typing import Any

    from menace.supervision.process_family import Member

OWN_PROCESSES = 3
"""Bubblewrap's two and the launcher."""

MOST_VIOLATIONS = 64
MOST_VIOLATION_BYTES = 300
BYTES_PER_FILE = 1024
"""What the kernel holds for a file in memory, empty or not: its inode and its name."""

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class SandboxSupervision(Supervision):
    """One run in the sandbox.

    Parameters
    ----------
    order
        ``program``: bubblewrap's path. ``operations``: its options, a list for each; one that
        begins with ``--ro-bind`` names a place out here. ``data``: name → bytes in base 64; an
        argument that is such a name in braces becomes a descriptor to read them from. ``command``:
        what runs inside. ``report_descriptor``: where it finds the channel for violations.
        ``session``: the descriptor of a socket that is its standard input and output, or ``None``;
        then ``input`` is its input. Limits: ``cpu_limit_seconds``, ``process_limit``,
        ``output_limit_bytes``, ``temporary_bytes``.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        super().__init__(order)
        self._is_session = order["session"] is not None
        limit = order["output_limit_bytes"]
        self._output = Capture(limit, keep_end=False)
        self._errors = Capture(limit, keep_end=self._is_session)
        self._violations: dict[str, None] = {}
        self._seen_cpu_seconds = 0.0
        self._started: int | None = None
        self._failure: str | None = None
        self._records: socket.socket | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start bubblewrap, as an ordinary user in any case."""
        program, operations = self.order["program"], self.order["operations"]
        user: int | None = None
        if os.geteuid() == 0:
            from menace.supervision import root_stage

            user = root_stage.spare_user()
            program, operations = root_stage.stage(program, operations, user)

        def prepare() -> None:
            # If the machine runs out of memory, this family is the first to go.
            with open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
                score.write("1000")
            if user is not None:
                root_stage.give_up_root(user)
            prepare_child()  # last, since a change of the user undoes it

        options, files = _options(operations, self.order["data"])
        # A socket cannot be opened anew through /proc, so what was reported cannot be read back.
        self._records, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._records.setblocking(False)
        theirs.setblocking(False)
        report: int = self.order["report_descriptor"]
        os.dup2(theirs.fileno(), report)
        talk = self.order["session"]
        entry = _memory_file(b64decode(self.order["input"])) if talk is None else talk

        command = subprocess.Popen(  # noqa: S603
            [program, "--args", str(options), "--", *self.order["command"]],
            env={},  # its first process can be read from inside
            cwd="/",
            stdin=entry,
            stdout=self._output.writing if talk is None else talk,
            stderr=self._errors.writing,
            pass_fds=(options, *files, report),
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509
        )
        for descriptor in {options, entry, report, *files}:
            os.close(descriptor)
        theirs.close()
        self._output.listen(self)
        self._errors.listen(self)
        self.listen(self._records.fileno(), self._note)
        return command

    def look(self) -> list[Member]:
        """List the processes, and note the CPU time of all that there are and have been."""
        members = family(os.getpid())
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seen = sum(member.cpu_seconds for member in members) + used.ru_utime + used.ru_stime
        self._seen_cpu_seconds = max(self._seen_cpu_seconds, seen)
        return members

    def is_over_a_limit(self, members: list[Member]) -> bool:
        """Look at the processor, the processes and the output, too."""
        limit = self.order["cpu_limit_seconds"]
        if limit is not None and self._seen_cpu_seconds > limit:
            self.reason = "cpu"
        elif not self._is_session and self._has_said_too_much():
            self.reason = "output"
        running = sum(member.threads for member in members) - OWN_PROCESSES
        if running >= self.order["process_limit"]:
            self._add(f"processes: as many as are allowed, {self.order['process_limit']}")
        return self.reason != "exited" or super().is_over_a_limit(members)

    def before_the_end(self) -> None:
        """Look a last time: what dies with its namespace is counted nowhere else."""
        self.look()

    def held_bytes(self, members: list[Member]) -> int:
        """Size of the private folders, which no process has to have mapped."""
        size = self.order["temporary_bytes"]
        for member in members:
            held = 0
            for folder in ("tmp", "dev/shm"):
                with contextlib.suppress(OSError):
                    space = os.statvfs(f"/proc/{member.process}/root/{folder}")
                    if space.f_blocks * space.f_frsize == size:  # ours, not one out here
                        held += (space.f_blocks - space.f_bfree) * space.f_frsize
                        held += (space.f_files - space.f_ffree) * BYTES_PER_FILE
            if held:
                return held
        return 0

    def report(self, code: int) -> dict[str, Any]:
        """Add what was said and what was tried."""
        report = super().report(code)
        own = resource.getrusage(resource.RUSAGE_SELF)
        report["cpu_seconds"] = max(report["cpu_seconds"], self._seen_cpu_seconds)
        report["cpu_seconds"] += own.ru_utime + own.ru_stime
        self._judge(report)
        report["output"] = b64encode(self._output.kept).decode("ascii")
        report["errors"] = b64encode(self._errors.kept).decode("ascii")
        report["violations"] = list(self._violations)
        report["landlock"] = self._started
        return report

    def _judge(self, report: dict[str, Any]) -> None:
        """Say what the end of bubblewrap says about the end of the command."""
        if self.reason == "cancelled" and report["code"] >= 0:
            # It had ended by itself when it was no longer wanted.
            report["reason"] = self.reason = "exited"
        if self._started is None and self.reason == "exited":
            said = self._errors.kept.decode("utf-8", "replace").strip()
            report["reason"] = "not_started"
            report["error"] = (
                self._failure or said or f"bubblewrap ended with code {report['code']}"
            )
        elif self._failure is not None and self.reason == "exited":
            report["reason"], report["error"] = "not_started", self._failure
        elif self.reason == "exited" and self._has_said_too_much() and not self._is_session:
            report["reason"] = "output"
        elif self.reason == "exited" and report["code"] > 128:
            # Bubblewrap tells a signal like a shell does.
            number = report["code"] - 128
            report["code"] = -number
            report["reason"] = "cpu" if number == signal.SIGXCPU else "killed"
            if number == signal.SIGSYS:
                self._add("kernel: a forbidden system call")
            elif number == signal.SIGXFSZ:
                self._add("limit: a file larger than is allowed")
        if report["reason"] in ("time", "cpu", "memory", "output"):
            self._add(f"limit: {report['reason']}")

    def _has_said_too_much(self) -> bool:
        limit: int = self.order["output_limit_bytes"]
        return max(self._output.total_bytes, self._errors.total_bytes) > limit

    def _note(self) -> bool:
        """Take what the launcher and the audit hooks inside report."""
        if self._records is None:
            return False
        while True:
            try:
                record = self._records.recv(4096)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not record:
                return False
            text = record.decode("utf-8", "replace")
            kind, _, rest = text.partition(" ")
            if self._started is None and kind == "started" and rest.isdecimal():
                self._started = int(rest)
            elif kind == "failed":
                self._failure = rest[:MOST_VIOLATION_BYTES]
            elif kind == "left":
                self._add("processes: still running when the command had ended")
            elif kind == "tried":
                self._add(rest)

    def _add(self, violation: str) -> None:
        if len(self._violations) < MOST_VIOLATIONS:
            shown = "".join(sign if sign.isprintable() else "?" for sign in violation)
            self._violations.setdefault(shown[:MOST_VIOLATION_BYTES])


def _options(operations: list[list[str]], data: dict[str, str]) -> tuple[int, list[int]]:
    """Put bubblewrap's options into a file, and the contents that they name into others."""
    files = {name: _memory_file(b64decode(text)) for name, text in data.items()}
    words = [
        str(files[word[1:-1]]) if word[:1] == "{" and word[1:-1] in files else word
        for operation in operations
        for word in operation
    ]
    return _memory_file("".join(f"{word}\0" for word in words).encode()), list(files.values())


def _memory_file(content: bytes) -> int:
    """Put bytes into a file without a name that nobody can change."""
    descriptor = os.memfd_create("menace", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def main() -> None:
    """Run the order that comes in."""
    tell(SandboxSupervision(read_order()).run())
