"""``DiagnosticManager``: what is wrong with a bot, as typed issues with severity and evidence.

Two functions turn figures into a severity. ``score(x, at) = 1 − 10^(−x / at)`` grows from 0 towards
1 and is 0.9 at ``x = at``. A severity is the lesser of how *large* a finding is and how *certain*:
``min(score(size, severe size), score(z, 5))``.
"""

from __future__ import annotations

from menace.diagnostic_manager.columns import (
    column_kinds,
    null_rate_issues,
    null_rates,
    schema_issues,
)
from menace.diagnostic_manager.drift import Drift, find_drift
from menace.diagnostic_manager.manager import DiagnosticManager, anomaly_issues

__all__ = [
    "DiagnosticManager",
    "Drift",
    "anomaly_issues",
    "column_kinds",
    "find_drift",
    "null_rate_issues",
    "null_rates",
    "schema_issues",
]
