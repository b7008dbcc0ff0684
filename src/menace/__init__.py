"""Watch deployed models, improve one only when it pays, prove that it paid, learn from it."""

from __future__ import annotations

__version__ = "0.1.0"
