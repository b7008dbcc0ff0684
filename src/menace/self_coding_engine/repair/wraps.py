"""Calls and slices that may have been forgotten around an expression, by its type."""

from __future__ import annotations

NUMBER_WRAPS = (("abs({})", 0.0), ("int({})", 0.2), ("round({})", 0.4), ("str({})", 0.3))
MORE_NUMBER_WRAPS = (("float({})", 0.6), ("max({}, 0)", 0.8), ("max({}, 1)", 1.2), ("-{}", 0.6))
STRING_WRAPS = (
    ("{}.lower()", 0.0),
    ("{}.upper()", 0.3),
    ("{}.strip()", 0.3),
    ("{}[::-1]", 0.2),
    ("int({})", 0.2),
    ("len({})", 0.4),
    ("list({})", 0.5),
    ("set({})", 0.5),
    ("sorted({})", 0.5),
    ("''.join(sorted({}))", 0.9),
    ("{}.split()", 0.6),
    ("{}.swapcase()", 0.8),
    ("float({})", 0.7),
    ("ord({})", 0.7),
    ("{}[1:]", 0.6),
    ("{}[:-1]", 0.6),
)
LIST_WRAPS = (
    ("sorted({})", 0.0),
    ("len({})", 0.3),
    ("set({})", 0.3),
    ("sorted(set({}))", 0.6),
    ("list(set({}))", 0.8),
    ("{}[::-1]", 0.2),
    ("list({})", 0.5),
    ("tuple({})", 0.6),
    ("sum({})", 0.5),
    ("max({})", 0.6),
    ("min({})", 0.6),
    ("sorted({}, reverse=True)", 0.6),
    ("{}[1:]", 0.4),
    ("{}[:-1]", 0.4),
    ("{}[0]", 0.6),
    ("{}[-1]", 0.6),
    ("''.join({})", 0.8),
    ("{}[:]", 0.6),
    ("{}.copy()", 0.8),
    ("[{}]", 0.8),
    ("enumerate({})", 0.8),
    ("range(len({}))", 0.8),
    ("[abs(x) for x in {}]", 1.4),
)
SET_WRAPS = (("sorted({})", 0.0), ("list({})", 0.1), ("len({})", 0.3))
DICT_WRAPS = (
    ("{}.values()", 0.2),
    ("{}.items()", 0.2),
    ("{}.keys()", 0.4),
    ("sorted({})", 0.5),
    ("len({})", 0.4),
)
UNKNOWN_WRAPS = (
    ("abs({})", 0.4),
    ("int({})", 0.4),
    ("str({})", 0.4),
    ("list({})", 0.4),
    ("sorted({})", 0.5),
    ("set({})", 0.6),
    ("len({})", 0.6),
    ("[{}]", 0.8),
    ("sum({})", 0.8),
    ("{}[0]", 0.8),
    ("{}.copy()", 1.0),
    ("{}[::-1]", 0.8),
)
WRAPS = {
    "int": NUMBER_WRAPS + MORE_NUMBER_WRAPS,
    "float": NUMBER_WRAPS + MORE_NUMBER_WRAPS,
    "bool": (("not {}", 0.0), ("int({})", 0.6)),
    "str": STRING_WRAPS,
    "list": LIST_WRAPS,
    "tuple": LIST_WRAPS,
    "set": SET_WRAPS,
    "dict": DICT_WRAPS,
    "generator": (("list({})", 0.0), ("sorted({})", 0.3), ("sum({})", 0.5), ("set({})", 0.6)),
}
"""Kind → pattern and extra cost."""

SPOKEN = {
    "abs({})": ("absolute", "difference", "distance", "magnitude"),
    "sorted({})": ("sorted", "ascending", "order", "sort"),
    "sorted({}, reverse=True)": ("descending", "reverse"),
    "{}[::-1]": ("reverse", "reversed", "palindrome", "backwards"),
    "set({})": ("unique", "distinct", "duplicates"),
    "sorted(set({}))": ("unique", "distinct"),
    "len({})": ("length", "number", "count", "many"),
    "round({})": ("round", "rounded", "nearest"),
    "int({})": ("integer", "whole", "truncate"),
    "str({})": ("string", "representation"),
    "{}.lower()": ("lowercase", "lower", "case", "insensitive"),
    "{}.upper()": ("uppercase", "upper", "capital"),
    "sum({})": ("sum", "total"),
    "max({})": ("maximum", "largest", "biggest", "max"),
    "min({})": ("minimum", "smallest", "min"),
}
"""Pattern → words of the prose that speak for it."""
