"""What cycles bring and may cost: ROI deltas, by bot and by module, and the energy budget."""

from __future__ import annotations

from menace.accounting.energy_budget import (
    EnergyAllotment,
    EnergyBudget,
    roi_factor,
    synergy_factor,
    validated_energy,
)
from menace.accounting.module_roi_log import ModuleRoiLog
from menace.accounting.roi_tracker import RoiTracker, roi_delta, roi_trend

__all__ = [
    "EnergyAllotment",
    "EnergyBudget",
    "ModuleRoiLog",
    "RoiTracker",
    "roi_delta",
    "roi_factor",
    "roi_trend",
    "synergy_factor",
    "validated_energy",
]
