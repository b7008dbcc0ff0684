"""The sandbox: runs code that nobody trusts, where it can do no harm."""

from __future__ import annotations

import json
import math
import socket
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import SandboxError
from menace.self_coding_engine.sandbox import bubblewrap
from menace.self_coding_engine.sandbox.limits import SandboxLimits, SandboxRun
from menace.self_coding_engine.sandbox.seccomp import REPORT_DESCRIPTOR
from menace.self_coding_engine.sandbox.session import SandboxSession
from menace.supervision.supervised_command import PYTHON
from menace.supervision.supervisor_process import SupervisorProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from menace.records import Json

MOST_FILES = 128
"""File descriptors of a process."""

MOST_ADDRESS_SPACE = 4
"""How many times its memory a process may map: libraries reserve more than they use."""

_BASE_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",  # a thread for each core could be more than are allowed
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": bubblewrap.GUARD_FOLDER,
}


class Sandbox:
    """Bubblewrap with all that belongs to it: found by :meth:`find`, which proves that it holds.

    What runs in it sees the interpreter, its environment, the system's libraries and one folder,
    all read-only; a private ``/tmp``; no network, no other process, no variable of ours. See
    ``docs/sandbox.md``.

    Parameters
    ----------
    program
        Path of bubblewrap.
    """

    def __init__(self, program: str) -> None:
        self.program = program

    @classmethod
    def find(cls) -> Sandbox:
        """Give a sandbox that was seen to hold, once for each process of menace.

        Raises
        ------
        SandboxError
            If there is none: why, and what to do about it.
        """
        from menace.self_coding_engine.sandbox.proof import proven

        return cls(proven())

    def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        limits: SandboxLimits = SandboxLimits(),  # noqa: B008 - frozen
        environment: Mapping[str, str] | None = None,
        bind: Sequence[Path] = (),
        hide: Sequence[Path] = (),
        input: bytes = b"",  # noqa: A002 - as in subprocess
    ) -> SandboxRun:
        """Run a command to its end.

        Parameters
        ----------
        command
            Program and arguments; no shell reads them. ``{python}`` as the first: this interpreter.
        folder
            Bound read-only at its own path; the working directory. Its ``.git`` is hidden.
        environment
            Variables beyond the few that are always set.
        bind
            Further places that can be read.
        hide
            Files and folders below that shall seem empty.
        input
            Standard input.

        Raises
        ------
        SandboxError
            If the folder must not be shown to it.
        """
        order = self._order(
            command, folder=folder, limits=limits, environment=environment, bind=bind, hide=hide
        )
        order["input"] = b64encode(input).decode("ascii")
        done = _run_of(self._supervise(order).report())
        self._note(done)
        return done

    def session(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        limits: SandboxLimits = SandboxLimits(),  # noqa: B008 - frozen
        environment: Mapping[str, str] | None = None,
        bind: Sequence[Path] = (),
        hide: Sequence[Path] = (),
    ) -> SandboxSession:
        """Start a command that answers questions; parameters as in :meth:`run`.

        The limits are those of the whole session. What it writes to standard error is kept (the
        end), and never a reason to end it.
        """
        order = self._order(
            command, folder=folder, limits=limits, environment=environment, bind=bind, hide=hide
        )
        ours, theirs = socket.socketpair()
        with theirs:
            order["session"] = theirs.fileno()
            supervisor = self._supervise(order, pass_fds=[theirs.fileno()])
        begun = SandboxSession(supervisor, ours, read_run=_run_of)
        self._note(begun)
        return begun

    def _note(self, used: SandboxRun | SandboxSession) -> None:
        """Take note of a run that has ended or a session that has begun; for who keeps accounts."""

    def _supervise(self, order: Json, pass_fds: Sequence[int] = ()) -> SupervisorProcess:
        return SupervisorProcess(
            "menace.supervision.sandbox_supervisor", order, environment={}, pass_fds=pass_fds
        )

    def _order(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        limits: SandboxLimits,
        environment: Mapping[str, str] | None,
        bind: Sequence[Path],
        hide: Sequence[Path],
    ) -> Json:
        folder = folder.resolve()
        shown = [path.resolve() for path in bind]
        covered = [(folder / path).resolve() for path in hide] + [folder / ".git"]
        for path in (folder, *shown):
            _refuse_private(path)
        variables = {
            **_BASE_ENVIRONMENT,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            **(environment or {}),
        }
        operations, visible = bubblewrap.layout(
            folder, limits=limits, environment=variables, bind=shown, hide=covered
        )
        words = _guarded(command)
        launch = json.dumps(_launch(words, limits, visible))
        return {
            "program": self.program,
            "operations": operations,
            "data": bubblewrap.data(_guard(visible, covered)),
            "command": [sys.executable, "-I", "-S", bubblewrap.LAUNCHER, launch],
            "report_descriptor": REPORT_DESCRIPTOR,
            "session": None,
            "input": "",
            "time_limit_seconds": _finite(limits.wall_seconds),
            "cpu_limit_seconds": _finite(limits.cpu_seconds),
            "memory_limit_bytes": limits.memory_bytes,
            "output_limit_bytes": limits.output_bytes,
            "process_limit": limits.processes,
            "temporary_bytes": bubblewrap.temporary_bytes(limits),
        }


def _guard(visible: Sequence[str], covered: Sequence[Path]) -> bytes:
    """Tell the audit hook what is where: names and values in turns."""
    pairs = [
        ("report_descriptor", str(REPORT_DESCRIPTOR)),
        ("python", sys.executable),
        *(("visible", place) for place in visible),
        *(("fixed", str(place)) for place in bubblewrap.fixed([Path(place) for place in visible])),
        *(("private", place) for place in (str(Path.home()), "/root", "/home")),
        *(("hidden", str(path)) for path in covered),
    ]
    return "\0".join(word for pair in pairs for word in pair).encode()


def _launch(words: Sequence[str], limits: SandboxLimits, visible: Sequence[str]) -> Json:
    """Tell the launcher what to run, and what to bar first."""
    return {
        "command": list(words),
        "limits": _kernel_limits(limits),
        "read": ["/usr", "/etc", "/lib", "/lib64", "/proc", "/run", "/dev", *visible],
        "write": [*bubblewrap.WRITABLE, *bubblewrap.DEVICES],
        "report_descriptor": REPORT_DESCRIPTOR,
    }


def _kernel_limits(limits: SandboxLimits) -> dict[str, int]:
    """Give the limits that the kernel holds each process to."""
    held = {
        "RLIMIT_AS": limits.memory_bytes * MOST_ADDRESS_SPACE,
        "RLIMIT_DATA": limits.memory_bytes,
        "RLIMIT_STACK": 8 << 20,
        "RLIMIT_NPROC": limits.processes + 2,  # bubblewrap and the launcher
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": MOST_FILES,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_SIGPENDING": 1024,
        "RLIMIT_NICE": 0,
        "RLIMIT_RTPRIO": 0,
    }
    if math.isfinite(limits.cpu_seconds):
        held["RLIMIT_CPU"] = math.ceil(limits.cpu_seconds)
    return held


def _refuse_private(path: Path) -> None:
    """Refuse to show a folder that holds everything, or the user's own things."""
    if path in (Path("/"), Path.home(), *Path.home().parents):
        raise SandboxError(
            f"{path} must not be shown to code that nobody trusts.",
            remedy="give the folder of one project",
        )


def _finite(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None


def _run_of(report: Json) -> SandboxRun:
    """Read what the supervisor told."""
    reason, errors = report["reason"], b64decode(report.get("errors", ""))
    if reason == "not_started":
        errors = errors or str(report["error"]).encode()
    if reason in ("cancelled", "lost"):
        reason = "killed"
    return SandboxRun(
        reason=reason,
        code=None if reason == "not_started" else report.get("code"),
        cpu_seconds=float(report.get("cpu_seconds", 0.0)),
        wall_seconds=float(report.get("wall_seconds", 0.0)),
        output=b64decode(report.get("output", "")),
        errors=errors,
        violations=tuple(report.get("violations", ())),
    )


def _guarded(command: Sequence[str]) -> list[str]:
    """Name the interpreter, and have the hook installed where its flags would keep that out."""
    if command[0] not in (PYTHON, sys.executable):
        return list(command)
    words = [sys.executable, *command[1:]]
    at, isolated = 1, False
    while at < len(words) and words[at][:1] == "-" and words[at][1:2] not in ("c", "m", ""):
        isolated = isolated or bool(set("IES") & set(words[at]) and words[at][1] not in "XW")
        at += 2 if words[at] in ("-X", "-W") else 1
    if not isolated or at >= len(words):
        return words
    return [*words[:at], bubblewrap.GUARDED, *words[at:]]
