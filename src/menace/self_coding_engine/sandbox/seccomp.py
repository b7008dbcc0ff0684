"""Makes the filter that stands between the sandbox and the kernel: classic BPF, for bubblewrap.

A call is allowed unless a rule names it. What no program of ours has any business with kills the
process, so that it is seen; what libraries try out and can do without is refused with an error.
The numbers are those of Linux's own tables.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

from menace.errors import SandboxError

REPORT_DESCRIPTOR = 200
"""Where each process in the sandbox has the channel that violations are written to."""

_LOAD_WORD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER_OR_EQUAL = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERROR = 0x00050000

_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X32_BIT = 0x40000000

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""

_AF_UNIX = 1
_PR_SET_SECCOMP = 22
_TIOCSTI, _TIOCLINUX, _FIOCLEX = 0x5412, 0x541C, 0x5451
_F_SETFD, _F_SETFL = 2, 4
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20

# Name → number on x86_64 and on aarch64; None where there is no such call.
_KILLED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "setfsgid": (123, 152),
    "setfsuid": (122, 151),
    "setgid": (106, 144),
    "setgroups": (116, 159),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setregid": (114, 143),
    "setresgid": (119, 149),
    "setresuid": (117, 147),
    "setreuid": (113, 145),
    "settimeofday": (164, 170),
    "setuid": (105, 146),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}

# Memory files and System V shared memory are refused since nothing counts the memory they hold;
# close_range, since it takes a span of descriptors, among which the report's may be.
_REFUSED: dict[str, tuple[int | None, int | None, int]] = {
    "clone3": (435, 435, errno.ENOSYS),
    "close_range": (436, 436, errno.ENOSYS),
    "io_uring_enter": (426, 426, errno.ENOSYS),
    "io_uring_register": (427, 427, errno.ENOSYS),
    "io_uring_setup": (425, 425, errno.ENOSYS),
    "kcmp": (312, 272, errno.EPERM),
    "memfd_create": (319, 279, errno.ENOSYS),
    "memfd_secret": (447, 447, errno.ENOSYS),
    "modify_ldt": (154, None, errno.EPERM),
    "msgget": (68, 186, errno.ENOSYS),
    "name_to_handle_at": (303, 264, errno.EPERM),
    "personality": (135, 92, errno.EPERM),
    "process_madvise": (440, 440, errno.EPERM),
    "seccomp": (317, 277, errno.EPERM),
    "semget": (64, 190, errno.ENOSYS),
    "shmget": (29, 194, errno.ENOSYS),
    "uselib": (134, None, errno.ENOSYS),
    "vmsplice": (278, 75, errno.EPERM),
}


@dataclass(frozen=True, slots=True)
class _Check:
    """Arguments (index, jump, value) which, if all hold, bring about the verdict."""

    conditions: tuple[tuple[int, int, int], ...]
    verdict: int
    otherwise: bool = False  # the verdict is for calls of which the one condition does not hold


def _is(argument: int, value: int) -> tuple[int, int, int]:
    return argument, _JUMP_EQUAL, value


_ON_THE_REPORT = _is(0, REPORT_DESCRIPTOR)
_DENIED = _ERROR | errno.EPERM


def _has(argument: int, bit: int) -> tuple[int, int, int]:
    return argument, _JUMP_ANY_BIT, bit


# The report's descriptor cannot be closed (it seems to be, so that programs which close all they
# do not know go on), replaced, or made to close by itself. Shared memory without a file is refused
# since what a process has written to it and its parent still maps is counted nowhere.
_CHECKED: tuple[tuple[int | None, int | None, _Check], ...] = (
    (56, 220, _Check((_has(0, _NEW_NAMESPACES),), _KILL)),
    (9, 222, _Check((_has(3, _MAP_ANONYMOUS), _has(3, _MAP_SHARED)), _DENIED)),
    (41, 198, _Check((_is(0, _AF_UNIX),), _ERROR | errno.EACCES, otherwise=True)),
    (53, 199, _Check((_is(0, _AF_UNIX),), _ERROR | errno.EACCES, otherwise=True)),
    (3, 57, _Check((_ON_THE_REPORT,), _ERROR)),
    (33, None, _Check((_is(1, REPORT_DESCRIPTOR),), _DENIED)),
    (292, 24, _Check((_is(1, REPORT_DESCRIPTOR),), _DENIED)),
    (48, 210, _Check((_ON_THE_REPORT,), _DENIED)),
    (72, 25, _Check((_ON_THE_REPORT, _is(1, _F_SETFD)), _DENIED)),
    (72, 25, _Check((_ON_THE_REPORT, _is(1, _F_SETFL)), _DENIED)),
    (16, 29, _Check((_ON_THE_REPORT, _is(1, _FIOCLEX)), _DENIED)),
    (16, 29, _Check((_is(1, _TIOCSTI),), _DENIED)),
    (16, 29, _Check((_is(1, _TIOCLINUX),), _DENIED)),
    (157, 167, _Check((_is(0, _PR_SET_SECCOMP),), _DENIED)),
)

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def seccomp_filter(machine: str | None = None) -> bytes:
    """Assemble the filter.

    Parameters
    ----------
    machine
        ``x86_64`` or ``aarch64``; this machine by default.

    Returns
    -------
    bytes
        An array of ``struct sock_filter``, as ``bwrap --seccomp`` reads it.

    Raises
    ------
    SandboxError
        On another kind of machine.

    Examples
    --------
    >>> len(seccomp_filter("x86_64")) % 8
    0
    """
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        raise SandboxError(
            f"the sandbox knows no system calls of {machine}.",
            remedy="patch helper code on x86_64 or aarch64",
        )
    column, architecture = _ARCHITECTURES[machine]
    program = [
        _step(_LOAD_WORD, _ARCHITECTURE),
        _step(_JUMP_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD_WORD, _NUMBER),
    ]
    if machine == "x86_64":
        # The second numbering of the same calls, which no rule below would know.
        program += [_step(_JUMP_GREATER_OR_EQUAL, _X32_BIT, 0, 1), _step(_RETURN, _KILL)]
    for numbers in _KILLED.values():
        program += _always(numbers[column], _KILL)
    for x86, arm, error in _REFUSED.values():
        program += _always((x86, arm)[column], _ERROR | error)
    for x86, arm, check in _CHECKED:
        program += _checked((x86, arm)[column], check)
    program.append(_step(_RETURN, _ALLOW))
    return b"".join(program)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _always(number: int | None, verdict: int) -> list[bytes]:
    if number is None:
        return []
    return [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, verdict)]


def _checked(number: int | None, check: _Check) -> list[bytes]:
    """Look at the arguments of one call; what follows finds the number loaded again."""
    if number is None:
        return []
    steps = 2 * len(check.conditions)
    body: list[bytes] = []
    for place, (argument, jump, value) in enumerate(check.conditions):
        to_the_end = steps - 2 * place - 1
        # The lower half of the argument: all that the kernel reads of the ones looked at here.
        body.append(_step(_LOAD_WORD, _FIRST_ARGUMENT + 8 * argument))
        body.append(
            _step(jump, value, 1, 0) if check.otherwise else _step(jump, value, 0, to_the_end)
        )
    body.append(_step(_RETURN, check.verdict))
    body.append(_step(_LOAD_WORD, _NUMBER))
    return [_step(_JUMP_EQUAL, number, 0, len(body)), *body]
