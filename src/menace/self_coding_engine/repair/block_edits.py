"""Edits of how statements are put together: branches, order, and what is inside of what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.layout import LOOPS, Splice, place, shifted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.repair.atoms import Atoms
    from menace.self_coding_engine.repair.code_map import CodeMap, Statement


class BlockEdits:
    """Ways to put a statement together with its neighbours differently."""

    def __init__(self, code: CodeMap, atoms: Atoms) -> None:
        self._code = code
        self._atoms = atoms

    def splices(self, statement: Statement) -> Iterator[Splice]:
        """Yield the edits of one statement."""
        node = statement.site.node
        if isinstance(node, (cst.If, cst.While)):
            yield from self._keyword(statement, node)
        if isinstance(node, cst.If):
            yield from self._chain(statement, node)
            yield from self._neighbours(statement, node)
        yield from self._order(statement)
        yield from self._inwards(statement)
        yield from self._outwards(statement)

    def _keyword(self, statement: Statement, node: cst.If | cst.While) -> Iterator[Splice]:
        begin, end = self._code.lines(statement)
        body = self._code.text[begin:end]
        if isinstance(node, cst.If):
            text = re.sub(r"^(\s*)if\b", r"\1while", body, count=1)
            yield "branch", begin, end, text, 0.8, False
        elif node.orelse is None:
            text = re.sub(r"^(\s*)while\b", r"\1if", body, count=1)
            yield "branch", begin, end, text, 0.4, False
        inner = self._code.of(node.body)
        if inner.line > statement.first:
            stop = self._stop(node, end)
            taken = self._code.text[self._code.line_start(inner.line) : stop]
            yield "clause_drop", begin, end, self._out(taken), 0.6, False

    def _stop(self, node: cst.If | cst.While, end: int) -> int:
        """Offset at which the first branch ends."""
        if node.orelse is None:
            return end
        return self._code.text.rfind("\n", 0, self._code.of(node.orelse).start) + 1

    def _out(self, text: str) -> str:
        return shifted(text, self._code.indent, out=True)

    def _chain(self, statement: Statement, node: cst.If) -> Iterator[Splice]:
        """Change the elif and else of an if."""
        _, end = self._code.lines(statement)
        branch: cst.If | cst.Else | None = node.orelse
        while isinstance(branch, cst.If):
            site = self._code.of(branch)
            at = self._code.line_start(site.line)
            yield "branch", site.start, site.start + len("elif"), "if", 0.0, False
            yield "branch", at, self._stop(branch, end), "", 0.3, False
            if branch.orelse is None:
                colon = self._code.of(branch.test).end + 1
                yield "branch", site.start, colon, "else:", 0.8, False
            branch = branch.orelse
        if isinstance(branch, cst.Else):
            yield from self._else(statement, branch, end)

    def _else(self, statement: Statement, branch: cst.Else, end: int) -> Iterator[Splice]:
        site, body = self._code.of(branch), self._code.of(branch.body)
        at = self._code.line_start(site.line)
        yield "branch", at, end, "", 0.3, False
        if body.line == site.line:
            return
        plain = self._out(self._code.text[self._code.line_start(body.line) : end])
        yield "branch", at, end, plain, 0.2, False
        colon = self._code.text.index(":", site.start) + 1
        scope = self._code.scopes[statement.function]
        for atom, cost in self._atoms.conditions(statement.function, scope.names):
            yield "branch", site.start, colon, f"elif {atom}:", 1.6 + cost, False

    def _neighbours(self, statement: Statement, node: cst.If) -> Iterator[Splice]:
        """Join an if with the one before it, or take what follows it as its else."""
        position = place(statement)
        if position > 0 and isinstance(statement.block[position - 1].site.node, cst.If):
            start = statement.site.start
            yield "branch", start, start + len("if"), "elif", 0.3, False
        following = statement.block[position + 1 : position + 2]
        if following and node.orelse is None:
            start, stop = self._code.lines(following[0])
            moved = shifted(self._code.text[start:stop], self._code.indent)
            yield "branch", start, stop, f"{statement.indent}else:\n{moved}", 0.6, False

    def _order(self, statement: Statement) -> Iterator[Splice]:
        following = statement.block[place(statement) + 1 :][:1]
        if following:
            begin, end = self._code.lines(statement)
            start, stop = self._code.lines(following[0])
            if end == start:
                text = self._code.text[start:stop] + self._code.text[begin:end]
                yield "order", begin, stop, text, 0.0, False

    def _inwards(self, statement: Statement) -> Iterator[Splice]:
        """Move a statement into the compound one before or after it."""
        begin, end = self._code.lines(statement)
        text = self._code.text
        moved = shifted(text[begin:end], self._code.indent)
        position = place(statement)
        before = statement.block[position - 1] if position > 0 else None
        if before is not None and isinstance(before.site.node, (*LOOPS, cst.If, cst.With)):
            yield "nesting", begin, end, moved, 0.0, False
            inner = [other for other in self._code.statements if other.owner is before]
            if inner and isinstance(inner[-1].site.node, cst.BaseCompoundStatement):
                yield "nesting", begin, end, shifted(moved, self._code.indent), 0.8, False
        for after in statement.block[position + 1 : position + 2]:
            inner = [other for other in self._code.statements if other.owner is after]
            if inner and isinstance(after.site.node, (*LOOPS, cst.If)):
                at = self._code.line_start(inner[0].first)
                yield "nesting", begin, at, text[end:at] + moved, 0.8, False

    def _outwards(self, statement: Statement) -> Iterator[Splice]:
        """Move a statement out of the compound one around it: behind it, or before it."""
        owner = statement.owner
        if owner is None or isinstance(owner.site.node, (cst.FunctionDef, cst.ClassDef)):
            return
        begin, end = self._code.lines(statement)
        text = self._code.text
        moved = self._out(text[begin:end])
        position = place(statement)
        start, stop = self._code.lines(owner)
        if position == len(statement.block) - 1:
            if position > 0:
                yield "nesting", begin, end, moved, 0.0, False
            hole = "" if position > 0 else f"{statement.indent}pass\n"
            yield "nesting", begin, stop, hole + text[end:stop] + moved, 0.3, False
        if position == 0 and len(statement.block) > 1:
            yield "nesting", start, end, moved + text[start:begin], 0.6, False
