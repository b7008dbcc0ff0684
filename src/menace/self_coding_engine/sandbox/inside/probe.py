"""Tries, inside the sandbox, what must not work there, and tells what did.

One line of JSON on standard input names a file out there and a port that listens out there.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path


def _can(attempt: object) -> bool:
    if not callable(attempt):
        return False
    try:
        attempt()
    except (OSError, ValueError):
        return False
    return True


def _survives_unshare() -> bool:
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).unshare(0x10000000)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS)


def _main() -> None:
    question = json.loads(sys.stdin.readline())
    secret, port, folder = question["secret"], question["port"], question["folder"]
    status = dict(
        line.split(":\t", 1)
        for line in Path("/proc/self/status").read_text().splitlines()
        if ":\t" in line
    )
    capabilities = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    processes = [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208
    findings = {
        "it is root": os.getuid() == 0,
        "it has capabilities": any(int(status[name], 16) for name in capabilities),
        "it can gain privileges": status["NoNewPrivs"] != "1",
        "no filter stands before the kernel": status["Seccomp"] != "2" or _survives_unshare(),
        "it reads a file that is not its own": _can(lambda: Path(secret).read_bytes()),
        "it writes where it must not": _can(lambda: Path(folder, "probe").touch()),
        "it writes outside its private folders": _can(lambda: Path("/probe").touch()),
        "it cannot write to its private folder": not _can(lambda: Path("/tmp/probe").touch()),  # noqa: S108
        "it sees other processes": len(processes) > 3,
        "it reaches the network": _can(lambda: socket.create_connection(("127.0.0.1", port), 1)),
        "it sees network interfaces": len(Path("/proc/net/dev").read_text().splitlines()) > 3,
        "it has variables of ours": "MENACE_PROBE" in os.environ,
        "it can start more processes than it may": _starts_too_many(question["processes"]),
    }
    sys.stdout.write(json.dumps([name for name, is_so in findings.items() if is_so]))


def _starts_too_many(most: int) -> bool:
    children = []
    try:
        for _ in range(most + 1):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except OSError:
        return False
    else:
        return True
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


if __name__ == "__main__":
    _main()
