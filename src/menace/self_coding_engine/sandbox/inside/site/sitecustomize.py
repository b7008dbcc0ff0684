"""Reports what Python code in the sandbox tries and may not; stops nothing, the kernel does that.

Python imports a module of this name at its start; in the sandbox this one is on its path. It
installs an audit hook, which cannot be removed again, and which writes to a channel that cannot be
closed.
Code that means to can reach the kernel without passing the hook: what it reports is true of
accidents and of clumsy attempts, and needs the other layers behind it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as type checkers know it; importing typing takes as long as all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SETTINGS = "/run/menace/guard"
_MOST_REPORTS = 64
_UNIX_SOCKET = 1
_UNKNOWN_FAMILY = -1
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_WRITABLE = ("/tmp", "/dev/shm", "/dev/null", "/dev/full", "/dev/tty")  # noqa: S108

# What common tools leave where they run; they go on when they cannot.
_LEAVINGS = (
    "/__pycache__",
    "/.pytest_cache",
    "/pytest-cache-files-",
    "/.hypothesis",
    "/.mypy_cache",
    "/.ruff_cache",
)

_NOT_TO_READ = ("/etc/shadow", "/etc/sudoers", "/etc/ssh", "/var", "/dev/mem", "/dev/kmsg", "/boot")
_PROCESS_SECRETS = frozenset({"environ", "mem", "maps", "fd", "root", "cwd", "auxv", "syscall"})

_FORBIDDEN_FUNCTIONS = frozenset(
    {
        "acct",
        "bpf",
        "chroot",
        "clone",
        "execve",
        "init_module",
        "keyctl",
        "kill",
        "mount",
        "perf_event_open",
        "pivot_root",
        "prctl",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "reboot",
        "setgid",
        "setns",
        "setresuid",
        "setuid",
        "socket",
        "swapon",
        "syscall",
        "system",
        "tgkill",
        "tkill",
        "umount",
        "umount2",
        "unshare",
        "userfaultfd",
    }
)


def _install(settings: dict[str, list[str]]) -> None:
    """Add the hook. All that it needs is bound here, out of reach of what patches modules later."""
    channel = int(settings["report_descriptor"][0])
    write, getpid = os.write, os.getpid
    counts: dict[int, int] = {}

    def tell(what: str) -> None:
        process = getpid()
        counts[process] = counts.get(process, 0) + 1
        if counts[process] <= _MOST_REPORTS:
            try:
                write(channel, b"tried " + what[:300].encode("utf-8", "replace"))
            except OSError:
                return

    handlers = _Handlers(settings, tell).table()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        handler = handlers.get(event)
        if handler is not None:
            try:
                handler(*arguments)
            except (OSError, ValueError, TypeError, AttributeError, RecursionError):
                return  # arguments that the call itself will refuse

    sys.addaudithook(hook)


class _Handlers:
    """What each event means."""

    def __init__(self, settings: dict[str, list[str]], tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._visible = tuple(settings.get("visible", ()))
        self._fixed = tuple(settings.get("fixed", ()))
        self._private = (*settings.get("private", ()), *_NOT_TO_READ)
        self._hidden = tuple(settings.get("hidden", ()))
        self._python = settings["python"][0]
        self._getcwd, self._normalise = os.getcwd, os.path.normpath
        self._readlink, self._is_folder = os.readlink, os.path.isdir
        self._process = os.getpid
        self._parent = os.getppid

    def table(self) -> dict[str, Callable[..., None]]:
        """Give event → handler, with the arguments of Python's own table of audit events."""
        handlers: dict[str, Callable[..., None]] = {
            "open": self._open,
            "os.listdir": self._read,
            "os.scandir": self._read,
            "os.mkdir": self._make_folder,
            "os.rename": self._move,
            "os.link": self._link,
            "os.symlink": lambda source, target, at: self._link(source, target, -1, at),
            "socket.__new__": self._socket,
            "socket.connect": lambda _socket, address: self._address("connects to", address),
            "socket.bind": lambda _socket, address: self._address("listens at", address),
            "socket.sendto": lambda _socket, address: self._address("sends to", address),
            "os.kill": self._kill,
            "os.killpg": lambda group, _signal: self._tell(f"signal: to process group {group}"),
            "ctypes.dlsym": lambda _library, name: self._function(name),
            "subprocess.Popen": lambda program, words, *_: self._program(program, words),
            "os.exec": lambda program, words, *_: self._program(program, words),
            "os.posix_spawn": lambda program, words, *_: self._program(program, words),
            "os.spawn": lambda _mode, program, words, *_: self._program(program, words),
            "os.system": lambda command: self._program(command, ()),
            "pty.spawn": lambda words: self._program(words[0], words),
        }
        for event in ("os.remove", "os.rmdir", "os.chmod", "os.chown", "os.utime"):
            handlers[event] = lambda path, *words: self._write(path, words[-1])
        for event in ("os.truncate", "os.setxattr", "os.removexattr", "os.chflags"):
            handlers[event] = lambda path, *_: self._write(path)
        for event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            handlers[event] = lambda host, *_: self._tell(f"network: looks up {host}")
        handlers["resource.setrlimit"] = self._limit
        handlers["resource.prlimit"] = lambda process, *_: self._tell(f"limits: of {process}")
        handlers["urllib.Request"] = lambda url, *_: self._tell(f"network: asks for {url}")
        handlers["sqlite3.enable_load_extension"] = lambda *_: self._tell("program: a library")
        return handlers

    def _place(self, path: Any, at: Any = -1) -> str | None:
        """Make a path absolute, without following links; ``None`` for a descriptor."""
        if path is None or isinstance(path, int):
            return None
        name = path.decode("utf-8", "replace") if isinstance(path, bytes) else str(path)
        if not name.startswith("/"):
            folder = self._readlink(f"/proc/self/fd/{int(at)}") if at >= 0 else self._getcwd()
            name = f"{folder}/{name}"
        return self._normalise(name)

    def _is_private_folder(self, place: str) -> bool:
        return _is_in(place, _WRITABLE) and not _is_in(place, self._fixed)

    def _open(self, path: Any, _mode: Any, flags: int) -> None:
        if isinstance(flags, int) and flags & _WRITING:
            self._write(path)
        else:
            self._read(path)

    def _write(self, path: Any, at: Any = -1) -> None:
        place = self._place(path, at)
        if place is None or self._is_private_folder(place):
            return
        if not any(leaving in place for leaving in _LEAVINGS):
            self._tell(f"write: {place}")

    def _make_folder(self, path: Any, _mode: Any, at: Any) -> None:
        place = self._place(path, at)
        if place is not None and not self._is_folder(place):  # else it is only made sure of
            self._write(place)

    def _move(self, source: Any, target: Any, source_at: Any, target_at: Any) -> None:
        self._write(source, source_at)
        self._write(target, target_at)

    def _link(self, source: Any, target: Any, source_at: Any, target_at: Any) -> None:
        self._read(source, source_at)
        self._write(target, target_at)

    def _read(self, path: Any = None, at: Any = -1) -> None:
        place = self._place(path, at)
        if place is None:
            return
        parts = place.split("/")
        if parts[1] == "proc":
            own = ("self", "thread-self", str(self._process()))
            if len(parts) > 3 and parts[2] not in own and parts[3] in _PROCESS_SECRETS:
                self._tell(f"read: {place}")
        elif _is_in(place, self._hidden) or (
            _is_in(place, self._private) and not _is_in(place, self._visible)
        ):
            self._tell(f"read: {place}")

    def _socket(self, _socket: Any, family: int, *_kind: int) -> None:
        if family not in (_UNIX_SOCKET, _UNKNOWN_FAMILY):
            self._tell(f"network: opens a socket of family {int(family)}")

    def _address(self, what: str, address: Any) -> None:
        place = None
        if isinstance(address, (str, bytes)) and address[:1] not in ("\0", b"\0"):
            place = self._place(address)
        if place is None or not self._is_private_folder(place):
            self._tell(f"network: {what} {address!r}")

    def _kill(self, process: int, signal: int) -> None:
        if signal and (process <= 1 or process == self._parent()):
            self._tell(f"signal: {int(signal)} to process {process}")

    def _limit(self, kind: int, limits: Any) -> None:
        """Tell only of a limit that is to be wider than it may be; −1 is none at all."""
        wanted, hard = limits[1], sys.modules["resource"].getrlimit(kind)[1]
        if hard != -1 and (wanted == -1 or wanted > hard):
            self._tell(f"limits: raises number {kind} to {wanted}")

    def _function(self, name: Any) -> None:
        if name in _FORBIDDEN_FUNCTIONS:
            self._tell(f"system call: {name}, by way of ctypes")

    def _program(self, program: Any, words: Any) -> None:
        name = program or (words[0] if words else "")
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        if str(name) not in (self._python, sys.executable):
            self._tell(f"program: {name}")


def _is_in(place: str, folders: tuple[str, ...]) -> bool:
    return any(place == folder or place.startswith(f"{folder}/") for folder in folders)


def _start() -> None:
    try:
        with open(_SETTINGS, encoding="utf-8") as file:  # noqa: PTH123 - before most imports
            words = file.read().split("\0")
    except OSError:
        return  # not in the sandbox
    settings: dict[str, list[str]] = {}
    for name, value in zip(words[::2], words[1::2], strict=False):
        settings.setdefault(name, []).append(value)
    _install(settings)


_start()
