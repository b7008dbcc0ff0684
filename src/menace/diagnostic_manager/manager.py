"""What is wrong with a bot, judged from its stored outcomes and metric samples."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from menace.diagnostic_manager.drift import SMALLEST_PART_ROWS, find_drift
from menace.diagnostic_manager.severity import LARGEST_Z, SEVERE_Z, score
from menace.errors import ConfigError
from menace.records import Issue, IssueKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.interfaces import Store
    from menace.records import BotConfig, Json, MetricSample, Outcome

DIAGNOSIS_ROWS = 2000
SAMPLES = 500
SMALLEST_HISTORY = 20
NEWEST_SAMPLES = 3
ANOMALY_Z = 6.0
SEVERE_ANOMALY_Z = 12.0
ANOMALY_CEILING = 0.8
"""An odd metric sample alone never triggers a cycle, for which 0.9 is needed."""
LOSS = "loss"


class DiagnosticManager:
    """Finds out what is wrong with a bot, from its stored outcomes and samples alone.

    Nothing is remembered between calls, so a restarted process finds the same; a call reads at most
    ``diagnosis_rows`` outcomes and 500 samples per metric, whatever the bot's history.

    The *newest part* is where a finding must lie to count: the newest quarter of
    ``diagnosis_rows``, or a tick if that is more. Only outcomes of the version that made the newest
    one are looked at: another model's losses say nothing about this one.

    Safe to share between threads if the store is.

    Parameters
    ----------
    store
        Where outcomes and samples are kept.
    diagnosis_rows
        So many newest outcomes are looked at, ≥ 120.
    metrics
        Names of the metrics that are watched for anomalies. In ``loss`` only a rise is one.

    Raises
    ------
    ConfigError
        If ``diagnosis_rows`` is too small.
    """

    def __init__(
        self,
        store: Store,
        *,
        diagnosis_rows: int = DIAGNOSIS_ROWS,
        metrics: Sequence[str] = (LOSS,),
    ) -> None:
        if diagnosis_rows < 4 * SMALLEST_PART_ROWS:
            raise ConfigError(
                f"diagnosis_rows is {diagnosis_rows}.",
                remedy=f"give {4 * SMALLEST_PART_ROWS} or more",
            )
        self._store = store
        self._diagnosis_rows = diagnosis_rows
        self._metrics = tuple(metrics)

    def diagnose(self, bot: str) -> list[Issue]:
        """Look for drift, breached thresholds and anomalous metrics.

        Returns
        -------
        list of Issue
            Most severe first; empty when all is well.

        Raises
        ------
        UnknownBotError
            If there is no such bot.
        """
        config = self._store.bot(bot)
        snapshot = self._store.snapshot(bot)
        row = snapshot.loop.labelled_rows
        outcomes = self._store.outcomes(bot, last=self._diagnosis_rows)
        recent_rows = max(self._diagnosis_rows // 4, config.tick_rows)
        issues: list[Issue] = []
        if outcomes:
            version = outcomes[-1].version
            own = sorted((o for o in outcomes if o.version == version), key=lambda o: o.at)
            issues += _drift_issues(bot, own, recent_rows, row)
            issues += _threshold_issues(config, own[-recent_rows:], row)
        for name in self._metrics:
            samples = self._store.samples(bot, name, last=SAMPLES)
            issues += anomaly_issues(bot, name, _of_newest(samples, snapshot.champion_version), row)
        return sorted(issues, key=lambda issue: (-issue.severity, issue.kind))


def anomaly_issues(bot: str, name: str, samples: Sequence[MetricSample], row: int) -> list[Issue]:
    """Compare the three newest samples of a metric with those before, by a robust z-score.

    ``z = 0.6745 · (x − median) / MAD`` (0.6745 makes it a standard deviation of a normal law).
    Where more than half of the older samples are equal, their MAD is 0, and 1 % of the median's
    magnitude stands in for it.

    Parameters
    ----------
    samples
        Oldest first; below 23 nothing is said.

    Returns
    -------
    list of Issue
        None or one, for the oddest sample with ``|z| ≥ 6`` (for ``loss``: ``z ≥ 6``). Severity
        ``min(0.8, score(|z|, 12))``.
    """
    import numpy as np

    if len(samples) < SMALLEST_HISTORY + NEWEST_SAMPLES:
        return []
    values = np.array([sample.value for sample in samples])
    older, newest = values[:-NEWEST_SAMPLES], values[-NEWEST_SAMPLES:]
    median = float(np.median(older))
    mad = float(np.median(np.abs(older - median))) or 0.01 * abs(median)
    away = newest - median
    size = np.maximum(away, 0.0) if name == LOSS else np.abs(away)
    oddest = int(np.argmax(size))
    if size[oddest] == 0.0:
        return []
    z = min(0.6745 * float(size[oddest]) / mad, LARGEST_Z) if mad > 0 else LARGEST_Z
    if z < ANOMALY_Z:
        return []
    evidence: Json = {
        "metric": name,
        "value": float(newest[oddest]),
        "median": median,
        "z": math.copysign(z, float(away[oddest])),
        "samples": len(samples),
    }
    severity = min(ANOMALY_CEILING, score(z, SEVERE_ANOMALY_Z))
    return [Issue(bot, IssueKind.ANOMALY, severity, evidence, row)]


def _drift_issues(bot: str, outcomes: Sequence[Outcome], recent_rows: int, row: int) -> list[Issue]:
    drift = find_drift([outcome.loss for outcome in outcomes], recent_rows=recent_rows)
    if drift is None:
        return []
    evidence: Json = {**asdict(drift), "detectors": list(drift.detectors), "rows": len(outcomes)}
    return [Issue(bot, IssueKind.DRIFT, drift.severity, evidence, row)]


def _threshold_issues(bot: BotConfig, recent: Sequence[Outcome], row: int) -> list[Issue]:
    """Compare the newest part with the bot's thresholds.

    The error rate is the mean loss. How far a threshold is exceeded gives the size: 0.5 at the
    threshold, 1 at one and a half times it. Latency is judged by its 95 % quantile: a limit is
    about the slow ones.
    """
    import numpy as np

    issues: list[Issue] = []
    if bot.max_error_rate is not None and len(recent) >= SMALLEST_PART_ROWS:
        losses = np.array([outcome.loss for outcome in recent])
        rate, error = float(losses.mean()), float(losses.std()) / math.sqrt(len(losses))
        excess = rate - bot.max_error_rate
        if excess > 0:
            z = min(excess / error, LARGEST_Z) if error > 0 else LARGEST_Z
            severity = min(_breach(rate, bot.max_error_rate), score(z, SEVERE_Z))
            evidence: Json = {
                "error_rate": rate,
                "max_error_rate": bot.max_error_rate,
                "z": z,
                "rows": len(recent),
            }
            issues.append(Issue(bot.name, IssueKind.ERROR_RATE, severity, evidence, row))
    latencies = [o.latency_seconds for o in recent if o.latency_seconds is not None]
    if bot.max_latency_seconds is not None and len(latencies) >= SMALLEST_PART_ROWS:
        slow = float(np.quantile(latencies, 0.95))
        if slow > bot.max_latency_seconds:
            evidence = {
                "latency_seconds": slow,
                "max_latency_seconds": bot.max_latency_seconds,
                "rows": len(latencies),
            }
            severity = _breach(slow, bot.max_latency_seconds)
            issues.append(Issue(bot.name, IssueKind.LATENCY, severity, evidence, row))
    return issues


def _breach(figure: float, threshold: float) -> float:
    return 1.0 if figure >= 1.5 * threshold else figure / threshold - 0.5


def _of_newest(samples: Sequence[MetricSample], champion: int | None) -> list[MetricSample]:
    """Leave out samples of archived models, which are scored beside the champion."""
    return [sample for sample in samples if sample.version in {None, champion}]
