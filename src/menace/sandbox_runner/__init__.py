"""What another schedule of cycles would have cost, without touching anything live."""

from __future__ import annotations

from menace.accounting.module_roi_log import ModuleRoiLog
from menace.sandbox_runner.hindsight import Schedule, follow, hindsight
from menace.sandbox_runner.loss_table import LossTable
from menace.sandbox_runner.replaying import Replay, replay

_SandboxMetaLogger = ModuleRoiLog
"""The name under which the log has been known to its users."""

__all__ = ["LossTable", "ModuleRoiLog", "Replay", "Schedule", "follow", "hindsight", "replay"]
