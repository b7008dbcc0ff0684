"""Edits that fit any expression of a type: calls around it, other operands, other expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.atoms import NUMERIC, SIZED
from menace.self_coding_engine.repair.code_map import IN_OPERATIONS, is_enclosed, names_in
from menace.self_coding_engine.repair.kinds import UNKNOWN, alike
from menace.self_coding_engine.repair.precedence import SUM, binding
from menace.self_coding_engine.repair.wraps import SPOKEN, UNKNOWN_WRAPS, WRAPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from menace.self_coding_engine.repair.argument_edits import Change
    from menace.self_coding_engine.repair.atoms import Atoms
    from menace.self_coding_engine.repair.code_map import CodeMap, Site
    from menace.self_coding_engine.repair.expression_edits import ExpressionEdits
    from menace.self_coding_engine.repair.kinds import Kinds
    from menace.self_coding_engine.repair.vocabulary import Vocabulary

UNSURE = 0.9
"""More cost where the type is not known."""

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
        if isinstance(site.node, IN_OPERATIONS) and not is_enclosed(site.node):
            operand = f"({text})"
        if is_condition(site):
            yield from self._conditions(site, operand)
        if _carries_value(site):
            yield from self._shifted(site, kind, text if binding(text) >= SUM else operand)
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
        heard = any(word in self._words.words for word in SPOKEN.get(pattern, ()))
        return -0.9 if heard else 0.0

    def _extended(self, site: Site, kind: str, operand: str) -> Iterator[Change]:
        of = {
            name: self._kinds.of_name(site.function, name) for name in self._expressions.names(site)
        }
        extra = UNSURE if kind == UNKNOWN else 0.0
        if kind in NUMERIC or kind == UNKNOWN:
            yield from (("operand_add", t, c + extra) for t, c in self._sums(of, operand))
        if kind in {"list", UNKNOWN}:
            yield from (("operand_add", t, c + extra) for t, c in _joined(of, operand))
        if kind == "str":
            others = [(n, 0.2) for n, k in of.items() if k == "str"]
            others += [(f"str({n})", 0.8) for n, k in of.items() if k == "int"]
            texts = sorted(self._words.told_strings | self._words.own_strings)
            for other, cost in [*others, *((text, 0.6) for text in texts)]:
                yield "operand_add", f"{operand} + {other}", cost
                yield "operand_add", f"{other} + {operand}", cost

    def _sums(self, of: Mapping[str, str], operand: str) -> Iterator[tuple[str, float]]:
        others = [(name, 0.0) for name, kind in of.items() if kind in NUMERIC]
        others += [(f"len({name})", 0.8) for name, kind in of.items() if kind in SIZED]
        others += [(number, 0.5) for number in self._numbers()]
        for other, cost in others:
            for sign, more in OPERAND_SIGNS:
                yield f"{operand} {sign} {other}", cost + more
            if other.isidentifier():
                yield f"{other} - {operand}", 0.6
        yield f"{operand} ** 2", 0.6

    def _numbers(self) -> list[str]:
        told = [n for n in self._words.told_numbers if not n.startswith("-")]
        return sorted({"2", "10", *told} - {"0", "1"})[:6]

    def _conditions(self, site: Site, operand: str) -> Iterator[Change]:
        yield "negation", f"not {operand}", 0.0
        names = self._expressions.names(site)
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


def _joined(of: Mapping[str, str], operand: str) -> Iterator[tuple[str, float]]:
    for name, kind in of.items():
        if kind in {"list", UNKNOWN}:
            yield f"{operand} + {name}", 0.4
            yield f"{name} + {operand}", 0.4
        if kind != "list" or len(of) < 5:
            yield f"{operand} + [{name}]", 0.4
            yield f"[{name}] + {operand}", 0.4


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
    return not isinstance(
        above, (cst.Expr, cst.Lambda, cst.FormattedString, cst.ConcatenatedString)
    ) or (isinstance(above, cst.Lambda) and above.body is node)


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
