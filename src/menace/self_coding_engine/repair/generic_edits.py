"""Edits that fit any expression of a type: calls around it, other operands, other expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.atoms import NUMERIC, SIZED
from menace.self_coding_engine.repair.code_map import IN_OPERATIONS, names_in
from menace.self_coding_engine.repair.kinds import UNKNOWN, alike

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.repair.atoms import Atoms
    from menace.self_coding_engine.repair.code_map import CodeMap, Site
    from menace.self_coding_engine.repair.expression_edits import Change, ExpressionEdits
    from menace.self_coding_engine.repair.kinds import Kinds
    from menace.self_coding_engine.repair.vocabulary import Vocabulary

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
MOST_MINED = 40
OPERAND_SIGNS = (("+", 0.0), ("-", 0.1), ("*", 0.3), ("%", 1.0), ("//", 0.9), ("/", 0.9))


class GenericEdits:
    """Ways to write an expression of any kind of node differently, led by its type."""

    def __init__(
        self,
        code: CodeMap,
        kinds: Kinds,
        vocabulary: Vocabulary,
        expressions: ExpressionEdits,
        atoms: Atoms,
    ) -> None:
        self._code = code
        self._kinds = kinds
        self._words = vocabulary
        self._expressions = expressions
        self._atoms = atoms
        self._minable: dict[str, list[tuple[str, str, Site]]] = {}

    def changes(self, site: Site) -> Iterator[Change]:
        """Yield what the expression could be instead."""
        if not is_value(site):
            return
        kind = self._kinds.of(site)
        text = self._code.source(site)
        operand = text
        if isinstance(site.node, IN_OPERATIONS) and not getattr(site.node, "lpar", ()):
            operand = f"({text})"
        if is_condition(site):
            yield from self._conditions(site, operand)
        if _carries_value(site):
            yield from self._shifted(site, kind, operand)
            yield from self._wrapped(kind, text, operand)
            yield from self._extended(site, kind, operand)
        yield from self._mined(site, kind, text)

    def _shifted(self, site: Site, kind: str, operand: str) -> Iterator[Change]:
        if kind in {"int", UNKNOWN} and not isinstance(site.node, cst.Integer):
            extra = 0.0 if kind == "int" else 0.8
            yield "off_by_one", f"{operand} + 1", extra
            yield "off_by_one", f"{operand} - 1", extra

    def _wrapped(self, kind: str, text: str, operand: str) -> Iterator[Change]:
        for pattern, cost in WRAPS.get(kind, UNKNOWN_WRAPS):
            bare = "({})" in pattern or pattern == "[{}]"
            yield "wrap", pattern.format(text if bare else operand), cost + self._unheard(pattern)

    def _unheard(self, pattern: str) -> float:
        """Less cost for a call that the prose speaks of."""
        heard = any(word in self._words.words for word in _SPOKEN.get(pattern, ()))
        return -0.9 if heard else 0.0

    def _extended(self, site: Site, kind: str, operand: str) -> Iterator[Change]:
        names = self._expressions._names(site)  # noqa: SLF001 - one family
        of = {name: self._kinds.of_name(site.function, name) for name in names}
        if kind in NUMERIC or kind == UNKNOWN:
            extra = 0.0 if kind in NUMERIC else 0.9
            others = [(n, 0.0) for n, k in of.items() if k in NUMERIC]
            others += [(f"len({n})", 0.8) for n, k in of.items() if k in SIZED]
            others += [(number, 0.5) for number in self._numbers()]
            for other, cost in others:
                for sign, more in OPERAND_SIGNS:
                    yield "operand_add", f"{operand} {sign} {other}", cost + more + extra
                if other.isidentifier():
                    yield "operand_add", f"{other} - {operand}", 0.6 + extra
            yield "operand_add", f"{operand} ** 2", 0.6 + extra
        if kind in {"list", UNKNOWN}:
            extra = 0.0 if kind == "list" else 0.9
            for name, own in of.items():
                if own in {"list", UNKNOWN}:
                    yield "operand_add", f"{operand} + {name}", 0.4 + extra
                    yield "operand_add", f"{name} + {operand}", 0.4 + extra
                if own != "list" or len(of) < 5:
                    yield "operand_add", f"{operand} + [{name}]", 0.4 + extra
                    yield "operand_add", f"[{name}] + {operand}", 0.4 + extra
        if kind == "str":
            others = [(n, 0.2) for n, k in of.items() if k == "str"]
            others += [(f"str({n})", 0.8) for n, k in of.items() if k == "int"]
            others += [(s, 0.6) for s in sorted(self._words.told_strings | self._words.own_strings)]
            for other, cost in others:
                yield "operand_add", f"{operand} + {other}", cost
                yield "operand_add", f"{other} + {operand}", cost

    def _numbers(self) -> list[str]:
        told = [n for n in self._words.told_numbers if not n.startswith("-")]
        return sorted({"2", "10", *told} - {"0", "1"})[:6]

    def _conditions(self, site: Site, operand: str) -> Iterator[Change]:
        yield "negation", f"not {operand}", 0.0
        names = self._expressions._names(site)  # noqa: SLF001 - one family
        own = self._code.source(site)
        for atom, cost in self._atoms.conditions(site.function, names):
            if atom == own:
                continue
            yield "clause_add", f"{operand} and {atom}", cost
            yield "clause_add", f"{operand} or {atom}", cost
            yield "clause_add", f"{atom} and {operand}", cost + 0.3
            yield "clause_add", f"{atom} or {operand}", cost + 0.3
            yield "condition", atom, cost

    def _mined(self, site: Site, kind: str, text: str) -> Iterator[Change]:
        for other, own, origin in self._mine(site.function):
            inside = site.start <= origin.start and origin.end <= site.end
            if other != text and not inside:
                yield "mined", other, alike(kind, own)

    def _mine(self, function: str) -> list[tuple[str, str, Site]]:
        if function not in self._minable:
            found: dict[str, tuple[str, str, Site]] = {}
            for site in self._code.sites:
                if site.function != function or not is_value(site):
                    continue
                text = self._code.source(site)
                simple = isinstance(site.node, (cst.Name, cst.Integer, cst.SimpleString))
                if not simple and len(text) <= 50 and "\n" not in text:
                    if isinstance(site.node, IN_OPERATIONS):
                        text = f"({text})"
                    found.setdefault(text, (text, self._kinds.of(site), site))
            self._minable[function] = list(found.values())[:MOST_MINED]
        return self._minable[function]


_SPOKEN = {
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


def is_value(site: Site) -> bool:
    """Whether a site is an expression whose value is used: no target, no name of a call."""
    node, parent = site.node, site.parent
    if not isinstance(node, cst.BaseExpression) or site.stored or parent is None:
        return False
    above = parent.node
    if isinstance(above, (cst.Annotation, cst.Param, cst.Decorator, cst.ImportAlias, cst.ClassDef)):
        return isinstance(above, cst.Param) and above.default is node
    if isinstance(above, (cst.FunctionDef, cst.NameItem, cst.Attribute)):
        return isinstance(above, cst.Attribute) and above.value is node
    if isinstance(above, cst.Call) and above.func is node:
        return False
    if isinstance(above, cst.Arg) and above.keyword is node:
        return False
    return not isinstance(above, (cst.Expr, cst.Lambda, cst.FormattedString, cst.ConcatenatedString)) or (
        isinstance(above, cst.Lambda) and above.body is node
    )


def is_condition(site: Site) -> bool:
    """Whether a site decides a branch, or is a truth value that is returned or filtered by."""
    parent = site.parent.node if site.parent is not None else None
    if isinstance(parent, (cst.If, cst.While, cst.IfExp)):
        return parent.test is site.node
    if isinstance(parent, cst.CompIf):
        return True
    boolean = isinstance(site.node, (cst.Comparison, cst.BooleanOperation, cst.UnaryOperation))
    return boolean and not isinstance(parent, (cst.BooleanOperation, cst.UnaryOperation))


def _carries_value(site: Site) -> bool:
    """Whether a number or a collection, rather than a truth value, is wanted there."""
    if isinstance(site.node, (cst.Comparison, cst.BooleanOperation, cst.Lambda)):
        return False
    return len(names_in(site)) > 0 or isinstance(site.node, (cst.Call, cst.ListComp, cst.List))
