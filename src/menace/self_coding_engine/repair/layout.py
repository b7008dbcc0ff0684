"""What edits of statements have in common: their type, and how lines are moved and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from menace.self_coding_engine.repair.code_map import Statement

Splice = tuple[str, int, int, str, float, bool]
"""Operator, start, end, new text, cost beyond the operator's, and whether a test shows the text."""

LOOPS = (cst.For, cst.While)


def shifted(text: str, indent: str, *, out: bool = False) -> str:
    r"""Move lines one level in, or out.

    >>> shifted("    x = 1\n", "    ", out=True)
    'x = 1\n'
    """
    lines = text.splitlines(keepends=True)
    if out:
        return "".join(line.removeprefix(indent) for line in lines)
    return "".join(indent + line if line.strip() else line for line in lines)


def is_docstring(statement: Statement) -> bool:
    """Whether it is a string and nothing else."""
    node = statement.site.node
    if not isinstance(node, cst.SimpleStatementLine) or not node.body:
        return False
    first = node.body[0]
    return isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString)


def in_loop(statement: Statement) -> bool:
    """Whether a loop of the same function is around it."""
    owner = statement.owner
    while owner is not None and not isinstance(owner.site.node, cst.FunctionDef):
        if isinstance(owner.site.node, LOOPS):
            return True
        owner = owner.owner
    return False


def leaves(statement: Statement) -> bool:
    """Whether nothing that follows it in its block can run."""
    node = statement.site.node
    return isinstance(node, cst.SimpleStatementLine) and isinstance(
        node.body[-1], (cst.Return, cst.Break, cst.Continue, cst.Raise)
    )


def opens(statement: Statement) -> bool:
    """Whether it is the first statement of a function, but for the docstring."""
    owner = statement.owner
    if owner is None or not isinstance(owner.site.node, cst.FunctionDef):
        return False
    return all(is_docstring(other) for other in statement.block[: place(statement)])


def place(statement: Statement) -> int:
    """Position of a statement in its block."""
    return statement.block.index(statement)
