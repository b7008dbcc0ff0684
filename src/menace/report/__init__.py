"""A self-contained HTML report of one bot's stream, with charts drawn in Python."""

from menace.report.data import (
    CyclePoint,
    DecisionPoint,
    Fact,
    ModuleRow,
    Report,
    StrategyRow,
    TickPoint,
    VersionSpan,
)
from menace.report.page import render_report, write_report

__all__ = [
    "CyclePoint",
    "DecisionPoint",
    "Fact",
    "ModuleRow",
    "Report",
    "StrategyRow",
    "TickPoint",
    "VersionSpan",
    "render_report",
    "write_report",
]
