"""Runs a command under a supervisor that holds it to limits and ends all that it started."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.errors import ConfigError, PipelineError
from menace.supervision.supervisor_process import SupervisorProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from menace.records import Json

SHOWN_OUTPUT = 2_000
"""Characters of a failed command's output that its error shows: the last ones."""

PYTHON = "{python}"
"""As an argument by itself: the Python that menace runs on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command may take.

    Attributes
    ----------
    time_seconds
        Seconds on the clock, > 0.
    memory_bytes
        Of all its processes together, resident; ``None``: no limit. Looked at twenty times a
        second, so that it can be passed for a moment. Linux only.
    output_bytes
        Of what it prints, the last so many bytes are kept, ≥ 0.
    """

    time_seconds: float
    memory_bytes: int | None
    output_bytes: int


@dataclass(frozen=True, slots=True)
class CommandReport:
    """How a command that ended well went.

    Attributes
    ----------
    cpu_seconds
        Of the command and all processes that stem from it (Linux: also those it did not wait for).
    peak_memory_bytes
        The most that was seen; 0 where there is no limit.
    output
        The end of what it printed.
    output_bytes
        How much it printed in all.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_memory_bytes: int
    output: str
    output_bytes: int


def run_supervised(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    limits: Limits,
    bot: str | None = None,
) -> CommandReport:
    """Run a command to its end.

    What it leaves running is killed, whatever group or session it has put itself into (Linux; else
    its process group), and so is all of it when the caller is interrupted or killed.

    Parameters
    ----------
    command
        Program and arguments; no shell reads them.
    cwd
        The folder it runs in.
    environment
        Its whole environment.

    Raises
    ------
    PipelineError
        If it cannot be started, ends with another code than 0, or passes a limit; the message holds
        the end of its output.
    ConfigError
        If memory is limited where that cannot be done.
    """
    if limits.memory_bytes is not None and sys.platform != "linux":
        raise ConfigError(
            "a command's memory can be limited on Linux only.",
            bot=bot,
            remedy="leave memory_limit_mb out on this system",
        )
    arguments = [sys.executable if argument == PYTHON else argument for argument in command]
    order = {
        "command": arguments,
        "cwd": str(cwd),
        "time_limit_seconds": limits.time_seconds,
        "memory_limit_bytes": limits.memory_bytes,
        "output_limit_bytes": limits.output_bytes,
    }
    report = SupervisorProcess(
        "menace.supervision.command_supervisor", order, environment=environment
    ).report()
    try:
        return _checked(report, arguments, limits, bot)
    except PipelineError as error:
        error.cpu_seconds = float(report.get("cpu_seconds", 0.0))
        raise


def _checked(report: Json, command: list[str], limits: Limits, bot: str | None) -> CommandReport:
    reason, name = report["reason"], command[0] if command else ""
    if reason == "exited" and report["code"] == 0:
        return CommandReport(
            cpu_seconds=float(report["cpu_seconds"]),
            wall_seconds=float(report["wall_seconds"]),
            peak_memory_bytes=int(report["peak_memory_bytes"]),
            output=str(report["output"]),
            output_bytes=int(report["output_bytes"]),
        )
    told = str(report.get("output", ""))[-SHOWN_OUTPUT:].strip()
    tail = f" It said: {told}" if told else ""
    if reason == "not_started":
        raise PipelineError(
            f"the command {name!r} cannot be started: {report['error']}.",
            bot=bot,
            remedy="check the program's name; a script needs its interpreter before it",
        )
    if reason == "time":
        raise PipelineError(
            f"the command {name!r} ran longer than {limits.time_seconds:g} s and was killed.{tail}",
            bot=bot,
            remedy="raise time_limit_seconds, or have it heed MENACE_SECONDS",
        )
    if reason == "memory":
        used = int(report["peak_memory_bytes"]) / 2**20
        most = (limits.memory_bytes or 0) / 2**20
        raise PipelineError(
            f"the command {name!r} used {used:,.0f} MB, more than {most:,.0f} MB, and was killed."
            f"{tail}",
            bot=bot,
            remedy="raise memory_limit_mb, or lower the bot's window_rows",
        )
    ended = f"with code {report['code']}" if "code" in report else "without an answer"
    raise PipelineError(
        f"the command {name!r} ended {ended}.{tail}",
        bot=bot,
        remedy="run it by hand in a folder like the one that docs/pipelines.md describes",
    )
