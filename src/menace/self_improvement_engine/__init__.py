"""The engine that cares for a bot, the registry of engines, and the learners of synergy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from menace.self_improvement_engine.engine import SelfImprovementEngine
from menace.self_improvement_engine.registry import ImprovementEngineRegistry
from menace.synergy import SynergyWeightLearner

if TYPE_CHECKING:
    from menace.synergy.dqn_learner import DQNSynergyLearner

__all__ = [
    "DQNSynergyLearner",
    "ImprovementEngineRegistry",
    "SelfImprovementEngine",
    "SynergyWeightLearner",
]


def __getattr__(name: str) -> Any:
    """Import the learner that needs NumPy when it is asked for."""
    if name == "DQNSynergyLearner":
        from menace.synergy.dqn_learner import DQNSynergyLearner

        return DQNSynergyLearner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
