"""Proves, by trying, that the sandbox holds on this machine."""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import secrets
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from menace.errors import SandboxError
from menace.self_coding_engine.sandbox import bubblewrap
from menace.self_coding_engine.sandbox.limits import SandboxLimits, SandboxRun
from menace.self_coding_engine.sandbox.sandbox import Sandbox

OLDEST_KERNEL = (5, 14)
"""Since then, processes are counted for each user namespace."""

_LIMITS = SandboxLimits(
    wall_seconds=20.0,
    cpu_seconds=10.0,
    memory_bytes=256 << 20,
    processes=8,
    temporary_bytes=1 << 20,
)
_REMEDY = (
    "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
    "user.max_user_namespaces=10000; on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0 "
    "or the system's package bubblewrap); in a container, its seccomp profile has to allow them. "
    "See docs/sandbox.md"
)


@dataclass(frozen=True, slots=True)
class SandboxState:
    """Whether code that nobody trusts can be run here.

    Attributes
    ----------
    program
        Bubblewrap's path; empty where there is none.
    holds
        Whether everything was refused that must be.
    message, remedy
        What was found, and what to do about it where it does not hold.
    """

    program: str
    holds: bool
    message: str
    remedy: str = ""


def sandbox_state() -> SandboxState:
    """Say whether there is a sandbox that holds; tried out once for each process."""
    try:
        program = proven()
    except SandboxError as error:
        return SandboxState("", holds=False, message=error.message, remedy=error.remedy or "")
    return SandboxState(program, holds=True, message=f"holds ({program})")


def proven() -> str:
    """Give the path of the first bubblewrap that makes a sandbox which holds.

    Raises
    ------
    SandboxError
        If none does.
    """
    found = _tried()
    if isinstance(found, str):
        return found
    raise SandboxError(found.message, remedy=found.remedy)


@functools.cache
def _tried() -> str | SandboxError:
    """Remember what was found, good or bad: an exception would be tried again."""
    reasons = []
    try:
        _check_kernel()
        for program in bubblewrap.find_bubblewrap():
            reason = what_is_wrong(Sandbox(program))
            if reason is None:
                return program
            reasons.append(f"{program}: {reason}")
    except SandboxError as error:
        return error
    except OSError as error:  # no folder, no port to try it with: what is not proven does not hold
        return SandboxError(f"the sandbox cannot be tried out: {error}.", remedy=_REMEDY)
    return SandboxError(f"no sandbox holds here: {'; '.join(reasons)}.", remedy=_REMEDY)


def _check_kernel() -> None:
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    if version is None or tuple(map(int, version.groups())) < OLDEST_KERNEL:
        raise SandboxError(
            f"the sandbox needs Linux 5.14, and this is {platform.release()}.",
            remedy="patch helper code on a newer system",
        )


def what_is_wrong(sandbox: Sandbox) -> str | None:
    """Let the probe try everything; ``None`` when all is refused that must be."""
    with (
        tempfile.TemporaryDirectory() as secret_folder,
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        secret = Path(secret_folder, "secret")
        word = secrets.token_hex()
        secret.write_text(word, encoding="ascii")
        question = {
            "secret": str(secret),
            "port": server.getsockname()[1],
            "folder": folder,
            "processes": _LIMITS.processes,
        }
        run = sandbox.run(
            ["{python}", "-I", "-S", bubblewrap.PROBE],
            folder=Path(folder),
            limits=_LIMITS,
            input=json.dumps(question).encode() + b"\n",
        )
        server.setblocking(False)
        if _was_reached(server) or os.listdir(folder):  # noqa: PTH208
            return "it reaches what lies outside"
    return _reading(run)


def _reading(run: SandboxRun) -> str | None:
    if run.reason != "exited" or run.code != 0:
        said = run.errors.decode("utf-8", "replace").strip().splitlines()
        return f"it does not start ({said[-1] if said else run.reason})"
    findings = json.loads(run.output)
    return ", ".join(findings) or None


def _was_reached(server: socket.socket) -> bool:
    try:
        connection, _ = server.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True
