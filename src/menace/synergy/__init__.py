"""How a bot's parts work together, and how much that should count: metrics and their weights."""

from __future__ import annotations

from menace.synergy.metrics import METRICS, SettledCycle, Shock, SynergyMetrics
from menace.synergy.weight_learner import SynergyWeightLearner, synergy_sum

__all__ = [
    "METRICS",
    "SettledCycle",
    "Shock",
    "SynergyMetrics",
    "SynergyWeightLearner",
    "synergy_sum",
]
