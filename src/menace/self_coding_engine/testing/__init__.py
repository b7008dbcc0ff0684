"""Runs one file's texts against tests, thousands a minute, in a sandbox."""

from __future__ import annotations

from menace.self_coding_engine.testing.observations import Observations, Screened
from menace.self_coding_engine.testing.test_server import TestServer

__all__ = ["Observations", "Screened", "TestServer"]
