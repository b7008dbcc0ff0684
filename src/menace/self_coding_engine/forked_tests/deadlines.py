"""Interrupts a test that has used up its CPU time, so that the process can go on to the next."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

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
    def deadline(self) -> Iterator[None]:
        """Interrupt the body in time, and learn from how long it took."""
        began = time.process_time()
        try:
            with deadline(self.seconds):
                yield
        except OutOfTimeError:
            self._struck = True
            raise
        self.slowest_seconds = max(self.slowest_seconds, time.process_time() - began)


class _Interrupts:
    """Counts how often the test in hand has been interrupted."""

    count = 0

    def strike(self, signum: int, frame: FrameType | None) -> NoReturn:
        """Handle the timer's signal."""
        del signum, frame
        self.count += 1
        if self.count > MOST_INTERRUPTS:
            os._exit(OUT_OF_TIME_CODE)
        raise OutOfTimeError


_interrupts = _Interrupts()


def prepare() -> None:
    """Install the handler; once per process, in its main thread."""
    signal.signal(signal.SIGPROF, _interrupts.strike)


@contextmanager
def deadline(cpu_seconds: float) -> Iterator[None]:
    """Interrupt the body once it has used so much CPU time, and again if it goes on.

    CPU time, not the clock: a machine that does other things must not fail a test.

    Raises
    ------
    OutOfTimeError
        From within the body.
    """
    _interrupts.count = 0
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds, cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
