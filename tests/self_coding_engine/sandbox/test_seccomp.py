"""The filter, run step by step as the kernel would run it, for both kinds of machine."""

from __future__ import annotations

import errno
import struct

import pytest

from menace.errors import SandboxError
from menace.self_coding_engine.sandbox.seccomp import REPORT_DESCRIPTOR, seccomp_filter

ALLOWED, KILLED = "allowed", "killed"
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Call → number on each machine, as in the kernel's own tables.
NUMBERS = {
    "x86_64": {
        **{"read": 0, "write": 1, "close": 3, "mmap": 9, "ioctl": 16, "dup2": 33, "socket": 41},
        **{"shutdown": 48, "clone": 56, "fork": 57, "execve": 59, "fcntl": 72, "ptrace": 101},
        **{
            "setuid": 105,
            "prctl": 157,
            "mount": 165,
            "unshare": 272,
            "dup3": 292,
            "prlimit64": 302,
        },
        **{"memfd_create": 319, "bpf": 321, "clone3": 435, "close_range": 436, "landlock": 444},
    },
    "aarch64": {
        **{"dup3": 24, "fcntl": 25, "ioctl": 29, "mount": 40, "close": 57, "read": 63, "write": 64},
        **{"unshare": 97, "ptrace": 117, "setuid": 146, "prctl": 167, "socket": 198},
        **{"shutdown": 210, "clone": 220, "execve": 221, "mmap": 222, "prlimit64": 261},
        **{"memfd_create": 279, "bpf": 280, "clone3": 435, "close_range": 436, "landlock": 444},
    },
}
SHARED_ANONYMOUS, PRIVATE_ANONYMOUS, SHARED_FILE = 0x21, 0x22, 0x01

CASES = [
    ("read", (0,), ALLOWED),
    ("write", (REPORT_DESCRIPTOR,), ALLOWED),
    ("execve", (), ALLOWED),
    ("prlimit64", (), ALLOWED),
    ("landlock", (), ALLOWED),
    ("clone", (0x1200011,), ALLOWED),
    ("clone", (0x10000011,), KILLED),
    ("clone", (0x00020000,), KILLED),
    ("clone3", (), errno.ENOSYS),
    ("mount", (), KILLED),
    ("unshare", (), KILLED),
    ("ptrace", (), KILLED),
    ("bpf", (), KILLED),
    ("setuid", (0,), KILLED),
    ("socket", (1, 1), ALLOWED),
    ("socket", (2, 1), errno.EACCES),
    ("socket", (10, 2), errno.EACCES),
    ("close", (3,), ALLOWED),
    ("close", (REPORT_DESCRIPTOR,), 0),
    ("close_range", (3, 1 << 31), errno.ENOSYS),
    ("dup3", (0, 9), ALLOWED),
    ("dup3", (0, REPORT_DESCRIPTOR), errno.EPERM),
    ("shutdown", (REPORT_DESCRIPTOR, 2), errno.EPERM),
    ("shutdown", (5, 2), ALLOWED),
    ("fcntl", (REPORT_DESCRIPTOR, 2, 1), errno.EPERM),
    ("fcntl", (REPORT_DESCRIPTOR, 1), ALLOWED),
    ("fcntl", (5, 2, 1), ALLOWED),
    ("ioctl", (REPORT_DESCRIPTOR, 0x5451), errno.EPERM),
    ("ioctl", (5, 0x5451), ALLOWED),
    ("ioctl", (0, 0x5412), errno.EPERM),
    ("prctl", (22, 2), errno.EPERM),
    ("prctl", (15,), ALLOWED),
    ("mmap", (0, 4096, 3, SHARED_ANONYMOUS), errno.EPERM),
    ("mmap", (0, 4096, 3, SHARED_ANONYMOUS | 2), errno.EPERM),
    ("mmap", (0, 4096, 3, PRIVATE_ANONYMOUS), ALLOWED),
    ("mmap", (0, 4096, 3, SHARED_FILE), ALLOWED),
    ("memfd_create", (), errno.ENOSYS),
]


def verdict(machine: str, number: int, arguments: tuple[int, ...], architecture: int) -> str | int:
    """Run the filter over one call."""
    call = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *(0,) * (6 - len(arguments)))
    program = list(struct.iter_unpack("<HBBI", seccomp_filter(machine)))
    at, loaded = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x20:
            loaded = struct.unpack_from("<I", call, value)[0]
        elif code == 0x06:
            error = value & 0xFFFF if value >> 16 == 5 else None
            return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(value, error or 0)
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(("call", "arguments", "expected"), CASES)
def test_every_call_finds_its_verdict(
    machine: str, call: str, arguments: tuple[int, ...], expected: str | int
) -> None:
    number = NUMBERS[machine][call]
    assert verdict(machine, number, arguments, ARCHITECTURES[machine]) == expected


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_calls_of_another_kind_of_machine_are_killed(machine: str) -> None:
    for architecture in (0x40000003, 0x40000028, *ARCHITECTURES.values()):
        if architecture != ARCHITECTURES[machine]:
            assert verdict(machine, NUMBERS[machine]["read"], (), architecture) == KILLED


def test_the_second_numbering_of_calls_is_killed() -> None:
    assert verdict("x86_64", 0x40000000, (), ARCHITECTURES["x86_64"]) == KILLED


def test_a_machine_whose_calls_are_not_known_has_no_filter() -> None:
    with pytest.raises(SandboxError, match="riscv64"):
        seccomp_filter("riscv64")
