"""Finds the constants of a text that may be tuned, and writes others in their place.

A mark is a comment at the end of the line whose value it concerns::

    WINDOW = 20  # tune: 1..100
    RATE = 0.01  # tune: log 1e-4..1
    KIND = "mean"  # tune: "mean" | "median"

Without any mark, numbers at module level and in keyword arguments of calls may be tuned, from a
quarter to four times what they are.
"""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_FOUND = 8
"""Constants without a mark that are tuned together, the first ones."""

DIGITS = 3
"""Significant digits of a number that is written."""

_RANGE = re.compile(r"^(?P<log>log\s+)?(?P<low>[-+.\deE_]+)\s*\.\.\s*(?P<high>[-+.\deE_]+)$")
_MARK = re.compile(r"#\s*tune:\s*(?P<what>.+?)\s*$")


@dataclass(frozen=True, slots=True)
class Tunable:
    """One constant and what may stand in its place.

    Attributes
    ----------
    name
        What it is called: the variable, or ``function(keyword)``.
    line, column, end
        Where its text stands: line from 1, columns in characters.
    value
        Its present value.
    low, high, log
        Range of a number, and whether it is searched on a logarithmic scale.
    options
        What may be chosen where there is no range.
    marked
        Whether the user marked it.
    """

    name: str
    line: int
    column: int
    end: int
    value: Any
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    options: tuple[Any, ...] = ()
    marked: bool = True

    @property
    def key(self) -> str:
        """A name of its own within the text."""
        return f"{self.name}:{self.line}:{self.column}"

    @property
    def whole(self) -> bool:
        """Whether it takes whole numbers only."""
        return type(self.value) is int


def tunables(source: str) -> list[Tunable]:
    """Constants that may be tuned: the marked ones, or else those found.

    Raises
    ------
    SyntaxError
        Where the text does not parse.

    Examples
    --------
    >>> [(t.name, t.value, t.low, t.high) for t in tunables("LIMIT = 20  # tune: 1..100")]
    [('LIMIT', 20, 1.0, 100.0)]
    """
    tree = ast.parse(source)
    marks = dict(_marks(source))
    constants = list(_constants(tree))
    marked = []
    for line, what in marks.items():
        here = [constant for constant in constants if constant[1].lineno == line]
        if here:
            tunable = _marked(source, *here[-1], what)
            if tunable is not None:
                marked.append(tunable)
    if marks:
        return marked
    found = [_found(source, name, node) for name, node in constants]
    return [tunable for tunable in found if tunable is not None][:MOST_FOUND]


def _marks(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            match = _MARK.match(token.string)
            if match is not None:
                yield token.start[0], match["what"]


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Literals that are the value of an assignment, a keyword, a default or a dictionary entry."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield from _literal(ast.unparse(target), node.value)
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                name = f"{ast.unparse(node.func)}({keyword.arg})"
                yield from _literal(name, keyword.value)
        elif isinstance(node, ast.arguments):
            yield from _defaults(node)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is not None:
                    yield from _literal(ast.unparse(key), value)


def _defaults(node: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    positional = [*node.posonlyargs, *node.args]
    named = positional[len(positional) - len(node.defaults) :]
    pairs = zip([*named, *node.kwonlyargs], [*node.defaults, *node.kw_defaults], strict=True)
    for argument, default in pairs:
        if default is not None:
            yield from _literal(argument.arg, default)


def _literal(name: str, node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    if isinstance(inner, ast.Constant) and isinstance(inner.value, bool | int | float | str):
        yield name, node


def _place(source: str, node: ast.expr) -> tuple[int, int, int] | None:
    if node.end_lineno != node.lineno or node.end_col_offset is None:
        return None
    line = source.splitlines()[node.lineno - 1].encode()
    column = len(line[: node.col_offset].decode())
    return node.lineno, column, column + len(line[node.col_offset : node.end_col_offset].decode())


def _marked(source: str, name: str, node: ast.expr, what: str) -> Tunable | None:
    place, value = _place(source, node), ast.literal_eval(node)
    if place is None:
        return None
    match = _RANGE.match(what)
    if match is not None and not isinstance(value, bool | str):
        low, high = float(match["low"]), float(match["high"])
        return Tunable(name, *place, value, low, high, log=bool(match["log"]))
    if "|" not in what:
        return None
    try:
        options = tuple(ast.literal_eval(option.strip()) for option in what.split("|"))
    except (ValueError, SyntaxError):
        return None
    return Tunable(name, *place, value, options=options)


def _found(source: str, name: str, node: ast.expr) -> Tunable | None:
    value = ast.literal_eval(node)
    place = _place(source, node)
    at_top = node.col_offset > 0 and not source.splitlines()[node.lineno - 1][:1].isspace()
    if place is None or isinstance(value, bool | str) or not value or not math.isfinite(value):
        return None
    if not (at_top or name.endswith(")")):
        return None
    low, high = sorted((value / 4, value * 4))
    if type(value) is int:
        low, high = math.floor(low), math.ceil(high)
        low = max(1, low) if value > 0 else low
        high = high if value > 0 else min(-1, high)
    elif 0 < value < 1:
        high = min(1.0, high)
    return Tunable(name, *place, value, low, high, log=value > 0, marked=False)


def with_values(source: str, values: Mapping[Tunable, Any]) -> str:
    """Text with other values in the places of constants; everything else stays as it is."""
    lines = source.splitlines(keepends=True)
    for tunable in sorted(values, key=lambda t: (t.line, t.column), reverse=True):
        line = lines[tunable.line - 1]
        written = literal(values[tunable])
        lines[tunable.line - 1] = line[: tunable.column] + written + line[tunable.end :]
    return "".join(lines)


def literal(value: Any) -> str:
    """Write a value as Python, floats with few digits, texts in double quotes.

    Examples
    --------
    >>> literal(0.0123456), literal(20.0), literal("mean"), literal(7)
    ('0.0123', '20.0', '"mean"', '7')
    """
    if isinstance(value, float):
        return repr(float(f"{value:.{DIGITS}g}"))
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    return repr(value)
