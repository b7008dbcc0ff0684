"""Patches a bot's helper code, safely, before its pipeline runs.

Proposers suggest, a sandbox tries out, gates judge, git remembers, and the cycle's settlement has
the last word. See docs/self-coding.md.
"""

from __future__ import annotations

from menace.patches import PatchResult
from menace.self_coding_engine.cared_bot import CaredBot
from menace.self_coding_engine.engine import SelfCodingEngine
from menace.self_coding_engine.settings import CodingSettings, coding_settings

__all__ = ["CaredBot", "CodingSettings", "PatchResult", "SelfCodingEngine", "coding_settings"]
