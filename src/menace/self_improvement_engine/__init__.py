"""The engine that cares for a bot, and the registry of engines."""

from __future__ import annotations

from menace.self_improvement_engine.engine import SelfImprovementEngine
from menace.self_improvement_engine.registry import ImprovementEngineRegistry

__all__ = ["ImprovementEngineRegistry", "SelfImprovementEngine"]
