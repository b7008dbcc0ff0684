"""Forks a child for what may go wrong, and listens to it until it ends or is ended."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[Any], None]

MEMORY_ABOVE_BYTES = 4 << 30
"""Address space that a child may take beyond its parent's: allocators reserve a gigabyte."""

DATA_SHARE = 0.75
"""Of the data that the sandbox allows a process: a child that runs away must not end them all."""


FORGED = "something spoke in its name"

_private: set[int] = set()


def keep_private(*descriptors: int) -> None:
    """Let no child have these descriptors: what a text writes there would pass for an answer."""
    _private.update(descriptors)


def release_private(*descriptors: int) -> None:
    """Take descriptors back that are about to be closed: their numbers will be used again."""
    _private.difference_update(descriptors)


def close_private() -> None:
    """Close them; in a child, before anything else runs."""
    for descriptor in _private:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _private.clear()


@dataclass(slots=True)
class Heard:
    """What a child told, in order, and how it ended.

    Attributes
    ----------
    end
        ``""`` if it came to its own end, else why it did not.
    """

    told: list[Any] = field(default_factory=list)
    end: str = ""


def in_child(
    body: Callable[[Tell], None],
    *,
    seconds: float,
    silence_seconds: float,
    enough: Callable[[Any], bool] | None = None,
) -> Heard:
    """Run ``body`` in a forked child and gather what it tells as it comes.

    A child that dies or hangs has still told what came before. Each word bears a key made for this
    child alone: whatever else is written into its pipe ends it, and counts for nothing.

    Parameters
    ----------
    seconds, silence_seconds
        On the clock: for all of it, and between two words; then the child is killed.
    enough
        Asked after each word; the child is killed as soon as it says so.
    """
    reading, writing = os.pipe()
    key = os.urandom(16).hex().encode() + b" "
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(body, writing, key)
    os.close(writing)
    heard = Heard()
    words = _Words(key, heard.told, enough)
    try:
        heard.end = _listen(reading, words, seconds, silence_seconds)
    finally:
        os.close(reading)
        heard.end = _reap(child, heard.end)
    return heard


def _be_child(body: Callable[[Tell], None], writing: int, key: bytes) -> None:
    code = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        close_private()
        _limit_memory()
        gc.disable()
        with os.fdopen(writing, "wb", buffering=0) as pipe:

            def tell(word: Any) -> None:
                pipe.write(key + json.dumps(word).encode() + b"\n")

            body(tell)
            tell("end")
        code = 0
    finally:
        os._exit(code)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    now = pages * resource.getpagesize()
    _lower(resource.RLIMIT_AS, now + MEMORY_ABOVE_BYTES)
    _, data = resource.getrlimit(resource.RLIMIT_DATA)
    if data != resource.RLIM_INFINITY:
        _lower(resource.RLIMIT_DATA, int(DATA_SHARE * data))


def _lower(limit: int, most: int) -> None:
    soft, hard = resource.getrlimit(limit)
    if soft == resource.RLIM_INFINITY or soft > most:
        resource.setrlimit(limit, (most, hard))


@dataclass(slots=True)
class _Words:
    """Takes a child's words down, if they are its own."""

    key: bytes
    told: list[Any]
    enough: Callable[[Any], bool] | None

    def take(self, line: bytes) -> str | None:
        """Take a line down; why the child is not listened to further, ``""`` at its own end."""
        if not line.startswith(self.key):
            self.told.clear()
            return FORGED
        word = json.loads(line[len(self.key) :])
        if word == "end":
            return ""
        self.told.append(word)
        return "enough" if self.enough is not None and self.enough(word) else None


def _listen(reading: int, words: _Words, seconds: float, silence_seconds: float) -> str:
    until = time.monotonic() + seconds
    rest = b""
    while True:
        left = until - time.monotonic()
        ready = select.select([reading], [], [], max(0.0, min(left, silence_seconds)))[0]
        if not ready:
            return "the time was up" if left <= silence_seconds else "it hung"
        data = os.read(reading, 1 << 16)
        if not data:
            return "it ended early"
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            end = words.take(line)
            if end is not None:
                return end


def _reap(child: int, end: str) -> str:
    if end:
        # Its whole group: what a test has started ends with it.
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if end != "it ended early":
        return end
    if os.WIFSIGNALED(status):
        return f"it was ended by signal {os.WTERMSIG(status)}"
    return f"it exited early with code {os.WEXITSTATUS(status)}"
