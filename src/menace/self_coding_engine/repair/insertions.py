"""New statements, made of what is in reach, before a statement or at the end of its block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.atoms import MOST_NAMES, NUMERIC
from menace.self_coding_engine.repair.code_map import names_in
from menace.self_coding_engine.repair.layout import (
    Splice,
    in_loop,
    is_docstring,
    leaves,
    opens,
    shifted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from menace.self_coding_engine.repair.atoms import Atoms
    from menace.self_coding_engine.repair.code_map import CodeMap, Scope, Statement
    from menace.self_coding_engine.repair.kinds import Kinds

FAR = 0.8
"""More cost for returning early elsewhere than at a function's start."""

OWN_UPDATES = {
    "int": (("{0} += 1", 0.0), ("{0} -= 1", 0.2), ("{0} = 0", 0.8), ("{0} = abs({0})", 0.6)),
    "float": (("{0} = round({0}, 2)", 1.0), ("{0} = abs({0})", 0.6)),
    "list": (
        ("{0} = sorted({0})", 0.6),
        ("{0} = {0}[::-1]", 0.9),
        ("{0} = []", 0.9),
        ("{0} = list({0})", 0.9),
    ),
    "str": (("{0} = {0}.lower()", 0.6), ("{0} = {0}.strip()", 0.8), ("{0} = ''", 0.9)),
    "bool": (("{0} = True", 0.4), ("{0} = False", 0.4)),
    "?": (("{0} += 1", 0.0), ("{0} -= 1", 0.2), ("{0} = 0", 0.8)),
}
"""Kind → updates of a variable by itself, and their extra costs."""

PAIR_UPDATES = {
    ("int", "int"): (("{0} += {1}", 0.4), ("{0} -= {1}", 0.7)),
    ("float", "float"): (("{0} += {1}", 0.4), ("{0} -= {1}", 0.7)),
    ("list", "list"): (("{0}.append({1})", 0.5), ("{0}.extend({1})", 0.5)),
    ("str", "str"): (("{0} += {1}", 0.4),),
    ("dict", "str"): (("{0}[{1}] = 1", 1.0),),
    ("dict", "int"): (("{0}[{1}] = 1", 1.0),),
}
"""Kinds of two variables → updates of the first by the second."""


class Insertions:
    """Statements that may be missing."""

    def __init__(self, code: CodeMap, kinds: Kinds, atoms: Atoms) -> None:
        self._code = code
        self._kinds = kinds
        self._atoms = atoms

    def splices(self, statement: Statement, scope: Scope) -> Iterator[Splice]:
        """Yield what may be inserted before a statement, and behind the last one of a block."""
        begin, end = self._code.lines(statement)
        last = statement is statement.block[-1] and not leaves(statement)
        for at in (begin, end) if last else (begin,):
            for text, cost in self._updates(statement, scope.names):
                yield "update", at, at, f"{statement.indent}{text}\n", cost, False
            for text, cost in self._copies(statement, scope.names):
                yield "copy", at, at, f"{statement.indent}{text}\n", cost, False
        yield from self._guards(statement, scope)
        if last:
            for result, cost, shown in self.results(scope):
                line = f"{statement.indent}return {result}\n"
                yield "result", end, end, line, 0.6 + cost, shown

    def results(self, scope: Scope) -> list[tuple[str, float, bool]]:
        """List what the scope's function may return."""
        node = scope.site.node
        name = node.name.value if isinstance(node, cst.FunctionDef) else ""
        return list(self._atoms.results(name, scope.names))

    def _guards(self, statement: Statement, scope: Scope) -> Iterator[Splice]:
        begin, end = self._code.lines(statement)
        indent, inner = statement.indent, statement.indent + self._code.indent
        looping = in_loop(statement)
        results = self.results(scope) if opens(statement) or not looping else []
        far = 0.0 if opens(statement) else FAR
        body = shifted(self._code.text[begin:end], self._code.indent)
        for atom, cost in self._atoms.conditions(statement.function, scope.names):
            head = f"{indent}if {atom}:\n"
            for result, more, shown in results:
                line = f"{head}{inner}return {result}\n"
                yield "guard_result", begin, begin, line, cost + more + far, shown
            if looping:
                for jump in ("continue", "break"):
                    yield "guard_jump", begin, begin, f"{head}{inner}{jump}\n", cost, False
            if not isinstance(statement.site.node, cst.FunctionDef):
                yield "guard_block", begin, end, f"{head}{body}", cost, False

    def _updates(self, statement: Statement, names: Sequence[str]) -> Iterator[tuple[str, float]]:
        function = statement.function
        kinds = {name: self._kinds.of_name(function, name) for name in names[:MOST_NAMES]}
        for name, kind in kinds.items():
            for pattern, cost in OWN_UPDATES.get(kind, ()):
                yield pattern.format(name), cost
            for other, own in kinds.items():
                if other == name:
                    continue
                if own == kind:
                    yield f"{name} = {other}", 0.3
                for pattern, cost in PAIR_UPDATES.get((kind, own), ()):
                    yield pattern.format(name, other), cost
                if kind == "list" and own != "list":
                    yield f"{name}.append({other})", 0.2
                elif kind == "set":
                    yield f"{name}.add({other})", 0.2
                elif kind in NUMERIC and own in NUMERIC and kind != own:
                    yield f"{name} += {other}", 0.8

    def _copies(self, statement: Statement, names: Sequence[str]) -> Iterator[tuple[str, float]]:
        seen = set()
        for other in self._code.statements:
            plain = isinstance(other.site.node, cst.SimpleStatementLine)
            if other.function != statement.function or other is statement or not plain:
                continue
            text = self._code.source(other.site).strip()
            if "\n" in text or text in seen or is_docstring(other):
                continue
            seen.add(text)
            yield text, 0.3
            yield from self._renamed(statement, text, names_in(other.site) & set(names), names)

    def _renamed(
        self, statement: Statement, text: str, used: set[str], names: Sequence[str]
    ) -> Iterator[tuple[str, float]]:
        for name in sorted(used):
            kind = self._kinds.of_name(statement.function, name)
            for other in names[:MOST_NAMES]:
                if other != name and self._kinds.of_name(statement.function, other) == kind:
                    yield re.sub(rf"\b{name}\b", other, text), 1.0
