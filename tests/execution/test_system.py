from __future__ import annotations

import time

from menace.execution.system import CountedCpu, MeasuredCpu, SystemClock


def test_the_system_clock_tells_posix_seconds() -> None:
    before = time.time()

    assert before <= SystemClock().now() <= time.time()


def test_measured_cpu_charges_what_was_measured() -> None:
    assert MeasuredCpu().charge(measured_seconds=1.5, counted_seconds=9.0) == 1.5


def test_counted_cpu_charges_what_was_counted() -> None:
    assert CountedCpu().charge(measured_seconds=1.5, counted_seconds=9.0) == 9.0
