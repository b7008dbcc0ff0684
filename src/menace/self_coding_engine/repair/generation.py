"""All single edits of a text, likeliest first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.atoms import Atoms
from menace.self_coding_engine.repair.code_map import CodeMap, Site, is_enclosed
from menace.self_coding_engine.repair.edits import Edit
from menace.self_coding_engine.repair.expression_edits import ExpressionEdits
from menace.self_coding_engine.repair.generic_edits import GenericEdits
from menace.self_coding_engine.repair.kinds import Kinds
from menace.self_coding_engine.repair.operators import OPERATORS
from menace.self_coding_engine.repair.precedence import ATOM, LEVELS, binding
from menace.self_coding_engine.repair.statement_edits import StatementEdits
from menace.self_coding_engine.repair.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FREEDOM = 2.0
"""Suspicion counts so many times in a cost: cost − FREEDOM · log suspicion."""


def single_edits(
    text: str,
    *,
    types: Mapping[str, Mapping[str, frozenset[str]]] | None = None,
    suspicion: Mapping[int, float] | None = None,
    prose: str = "",
    shown: Iterable[str] = (),
) -> list[Edit]:
    """Make all edits of a text, sorted by cost; each new text only once.

    Parameters
    ----------
    types
        What variables held in a run: function → variable → type names.
    suspicion
        Line → 0..1, how far failing tests point at it; lines that are missing are left alone.
        ``None``: all lines alike.
    prose
        What people say of the code.
    shown
        Literals of the tests.

    Raises
    ------
    libcst.ParserSyntaxError
        If the text is no Python.
    """
    code = CodeMap(text)
    kinds = Kinds(types or {})
    vocabulary = Vocabulary.of(code, prose, shown)
    found: dict[tuple[int, int, str], Edit] = {}
    for edit in _all_edits(code, kinds, vocabulary, suspicion):
        key = (edit.start, edit.end, edit.replacement)
        known = found.get(key)
        if known is None or edit.cost < known.cost:
            found[key] = edit
    return sorted(found.values(), key=lambda edit: edit.cost)


def _all_edits(
    code: CodeMap, kinds: Kinds, vocabulary: Vocabulary, suspicion: Mapping[int, float] | None
) -> Iterator[Edit]:
    atoms = Atoms(code, kinds, vocabulary)
    expressions = ExpressionEdits(code, kinds, vocabulary)
    generic = GenericEdits(code, kinds, vocabulary, expressions, atoms)
    statements = StatementEdits(code, kinds, atoms)
    idle = _idle_names(code)
    for site in code.sites:
        worth = _suspicion(code, site.line, site.end, suspicion)
        if worth is None or not isinstance(site.node, cst.BaseExpression) or _is_prose(site):
            continue
        for operator, text, extra in (*expressions.changes(site), *generic.changes(site)):
            start, end, new = _fit(code, site, text)
            if new == code.text[start:end]:
                continue
            cost = OPERATORS[operator].cost + extra + worth
            cost -= 1.0 if text in idle.get(site.function, ()) else 0.0
            yield Edit(operator, start, end, new, site.line, cost)
    for statement in code.statements:
        lines = range(statement.first, statement.last + 1)
        known = (_suspicion(code, line, 0, suspicion) for line in lines)
        costs = [found for found in known if found is not None]
        if not costs:
            continue
        for operator, start, end, text, extra, shown in statements.splices(statement):
            cost = OPERATORS[operator].cost + extra + min(costs)
            yield Edit(operator, start, end, text, statement.first, cost, literal=shown)


def _suspicion(
    code: CodeMap, line: int, end: int, suspicion: Mapping[int, float] | None
) -> float | None:
    """−log of a line's suspicion, or of the lines up to an offset; ``None``: leave it alone."""
    if suspicion is None:
        return 0.0
    best = suspicion.get(line, 0.0)
    start = code.line_start(line)
    if end > start:
        for later in range(line + 1, line + 1 + code.text.count("\n", start, end)):
            best = max(best, suspicion.get(later, 0.0))
    return None if best <= 0 else -FREEDOM * math.log(best)


def _is_prose(site: Site) -> bool:
    """Whether it is a docstring, or lies in an annotation, a decorator or an import."""
    text = isinstance(site.node, (cst.SimpleString, cst.ConcatenatedString))
    if text and site.parent is not None and isinstance(site.parent.node, cst.Expr):
        return True
    return any(
        isinstance(above.node, (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom))
        for above in site.above()
    )


def _fit(code: CodeMap, site: Site, text: str) -> tuple[int, int, str]:
    """Put parentheses around a new text where what is around it would take it apart."""
    parent = site.parent
    if parent is None or is_enclosed(site.node):
        return site.start, site.end, text
    if binding(text) < _wanted(code, site, parent):
        return site.start, site.end, f"({text})"
    return site.start, site.end, text


def _wanted(code: CodeMap, site: Site, parent: Site) -> int:
    """How tightly a text has to hold together to stand where the site stands."""
    node = parent.node
    if isinstance(node, cst.BooleanOperation):
        return 2 if isinstance(node.operator, cst.Or) else 3
    if isinstance(node, cst.UnaryOperation):
        return 3 if isinstance(node.operator, cst.Not) else 12
    if isinstance(node, (cst.Comparison, cst.ComparisonTarget, cst.StarredElement)):
        return 5
    if isinstance(node, cst.BinaryOperation):
        sign = code.source(code.of(node.operator))
        level = next(level for level, signs in enumerate(LEVELS) if sign in signs)
        on_right = node.right is site.node
        return level + 1 if on_right != (sign == "**") else level
    if isinstance(node, (cst.Attribute, cst.Subscript)) and node.value is site.node:
        return ATOM
    if isinstance(node, (cst.IfExp, cst.CompIf)):
        return 1
    return 0


def _idle_names(code: CodeMap) -> dict[str, set[str]]:
    """Names that a function has but never reads: an edit that reads one is likelier."""
    idle: dict[str, set[str]] = {}
    read: dict[str, set[str]] = {}
    for site in code.sites:
        if isinstance(site.node, cst.Name) and not site.stored:
            if site.parent is not None and isinstance(
                site.parent.node, (cst.Param, cst.AssignTarget)
            ):
                continue
            read.setdefault(site.function, set()).add(site.node.value)
    for name, scope in code.scopes.items():
        idle[name] = {n for n in scope.names if n not in read.get(name, set())}
    return idle
