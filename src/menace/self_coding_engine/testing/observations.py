"""What running a text under its tests shows beyond pass and fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from menace.self_coding_engine.proposal import TestReport


@dataclass(frozen=True, slots=True)
class Screened:
    """A quick look at one text.

    Attributes
    ----------
    passed
        Tests that passed, of those that ran.
    seen
        A digest of what the target's functions returned: equal digests, equal behaviour.
    why
        ``""``, or what went wrong: ``load``, ``slow``, ``rest`` (a test that used to pass), or how
        the process ended.
    slowest_seconds
        CPU time of the slowest test that came to its end.
    """

    passed: frozenset[str]
    seen: str = ""
    why: str = ""
    slowest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """An outermost call of one of the target's functions, as a test made it.

    Attributes
    ----------
    arguments
        A tuple, as a Python literal.
    result
        What came out, rendered.
    """

    function: str
    arguments: str
    result: str


@dataclass(frozen=True, slots=True)
class Observations:
    """A run of all tests with eyes open.

    Attributes
    ----------
    types
        Function → variable → names of the types it held; ``return`` for results.
    calls
        Those whose arguments can be written down.
    """

    report: TestReport
    types: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
