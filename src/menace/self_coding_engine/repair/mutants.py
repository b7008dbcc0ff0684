"""Single edits of a text as mutants, to see how many of them its tests notice."""

from __future__ import annotations

from dataclasses import dataclass

from menace.self_coding_engine.repair.generation import single_edits

UNLIKE_BUGS = frozenset(
    {"guard_result", "guard_jump", "guard_block", "update", "copy", "mined", "condition"}
    | {"clause_add", "operand_add", "argument_add", "wrap", "grouping", "order", "jump"}
)
"""Operators that repair what is missing: as mutants they add what nobody would have written."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A text with one small fault in it.

    Attributes
    ----------
    line
        Where, from 1.
    prior
        How often programmers make this fault, 0..1, up to a constant.
    """

    source: str
    operator: str
    line: int
    prior: float


def mutants(source: str) -> list[Mutant]:
    r"""Make the mutants of a text, likeliest first.

    Those are the edits that break code the way bugs do: other operators, off by one, other
    variables and constants, what is left out. Some behave like the original; nothing here can tell.

    Parameters
    ----------
    source
        A module.

    Raises
    ------
    libcst.ParserSyntaxError
        If the text is no Python.

    Examples
    --------
    >>> [mutant.source for mutant in mutants("def f(a):\n    return a < 1\n")][:2]
    ['def f(a):\n    return a <= 1\n', 'def f(a):\n    return a < 0\n']
    """
    return [
        Mutant(edit.apply(source), edit.operator, edit.line, edit.prior)
        for edit in single_edits(source)
        if edit.operator not in UNLIKE_BUGS
    ]
