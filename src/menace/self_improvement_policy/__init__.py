"""Whether a cycle is worth its cost: a tabular policy that starts from rent-or-buy and learns."""

from __future__ import annotations

from menace.self_improvement_policy.policy import RUN, SKIP, Action, SelfImprovementPolicy
from menace.self_improvement_policy.state import STATE_COUNT, PolicyState, state_of

__all__ = [
    "RUN",
    "SKIP",
    "STATE_COUNT",
    "Action",
    "PolicyState",
    "SelfImprovementPolicy",
    "state_of",
]
