"""The CPU budget of one training: what it has used, and whether it must stop."""

from __future__ import annotations

import resource
import time


def process_cpu_seconds() -> float:
    """CPU-seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class CpuBudget:
    """Counts the CPU-seconds of a training, in two ways, and holds it to a limit.

    Measured seconds are the CPU time of the process and its children since the budget was made.
    Counted seconds are the work reported to it (trees × rows × features, …) at published rates.
    The limit holds for the measured ones, or for the counted ones where a run has to be repeatable.

    Parameters
    ----------
    seconds
        The limit, CPU-seconds > 0.
    counted
        Hold the limit against counted seconds.
    """

    def __init__(self, seconds: float, *, counted: bool) -> None:
        self.seconds = seconds
        self._counted = counted
        self._started = process_cpu_seconds()
        self.counted_seconds = 0.0

    @property
    def measured_seconds(self) -> float:
        """CPU-seconds measured so far."""
        return process_cpu_seconds() - self._started

    @property
    def used_seconds(self) -> float:
        """CPU-seconds used so far, by the clock that the limit is held against."""
        return self.counted_seconds if self._counted else self.measured_seconds

    @property
    def left_seconds(self) -> float:
        """CPU-seconds left before the limit; negative beyond it."""
        return self.seconds - self.used_seconds

    def add(self, counted_seconds: float) -> None:
        """Report work that was done, in counted CPU-seconds."""
        self.counted_seconds += counted_seconds
