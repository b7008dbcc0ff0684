"""What a proposer is asked, what it answers, and what it may use to find out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from menace.patches import Claim, Patch
    from menace.records import BotConfig, Json


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new text for one file.

    Attributes
    ----------
    proposer, operator
        Who made it, by which rule.
    claim
        What it is good for, and so what has to be shown.
    target
        The file, relative to the repository, with ``/``.
    source
        The file's whole new text.
    explanation
        What it does and why, in one sentence.
    parameters
        What the operator was given, as plain JSON.
    prior
        How likely the proposer holds it to be right, 0..1.
    """

    proposer: str
    operator: str
    claim: Claim
    target: str
    source: str
    explanation: str
    parameters: Json = field(default_factory=dict)
    prior: float = 0.5


@dataclass(frozen=True, slots=True)
class CaseReport:
    """One test: its name, whether it passed, and the end of what it said."""

    name: str
    passed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class TestReport:
    """A run of the tests over one text of a file.

    Attributes
    ----------
    cases
        In the order in which they ran.
    complete
        Whether the run came to its own end; if not, ``reason`` says what ended it.
    lines
        Test → lines of the target that it ran, where that was asked for.
    """

    __test__ = False

    cases: tuple[CaseReport, ...]
    complete: bool
    reason: str = ""
    cpu_seconds: float = 0.0
    lines: dict[str, frozenset[int]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether it was complete, had at least one test, and none failed."""
        return self.complete and bool(self.cases) and all(case.passed for case in self.cases)

    @property
    def failing(self) -> tuple[str, ...]:
        """Names of the tests that failed."""
        return tuple(case.name for case in self.cases if not case.passed)


class Workbench(Protocol):
    """Tries texts of the task's file out in the sandbox, within the task's budget.

    Every method takes whole texts of the target and stops quietly when the budget is used up:
    then an answer may be missing (``None``).
    """

    def seconds_left(self) -> float:
        """CPU-seconds that are left of the budget."""
        ...

    def run_tests(self, source: str, *, lines: bool = False) -> TestReport | None:
        """Run the tests with this text in place of the target."""
        ...

    def measure(self, source: str) -> float | None:
        """Measure the user's figure with this text, lower is better; ``None`` without a command."""
        ...

    def validate(self, source: str) -> float | None:
        """Mean loss by forward validation of the bot's model over features made by this text.

        ``None`` where the bot has no rows, or the target is no feature helper.
        """
        ...


@dataclass(frozen=True, slots=True)
class CodingTask:
    """What a proposer is asked for.

    Attributes
    ----------
    root
        A checkout to read from, never to write to.
    target, source
        The file and its present text.
    description
        What a person wants, in their own words; may be empty.
    report
        The tests as they stand; ``None`` without tests.
    rows
        The bot's newest labelled rows, oldest first; ``None`` without a source.
    bot
        Its configuration; ``None`` where a repository is patched without one.
    history
        Earlier patches of the file, rejects too, oldest first.
    rankings
        Module → sum of its ROI deltas, best first.
    seed
        Of everything random.
    """

    root: Path
    target: str
    source: str
    description: str = ""
    report: TestReport | None = None
    rows: pd.DataFrame | None = None
    bot: BotConfig | None = None
    history: Sequence[Patch] = ()
    rankings: Sequence[tuple[str, float]] = ()
    seed: int = 0


class Proposer(Protocol):
    """Makes proposals, best first, as long as it is asked and the budget lasts."""

    @property
    def name(self) -> str:
        """The short name under which the archive learns how often it wins."""
        ...

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield proposals; nothing where it has nothing to say about the task."""
        ...
