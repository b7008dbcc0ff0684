"""What another schedule of cycles would have cost, without touching anything live."""

from __future__ import annotations

from menace.sandbox_runner.hindsight import Schedule, follow, hindsight
from menace.sandbox_runner.loss_table import LossTable

__all__ = ["LossTable", "Schedule", "follow", "hindsight"]
