"""Which of several patches that pass the visible tests to propose, or none of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.self_coding_engine.repair.edits import Edit

CRASH_COST = 2.5
"""For crashing on all further inputs where the faulty program does not."""

HANG_COST = 4.0
TYPE_COST = 3.0
"""For results of types that no visible result has."""

BEYOND_COST, BEYOND_EVIDENCE = 3.0, 0.2
"""−log of the likelihood that the right repair is none of those that were tried and something else
passes the tests all the same: so much, and this much more for each nat that the tests demand."""

LEAST_CONFIDENCE = 0.5
"""Less, and nothing is proposed. These three were set on one half of the programs of a benchmark,
by sums only, and checked on the other: see ``docs/repair.md``."""

LITERAL_COST = 3.0
"""For returning a literal that was taken from the tests."""


@dataclass(frozen=True, slots=True)
class Patched:
    """A text that passes the visible tests.

    Attributes
    ----------
    edits
        What was changed, in the faulty text or, for a second step, in that of the first.
    cost
        −log of how likely the edits are.
    """

    source: str
    edits: tuple[Edit, ...]
    cost: float

    @property
    def operator(self) -> str:
        """Names of the operators."""
        return "+".join(edit.operator for edit in self.edits)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and how sure it is.

    Attributes
    ----------
    patch
        The likeliest of the likeliest group.
    share
        Of all patches' likelihood, the part whose behaviour on further inputs is like this one's.
    groups
        Different behaviours among the patches.
    mass
        Sum of the likelihoods of all patches.
    """

    patch: Patched
    share: float
    groups: int
    inputs: int
    mass: float

    def confidence(self, evidence: float) -> float:
        r"""Estimate how likely the choice is right.

        :math:`s m / (m + e^{-(b + k E)})` with share *s*, mass *m* and evidence *E*.

        Parameters
        ----------
        evidence
            What the failing tests demand, in nats.
        """
        beyond = math.exp(-(BEYOND_COST + BEYOND_EVIDENCE * evidence))
        return self.share * self.mass / (self.mass + beyond)


def choose(
    patches: Sequence[Patched], outcomes: Sequence[Sequence[str]], visible_types: frozenset[str]
) -> Choice:
    """Group patches by what they do on further inputs, and take the likeliest group's likeliest.

    Parameters
    ----------
    patches
        At least one.
    outcomes
        Of the faulty program first, then of each patch: one text per input.
    visible_types
        Of results on the tests' inputs.
    """
    faulty = outcomes[0] if outcomes else ()
    groups: dict[tuple[str, ...], list[tuple[float, Patched]]] = {}
    for patch, found in zip(patches, outcomes[1:], strict=True):
        cost = patch.cost + _oddness(found, faulty, visible_types)
        cost += LITERAL_COST * any(edit.literal for edit in patch.edits)
        groups.setdefault(tuple(found), []).append((cost, patch))
    mass = {
        key: math.fsum(math.exp(-cost) for cost, _ in members) for key, members in groups.items()
    }
    best = max(mass, key=mass.__getitem__)
    _, patch = min(groups[best], key=lambda member: member[0])
    total = math.fsum(mass.values())
    return Choice(patch, mass[best] / total, len(groups), len(faulty), total)


def _oddness(found: Sequence[str], faulty: Sequence[str], visible_types: frozenset[str]) -> float:
    crashes = hangs = odd = told = 0
    for here, there in zip(found, faulty, strict=True):
        if not here:
            continue
        told += 1
        if here.startswith("!"):
            slow = here in {"!OutOfTimeError", "!hang"}
            if not there.startswith("!"):
                hangs += slow
                crashes += not slow
        elif visible_types and result_type(here) not in visible_types:
            odd += 1
    if told == 0:
        return 0.0
    return (CRASH_COST * crashes + HANG_COST * hangs + TYPE_COST * odd) / told


def result_type(rendered: str) -> str:
    """Guess the type of a rendered result.

    >>> [result_type(text) for text in ("[1]", "'a'", "3", "2.5", "True", "None [1]", "set{1}")]
    ['list', 'str', 'int', 'float', 'bool', 'None', 'set']
    """
    if not rendered:
        return ""
    first = rendered[:1]
    if first in set("[('\""):
        return {"[": "list", "(": "tuple"}.get(first, "str")
    if rendered in {"True", "False"}:
        return "bool"
    word = rendered.split("{", 1)[0].split("(", 1)[0].split(" ", 1)[0]
    if word.isalpha():
        return word
    body = rendered.lstrip("-")
    return "int" if body.isdigit() or body.startswith("int:") else "float"
