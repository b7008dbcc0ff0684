"""What a run in the sandbox may take, and how it went."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from menace.errors import ConfigError, SandboxError

Reason = Literal["exited", "time", "cpu", "memory", "output", "killed", "not_started"]


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What all processes of a run may take, together where nothing else is said.

    Attributes
    ----------
    wall_seconds
        On the clock, > 0; ``inf``: as long as a session lasts.
    cpu_seconds
        Of all processes, > 0; ``inf``: no limit. Each one is also stopped by the kernel.
    memory_bytes
        Resident memory of all processes and what lies in the private folders, looked at twenty
        times a second; a single process is refused more by the kernel at once.
    processes
        Processes and threads at a time, ≥ 1.
    file_bytes
        Of a single file.
    temporary_bytes
        Of ``/tmp``, and once more of ``/dev/shm``.
    output_bytes
        Of standard output, and once more of standard error.
    """

    wall_seconds: float = 60.0
    cpu_seconds: float = 60.0
    memory_bytes: int = 1 << 30
    processes: int = 32
    file_bytes: int = 64 << 20
    temporary_bytes: int = 256 << 20
    output_bytes: int = 65_536

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if math.isnan(value) or value <= 0:
                raise ConfigError(
                    f"the sandbox's {name} is {value}.", remedy="give a number above 0"
                )


@dataclass(frozen=True, slots=True)
class SandboxRun:
    """How a command in the sandbox went.

    Attributes
    ----------
    reason
        ``exited``: by itself, with ``code``. ``time``, ``cpu``, ``memory``, ``output``: it passed
        that limit and was killed. ``killed``: by a signal, its own, or the kernel's for a forbidden
        call. ``not_started``: the program could not be started.
    code
        The exit code; −n where signal n ended it; ``None`` where it was not started.
    cpu_seconds
        Of all processes, the supervisor included.
    wall_seconds
        From the start to the end of the last process.
    output, errors
        Standard output and standard error: the first ``output_bytes`` of each.
    violations
        What it tried and may not, each ``KIND: WHAT``, without repetition. Those that the kernel or
        the supervisor saw are certain; those of the audit hook name what plain Python code tried,
        and a program that means to can avoid being noticed by it (but not being stopped).
    """

    reason: Reason
    code: int | None
    cpu_seconds: float
    wall_seconds: float
    output: bytes
    errors: bytes
    violations: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        """Whether it ended by itself with code 0, and nothing forbidden was seen."""
        return self.reason == "exited" and self.code == 0 and not self.violations


class SessionEndedError(SandboxError):
    """A session's process has ended, or was ended, before it answered.

    Attributes
    ----------
    run
        How the whole session went.
    """

    def __init__(self, message: str, run: SandboxRun) -> None:
        super().__init__(message, remedy="start a new session")
        self.run = run

    @property
    def reason(self) -> Reason:
        """Why it ended."""
        return self.run.reason
