"""The benchmarks run, at sizes that prove nothing but that they have not rotted."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from benchmarks.process_tree import run_watched

from benchmarks import (
    autoscaling,
    decision_latency,
    demo_prices,
    dqn_update,
    footprint,
    source_tick,
    store_outcomes,
    synergy_learning,
)


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    return figures


def test_decision_latency_reports_every_history(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["300", "600"]
    decision_latency.main(["--outcomes", *sizes, "--decisions", "5", "--rounds", "2", "--json"])
    figures = printed(capsys)
    assert [size["outcomes"] for size in figures["sizes"]] == [300, 600]
    assert all(0 < size["fastest_us"] <= size["median_us"] for size in figures["sizes"])


def test_footprint_reports_times_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    footprint.main(["--runs", "1", "--engines", "10", "--no-demo", "--json"])
    figures = printed(capsys)
    assert figures["import"]["opened"] == []
    assert figures["help"]["best_seconds"] > 0
    assert figures["engines"]["engines"] == 10


@pytest.mark.slow
def test_demo_prices_reports_every_strategy(capsys: pytest.CaptureFixture[str]) -> None:
    demo_prices.main(["--ticks", "8", "--prices", "3", "--json"])
    (run,) = printed(capsys)["runs"]
    assert set(run["total_usd"]) == {
        *("every 1", "every 2", "every 4", "every 8", "every 16"),
        *("never", "hindsight", "menace"),
    }
    assert run["total_usd"]["hindsight"] <= run["total_usd"]["menace"] + 0.01


def test_autoscaling_reports_every_day_and_decider(capsys: pytest.CaptureFixture[str]) -> None:
    autoscaling.main(["--seeds", "1", "--looks", "200", "--json"])
    figures = printed(capsys)
    assert len(figures["rows"]) == 12
    assert figures["met"]


def test_dqn_update_reports_our_own_and_names_what_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    dqn_update.main(["--updates", "2", "--rounds", "1", "--json"])
    figures = printed(capsys)
    assert {row["name"] for row in figures["rows"]} >= {"menace"}
    assert len(figures["rows"]) + len(figures["missing"]) == 4


def test_synergy_learning_reports_every_learner(capsys: pytest.CaptureFixture[str]) -> None:
    synergy_learning.main(["--seeds", "1", "--gammas", "0", "--json"])
    manual, network = printed(capsys)["rows"]
    assert [len(row["found"]) for row in (manual, network)] == [4, 4]


def test_store_outcomes_reports_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    store_outcomes.main(["--rows", "200", "--batch", "100", "--runs", "1", "--json"])
    figures = printed(capsys)
    assert figures["store_rows_per_second"] > 0
    assert figures["plain_rows_per_second"] > 0


def test_source_tick_reports_time_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    source_tick.main(["--rows", "12000", "--runs", "1", "--json"])
    assert printed(capsys)["sizes"][-1]["rows"] == 12_000


def test_a_trees_peak_counts_the_children() -> None:
    child = "data = bytearray(60_000_000); import time; time.sleep(0.5)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    peak = run_watched([sys.executable, "-c", parent], every_seconds=0.02)
    assert peak.processes == 2
    assert 60 < peak.pss_mb <= peak.rss_mb
