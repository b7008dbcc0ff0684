"""Operators, functions and methods that are taken for one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPARISONS = {
    "<": (("<=", 0.0), (">", 0.4), (">=", 0.8), ("!=", 1.4), ("==", 1.4)),
    "<=": (("<", 0.0), (">=", 0.4), (">", 0.8), ("==", 1.4), ("!=", 1.6)),
    ">": ((">=", 0.0), ("<", 0.4), ("<=", 0.8), ("!=", 1.4), ("==", 1.4)),
    ">=": ((">", 0.0), ("<=", 0.4), ("<", 0.8), ("==", 1.4), ("!=", 1.6)),
    "==": (("!=", 0.2), ("<=", 0.9), (">=", 0.9), ("<", 1.2), (">", 1.2), ("is", 1.8), ("in", 1.4)),
    "!=": (("==", 0.2), ("<", 0.9), (">", 0.9), ("<=", 1.4), (">=", 1.4), ("is not", 1.8)),
    "in": (("not in", 0.2), ("==", 1.4)),
    "not in": (("in", 0.2), ("!=", 1.4)),
    "is": (("is not", 0.3), ("==", 0.3)),
    "is not": (("is", 0.3), ("!=", 0.3)),
}
"""Operator → what it may have been meant to be, with the extra cost of each."""

ARITHMETIC = {
    "+": (("-", 0.0), ("*", 0.8), ("/", 1.6), ("//", 1.6), ("%", 1.6), ("|", 1.8), ("^", 1.8)),
    "-": (("+", 0.0), ("*", 1.0), ("/", 1.4), ("//", 1.4), ("%", 1.2), ("**", 1.8)),
    "*": (("+", 0.7), ("/", 0.4), ("//", 0.5), ("**", 0.5), ("-", 1.0), ("%", 1.4), ("@", 2.5)),
    "/": (("//", 0.1), ("*", 0.4), ("%", 0.8), ("-", 1.4), ("+", 1.6)),
    "//": (("/", 0.2), ("%", 0.3), ("*", 0.7), ("-", 1.4), ("+", 1.6), (">>", 1.6)),
    "%": (("//", 0.2), ("/", 0.5), ("*", 1.2), ("-", 1.2), ("+", 1.4)),
    "**": (("*", 0.2), ("//", 1.4), ("+", 1.4), ("-", 1.6), ("^", 1.4)),
    "&": (("|", 0.2), ("^", 0.4), ("-", 0.8), ("+", 1.4)),
    "|": (("&", 0.2), ("^", 0.4), ("+", 1.0), ("-", 1.0)),
    "^": (("&", 0.2), ("|", 0.2), ("**", 0.3), ("+", 1.0), ("-", 1.0)),
    "<<": ((">>", 0.1), ("*", 0.8), ("+", 1.4)),
    ">>": (("<<", 0.1), ("//", 0.5), ("-", 1.4)),
}

FUNCTIONS = (
    ("min", "max"),
    ("any", "all"),
    ("int", "float", "round", "str"),
    ("int", "abs"),
    ("round", "abs"),
    ("sorted", "list", "set", "tuple", "reversed"),
    ("list", "set", "tuple", "dict"),
    ("sum", "len", "max", "min"),
    ("range", "enumerate"),
    ("enumerate", "zip", "list"),
    ("ord", "chr"),
    ("ord", "int"),
    ("chr", "str"),
    ("bin", "hex", "oct"),
    ("map", "filter"),
    ("math.floor", "math.ceil", "round", "int"),
    ("math.sqrt", "abs", "int"),
    ("sum", "math.prod"),
    ("isinstance", "issubclass"),
    ("sum", "any"),
    ("len", "abs", "int"),
)
METHODS = (
    ("append", "extend", "insert"),
    ("append", "appendleft", "add"),
    ("lower", "upper", "swapcase", "capitalize", "title"),
    ("startswith", "endswith"),
    ("find", "index", "rfind", "rindex", "count"),
    ("strip", "lstrip", "rstrip"),
    ("keys", "values", "items"),
    ("islower", "isupper", "isalpha", "isdigit", "isalnum", "isspace", "isnumeric", "isdecimal"),
    ("pop", "popleft", "remove"),
    ("add", "discard", "remove", "update"),
    ("union", "intersection", "difference", "symmetric_difference"),
    ("issubset", "issuperset"),
    ("split", "rsplit", "splitlines"),
    ("get", "setdefault", "pop"),
    ("sort", "reverse"),
    ("partition", "rpartition"),
    ("replace", "strip"),
)


def related(families: tuple[tuple[str, ...], ...], name: str) -> Iterator[tuple[str, float]]:
    """Yield the other members of a name's families, with an extra cost for large families.

    >>> list(related(FUNCTIONS, "any"))
    [('all', 0.0), ('sum', 0.0)]
    """
    seen = {name}
    for family in families:
        if name in family:
            for other in family:
                if other not in seen:
                    seen.add(other)
                    yield other, 0.0 if len(family) == 2 else 0.5
