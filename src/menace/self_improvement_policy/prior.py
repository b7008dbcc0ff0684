r"""How firmly rent-or-buy is believed before a bot has cycles of its own, by debt and age.

Evidence on a cell (debt bucket, age bucket) is the mean *advantage* of running a cycle over waiting
a tick, both followed by the best that could be done afterwards, in units of the cycle's cost; its
weight is counted in ticks. With :math:`q_0` what the rule says, *s* the policy's strength and
:math:`n_0 = 40` ticks of belief in the rule, the first value of Q(run) is

.. math:: q = q_0 \cdot \mathrm{clip}\left(\frac{n_0 q_0 + n\, s\, a}{(n_0 + n)\, q_0},
          \tfrac{1}{20},\, 4\right), \qquad a \in [-2, 2].

So evidence makes the rule firmer or softer and never turns it round. It was let do so at first, and
cost more than it saved (``docs/policy.md``): that the best sequel is known only afterwards makes
waiting look better than it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from menace.errors import DataError, StateFileError
from menace.self_improvement_policy.state import BUCKETS
from menace.state_file import read_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from menace.records import Json

KIND = "policy-prior"
VERSION = 1

LARGEST_ADVANTAGE = 5.0
"""An advantage is held within ± this many cycle costs, as a reward is."""

LARGEST_WEIGHT = 1e6
RULE_WEIGHT = 40.0
"""Ticks of belief in rent-or-buy."""

BELIEVED_ADVANTAGE = 2.0
"""No mean beyond this is believed, whatever its weight."""

SOFTEST, FIRMEST = 0.05, 4.0
"""Least and greatest multiple of what the rule says."""

Cell = tuple[int, int]
"""Debt bucket and age bucket."""


class Evidence(NamedTuple):
    """What is known of a cell.

    Attributes
    ----------
    weight
        Ticks' worth, ≥ 0.
    advantage
        Mean advantage of running over waiting, in cycle costs, within ±5.
    """

    weight: float
    advantage: float

    def plus(self, other: Evidence) -> Evidence:
        """Pool two pieces of evidence; what both weigh is held within what a cell may weigh."""
        weight = self.weight + other.weight
        if weight <= 0:
            return self
        share = other.weight / weight
        mean = self.advantage + share * (other.advantage - self.advantage)
        bounded = max(-LARGEST_ADVANTAGE, min(LARGEST_ADVANTAGE, mean))
        return Evidence(min(weight, LARGEST_WEIGHT), bounded)


@dataclass(frozen=True, slots=True)
class LearnedPrior:
    """Evidence on cells, from many streams or from a bot's own history.

    Attributes
    ----------
    evidence
        Cell → evidence, in the order of the cells; one that is missing is left to the rule.

    Raises
    ------
    DataError
        If there is no such cell, or a figure is out of bounds.

    Examples
    --------
    >>> prior = LearnedPrior({(4, 2): Evidence(40.0, -1.0)})
    >>> prior.value((4, 2, 0, 2, 2, 1, 1), 0.125, strength=0.5)  # evidence against the rule
    0.00625
    >>> prior.value((7, 2, 0, 2, 2, 1, 1), 0.5, strength=0.5)  # none
    0.5
    """

    evidence: Mapping[Cell, Evidence]

    def __post_init__(self) -> None:
        """Check every figure, and sort the cells."""
        checked = {cell: _checked(cell, found) for cell, found in sorted(self.evidence.items())}
        object.__setattr__(self, "evidence", checked)

    def __len__(self) -> int:
        """Count the cells that there is evidence on."""
        return len(self.evidence)

    def value(self, state: tuple[int, ...], rule: float, *, strength: float) -> float:
        """First value of Q(run) of a state, in ROI delta.

        Parameters
        ----------
        state
            A :class:`~menace.self_improvement_policy.state.PolicyState`; any other is left to the
            rule.
        rule
            What rent-or-buy says, in ROI delta.
        strength
            The policy's ``prior_strength``.
        """
        found = self.evidence.get((state[0], state[1])) if len(state) == len(BUCKETS) else None
        if found is None or rule == 0:
            return rule
        advantage = max(-BELIEVED_ADVANTAGE, min(BELIEVED_ADVANTAGE, found.advantage))
        pooled = RULE_WEIGHT * rule + found.weight * strength * advantage
        firmness = pooled / (RULE_WEIGHT + found.weight) / rule
        return rule * max(SOFTEST, min(FIRMEST, firmness))

    def plus(self, other: LearnedPrior) -> LearnedPrior:
        """Pool the evidence of both."""
        pooled = dict(self.evidence)
        for cell, found in other.evidence.items():
            pooled[cell] = pooled[cell].plus(found) if cell in pooled else found
        return LearnedPrior(pooled)

    def to_json(self) -> list[list[float]]:
        """Write as rows of debt bucket, age bucket, weight, advantage."""
        return [[*cell, *found] for cell, found in self.evidence.items()]

    @classmethod
    def from_json(cls, rows: Iterable[Iterable[float]]) -> Self:
        """Rebuild from :meth:`to_json`.

        Raises
        ------
        DataError
            If a row is no such row.
        """
        evidence: dict[Cell, Evidence] = {}
        for row in rows:
            try:
                debt, age, weight, advantage = row
                evidence[int(debt), int(age)] = Evidence(float(weight), float(advantage))
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{row!r} is no evidence.",
                    remedy="give debt bucket, age bucket, weight and advantage",
                ) from error
        return cls(evidence)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a prior file, as ``python -m benchmarks.prior`` writes it.

        Raises
        ------
        StateFileError
            If the file is missing, torn, foreign or newer, or a figure in it is out of bounds.
        """
        data = read_state(path, kind=KIND, version=VERSION)
        if data is None:
            raise StateFileError(
                f"there is no prior file {path}.", remedy="install menace anew, or make one"
            )
        try:
            return cls.from_json(data["evidence"])
        except (KeyError, TypeError, DataError) as error:
            raise StateFileError(
                f"the prior file {path} holds a wrong figure: {error}.",
                remedy="install menace anew, or make it anew with python -m benchmarks.prior",
            ) from error


@cache
def shipped_prior() -> LearnedPrior:
    """Give the prior that ships with the package, which every new bot starts from.

    Raises
    ------
    StateFileError
        As :meth:`LearnedPrior.load`.
    """
    return LearnedPrior.load(Path(__file__).with_name("prior.json"))


def document(prior: LearnedPrior, **origin: object) -> Json:
    """Put a prior and where it comes from into the form of a prior file."""
    return {"evidence": prior.to_json(), **origin}


def _checked(cell: Cell, found: Evidence) -> Evidence:
    debt, age = cell
    within = 0 <= debt < BUCKETS.debt and 0 <= age < BUCKETS.age
    finite = math.isfinite(found.weight) and math.isfinite(found.advantage)
    bounded = 0 <= found.weight <= LARGEST_WEIGHT and abs(found.advantage) <= LARGEST_ADVANTAGE
    if not (within and finite and bounded):
        raise DataError(
            f"the evidence {found} on debt bucket {debt} and age bucket {age} is out of bounds.",
            remedy=f"give buckets of the policy's state, a weight of 0 to {LARGEST_WEIGHT:g} and "
            f"an advantage within ±{LARGEST_ADVANTAGE:g}",
        )
    return Evidence(float(found.weight), float(found.advantage))
