"""Interrupts a test that has used up its CPU time, so that the process can go on to the next."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

MOST_INTERRUPTS = 4
"""A test that swallows so many is ended with its process."""

OUT_OF_TIME_CODE = 77
"""Exit code of a process that could not be interrupted otherwise."""


class OutOfTimeError(BaseException):
    """Raised inside a test whose time is up; not an ``Exception``, so few tests swallow it."""


LEAST_SECONDS = 0.1
TIMES_SLOWEST = 20.0


class Pace:
    """How long a test may take: once one has hung, no more than befits those that pass.

    Parameters
    ----------
    most_seconds
        CPU time of a test as long as none has been interrupted.

    Attributes
    ----------
    slowest_seconds
        CPU time of the slowest test that was not interrupted.
    """

    def __init__(self, most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self.slowest_seconds = 0.0
        self._struck = False

    @property
    def seconds(self) -> float:
        """CPU time of the next test."""
        if not self._struck:
            return self._most_seconds
        fair = max(LEAST_SECONDS, TIMES_SLOWEST * self.slowest_seconds)
        return min(self._most_seconds, fair)

    @contextmanager
    def deadline(self, *, precise: bool = False) -> Iterator[None]:
        """Interrupt the body in time, and learn from how long it took."""
        began = time.thread_time()
        try:
            with deadline(self.seconds, precise=precise):
                yield
        except OutOfTimeError:
            self._struck = True
            raise
        self.slowest_seconds = max(self.slowest_seconds, time.thread_time() - began)


class _Interrupts:
    """Counts how often the test in hand has been interrupted."""

    count = 0
    until = 0.0

    def strike(self, signum: int, frame: FrameType | None) -> None:
        """Handle the timer's signal."""
        del frame
        if signum == signal.SIGALRM and time.thread_time() < self.until:
            return
        self.count += 1
        if self.count > MOST_INTERRUPTS:
            os._exit(OUT_OF_TIME_CODE)
        raise OutOfTimeError


_interrupts = _Interrupts()


def prepare() -> None:
    """Install the handler; once per process, in its main thread."""
    for signum in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(signum, _interrupts.strike)


@contextmanager
def deadline(cpu_seconds: float, *, precise: bool = False) -> Iterator[None]:
    """Interrupt the body once it has used so much CPU time, and again if it goes on.

    CPU time, not the clock: a machine that does other things must not fail a test.

    Parameters
    ----------
    precise
        The kernel's timer of CPU time goes in steps of 4 to 8 milliseconds. This way it is the
        clock's that rings, and is not heeded until the thread has had its time; not where plug-ins
        of pytest may use that timer themselves.

    Raises
    ------
    OutOfTimeError
        From within the body.
    """
    timer = signal.ITIMER_REAL if precise else signal.ITIMER_PROF
    _interrupts.count = 0
    _interrupts.until = time.thread_time() + 0.95 * cpu_seconds
    signal.setitimer(timer, cpu_seconds, cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(timer, 0.0)
