"""Makes a better model: window, features, search, evaluation, gate, package.

>>> from menace.model_automation_pipeline import AutomationResult
>>> AutomationResult(status="no_data").package is None
True

The names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.records import AutomationResult

if TYPE_CHECKING:
    from menace.model_automation_pipeline.pipeline import ModelAutomationPipeline

__all__ = ["AutomationResult", "ModelAutomationPipeline"]


def __getattr__(name: str) -> type[ModelAutomationPipeline]:
    if name == "ModelAutomationPipeline":
        from menace.model_automation_pipeline.pipeline import ModelAutomationPipeline

        return ModelAutomationPipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
