"""The system's clock, and the two ways of charging CPU time."""

from __future__ import annotations

import time


class SystemClock:
    """The time of this machine."""

    def now(self) -> float:
        """POSIX seconds, UTC."""
        return time.time()


class MeasuredCpu:
    """Charges the CPU-seconds that a training was measured to take."""

    def charge(self, *, measured_seconds: float, counted_seconds: float) -> float:
        """CPU-seconds to charge: those measured."""
        del counted_seconds
        return measured_seconds


class CountedCpu:
    """Charges the CPU-seconds that the work is counted at, which repeats to the bit."""

    def charge(self, *, measured_seconds: float, counted_seconds: float) -> float:
        """CPU-seconds to charge: those counted."""
        del measured_seconds
        return counted_seconds
