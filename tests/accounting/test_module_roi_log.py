"""The module log: shares that add up, rankings, flat modules told once, a file that lasts."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import menace.sandbox_runner
from menace.accounting import ModuleRoiLog, roi_trend
from menace.accounting.module_roi_log import bucket, shared
from menace.errors import ConfigError, DataError, StateFileError

if TYPE_CHECKING:
    from pathlib import Path

FIGURES = st.floats(-1e3, 1e3)
NAMES = st.sampled_from([f"module {number}" for number in range(9)])
CYCLES = st.lists(st.tuples(FIGURES, st.dictionaries(NAMES, FIGURES, min_size=1)), max_size=20)


def logged(*deltas: float, module: str = "window", path: Path | None = None) -> ModuleRoiLog:
    log = ModuleRoiLog(path)
    for cycle, delta in enumerate(deltas):
        log.log_cycle(cycle, delta, [module], "policy")
    return log


def test_both_names_of_the_class_come_from_the_sandbox_runner() -> None:
    assert menace.sandbox_runner.ModuleRoiLog is ModuleRoiLog
    assert menace.sandbox_runner._SandboxMetaLogger is ModuleRoiLog


@given(roi=FIGURES, own=st.dictionaries(NAMES, FIGURES, min_size=1))
def test_the_shares_add_up_to_the_cycle_and_differ_as_the_contributions(
    roi: float, own: dict[str, float]
) -> None:
    shares = shared(roi, own)
    assert math.fsum(shares.values()) == pytest.approx(roi, abs=1e-9)
    first = next(iter(own))
    for name, contribution in own.items():
        assert shares[name] - shares[first] == pytest.approx(contribution - own[first], abs=1e-9)


@given(roi=FIGURES, names=st.lists(NAMES, min_size=1))
def test_without_contributions_the_shares_are_equal(roi: float, names: list[str]) -> None:
    shares = shared(roi, names)
    assert set(shares) == set(names)
    assert set(shares.values()) == {roi / len(set(names))}


@given(cycles=CYCLES)
def test_the_rankings_are_the_sums_of_the_shares_best_first(
    cycles: list[tuple[float, dict[str, float]]],
) -> None:
    log = ModuleRoiLog()
    sums: dict[str, float] = {}
    for number, (roi, own) in enumerate(cycles):
        log.log_cycle(number, roi, own, "policy")
        for name, share in shared(roi, own).items():
            sums[name] = sums.get(name, 0.0) + share
    ranked = log.rankings()
    assert dict(ranked) == pytest.approx(sums, abs=1e-6)
    assert [total for _, total in ranked] == sorted((t for _, t in ranked), reverse=True)
    assert math.fsum(total for _, total in ranked) == pytest.approx(
        math.fsum(roi for roi, _ in cycles), abs=1e-6
    )


@settings(max_examples=25)
@given(cycles=CYCLES, data=st.data())
def test_a_log_that_is_opened_anew_is_the_one_that_was_closed(
    tmp_path_factory: pytest.TempPathFactory,
    cycles: list[tuple[float, dict[str, float]]],
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.mktemp("log") / "modules.jsonl"
    kept, reopened = ModuleRoiLog(), ModuleRoiLog(path)
    for number, (roi, own) in enumerate(cycles):
        if data.draw(st.booleans()):
            reopened = ModuleRoiLog(path)
        assert reopened.log_cycle(number, roi, own) is kept.log_cycle(number, roi, own)
        assert reopened.diminishing(500.0) == kept.diminishing(500.0)
    again = ModuleRoiLog(path)
    assert again.rankings() == kept.rankings()
    assert again.trends() == kept.trends()
    assert again.changed_trend() == kept.changed_trend()
    assert again.diminishing(500.0) == []


def test_a_cycle_counts_once_whoever_logs_it_again(tmp_path: Path) -> None:
    path = tmp_path / "modules.jsonl"
    here, there = ModuleRoiLog(path), ModuleRoiLog(path)
    assert here.log_cycle(7, 0.5, ["window"], "policy")
    assert not there.log_cycle(7, 0.9, ["family"], "policy")
    assert not here.log_cycle(7, 0.5, ["window"], "policy")
    assert there.rankings() == ModuleRoiLog(path).rankings() == [("window", 0.5)]
    assert there.cycles == {7}


def test_a_process_sees_what_another_logged_after_a_refresh(tmp_path: Path) -> None:
    path = tmp_path / "modules.jsonl"
    here = ModuleRoiLog(path)
    ModuleRoiLog(path).log_cycle(1, 0.5, ["window"])
    assert here.rankings() == []
    here.refresh()
    assert here.rankings() == [("window", 0.5)]


def test_a_torn_last_line_costs_that_cycle_only(tmp_path: Path) -> None:
    path = tmp_path / "modules.jsonl"
    logged(1.0, 2.0, 4.0, path=path)
    path.write_bytes(path.read_bytes()[:-5])
    log = ModuleRoiLog(path)
    assert log.rankings() == [("window", 3.0)]
    assert log.log_cycle(2, 4.0, ["window"])
    assert ModuleRoiLog(path).rankings() == [("window", 7.0)]


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    with pytest.raises(StateFileError, match="no menace module_roi journal"):
        ModuleRoiLog(path)


@pytest.mark.parametrize(
    ("deltas", "threshold", "consecutive", "found"),
    [
        ((0.0, 0.0, 0.0), None, 3, True),
        ((9.0, 0.0, 0.0, 0.0), None, 3, True),
        ((0.0, 0.0), None, 3, False),
        ((0.0, 0.0), None, 2, True),
        ((0.0,), None, 1, True),
        ((1e-4, 1e-4, 1e-4), None, 3, False),
        ((1e-4, 1e-4, 1e-4), 1e-4, 3, True),
        ((-0.2, -0.2, -0.2), 0.2, 3, True),
        ((-0.2, 0.2, 0.0), 0.2, 3, False),
        ((0.5, 0.5, 0.498), 0.6, 3, True),
        ((0.5, 0.5, 0.497), 0.6, 3, False),
    ],
)
def test_a_module_is_flat_when_its_last_deltas_are_nothing_and_alike(
    deltas: tuple[float, ...], threshold: float | None, consecutive: int, *, found: bool
) -> None:
    log = logged(*deltas)
    assert log.flat(threshold, consecutive) == (["window"] if found else [])
    assert log.diminishing(threshold, consecutive) == (["window"] if found else [])


def test_a_flat_module_is_told_once_until_it_moves_again(tmp_path: Path) -> None:
    path = tmp_path / "modules.jsonl"
    log = logged(0.0, 0.0, 0.0, path=path)
    log.log_cycle(90, 1.0, ["family"])
    assert log.diminishing() == ["window"]
    assert log.diminishing() == ModuleRoiLog(path).diminishing() == []
    log.log_cycle(91, 0.0, ["window"])  # still flat
    assert log.diminishing() == []
    log.log_cycle(92, 0.7, ["window"])  # it moves
    assert log.diminishing() == []
    for cycle in (93, 94, 95):
        assert log.diminishing() == []
        log.log_cycle(cycle, 0.0, ["window"])
    assert ModuleRoiLog(path).diminishing() == ["window"]
    log.refresh()
    assert log.diminishing() == []
    assert log.flat() == ["window"]


def test_a_trend_is_that_of_the_newest_ten_deltas() -> None:
    log = logged(*[99.0] * 5, *range(1, 11))
    assert log.trend("window") == roi_trend(range(1, 11))
    assert log.deltas("window") == (*[99.0] * 5, *range(1, 11))
    assert logged(1.0).trend("window") is None
    assert log.trend("unheard of") is None


def test_the_changed_trend_is_that_of_the_best_ranked_module_of_the_newest_cycle() -> None:
    log = ModuleRoiLog()
    assert log.changed_trend() is None
    for cycle, delta in enumerate((1.0, 2.0, 3.0, 4.0)):
        log.log_cycle(cycle, delta, ["best"])
        log.log_cycle(10 + cycle, -delta, ["worst"])
    log.log_cycle(20, 0.5, ["middling"])
    log.log_cycle(21, 0.5, {"middling": 0.25, "worst": 0.25})
    assert log.changed_trend() == log.trend("middling") == roi_trend([0.5, 0.25])
    log.log_cycle(22, 0.0, [])
    assert log.changed_trend() is None


def test_every_process_puts_a_module_into_the_same_bucket(tmp_path: Path) -> None:
    code = "from menace.accounting.module_roi_log import bucket; print(bucket('window', 64))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(ended.stdout) == bucket("window", 64)
    path = tmp_path / "modules.jsonl"
    ModuleRoiLog(path, buckets=8).log_cycle(1, 1.0, ["window"])
    reopened = ModuleRoiLog(path, buckets=64)
    assert reopened.bucket_count == 8
    assert reopened.bucket_of("window") == bucket("window", 8)


def test_however_many_modules_come_the_buckets_stay_as_many_and_collisions_are_counted() -> None:
    log = ModuleRoiLog(buckets=4)
    names = [f"helper:{number}.py" for number in range(200)]
    for cycle, name in enumerate(names):
        log.log_cycle(cycle, float(cycle), [name])
    assert {log.bucket_of(name) for name in names} == {0, 1, 2, 3}
    assert log.collisions == 196
    assert len(set(log.trends().values())) <= 4
    one, other = next(
        (a, b) for a in names for b in names if a < b and log.bucket_of(a) == log.bucket_of(b)
    )
    assert log.trend(one) == log.trend(other)
    assert log.deltas(one) != log.deltas(other)


@pytest.mark.parametrize(
    ("cycle", "roi", "modules"),
    [
        (1.5, 0.1, ["a"]),
        (True, 0.1, ["a"]),
        (1, math.nan, ["a"]),
        (1, 0.1, {"a": math.inf}),
        (1, 0.1, ["a", ""]),
        (1, 0.1, "window"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, cycle: Any, roi: Any, modules: Any) -> None:
    path = tmp_path / "modules.jsonl"
    log = ModuleRoiLog(path)
    with pytest.raises(DataError):
        log.log_cycle(cycle, roi, modules)
    assert not path.exists()


def test_wrong_parameters_are_refused() -> None:
    log = ModuleRoiLog()
    for threshold, consecutive in ((-0.1, 3), (math.nan, 3), (0.0, 0)):
        with pytest.raises(DataError):
            log.diminishing(threshold, consecutive)
    with pytest.raises(ConfigError):
        ModuleRoiLog(buckets=0)


def test_numbers_of_numpy_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "modules.jsonl"
    ModuleRoiLog(path).log_cycle(np.int64(3), np.float64(0.5), ("window",), "policy")
    assert ModuleRoiLog(path).cycles == {3}
