"""One attempt on one file: ask the proposers in turn until a proposal passes every gate."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from menace.errors import MenaceError
from menace.patches import Claim, PatchStatus
from menace.self_coding_engine.proposal import Workbench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from menace.patches import GateReport, Patch
    from menace.self_coding_engine.proposal import CodingTask, Proposal, Proposer

logger = logging.getLogger(__name__)

MOST_PROPOSALS = 6
"""Proposals of one proposer that are put through the gates in one attempt."""

FIRST_SHARE = 0.5

Refused = tuple[str, str]
"""Operator and explanation of a proposal."""

DIGEST = "text and tests"
BRANCH = "branch"
"""Name of the report of what git refused: it says nothing against a proposal."""

FAILING_TESTS = "failing tests"
FEATURE_HELPER = "feature helper"
MEASURED = "measured figure"
PLAIN = "plain code"


@dataclass(frozen=True, slots=True)
class Judged:
    """A proposal and what the gates found, in the order in which they were asked."""

    proposal: Proposal
    gates: tuple[GateReport, ...]
    cpu_seconds: float

    @property
    def passed(self) -> bool:
        """Whether no gate refused it."""
        return all(report.passed is not False for report in self.gates)


@dataclass(slots=True)
class Outcome:
    """What an attempt came to.

    Attributes
    ----------
    winner
        The proposal that passed, if one did.
    rejects
        Those that a gate refused, in order.
    asked
        Proposer → CPU-seconds that its turn used, in the order of their turns.
    failures
        Proposer → why its turn broke off.
    usd
        What proposers spent besides, USD.
    """

    winner: Judged | None = None
    rejects: list[Judged] = field(default_factory=list)
    asked: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    usd: float = 0.0


@runtime_checkable
class Spender(Protocol):
    """A proposer that spends money besides CPU time."""

    @property
    def spent_usd(self) -> float:
        """What the last task cost, USD ≥ 0."""
        ...


class SharedWorkbench(Workbench, Protocol):
    """A workbench whose budget several proposers share, turn by turn."""

    def limit_turn(self, share: float) -> None:
        """Let ``seconds_left`` count down this share of what is left in all, 0..1."""
        ...

    def seconds_in_all(self) -> float:
        """CPU-seconds that are left for all turns and for judging."""
        ...


class Judge(Protocol):
    """Puts a proposal through the gates."""

    def __call__(self, task: CodingTask, proposal: Proposal) -> tuple[GateReport, ...]:
        """Ask the gates in order, up to the first that refuses."""
        ...


def situation_of(task: CodingTask, *, feature_file: str | None, measured: bool) -> str:
    """Name the situation, under which the archive remembers who wins."""
    if task.report is not None and task.report.failing:
        return FAILING_TESTS
    if task.target == feature_file and task.rows is not None:
        return FEATURE_HELPER
    return MEASURED if measured else PLAIN


def attempt(
    task: CodingTask,
    proposers: Sequence[Proposer],
    workbench: SharedWorkbench,
    judge: Judge,
    *,
    refused: frozenset[Refused] = frozenset(),
    told: Callable[[str], None] = lambda _sentence: None,
) -> Outcome:
    """Ask the proposers, in the order given, for one patch of one file.

    Parameters
    ----------
    workbench
        Holds the budget of all turns together. A turn may use half of what is left, the last one
        all of it; judging its proposals comes on top.
    refused
        Proposals that are passed over, by operator and explanation.
    told
        Is told what is going on, a phrase at a time.

    Returns
    -------
    Outcome
        With the first proposal that passed, or none.
    """
    outcome = Outcome()
    for number, proposer in enumerate(proposers, start=1):
        workbench.limit_turn(1.0 if number == len(proposers) else FIRST_SHARE)
        began = workbench.seconds_in_all()
        if began <= 0.0:
            break
        told(f"{task.target}: asking {proposer.name}")
        try:
            for judged in _turn(task, proposer, workbench, judge, refused=refused):
                if judged.passed:
                    outcome.winner = judged
                else:
                    outcome.rejects.append(judged)
        except MenaceError as error:
            # One proposer that cannot work (no endpoint, a test run that died) stops no other.
            logger.warning("%s: %s: %s", task.target, proposer.name, error)
            outcome.failures[proposer.name] = str(error)
        if isinstance(proposer, Spender):
            outcome.usd += proposer.spent_usd
        outcome.asked[proposer.name] = max(0.0, began - workbench.seconds_in_all())
        if outcome.winner is not None:
            break
    return outcome


def _turn(
    task: CodingTask,
    proposer: Proposer,
    workbench: SharedWorkbench,
    judge: Judge,
    *,
    refused: frozenset[Refused],
) -> Iterator[Judged]:
    """Judge a proposer's proposals, one by one, until one passes or the turn is over."""
    judged_ones = 0
    for proposal in proposer.propose(task, workbench):
        if proposal.source == task.source or (proposal.operator, proposal.explanation) in refused:
            continue
        began = workbench.seconds_in_all()
        gates = judge(task, proposal)
        judged = Judged(proposal, gates, max(0.0, began - workbench.seconds_in_all()))
        yield judged
        judged_ones += 1
        if judged.passed or judged_ones >= MOST_PROPOSALS or workbench.seconds_left() <= 0.0:
            return


def refused_before(history: Iterable[Patch], digest: str) -> frozenset[Refused]:
    """Proposals that a gate refused, or that were taken back, on the very same text and tests.

    What only git refused, or what waits, may come again; so may what helps a model, which depends
    on newer rows, unless it was tried out and taken back.

    Parameters
    ----------
    digest
        Of the file's text and its tests, which a patch keeps under :data:`DIGEST`.
    """
    found = set()
    for patch in history:
        if patch.parameters.get(DIGEST) != digest:
            continue
        by_gate = patch.status is PatchStatus.REJECTED and patch.claim is not Claim.IMPROVES
        if by_gate and patch.gates and patch.gates[-1].name == BRANCH:
            by_gate = False
        if by_gate or patch.status is PatchStatus.REVERTED:
            found.add((patch.operator, patch.explanation))
    return frozenset(found)
