"""Edits of whole statements: dropped, rewritten, moved, and what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.atoms import MOST_NAMES
from menace.self_coding_engine.repair.block_edits import BlockEdits
from menace.self_coding_engine.repair.families import ARITHMETIC
from menace.self_coding_engine.repair.insertions import Insertions
from menace.self_coding_engine.repair.layout import Splice, in_loop, is_docstring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.repair.atoms import Atoms
    from menace.self_coding_engine.repair.code_map import CodeMap, Scope, Statement
    from menace.self_coding_engine.repair.kinds import Kinds

Rewrite = tuple[str, str, float, bool]
"""Operator, new text of the statement, cost beyond the operator's, and whether a test
shows the text."""


class StatementEdits:
    """Ways to change one statement, or what stands before it."""

    def __init__(self, code: CodeMap, kinds: Kinds, atoms: Atoms) -> None:
        self._code = code
        self._blocks = BlockEdits(code, atoms)
        self._insertions = Insertions(code, kinds, atoms)

    def splices(self, statement: Statement) -> Iterator[Splice]:
        """Yield the edits of one statement."""
        scope = self._code.scopes.get(statement.function)
        if scope is None or is_docstring(statement):
            return
        yield from self._dropped(statement)
        yield from self._small(statement, scope)
        yield from self._blocks.splices(statement)
        yield from self._insertions.splices(statement, scope)

    def _dropped(self, statement: Statement) -> Iterator[Splice]:
        begin, end = self._code.lines(statement)
        if isinstance(statement.site.node, cst.FunctionDef):
            return
        alone = len(statement.block) == 1
        text = f"{statement.indent}pass\n" if alone else ""
        size = statement.last - statement.first
        yield "statement_drop", begin, end, text, 0.3 * size, False

    def _small(self, statement: Statement, scope: Scope) -> Iterator[Splice]:
        node = statement.site.node
        if not isinstance(node, cst.SimpleStatementLine) or len(node.body) != 1:
            return
        small = node.body[0]
        site = self._code.of(small)
        for operator, text, cost, shown in self._rewritten(statement, scope, small):
            yield operator, site.start, site.end, text, cost, shown

    def _rewritten(
        self, statement: Statement, scope: Scope, small: cst.BaseSmallStatement
    ) -> Iterator[Rewrite]:
        looping = in_loop(statement)
        text = self._code.source(self._code.of(small))
        if isinstance(small, (cst.Break, cst.Continue, cst.Pass)):
            for other in ("break", "continue", "pass"):
                if other != text and (other == "pass" or looping):
                    yield "jump", other, 0.0, False
            for result, cost, shown in self._insertions.results(scope):
                yield "jump", f"return {result}", 0.8 + cost, shown
        elif isinstance(small, cst.Return):
            yield from self._returns(scope, text, looping=looping)
        elif isinstance(small, cst.Expr) and isinstance(small.value, cst.Yield):
            yield from _yields(text.removeprefix("yield").strip())
        elif isinstance(small, cst.Expr):
            yield from self._used(small, text, scope)
        elif isinstance(small, cst.AugAssign):
            yield from self._augmented(small)
        elif isinstance(small, cst.Assign) and len(small.targets) == 1:
            yield from self._assigned(small, scope)

    def _used(self, small: cst.Expr, text: str, scope: Scope) -> Iterator[Rewrite]:
        """Use what an expression gives and nobody takes."""
        yield "result", f"return {text}", 0.0, False
        if isinstance(small.value, cst.Call) and isinstance(small.value.func, cst.Attribute):
            target = self._code.source(self._code.of(small.value.func.value))
            yield "result", f"{target} = {text}", 1.0, False
            for name in scope.names[:MOST_NAMES]:
                yield "result", f"{name} = {text}", 1.6, False

    def _returns(self, scope: Scope, text: str, *, looping: bool) -> Iterator[Rewrite]:
        if looping:
            yield "jump", "continue", 0.6, False
            yield "jump", "break", 0.6, False
        for result, cost, shown in self._insertions.results(scope):
            if f"return {result}" != text:
                yield "result", f"return {result}", 0.4 + cost, shown
        value = text.removeprefix("return").strip()
        if value:
            yield "jump", f"yield {value}", 1.8, False

    def _augmented(self, small: cst.AugAssign) -> Iterator[Rewrite]:
        target = self._code.source(self._code.of(small.target))
        operator = self._code.source(self._code.of(small.operator))
        value = self._code.source(self._code.of(small.value))
        for other, cost in ARITHMETIC.get(operator.rstrip("="), ()):
            yield "augmented", f"{target} {other}= {value}", cost, False
        yield "augmented", f"{target} = {value}", 0.3, False
        yield "augmented", f"{target} = {value} - {target}", 1.6, False

    def _assigned(self, small: cst.Assign, scope: Scope) -> Iterator[Rewrite]:
        target = self._code.source(self._code.of(small.targets[0].target))
        value = self._code.source(self._code.of(small.value))
        if not isinstance(small.targets[0].target, cst.Tuple):
            for sign, cost in (("+=", 0.0), ("-=", 0.6), ("*=", 0.8), ("|=", 1.5), ("//=", 1.5)):
                yield "augmented", f"{target} {sign} {value}", cost, False
            for other in ("max", "min"):
                yield "wrap", f"{target} = {other}({target}, {value})", 0.6, False
        yield "result", f"return {value}", 0.8, False
        for name in scope.names[:MOST_NAMES]:
            if name != target:
                yield "update", f"{target} = {name} = {value}", 1.2, False


def _yields(inner: str) -> Iterator[Rewrite]:
    if inner.startswith("from "):
        yield "jump", f"yield {inner[5:]}", 0.0, False
    else:
        yield "jump", f"yield from {inner}", 0.0, False
        yield "jump", f"return {inner}", 0.8, False
