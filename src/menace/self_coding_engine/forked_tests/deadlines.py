"""Interrupts a test that has used up its CPU time, so that the process can go on to the next."""

from __future__ import annotations

import os
import signal
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
