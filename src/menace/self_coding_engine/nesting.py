"""How deep a text is nested: beyond a limit it may end the process that reads it.

libcst's parser and Python's own use the machine's stack. A few thousand brackets within each other
exhaust it, and a text from outside must not be able to do that to menace.
"""

from __future__ import annotations

import ast

DEEPEST = 100
"""Nesting of blocks and expressions that code for people never reaches."""


def parsed(source: str) -> ast.Module:
    """Parse a text that nobody has vouched for.

    Raises
    ------
    SyntaxError
        If it is no valid Python, or nested deeper than :data:`DEEPEST`.

    Examples
    --------
    >>> parsed("x = " + "-" * 200 + "1")
    Traceback (most recent call last):
    SyntaxError: nested more than 100 deep
    """
    try:
        tree = ast.parse(source)
    except (RecursionError, MemoryError):
        raise SyntaxError(f"nested more than {DEEPEST} deep") from None
    except ValueError as error:
        raise SyntaxError(str(error)) from None
    waiting: list[tuple[ast.AST, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise SyntaxError(f"nested more than {DEEPEST} deep")
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
    return tree
