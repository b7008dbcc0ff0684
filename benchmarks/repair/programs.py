"""A faulty program, what the repairer may see of it, and how a repair of it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from menace.self_coding_engine.sandbox import Sandbox

NO_TESTS = "no_tests"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a repairer came to.

    Attributes
    ----------
    status
        As :class:`menace.self_coding_engine.repair.search.Found` has it, or ``no_tests``.
    source
        The proposed text; ``None`` where nothing is proposed.
    nearly
        What was not proposed for want of certainty.
    facts
        More of the search, for the row.
    """

    status: str
    source: str | None
    operator: str
    candidates: int
    seconds: float
    nearly: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Program(Protocol):
    """One program of a benchmark."""

    @property
    def task_id(self) -> str:
        """Its name in the benchmark."""
        ...

    @property
    def kind(self) -> str:
        """What its bug is called, for sums; may be empty."""
        ...

    def attempt(self, sandbox: Sandbox, seconds: float) -> Attempt:
        """Search within so many seconds on the clock, with what may be seen."""
        ...

    def judge(self, sandbox: Sandbox, source: str) -> bool:
        """Whether the held-out tests pass, in a sandbox that has seen no other text."""
        ...
