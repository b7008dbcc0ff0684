"""The first program inside the sandbox: lays the last bars around a child, which is the command.

Run by path and without ``site``; standard library only. Its one argument says, as JSON, what to
bar. It tells over the report's channel whether the command could be started, and what the command
has left running when it ends. The child cannot reach it: Landlock bars signals and tracing from the
inside outwards; where it is missing, a child that kills its launcher has failed.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time

TYPE_CHECKING = False  # as type checkers know it; importing typing takes a tenth of the start
if TYPE_CHECKING:
    from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHARACTER_DEVICE, _MAKE_BLOCK_DEVICE = 1 << 6, 1 << 11
_FIRST_VERSION = (1 << 13) - 1
_REFER, _TRUNCATE, _DEVICE_CONTROL = 1 << 13, 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_CONTROL
_BIND_AND_CONNECT = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_SET_DUMPABLE = 4

NOT_STARTED = 127
_AFTER_A_SIGNAL = 128
_FIRST_PROCESS = 1

_PATIENCE_SECONDS = 0.25
"""How long what is left when the command ends may take to end itself."""


def _restrict(read: list[str], write: list[str]) -> int:
    """Lay Landlock over what the mounts allow already; its version, 0 where there is none."""
    system = ctypes.CDLL(None, use_errno=True)
    version = int(system.syscall(_CREATE_RULESET, None, 0, 1))
    if version < 1:
        return 0
    newer = ((2, _REFER), (3, _TRUNCATE), (5, _DEVICE_CONTROL))
    handled = _FIRST_VERSION | sum(right for since, right in newer if version >= since)
    net = _BIND_AND_CONNECT if version >= 4 else 0
    scope = _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("=QQQ", handled, net, scope)
    ruleset = int(system.syscall(_CREATE_RULESET, attributes, size, 0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock refuses the rules")
    may_write = handled & ~(_MAKE_CHARACTER_DEVICE | _MAKE_BLOCK_DEVICE)
    rules = [("/", _READ_FOLDER)]
    rules += [(path, handled & (_EXECUTE | _READ_FILE | _READ_FOLDER)) for path in read]
    rules += [(path, may_write) for path in write]
    for path, rights in rules:
        _allow(system, ruleset, path, rights)
    if system.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "Landlock cannot be laid")
    os.close(ruleset)
    return version


def _allow(system: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):  # noqa: PTH112
        rights &= _ON_FILES
    rule = struct.pack("=Qi", rights, place)
    if system.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) != 0:
        raise OSError(ctypes.get_errno(), f"Landlock refuses a rule for {path}")
    os.close(place)


def _limit(limits: dict[str, int]) -> None:
    for name, most in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        # The processor's limit first sends a signal of its own, by which it is told apart.
        last = most + 1 if name == "RLIMIT_CPU" else most
        if hard != resource.RLIM_INFINITY:
            last = min(last, hard)
        resource.setrlimit(kind, (min(most, last), last))


def _become(order: dict[str, Any]) -> None:
    """As the child: bar everything, and become the command."""
    channel = order["report_descriptor"]
    try:
        os.setsid()
        version = _restrict(order["read"], order["write"])
        os.umask(0o022)
        _limit(order["limits"])
        os.write(channel, f"started {version}".encode())
        os.execvpe(order["command"][0], order["command"], os.environ)  # noqa: S606
    except OSError as error:
        os.write(channel, f"failed {error}".encode(errors="replace"))
    os._exit(NOT_STARTED)


def _withdraw() -> None:
    """As the parent: be out of reach, and hold nothing that the command may wait for the end of."""
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def _left_running() -> int:
    """Count the processes beside this one, once they have had time to end."""
    until = time.monotonic() + _PATIENCE_SECONDS
    mine = (str(_FIRST_PROCESS), str(os.getpid()))
    while True:
        others = [name for name in os.listdir("/proc") if name.isdecimal() and name not in mine]  # noqa: PTH208
        left = sum(map(_is_running, others))
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.01)


def _is_running(process: str) -> bool:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def _main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    child = os.fork()
    if child == 0:
        _become(order)
    _withdraw()
    _, status = os.waitpid(child, 0)
    left = _left_running()
    if left:
        os.write(order["report_descriptor"], f"left {left}".encode())
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else _AFTER_A_SIGNAL - code)


if __name__ == "__main__":
    _main()
