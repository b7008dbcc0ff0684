"""The demonstration: the whole loop over a bundled real stream, and what others would have cost."""

from __future__ import annotations

from menace.demo.demo import DemoResult, demo_reference, run_demo

__all__ = ["DemoResult", "demo_reference", "run_demo"]
