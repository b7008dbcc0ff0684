"""The capital: a double-entry ledger, budgets, and how much energy the position allows."""

from __future__ import annotations

from menace.capital_management_bot.bot import CapitalManagementBot
from menace.capital_management_bot.energy import CapitalPosition, EnergyScore, energy_score
from menace.capital_management_bot.settlements import settlement_entry

__all__ = [
    "CapitalManagementBot",
    "CapitalPosition",
    "EnergyScore",
    "energy_score",
    "settlement_entry",
]
