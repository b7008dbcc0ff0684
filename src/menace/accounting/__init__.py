"""What cycles bring and what they may cost: ROI deltas, their history, and the energy budget."""

from __future__ import annotations

from menace.accounting.energy_budget import (
    EnergyAllotment,
    EnergyBudget,
    roi_factor,
    validated_energy,
)
from menace.accounting.roi_tracker import RoiTracker, roi_delta, roi_trend

__all__ = [
    "EnergyAllotment",
    "EnergyBudget",
    "RoiTracker",
    "roi_delta",
    "roi_factor",
    "roi_trend",
    "validated_energy",
]
