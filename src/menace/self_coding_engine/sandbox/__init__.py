"""Runs code that nobody trusts, where it can do no harm."""

from __future__ import annotations

from menace.self_coding_engine.sandbox.limits import (
    SandboxLimits,
    SandboxRun,
    SessionEndedError,
)
from menace.self_coding_engine.sandbox.proof import SandboxState, sandbox_state
from menace.self_coding_engine.sandbox.sandbox import Sandbox
from menace.self_coding_engine.sandbox.session import SandboxSession

__all__ = [
    "Sandbox",
    "SandboxLimits",
    "SandboxRun",
    "SandboxSession",
    "SandboxState",
    "SessionEndedError",
    "sandbox_state",
]
