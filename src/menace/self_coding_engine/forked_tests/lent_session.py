"""A pytest session that has collected its tests, kept in a process of its own."""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import os
import select
import signal
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.forked_tests.children import (
    close_private,
    keep_private,
    release_private,
)
from menace.self_coding_engine.forked_tests.pytest_suite import CollectedTests, collect_and_serve
from menace.self_coding_engine.forked_tests.quick_jobs import QUICK

if TYPE_CHECKING:
    from collections.abc import Sequence


POISON = "no function of this text works"


def poisoned(source: str) -> str:
    """Make every function of a text fail as soon as it is called."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body.insert(0, ast.parse(f"raise RuntimeError({POISON!r})").body[0])
    return ast.unparse(ast.fix_missing_locations(tree))


def _serve(reading: int, writing: int, suite: CollectedTests) -> None:
    """Answer from inside the session until the pipe ends; never return into pytest."""
    with os.fdopen(reading, "rb") as requests, os.fdopen(writing, "wb", 0) as answers:
        answers.write(json.dumps(suite.references is not None).encode() + b"\n")
        for line in requests:
            request = json.loads(line)
            found = QUICK[request["do"]](suite, request)
            answers.write(json.dumps(found).encode() + b"\n")
    os._exit(0)


class LentSession:
    """A collected pytest session in a process of its own, and the pipes to it."""

    def __init__(self, child: int, to: int, back: int) -> None:
        self._child = child
        self._to = os.fdopen(to, "wb", buffering=0)
        self._back = os.fdopen(back, "rb")
        self._descriptors = (to, back)

    @classmethod
    def open(
        cls, arguments: Sequence[str], target: str, source: str, seconds: float
    ) -> LentSession | None:
        """Fork it; ``None`` if the session cannot be collected."""
        reading, to = os.pipe()
        back, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(to)
                os.close(back)
                close_private()
                keep_private(reading, writing)
                serve = functools.partial(_serve, reading, writing)
                collect_and_serve(arguments, target, source, serve)
            finally:
                os._exit(1)
        os.close(reading)
        os.close(writing)
        keep_private(to, back)
        lent = cls(child, to, back)
        try:
            if lent.ask(None, seconds):
                return lent
        except (EOFError, ValueError):
            pass
        lent.close()
        return None

    def ask(self, request: dict[str, Any] | None, seconds: float) -> Any:
        """Send a request, or only wait for the first word.

        Raises
        ------
        EOFError
            If the process died or did not answer in time.
        """
        try:
            if request is not None:
                self._to.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError as error:
            raise EOFError from error
        if not select.select([self._back], [], [], seconds)[0]:
            raise EOFError
        line = self._back.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        release_private(*self._descriptors)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        with contextlib.suppress(OSError):
            self._to.close()
        self._back.close()
