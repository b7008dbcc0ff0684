"""The worker's side of :class:`menace.execution.process_pool.ProcessPool`.

Started as ``python -m menace.execution.worker DESCRIPTOR``; ends when the socket is closed, and so
with the process that started it.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING

from menace.errors import PipelineError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class _Answer:
    """Sends what a job came to: its result, or whatever it raised, to the one who waits for it.

    No exception is handled here: it is handed over, and raised again in the other process.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def result(self, value: object) -> None:
        self._connection.send((value, None))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        error.add_note("in the worker process:\n" + "".join(traceback.format_exception(error)))
        self._connection.send((None, _portable(error)))
        return True


def _portable(error: Exception) -> Exception:
    """Return the error itself if it survives the journey, else its description."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except (pickle.PickleError, TypeError, ValueError, AttributeError, LookupError) as failure:
        # Some classes cannot be built anew from what Exception keeps of their arguments.
        described = PipelineError(
            f"{type(error).__name__}: {error} (it cannot be sent as it is: {failure}).",
            remedy="see the traceback of the worker process",
        )
        for note in error.__notes__:
            described.add_note(note)
        return described
    return error


def _serve(connection: Connection) -> None:
    """Answer jobs, one after the other, until the other side hangs up."""
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, ConnectionError):
            return
        with _Answer(connection) as answer:
            function, job = ForkingPickler.loads(message)
            answer.result(function(job))


def _end_with_the_other_side(descriptor: int) -> None:
    """End at once when the pool's process is gone, in the middle of a training if need be.

    Otherwise a killed service would leave trainings behind that nobody waits for.
    """
    watch = select.poll()
    watch.register(descriptor, 0)  # hanging up is always reported, and nothing else is asked for
    watch.poll()
    os._exit(1)


def _main(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_other_side, args=(descriptor,), daemon=True).start()
    _serve(Connection(descriptor))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
