"""Further arguments for functions that are often called with too few, or the wrong ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Change = tuple[str, str, float]
"""Operator, new text of the whole node, and cost beyond the operator's."""

SORTING_KEYS = (
    ("len", 0.8),
    ("abs", 0.8),
    ("str", 0.8),
    ("str.lower", 0.8),
    ("lambda x: x[1]", 0.8),
    ("lambda x: x[0]", 0.8),
    ("lambda x: -x", 1.2),
)
METHOD_ARGUMENTS = {
    "pop": (("0", 0.0), ("-1", 0.0)),
    "split": (("' '", 0.0), ("','", 0.0)),
}
"""Method → what it may have been meant to be called with, where it is called with nothing."""


def more_arguments(function: str, texts: Sequence[str]) -> Iterator[Change]:
    """Yield calls of a function with more arguments than these, or other ones.

    >>> list(more_arguments("words.pop", []))[0]
    ('argument_add', 'words.pop(0)', 0.0)
    """
    name = function.rpartition(".")[2]
    if function == "range":
        yield from _ranges(texts)
    elif name in {"sorted", "sort", "min", "max"}:
        yield from _sortings(function, texts, ordered=name in {"sorted", "sort"})
    elif name == "round":
        yield from (("argument_add", _call(function, *texts, d), 0.6) for d in ("1", "2"))
    elif name == "enumerate":
        yield "argument_add", _call(function, *texts, "1"), 0.0
    elif name in METHOD_ARGUMENTS and not texts:
        for text, cost in METHOD_ARGUMENTS[name]:
            yield "argument_add", _call(function, text), cost
    elif name in {"replace", "split", "count", "find"}:
        yield "argument_add", _call(function, *texts, "1"), 1.2


def _call(function: str, *texts: str) -> str:
    return f"{function}({', '.join(texts)})"


def _sortings(function: str, texts: Sequence[str], *, ordered: bool) -> Iterator[Change]:
    inside = ", ".join(texts)
    if "reverse" in inside:
        kept = [text for text in texts if not text.startswith("reverse")]
        yield "argument_drop", _call(function, *kept), 0.0
        other = re.sub(r"reverse\s*=\s*True", "reverse=False", inside)
        yield "argument_add", _call(function, other), 0.3
    elif ordered:
        yield "argument_add", _call(function, *texts, "reverse=True"), 0.0
    if "key" not in inside:
        for key, cost in SORTING_KEYS:
            yield "argument_add", _call(function, *texts, f"key={key}"), cost
    if not ordered and len(texts) == 1:
        yield "argument_add", _call(function, *texts, "default=0"), 0.6
        yield "argument_add", _call(function, *texts, "default=None"), 0.8


def _ranges(texts: Sequence[str]) -> Iterator[Change]:
    if len(texts) == 1:
        (end,) = texts
        yield "argument_add", f"range(1, {end})", 0.0
        yield "argument_add", f"range(1, {end} + 1)", 0.3
        yield "argument_add", f"range(2, {end})", 0.8
        yield "argument_add", f"range(2, {end} + 1)", 0.8
        yield "argument_add", f"range(0, {end}, 2)", 1.0
        yield "argument_add", f"range({end} - 1, -1, -1)", 0.8
        yield "argument_add", f"range({end}, 0, -1)", 0.8
    elif len(texts) == 2:
        start, end = texts
        yield "argument_add", f"range({start}, {end}, 2)", 0.8
        yield "argument_add", f"range({start}, {end}, -1)", 0.6
        yield "argument_add", f"range({end}, {start}, -1)", 0.8
        yield "argument_add", f"range({end} - 1, {start} - 1, -1)", 1.0
        yield "off_by_one", f"range({start} + 1, {end} + 1)", 0.6
        yield "off_by_one", f"range({start} - 1, {end} - 1)", 1.0
    elif len(texts) == 3:
        start, end, step = texts
        yield "slice", f"range({start}, {end}, -({step}))", 0.6
