"""The records of patches to helper code: what was changed, why, and what was found out about it.

Times are POSIX seconds in UTC, money is USD, paths are relative to the repository with ``/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from menace.records import Json


class Claim(StrEnum):
    """What a patch is proposed for, and so what has to be shown before it is kept."""

    REPAIRS = "repairs"
    """Tests that failed pass."""

    SPEEDS = "speeds"
    """The same results in less time."""

    IMPROVES = "improves"
    """A figure gets better: the bot's loss on later rows, or what the user's command measures."""


class PatchStatus(StrEnum):
    """Where a patch stands."""

    PROPOSED = "proposed"
    """Shown only: a dry run, or nothing here can run it safely."""

    REJECTED = "rejected"
    """A gate refused it."""

    WAITING = "waiting"
    """It passed, but a person has to approve it."""

    APPLYING = "applying"
    """Its commit exists; the user's branch is about to get it."""

    CANARY = "canary"
    """In the code; the cycle that brought it has not settled yet."""

    KEPT = "kept"
    REVERTING = "reverting"
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True)
class GateReport:
    """What one gate found.

    Attributes
    ----------
    passed
        ``None`` where the gate had nothing to judge.
    reason
        One sentence for people.
    figures
        What was measured, as plain JSON.
    seconds
        What it took on the clock.
    """

    name: str
    passed: bool | None
    reason: str
    figures: Json = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Patch:
    """One change to one file, and all that is known of it.

    Attributes
    ----------
    target
        The file, relative to the repository.
    operator
        The rule of the proposer that made it.
    explanation
        What it does and why, in one sentence.
    parameters
        What the operator was given: values, names, lines.
    seed
        Of everything random in its making.
    base_commit, commit, revert_commit
        What it was made on, what brought it, and what took it back.
    parent_id
        The patch of the same file that was in the code when this one was made.
    gates
        In the order in which they were asked; the last one of a rejected patch refused it.
    deltas
        Figure → relative change, negative is better: ``seconds``, ``loss``, ``failing_tests``.
    cpu_seconds
        What proposing and judging it used.
    approved_by
        Who let it pass, where a person had to.
    """

    bot: str
    target: str
    proposer: str
    operator: str
    claim: Claim
    status: PatchStatus
    at: float
    explanation: str = ""
    diff: str = ""
    parameters: Json = field(default_factory=dict)
    seed: int = 0
    cycle_id: int | None = None
    parent_id: int | None = None
    base_commit: str | None = None
    commit: str | None = None
    revert_commit: str | None = None
    gates: tuple[GateReport, ...] = ()
    deltas: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    approved_by: str | None = None
    decided_at: float | None = None
    patch_id: int | None = None


@dataclass(frozen=True, slots=True)
class PatchResult:
    """What became of an attempt to patch a file.

    Attributes
    ----------
    patch_id
        ``None`` where nothing was proposed.
    status
        That of the patch, or ``none``.
    reverted
        Whether the file is as it was before.
    """

    patch_id: int | None
    status: str
    reverted: bool
    deltas: dict[str, float] = field(default_factory=dict)
    gates: tuple[GateReport, ...] = ()
    diff: str = ""
    message: str = ""
