"""Runs jobs in worker processes, each of which can die without harming the others."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menace.errors import ConfigError, PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable

STOP_SECONDS = 5.0
"""How long a worker that was told to stop may take before it is killed."""


class ProcessPool:
    """At most ``workers`` processes, started when there is work for them.

    A worker that dies (killed, out of memory) fails the job that it had, with a ``PipelineError``,
    and no other; its place is taken by a new one when the next job comes. The standard library's
    pool fails every job under way instead, and starts its workers by running the user's script
    again, which a script without a ``__main__`` guard does not survive. Workers run numerical
    libraries on one thread each (``OMP_NUM_THREADS=1``) and leave Ctrl-C to the calling process,
    which then stops them. Safe to share between threads; a job waits until a worker is free.

    Parameters
    ----------
    workers
        Processes, ≥ 1.

    Raises
    ------
    ConfigError
        If ``workers`` is below 1.

    Examples
    --------
    >>> import math
    >>> pool = ProcessPool(workers=2)
    >>> pool.run(math.factorial, 5)
    120
    >>> pool.close()
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ConfigError(
                f"a pool of {workers} workers.",
                remedy="give loop.workers 1 or more; 0 trains in the calling process",
            )
        # The worker used last is used first, so that a quiet pool starts no second one.
        self._places: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._places.put(None)
        self._workers = workers
        self._closed = threading.Event()

    def run(self, function: Callable[[Any], Any], job: Any) -> Any:
        """Return ``function(job)``, computed in a worker; exceptions pass through.

        Parameters
        ----------
        function
            A top-level function of an importable module.
        job
            Its argument; goes to the worker and its result comes back by pickle, over a socket
            that only the two of them have.

        Raises
        ------
        PipelineError
            If the worker died, or the pool was closed.
        """
        if getattr(function, "__module__", None) == "__main__":
            raise PipelineError(
                f"{function!r} of the script itself cannot run in a worker.",
                remedy="move it into a module that can be imported, or set loop.workers to 0",
            )
        # Before a worker is taken: a job that cannot be sent must not cost one.
        message = ForkingPickler.dumps((function, job))
        worker = self._places.get()
        kept: _Worker | None = None
        try:
            if self._closed.is_set():
                raise PipelineError(
                    "the pool of workers was closed.", remedy="make a new ProcessPool"
                )
            try:
                worker = worker or _Worker()
                result, error = worker.call(message)
            except _NotBegunError:
                # It had died (or was dying) while it was idle; nothing of this job has happened.
                worker = _Worker()
                result, error = worker.call(message)
            kept = worker
        finally:
            # Whatever else happens (the worker's death, Ctrl-C here), its answer is not waited for.
            if kept is None and worker is not None:
                worker.kill()
            self._places.put(kept)
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Let jobs under way end, then stop the workers. Closing twice does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        for _ in range(self._workers):
            worker = self._places.get()
            if worker is not None:
                worker.stop()
        for _ in range(self._workers):
            self._places.put(None)


class _Worker:
    """One process and the socket to it."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        with there:
            # What a library prints must not mix with the output of a command. The arguments are
            # this interpreter, a module of menace and a number: nothing comes from outside.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", "menace.execution.worker", str(there.fileno())],
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _import_path()},
                pass_fds=(there.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._connection = Connection(here.detach())

    def call(self, message: memoryview) -> tuple[Any, Exception | None]:
        """Return the result and None, or None and what the function raised."""
        try:
            self._connection.send_bytes(message)
            result, error = self._connection.recv()
        except ConnectionError as broken:
            # The system refuses or resets what was sent when the other side ends without having
            # read it all; after it has read all of it there would be an end of file.
            self.kill()
            raise _NotBegunError(self._process.returncode) from broken
        except EOFError as broken:
            self.kill()
            raise _death(self._process.returncode) from broken
        return result, error

    def stop(self) -> None:
        """Close the socket, upon which the worker ends by itself."""
        self._connection.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()


def _import_path() -> str:
    return os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)


class _NotBegunError(PipelineError):
    """The worker ended before it had read the job."""

    def __init__(self, code: int) -> None:
        super().__init__(
            f"a worker process ended with code {code} before it began.",
            remedy=f"look for its message above; menace must be importable by {sys.executable}",
        )


def _death(code: int) -> PipelineError:
    if code == -signal.SIGKILL:
        why, remedy = (
            "was killed (signal 9)",
            "if nobody killed it, memory ran out: lower window_rows or loop.workers",
        )
    elif code < 0:
        why, remedy = (
            f"was ended by signal {-code}",
            "look for its message above; a crash in a native library ends a worker like this",
        )
    else:
        why, remedy = (
            f"ended with code {code}",
            "look for its message above; the job's function must be a top-level function of a "
            "module that can be imported",
        )
    return PipelineError(f"the worker process {why} while it had this job.", remedy=remedy)
