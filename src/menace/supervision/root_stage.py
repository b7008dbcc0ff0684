"""What the sandbox's supervisor does when menace is root: nothing in the sandbox may be root's.

Limits on processes do not hold for root, and whoever broke out would be root. So bubblewrap is
started by a user id that nobody else has. That user may not be able to reach the interpreter or the
folder (below ``/root``, say, or with rights for their owner alone). Hence what is to be bound is
first mounted, for the supervisor and its children only, at a place that it can reach; and folders
that belong to one user are mounted as if they were the sandbox's, where the file system can do so.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from pathlib import Path

FIRST_USER = 2_000_000_000
"""Above what systems and containers hand out; the process id is added."""

_INSIDE_A_CONTAINER = 40_000

_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_FROM_DESCRIPTOR = 1, 4
_MOUNT_ATTR_IDMAP = 0x00100000

_STAGE = "/tmp"  # noqa: S108 - exists everywhere; covered by a private mount
_SYSTEM = frozenset({"usr", "lib", "lib32", "lib64", "libx32", "bin", "sbin", "etc", "dev"})


def spare_user() -> int:
    """Find a user id that no other process has: made of this one's id."""
    for user in (FIRST_USER + os.getpid(), _INSIDE_A_CONTAINER + os.getpid() % 20_000):
        for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines():
            first, _, count = map(int, line.split())
            if first <= user < first + count:
                return user
    raise OSError("no user id is left for the sandbox in this user namespace")


def give_up_root(user: int) -> None:
    """Become that user, for good."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def stage(program: str, operations: list[list[str]], user: int) -> tuple[str, list[list[str]]]:
    """Mount what is to be bound where the user can reach it, for this process and its children.

    Returns
    -------
    program, operations
        As they were, with the new places.

    Raises
    ------
    OSError
        If it cannot be mounted.
    """
    system = ctypes.CDLL(None, use_errno=True)
    _check(system.unshare(_CLONE_NEWNS))
    _mount(system, None, "/", _MS_REC | _MS_PRIVATE)
    sources = {operation[1] for operation in operations if operation[0] == "--ro-bind"}
    opened = {source: os.open(source, os.O_PATH | os.O_CLOEXEC) for source in sorted(sources)}
    _mount(system, "tmpfs", _STAGE, _MS_NOSUID | _MS_NODEV, kind="tmpfs", data="mode=0755,size=1m")
    places: dict[str, str] = {}
    namespaces: dict[tuple[int, int], int] = {}
    for number, (source, descriptor) in enumerate(opened.items()):
        place = Path(_STAGE, str(number))
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            place.mkdir()
        else:
            place.touch()
        is_systems = Path(source).parts[1] in _SYSTEM
        if is_systems or not _is_mapped(system, descriptor, place, user, namespaces):
            # As it is: what others may not read, the sandbox may not.
            _mount(system, f"/proc/self/fd/{descriptor}", str(place), _MS_BIND | _MS_REC)
        places[source] = str(place)
    for descriptor in (*opened.values(), *namespaces.values()):
        os.close(descriptor)
    moved = [
        [operation[0], places[operation[1]], *operation[2:]]
        if operation[0] == "--ro-bind"
        else operation
        for operation in operations
    ]
    return _moved(program, places), moved


def _moved(program: str, places: dict[str, str]) -> str:
    """Find the program among what was mounted: it needs the libraries that lie beside it."""
    for source, place in places.items():
        if Path(source) in Path(program).parents:
            return str(Path(place, Path(program).relative_to(source)))
    return program


def _is_mapped(
    system: ctypes.CDLL,
    source: int,
    place: Path,
    user: int,
    namespaces: dict[tuple[int, int], int],
) -> bool:
    """Mount a place as the user's own, with one user namespace for each owner, if that works."""
    owner = os.fstat(source)
    pair = (owner.st_uid, owner.st_gid)
    try:
        if pair not in namespaces:
            namespaces[pair] = _user_namespace(system, pair, user)
        _attach_as_the_users(system, source, place, namespaces[pair])
    except OSError:
        return False
    return True


def _attach_as_the_users(system: ctypes.CDLL, source: int, place: Path, namespace: int) -> None:
    """Mount with the owner's files as the sandbox's own: still read-only, but readable."""
    flags = _AT_EMPTY_PATH | _AT_RECURSIVE
    tree = _check(system.syscall(_OPEN_TREE, source, b"", flags | _OPEN_TREE_CLONE))
    try:
        attributes = struct.pack("=QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
        _check(system.syscall(_MOUNT_SETATTR, tree, b"", flags, attributes, len(attributes)))
        to = os.fsencode(place)
        _check(system.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, to, _MOVE_MOUNT_FROM_DESCRIPTOR))
    finally:
        os.close(tree)


def _user_namespace(system: ctypes.CDLL, owner: tuple[int, int], user: int) -> int:
    """Open a user namespace that maps one owner to the user; a child holds it for that moment."""
    ready, is_ready = os.pipe()
    child = os.fork()
    if child == 0:
        status = system.unshare(_CLONE_NEWUSER)
        os.write(is_ready, b"1" if status == 0 else b"0")
        signal.pause()
    try:
        if os.read(ready, 1) != b"1":
            raise OSError("no user namespace can be made")
        Path(f"/proc/{child}/uid_map").write_text(f"{owner[0]} {user} 1", encoding="ascii")
        Path(f"/proc/{child}/gid_map").write_text(f"{owner[1]} {user} 1", encoding="ascii")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(is_ready)


def _mount(
    system: ctypes.CDLL,
    source: str | None,
    target: str,
    flags: int,
    *,
    kind: str | None = None,
    data: str | None = None,
) -> None:
    words = [word.encode() if word is not None else None for word in (source, target, kind, data)]
    _check(system.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]))


def _check(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
