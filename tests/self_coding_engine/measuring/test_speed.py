"""Texts are timed in the sandbox, from outside of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from menace.self_coding_engine.measuring import PairedSettings, SpeedBench, compare_speed
from menace.self_coding_engine.recorded_calls import RecordedCall
from menace.self_coding_engine.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

SLOW = """\
def common(left, right):
    return [x for x in left if x in right]
"""
QUICK = """\
def common(left, right):
    known = set(right)
    return [x for x in left if x in known]
"""
SETTINGS = PairedSettings(looks=(12,))


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox.find()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text(SLOW)
    return tmp_path


def calls(size: int = 300) -> list[RecordedCall]:
    return [RecordedCall.of("common", list(range(size)), list(range(size, 0, -1)))]


def test_a_text_of_another_order_of_growth_is_faster(sandbox: Sandbox, folder: Path) -> None:
    found = compare_speed(
        sandbox,
        folder=folder,
        target="helper.py",
        before=SLOW,
        after=QUICK,
        calls=calls(),
        settings=SETTINGS,
    )
    assert found.faster
    assert found.high < 0.5
    assert found.blocks == 12
    assert found.cpu_seconds > 0


def test_what_stands_in_the_folder_is_not_what_is_timed(sandbox: Sandbox, folder: Path) -> None:
    (folder / "helper.py").write_text("def common(left, right): raise SystemExit\n")
    with SpeedBench(sandbox, folder=folder, target="helper.py", calls=calls()) as bench:
        assert not bench.compare(QUICK, SLOW).faster


def test_a_slower_text_is_given_up_at_first_sight(sandbox: Sandbox, folder: Path) -> None:
    with SpeedBench(sandbox, folder=folder, target="helper.py", calls=calls()) as bench:
        found = bench.compare(QUICK, SLOW)
    assert not found.faster
    assert found.blocks == 0
    assert "slower" in found.reason


CHEATS = {
    "its own clocks": "import time\n"
    "time.process_time = time.perf_counter = time.thread_time = lambda: 0.0\n"
    "time.clock_gettime_ns = time.monotonic_ns = lambda *_: 0\n",
    "a memory that outlives the call": "from functools import lru_cache\n"
    "_known = lru_cache(lambda left, right: [x for x in left if x in right])\n"
    "def common(left, right):\n"
    "    return list(_known(tuple(left), tuple(right)))\n",
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_text_does_not_get_faster_by_what_only_looks_so(
    sandbox: Sandbox, folder: Path, cheat: str
) -> None:
    found = compare_speed(
        sandbox,
        folder=folder,
        target="helper.py",
        before=SLOW,
        after=SLOW + CHEATS[cheat],
        calls=calls(),
        settings=SETTINGS,
    )
    # Believed, it would seem many times as fast; a few percent of difference may be real.
    assert found.ratio > 0.7


@pytest.mark.parametrize(
    "text",
    [
        "def common(left, right): import os; os._exit(0)\n",
        "raise RuntimeError\n",
        "def other(): pass\n",
        "def common(left, right:\n",
    ],
)
def test_a_text_that_dies_is_not_faster(sandbox: Sandbox, folder: Path, text: str) -> None:
    with SpeedBench(sandbox, folder=folder, target="helper.py", calls=calls()) as bench:
        found = bench.compare(SLOW, text)
        again = bench.compare(SLOW, QUICK)
    assert not found.faster
    assert "did not get ready" in found.reason
    assert again.faster


def test_a_text_that_says_early_that_it_is_done_is_caught(sandbox: Sandbox, folder: Path) -> None:
    early = SLOW + (
        "_common = common\n"
        "def common(left, right):\n"
        "    import os\n"
        "    for number in range(3, 64):\n"
        "        try:\n"
        "            os.write(number, b'd')\n"
        "        except OSError:\n"
        "            pass\n"
        "    for _ in range(20):\n"
        "        found = _common(left, right)\n"
        "    return found\n"
    )
    with SpeedBench(sandbox, folder=folder, target="helper.py", calls=calls(1500)) as bench:
        found = bench.compare(SLOW, early)
    assert not found.faster


def test_without_inputs_nothing_is_faster(sandbox: Sandbox, folder: Path) -> None:
    with SpeedBench(sandbox, folder=folder, target="helper.py", calls=[]) as bench:
        found = bench.compare(SLOW, QUICK)
    assert not found.faster
    assert "no recorded inputs" in found.reason


def test_without_time_nothing_is_faster(sandbox: Sandbox, folder: Path) -> None:
    with SpeedBench(sandbox, folder=folder, target="helper.py", calls=calls()) as bench:
        found = bench.compare(SLOW, QUICK, seconds=0.0)
    assert not found.faster
    assert "no time" in found.reason
