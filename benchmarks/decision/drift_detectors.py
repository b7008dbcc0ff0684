"""Drift detectors as policies: retrain when one gives alarm on the rows that were got wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.sandbox_runner import drift_alarms
from menace.sandbox_runner.drift_alarms import DriftAlarm

if TYPE_CHECKING:
    from benchmarks.decision.replay import Past, Policy


def adwin(_past: Past, _cost: float, _seed: int) -> Policy:
    """ADWIN with δ = 0.002."""
    return DriftAlarm(drift_alarms.adwin)


def page_hinkley(_past: Past, _cost: float, _seed: int) -> Policy:
    """Page-Hinkley with river's defaults."""
    return DriftAlarm(drift_alarms.page_hinkley)


def ddm(_past: Past, _cost: float, _seed: int) -> Policy:
    """DDM with river's defaults."""
    return DriftAlarm(drift_alarms.ddm)
