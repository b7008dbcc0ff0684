"""A process that stays in the sandbox and answers questions."""

from __future__ import annotations

import json
import selectors
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from menace.self_coding_engine.sandbox.limits import SandboxRun, SessionEndedError
from menace.supervision.process_family import cpu_seconds, family

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.records import Json
    from menace.supervision.supervisor_process import SupervisorProcess

CHUNK = 65_536
MOST_ANSWER_BYTES = 16 << 20


class SandboxSession:
    """A process in the sandbox that reads a line of JSON and writes one, again and again.

    Opened by :meth:`Sandbox.session`; a context manager, at the end of which everything in it is
    killed. Used by one thread at a time.

    What the process writes to standard output has to be its answers and nothing else. It may hand
    that descriptor (a socket, which cannot be opened anew through ``/proc``) to nobody whom it does
    not trust.
    """

    def __init__(
        self,
        supervisor: SupervisorProcess,
        channel: socket.socket,
        *,
        read_run: Callable[[Json], SandboxRun],
    ) -> None:
        self._supervisor = supervisor
        self._channel = channel
        self._channel.setblocking(False)
        self._read_run = read_run
        self._run: SandboxRun | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def cpu_seconds(self) -> float:
        """CPU-seconds that it and all that stems from it have used up to now."""
        if self._run is not None:
            return self._run.cpu_seconds
        own = cpu_seconds(self._supervisor.pid)
        return own + sum(member.cpu_seconds for member in family(self._supervisor.pid))

    def ask(self, document: Json, *, seconds: float) -> Json:
        """Send a document and wait for the answer.

        Parameters
        ----------
        document
            Plain JSON.
        seconds
            How long to wait.

        Raises
        ------
        SessionEndedError
            If the process has ended, passed a limit, answered something else than a JSON object,
            spoke without being asked, or did not answer in time. Nothing of it runs any more then.
        """
        if self._run is not None:
            raise SessionEndedError("the session in the sandbox is over.", self._run)
        if self._has_spoken():
            raise self._ended("output", "it spoke without being asked")
        until = time.monotonic() + seconds
        try:
            self._send(json.dumps(document).encode() + b"\n", until)
            line = self._receive(until)
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        except TimeoutError:
            raise self._ended("time", f"it did not answer within {seconds:g} s") from None
        if not line.endswith(b"\n"):
            if line:
                raise self._ended("output", "its answer is too long")
            raise self._ended(None, "its process has ended")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._ended("output", "its answer is no JSON object")
        return answer

    def close(self) -> SandboxRun:
        """End everything in it, and say how it went."""
        if self._run is None:
            self._channel.close()
            self._run = self._read_run(self._supervisor.end())
        return self._run

    def _ended(self, reason: str | None, what: str) -> SessionEndedError:
        run = self.close()
        if reason is not None and run.reason in ("exited", "killed"):
            run = self._run = replace(run, reason=reason)  # type: ignore[arg-type]
        return SessionEndedError(f"the session in the sandbox is over: {what}.", run)

    def _has_spoken(self) -> bool:
        """Whether something waits to be read: then what came as the last answer was none."""
        try:
            return bool(self._channel.recv(1, socket.MSG_PEEK))
        except (BlockingIOError, ConnectionResetError):
            return False

    def _send(self, line: bytes, until: float) -> None:
        waiting = memoryview(line)
        while waiting:
            self._wait(selectors.EVENT_WRITE, until)
            waiting = waiting[self._channel.send(waiting) :]

    def _receive(self, until: float) -> bytes:
        """Read a line; without its end where the stream or the allowance is at an end."""
        line = bytearray()
        while not line.endswith(b"\n") and len(line) <= MOST_ANSWER_BYTES:
            self._wait(selectors.EVENT_READ, until)
            chunk = self._channel.recv(CHUNK)
            if not chunk:
                return b""
            line += chunk
        return bytes(line)

    def _wait(self, event: int, until: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, event)
            if not selector.select(max(until - time.monotonic(), 0.0)):
                raise TimeoutError
