"""Makes a better model: window, features, search, evaluation, gate, package.

>>> from menace.model_automation_pipeline import AutomationResult
>>> AutomationResult(status="no_data").package is None
True

The names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from menace.config import load_dotted
from menace.interfaces import Pipeline, StagedPipeline
from menace.records import AutomationResult

if TYPE_CHECKING:
    from menace.model_automation_pipeline.callable_pipeline import CallablePipeline
    from menace.model_automation_pipeline.command_pipeline import CommandPipeline
    from menace.model_automation_pipeline.pipeline import ModelAutomationPipeline

__all__ = [
    "AutomationResult",
    "CallablePipeline",
    "CommandPipeline",
    "ModelAutomationPipeline",
    "Pipeline",
    "StagedPipeline",
]

_MODULES = {
    "CallablePipeline": "callable_pipeline",
    "CommandPipeline": "command_pipeline",
    "ModelAutomationPipeline": "pipeline",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return load_dotted(f"{__name__}.{_MODULES[name]}:{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
