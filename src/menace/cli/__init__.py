"""The ``menace`` command."""

from __future__ import annotations

from menace.cli.app import main

__all__ = ["main"]
