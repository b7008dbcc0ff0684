"""DiagnosticManager over a real SQLite store."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from menace.diagnostic_manager import DiagnosticManager, anomaly_issues
from menace.errors import ConfigError, UnknownBotError
from menace.records import BotConfig, IssueKind, LoopState, MetricSample, Outcome
from menace.storage.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from menace.interfaces import Store

DIAGNOSE_IN_ANOTHER_PROCESS = """
import json, sys
from menace.diagnostic_manager import DiagnosticManager
from menace.storage.registry import open_store
store = open_store(sys.argv[1])
found = DiagnosticManager(store).diagnose("alpha")
print(json.dumps([[issue.kind, issue.severity, issue.evidence] for issue in found]))
store.close()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'menace.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def add_bot(store: Store, **settings: Any) -> None:
    store.add_bot(BotConfig("alpha", source=None, target="y", **settings))


def report(
    store: Store,
    losses: Sequence[float],
    *,
    version: int | None = 1,
    latency_seconds: float | None = None,
    begin: int = 0,
) -> None:
    store.add_outcomes(
        "alpha",
        [
            Outcome(
                f"row-{begin + k}",
                float(begin + k),
                1.0,
                1.0,
                loss,
                0.0,
                0.0,
                latency_seconds,
                version,
            )
            for k, loss in enumerate(losses)
        ],
    )


def wrong(seed: int, rows: int, rate: float) -> list[float]:
    return [float(loss) for loss in np.random.default_rng(seed).random(rows) < rate]


def kinds(store: Store, **settings: Any) -> list[IssueKind]:
    return [issue.kind for issue in DiagnosticManager(store, **settings).diagnose("alpha")]


def test_a_bot_without_outcomes_has_no_issues(store: Store) -> None:
    add_bot(store, max_error_rate=0.0, max_latency_seconds=0.0)
    assert DiagnosticManager(store).diagnose("alpha") == []


def test_an_unknown_bot_is_an_error(store: Store) -> None:
    with pytest.raises(UnknownBotError):
        DiagnosticManager(store).diagnose("alpha")


def test_a_steady_bot_has_no_issues(store: Store) -> None:
    add_bot(store, max_error_rate=0.2, max_latency_seconds=1.0)
    report(store, wrong(1, 2000, 0.1), latency_seconds=0.5)
    assert DiagnosticManager(store).diagnose("alpha") == []


def test_a_jump_of_the_error_rate_is_drift_with_its_evidence(store: Store) -> None:
    add_bot(store)
    report(store, wrong(1, 1700, 0.1) + wrong(2, 300, 0.35))
    store.save_loop("alpha", LoopState(labelled_rows=2000))
    (issue,) = DiagnosticManager(store).diagnose("alpha")
    assert (issue.bot, issue.kind, issue.row) == ("alpha", IssueKind.DRIFT, 2000)
    assert issue.severity >= 0.9
    assert issue.evidence["detectors"] == ["adwin", "page_hinkley"]
    assert issue.evidence["mean_after"] > 2 * issue.evidence["mean_before"]
    assert json.loads(json.dumps(issue.evidence)) == issue.evidence


def test_only_the_version_that_serves_now_is_judged(store: Store) -> None:
    add_bot(store)
    report(store, wrong(1, 1000, 0.1), version=1)
    report(store, wrong(2, 400, 0.35), version=2, begin=1000)
    assert kinds(store) == []
    report(store, wrong(3, 400, 0.8), version=2, begin=1400)
    assert kinds(store) == [IssueKind.DRIFT]


def test_outcomes_that_arrive_late_are_judged_in_the_order_of_their_time(store: Store) -> None:
    add_bot(store)
    report(store, wrong(2, 300, 0.5), begin=1700)
    report(store, wrong(1, 1700, 0.1), begin=0)
    assert kinds(store) == [IssueKind.DRIFT]


def test_a_tick_larger_than_the_newest_quarter_is_looked_at_whole(store: Store) -> None:
    jump = wrong(1, 800, 0.1) + wrong(2, 1200, 0.5)
    add_bot(store, tick_rows=100)
    report(store, jump)
    assert kinds(store) == []
    store.add_bot(BotConfig("beta", source=None, target="y", tick_rows=1500))
    store.add_outcomes("beta", store.outcomes("alpha", last=2000))
    assert [i.kind for i in DiagnosticManager(store).diagnose("beta")] == [IssueKind.DRIFT]


def test_a_breached_error_rate_is_more_severe_the_further_it_is_breached(store: Store) -> None:
    add_bot(store, max_error_rate=0.2)
    report(store, wrong(1, 2000, 0.25))
    (mild,) = DiagnosticManager(store).diagnose("alpha")
    assert mild.kind is IssueKind.ERROR_RATE
    assert 0.5 < mild.severity < 0.9
    report(store, wrong(2, 2000, 0.5), begin=2000)
    worst = DiagnosticManager(store).diagnose("alpha")[0]
    assert worst.kind is IssueKind.ERROR_RATE
    assert worst.severity > 0.99


def test_a_latency_is_breached_when_more_than_one_in_twenty_is_slow(store: Store) -> None:
    add_bot(store, max_latency_seconds=1.0)
    report(store, [0.0] * 470, latency_seconds=0.1)
    report(store, [0.0] * 20, latency_seconds=2.0, begin=470)
    assert kinds(store) == []
    report(store, [0.0] * 20, latency_seconds=2.0, begin=490)
    (issue,) = DiagnosticManager(store).diagnose("alpha")
    assert issue.kind is IssueKind.LATENCY
    assert issue.evidence["latency_seconds"] == 2.0
    assert issue.severity == 1.0


def test_the_most_severe_issue_comes_first(store: Store) -> None:
    add_bot(store, max_error_rate=0.14, max_latency_seconds=0.01)
    report(store, wrong(1, 1700, 0.1) + wrong(2, 300, 0.35), latency_seconds=0.011)
    found = DiagnosticManager(store).diagnose("alpha")
    assert {i.kind for i in found} == {IssueKind.DRIFT, IssueKind.ERROR_RATE, IssueKind.LATENCY}
    assert [i.severity for i in found] == sorted((i.severity for i in found), reverse=True)


def test_another_process_finds_the_same(store: Store, url: str) -> None:
    add_bot(store, max_error_rate=0.1)
    report(store, wrong(1, 1700, 0.1) + wrong(2, 300, 0.35))
    here = [[i.kind, i.severity, i.evidence] for i in DiagnosticManager(store).diagnose("alpha")]
    there = subprocess.run(
        [sys.executable, "-c", DIAGNOSE_IN_ANOTHER_PROCESS, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(there.stdout) == here != []


def test_a_sudden_metric_is_an_anomaly_but_never_enough_for_a_cycle(store: Store) -> None:
    add_bot(store)
    rng = np.random.default_rng(4)
    usual = [
        MetricSample("alpha", "queue", float(k), 10 + x) for k, x in enumerate(rng.normal(size=60))
    ]
    store.add_samples([*usual, MetricSample("alpha", "queue", 60.0, 1000.0)])
    assert kinds(store) == []
    (issue,) = DiagnosticManager(store, metrics=("queue",)).diagnose("alpha")
    assert issue.kind is IssueKind.ANOMALY
    assert issue.evidence["metric"] == "queue"
    assert issue.evidence["value"] == 1000.0
    assert issue.severity == 0.8


def test_losses_of_archived_models_are_no_anomaly_of_the_champion(store: Store) -> None:
    add_bot(store)
    store.add_model(
        "alpha", sha256="0" * 64, artifact="x", row=0, at=0.0, cycle_id=None, manifest={}
    )
    store.promote("alpha", 1, row=0, at=0.0)
    for tick in range(60):
        jitter = 0.001 * (tick % 5)
        store.add_samples(
            [
                MetricSample("alpha", "loss", float(tick), 0.1 + jitter, 100, 1),
                MetricSample("alpha", "loss", float(tick), 0.9 - jitter, 100, 2),
            ]
        )
    assert kinds(store) == []


def test_too_few_rows_to_look_at_are_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match="diagnosis_rows is 100"):
        DiagnosticManager(store, diagnosis_rows=100)


def samples(*values: float, name: str = "load") -> list[MetricSample]:
    return [MetricSample("alpha", name, float(at), value) for at, value in enumerate(values)]


def test_a_robust_z_score_is_not_blinded_by_earlier_outliers() -> None:
    usual = [float(k % 7) for k in range(40)]
    usual[5] = 1e9
    (issue,) = anomaly_issues("alpha", "load", samples(*usual, 3.0, 100.0, 3.0), 12)
    # The median of 0..6 is 3, the median distance from it 2.
    assert issue.evidence["z"] == pytest.approx(0.6745 * 97 / 2, rel=0.01)
    assert issue.row == 12
    assert anomaly_issues("alpha", "load", samples(*usual, 3.0, 9.0, 3.0), 12) == []


def test_a_fall_is_an_anomaly_unless_it_is_the_loss_that_falls() -> None:
    values = [10.0 + (k % 3) for k in range(40)] + [-500.0]
    (issue,) = anomaly_issues("alpha", "load", samples(*values), 0)
    assert issue.evidence["z"] < 0
    assert anomaly_issues("alpha", "loss", samples(*values, name="loss"), 0) == []


def test_a_metric_that_never_moved_may_stir_by_a_percent_but_not_leap() -> None:
    still = [50.0] * 40
    assert anomaly_issues("alpha", "load", samples(*still, 50.5), 0) == []
    assert len(anomaly_issues("alpha", "load", samples(*still, 80.0), 0)) == 1
    assert len(anomaly_issues("alpha", "load", samples(*[0.0] * 40, 1.0), 0)) == 1
    assert anomaly_issues("alpha", "load", samples(*[0.0] * 41), 0) == []


def test_a_short_history_is_not_judged() -> None:
    assert anomaly_issues("alpha", "load", samples(*[0.0] * 21, 1e9), 0) == []
