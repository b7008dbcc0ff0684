"""How tightly operations hold together: where a text that is moved needs parentheses."""

from __future__ import annotations

import re

LEVELS = (
    ("if", "lambda"),
    ("or",),
    ("and",),
    ("not",),
    ("==", "!=", "<", ">", "<=", ">=", "in", "is"),
    ("|",),
    ("^",),
    ("&",),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "//", "%", "@"),
    (),
    ("**",),
)
"""Python's operators, the loosest first."""

ATOM, SUM = 20, 9
"""Of what nothing can tear apart, and of sums and differences."""

_LEVEL_OF = {sign: level for level, signs in enumerate(LEVELS) for sign in signs}
_WORDS = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|\w+|[<>=!]=|<<|>>|\*\*|//|[-+*/%@&|^<>]|[()\[\]{}]")


def binding(text: str) -> int:
    """How tightly the loosest operation of a text binds, by :data:`LEVELS`.

    >>> binding("a + b"), binding("(a + b)"), binding("f(a) and b"), binding("-x")
    (9, 20, 2, 11)
    """
    depth, least, last = 0, ATOM, ""
    for match in _WORDS.finditer(text):
        word = match.group()
        if word in "([{":
            depth += 1
        elif word in ")]}":
            depth -= 1
        elif depth == 0 and word in _LEVEL_OF:
            unary = word in "+-" and (not last or last in _LEVEL_OF)
            least = min(least, 11 if unary else _LEVEL_OF[word])
        last = word
    return least
