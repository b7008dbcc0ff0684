"""Candidates that mean harm: nothing happens out here, and what they tried is told."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import socket
import subprocess
import sys
import sysconfig
import tomllib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from menace.self_coding_engine.sandbox import Sandbox, SandboxLimits, SandboxRun

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CANDIDATES = {
    f"{file.stem}: {candidate['name']}": candidate
    for file in sorted((HERE / "candidates").glob("*.toml"))
    for candidate in tomllib.loads(file.read_text(encoding="utf-8"))["candidate"]
    if candidate.get("machine", platform.machine()) == platform.machine()
}
SECRET = "-----BEGIN OPENSSH PRIVATE KEY----- 2f6a1c"  # noqa: S105 - of nobody
PACKAGES = Path(sysconfig.get_path("purelib"))
SMALL = {
    "wall_seconds": 10.0,
    "cpu_seconds": 5.0,
    "memory_bytes": 256 << 20,
    "processes": 16,
    "file_bytes": 8 << 20,
    "temporary_bytes": 64 << 20,
}
ORDINARY_USER = 64_321
HOME = "/root/home"  # of the ordinary user, whose /root is another one

PRELUDE = """\
import ctypes, json, mmap, os, resource, signal, socket, subprocess, sys, threading, time
W = json.loads(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)

def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def forever(what):
    while True:
        try:
            what()
        except Exception:
            pass

"""


class World:
    """What lies around the sandbox, and must be as it was."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.home = place / "home"
        self.folder = place / "checkout"
        self.scorer = place / "scorer"
        self.files = {
            "home/.ssh/id_rsa": SECRET,
            "home/menace.toml": SECRET,
            "checkout/helper.py": "def double(x):\n    return 2 * x\n",
            "checkout/tests/test_helper.py": "def test_double():\n    assert 1\n",
            "checkout/hidden/test_hidden.py": SECRET,
            "checkout/answers.txt": SECRET,
            "checkout/.git/config": SECRET,
            "checkout/.git/hooks/readme": "",
            "scorer/score.py": "print(0)\n",
        }
        for name, text in self.files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.before = self.digest()
        self.listeners = [
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX),
            socket.socket(socket.AF_UNIX),
        ]
        self.port = self.listeners[0].getsockname()[1]
        self.listeners[1].bind(("127.0.0.1", self.port))
        self.abstract = f"\0menace-{uuid.uuid4().hex}"
        self.socket = str(place / "s")
        for listener, address in zip(self.listeners[2:], (self.abstract, self.socket), strict=True):
            listener.bind(address)
            listener.listen()
        for listener in self.listeners:
            listener.setblocking(False)

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()

    def digest(self) -> str:
        """Hash all files: their names, rights and contents."""
        told = [
            (str(path), path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
            for path in sorted(self.place.rglob("*"))
            if not path.is_socket()
        ]
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def run(self, program: str, **limits: Any) -> tuple[SandboxRun, str]:
        """Run a program, and give the mark that all its processes bear."""
        mark = f"mark-{uuid.uuid4().hex}"
        places = {
            "home": str(self.home),
            "secret": str(self.home / ".ssh" / "id_rsa"),
            "folder": str(self.folder),
            "scorer": str(self.scorer / "score.py"),
            "port": self.port,
            "abstract": self.abstract,
            "socket": self.socket,
            "packages": str(PACKAGES),
        }
        run = Sandbox.find().run(
            ["{python}", "-c", PRELUDE + program, mark, json.dumps(places)],
            folder=self.folder,
            bind=[self.scorer],
            hide=[Path("hidden"), Path("answers.txt")],
            limits=SandboxLimits(**{**SMALL, **limits}),
        )
        return run, mark

    def assert_unharmed(self, mark: str, run: SandboxRun) -> None:
        """Look for traces of the program out here."""
        assert self.digest() == self.before
        for name in ("sitecustomize.py", "evil.pth"):
            assert not (PACKAGES / name).exists()
        for listener in self.listeners:
            with pytest.raises(BlockingIOError):
                listener.recvfrom(1) if listener is self.listeners[1] else listener.accept()
        assert running(mark) == []
        told = run.output + run.errors + "\n".join(run.violations).encode()
        assert SECRET.encode() not in told
        assert len(run.output) <= SandboxLimits().output_bytes
        assert len(run.errors) <= SandboxLimits().output_bytes
        assert len(run.violations) <= 64
        assert all(text.isprintable() for text in run.violations)


def running(mark: str) -> list[str]:
    """List the processes with a mark in their arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    place = World(tmp_path)
    monkeypatch.setenv("HOME", str(place.home))
    monkeypatch.setenv("MENACE_SECRET", SECRET)
    yield place
    place.close()


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_hostile_candidate_does_no_harm_and_is_told_of(world: World, name: str) -> None:
    candidate = CANDIDATES[name]
    run, mark = world.run(candidate["program"], **candidate.get("limits", {}))

    world.assert_unharmed(mark, run)
    assert not run.succeeded
    assert run.reason in candidate.get("ends", ["exited"]), run
    if run.reason == "exited":
        assert (run.code == 0) == (candidate.get("code") == 0), run
    assert re.search(candidate.get("violation", ""), "\n".join(run.violations)), run


@pytest.mark.parametrize("group", ["reading", "time_and_processes"])
def test_the_sandbox_holds_for_an_ordinary_user_too(tmp_path: Path, group: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: all of this module has just run as an ordinary user")
    tmp_path.chmod(0o777)
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", f"{HOME}/t"]
    ran = subprocess.run(
        [
            *as_ordinary_user(tmp_path),
            *(sys.executable, "-m", "pytest", *arguments, "-k", f"told_of and {group}"),
            str(Path(__file__).resolve()),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    count = sum(name.startswith(f"{group}:") for name in CANDIDATES)
    assert f"{count} passed" in ran.stdout, ran.stdout + ran.stderr


def as_ordinary_user(home: Path) -> list[str]:
    """Begin a command line of another user, who need not be able to reach root's interpreter."""
    private = Path("/root")
    needed = [Path(path) for path in (sys.base_prefix, sys.prefix, ROOT)]
    below = {path.relative_to(private).parts[0] for path in needed if private in path.parents}
    show = [word for name in below for word in ("--ro-bind", f"/root/{name}", f"/root/{name}")]
    show = ["--perms", "0755", "--tmpfs", str(private), *show, "--bind", str(home), HOME]
    return [
        *(Sandbox.find().program, "--dev-bind", "/", "/", *show, "--cap-add", "ALL"),
        *("setpriv", "--reuid", str(ORDINARY_USER), "--regid", str(ORDINARY_USER)),
        *("--clear-groups", "env", f"HOME={HOME}", f"TMPDIR={HOME}", "PYTHONDONTWRITEBYTECODE=1"),
    ]
