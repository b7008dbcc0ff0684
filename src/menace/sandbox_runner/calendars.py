"""Strategies that look at nothing but the calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from menace.sandbox_runner.strategy import Past

NEVER = 1_000_000
"""An interval that no stream reaches."""


class Calendar:
    """Runs a cycle as soon as the model in force is ``every`` ticks old; 1 is *always*.

    Parameters
    ----------
    every
        Ticks, ≥ 1.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~menace.sandbox_runner.strategy.Strategy`."""
        return past.age >= self.every
