"""What a text's names mean: which of them imports have bound, and what a chain of dots leads to."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Use(NamedTuple):
    """One use of something that may do harm.

    Attributes
    ----------
    key
        Uses of one kind have one key.
    line
        From 1.
    why
        For people: what it does.
    """

    key: str
    line: int
    why: str


def imported_names(tree: ast.AST) -> dict[str, str]:
    r"""Map names in the text to the dotted names of what imports, anywhere in it, bound to them.

    Examples
    --------
    >>> imported_names(ast.parse("import os.path, numpy as np\nfrom json import loads as read"))
    {'os': 'os', 'np': 'numpy', 'read': 'json.loads'}
    """
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                names[alias.asname or alias.name] = f"{module}.{alias.name}"
    return names


def imported_modules(tree: ast.AST) -> frozenset[str]:
    """Collect the names in the text that surely stand for modules."""
    return frozenset(
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    )


def dotted(node: ast.expr, names: Mapping[str, str]) -> str | None:
    """Give the dotted name of a chain that begins with an imported name; ``None`` without one.

    Examples
    --------
    >>> chain = ast.parse("np.random.seed", mode="eval").body
    >>> dotted(chain, {"np": "numpy"})
    'numpy.random.seed'
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    return ".".join([names[node.id], *reversed(parts)])
