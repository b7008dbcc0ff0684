"""A change to a text: where, what instead, by which rule, and how likely it is to be right."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """One splice.

    Attributes
    ----------
    operator
        A name in :data:`~menace.self_coding_engine.repair.operators.OPERATORS`.
    start, end
        Offsets in the text, in characters.
    replacement
        What stands there instead.
    line
        The first line that is changed, from 1.
    cost
        −log of how likely it is, up to a constant: the operator's own, and its choice's.
    literal
        Whether it brings a value that was taken from the tests: it may just repeat an answer.
    """

    operator: str
    start: int
    end: int
    replacement: str
    line: int
    cost: float
    literal: bool = False

    def apply(self, text: str) -> str:
        """Make the text with the edit in it.

        >>> Edit("constant", 4, 5, "2", 1, 1.0).apply("x = 1")
        'x = 2'
        """
        return text[: self.start] + self.replacement + text[self.end :]

    def overlaps(self, other: Edit) -> bool:
        """Whether both cannot be made in one text."""
        return not (self.end <= other.start or other.end <= self.start) or (
            self.start == other.start and self.end == other.end
        )

    @property
    def prior(self) -> float:
        """How likely it is, 0..1, up to a constant."""
        return math.exp(-self.cost)


def apply_all(text: str, edits: tuple[Edit, ...]) -> str:
    """Make the text with edits in it that do not overlap.

    >>> edits = (Edit("a", 0, 1, "y", 1, 1.0), Edit("b", 4, 5, "2", 1, 1.0))
    >>> apply_all("x = 1", edits)
    'y = 2'
    """
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = edit.apply(text)
    return text
