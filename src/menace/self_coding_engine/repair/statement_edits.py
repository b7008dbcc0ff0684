"""Edits of whole statements: dropped, moved, copied, guarded, or made up of what is in reach."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.atoms import MOST_NAMES
from menace.self_coding_engine.repair.code_map import names_in
from menace.self_coding_engine.repair.families import ARITHMETIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from menace.self_coding_engine.repair.atoms import Atoms
    from menace.self_coding_engine.repair.code_map import CodeMap, Scope, Statement
    from menace.self_coding_engine.repair.kinds import Kinds
    from menace.self_coding_engine.repair.vocabulary import Vocabulary

Splice = tuple[str, int, int, str, float, bool]
"""Operator, start, end, new text, cost beyond the operator's, and whether a test shows the text."""

LOOPS = (cst.For, cst.While)


class StatementEdits:
    """Ways to change one statement, or what stands before it."""

    def __init__(
        self, code: CodeMap, kinds: Kinds, vocabulary: Vocabulary, atoms: Atoms
    ) -> None:
        self._code = code
        self._kinds = kinds
        self._words = vocabulary
        self._atoms = atoms

    def splices(self, statement: Statement) -> Iterator[Splice]:
        """Yield the edits of one statement."""
        scope = self._code.scopes.get(statement.function)
        if scope is None or self._is_docstring(statement):
            return
        yield from self._dropped(statement)
        yield from self._small(statement, scope)
        yield from self._branches(statement)
        yield from self._moved(statement)
        yield from self._before(statement, scope)

    def _is_docstring(self, statement: Statement) -> bool:
        node = statement.site.node
        if not isinstance(node, cst.SimpleStatementLine) or not node.body:
            return False
        first = node.body[0]
        return isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString)

    def _body(self, statement: Statement) -> str:
        begin, end = self._code.lines(statement)
        return self._code.text[begin:end]

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
        start, end = site.start, site.end
        text = self._code.source(site)
        if isinstance(small, (cst.Break, cst.Continue, cst.Pass)):
            for other, cost in (("break", 0.0), ("continue", 0.0), ("pass", 0.2)):
                in_loop = other == "pass" or self._in_loop(statement)
                if other != text and in_loop:
                    yield "jump", start, end, other, cost, False
            for result, cost, shown in self._results(scope):
                yield "jump", start, end, f"return {result}", 0.8 + cost, shown
        elif isinstance(small, cst.Return):
            yield from self._returns(scope, start, end, text, in_loop=self._in_loop(statement))
        elif isinstance(small, cst.Expr):
            value = self._code.source(self._code.of(small.value))
            if not isinstance(small.value, cst.Yield):
                yield "result", start, end, f"return {value}", 0.0, False
                if isinstance(small.value, cst.Call) and isinstance(small.value.func, cst.Attribute):
                    target = self._code.source(self._code.of(small.value.func.value))
                    yield "result", start, end, f"{target} = {value}", 1.0, False
                    for name in scope.names[:MOST_NAMES]:
                        yield "result", start, end, f"{name} = {value}", 1.6, False
            else:
                inner = value.removeprefix("yield").strip()
                if inner.startswith("from "):
                    yield "jump", start, end, f"yield {inner[5:]}", 0.0, False
                else:
                    yield "jump", start, end, f"yield from {inner}", 0.0, False
                    yield "jump", start, end, f"return {inner}", 0.8, False
        elif isinstance(small, cst.AugAssign):
            yield from self._augmented(small, start, end)
        elif isinstance(small, cst.Assign) and len(small.targets) == 1:
            yield from self._assigned(small, start, end, scope)

    def _results(self, scope: Scope) -> list[tuple[str, float, bool]]:
        return list(self._atoms.results(self._name(scope), scope.names))

    def _name(self, scope: Scope) -> str:
        node = scope.site.node
        return node.name.value if isinstance(node, cst.FunctionDef) else ""

    def _returns(
        self, scope: Scope, start: int, end: int, text: str, *, in_loop: bool
    ) -> Iterator[Splice]:
        if in_loop:
            yield "jump", start, end, "continue", 0.6, False
            yield "jump", start, end, "break", 0.6, False
        for result, cost, shown in self._results(scope):
            if f"return {result}" != text:
                yield "result", start, end, f"return {result}", 0.4 + cost, shown
        value = text.removeprefix("return").strip()
        if value:
            yield "jump", start, end, f"yield {value}", 1.8, False

    def _augmented(self, small: cst.AugAssign, start: int, end: int) -> Iterator[Splice]:
        target = self._code.source(self._code.of(small.target))
        operator = self._code.source(self._code.of(small.operator))
        value = self._code.source(self._code.of(small.value))
        for other, cost in ARITHMETIC.get(operator.rstrip("="), ()):
            yield "augmented", start, end, f"{target} {other}= {value}", cost, False
        yield "augmented", start, end, f"{target} = {value}", 0.3, False
        yield "augmented", start, end, f"{target} = {value} - {target}", 1.6, False

    def _assigned(
        self, small: cst.Assign, start: int, end: int, scope: Scope
    ) -> Iterator[Splice]:
        target = self._code.source(self._code.of(small.targets[0].target))
        value = self._code.source(self._code.of(small.value))
        if not isinstance(small.targets[0].target, cst.Tuple):
            for sign, cost in (("+=", 0.0), ("-=", 0.6), ("*=", 0.8), ("|=", 1.5), ("//=", 1.5)):
                yield "augmented", start, end, f"{target} {sign} {value}", cost, False
            for other in ("max", "min"):
                yield "wrap", start, end, f"{target} = {other}({target}, {value})", 0.6, False
        yield "result", start, end, f"return {value}", 0.8, False
        for name in scope.names[:MOST_NAMES]:
            if name != target:
                yield "update", start, end, f"{target} = {name} = {value}", 1.2, False

    def _in_loop(self, statement: Statement) -> bool:
        owner = statement.owner
        while owner is not None and not isinstance(owner.site.node, cst.FunctionDef):
            if isinstance(owner.site.node, LOOPS):
                return True
            owner = owner.owner
        return False

    def _branches(self, statement: Statement) -> Iterator[Splice]:
        node = statement.site.node
        begin, end = self._code.lines(statement)
        body = self._code.text[begin:end]
        if isinstance(node, cst.If):
            yield "branch", begin, end, re.sub(r"^(\s*)if\b", r"\1while", body, count=1), 0.8, False
            yield from self._chain(statement, node)
        elif isinstance(node, cst.While):
            if node.orelse is None:
                yield "branch", begin, end, re.sub(r"^(\s*)while\b", r"\1if", body, count=1), 0.4, False
        if isinstance(node, (cst.If, cst.While)):
            inner = self._code.of(node.body)
            stop = self._code.of(node.orelse).start if node.orelse is not None else end
            stop = self._code.text.rfind("\n", 0, stop) + 1 if node.orelse is not None else end
            first = self._code.line_start(inner.line)
            if inner.line > statement.first:
                taken = _shift(self._code.text[first:stop], self._code.indent, out=True)
                yield "clause_drop", begin, end, taken, 0.6, False

    def _chain(self, statement: Statement, node: cst.If) -> Iterator[Splice]:
        """Change the elif and else of an if."""
        begin, end = self._code.lines(statement)
        text = self._code.text
        branch: cst.If | cst.Else | None = node.orelse
        previous = node
        while branch is not None:
            site = self._code.of(branch)
            at = text.rfind("\n", 0, site.start) + 1
            if isinstance(branch, cst.Else):
                yield "branch", at, end, "", 0.3, False
                inner = self._code.line_start(self._code.of(branch.body).line)
                if self._code.of(branch.body).line > site.line:
                    plain = _shift(text[inner:end], self._code.indent, out=True)
                    yield "branch", at, end, plain, 0.2, False
                    for atom, cost in self._atoms.conditions(statement.function, self._scope_names(statement)):
                        colon = text.index(":", site.start) + 1
                        yield "branch", site.start, colon, f"elif {atom}:", 1.6 + cost, False
                break
            yield "branch", site.start, site.start + 4, "if", 0.0, False
            stop = self._code.of(branch.orelse).start if branch.orelse is not None else end
            stop = text.rfind("\n", 0, stop) + 1 if branch.orelse is not None else end
            yield "branch", at, stop, "", 0.3, False
            if branch.orelse is None:
                colon = self._code.of(branch.test).end + 1
                yield "branch", site.start, colon, "else:", 0.8, False
            previous, branch = branch, branch.orelse
        del previous
        position = statement.block.index(statement)
        if position > 0 and isinstance(statement.block[position - 1].site.node, cst.If):
            yield "branch", statement.site.start, statement.site.start + 2, "elif", 0.3, False
        following = statement.block[position + 1 : position + 2]
        if following and node.orelse is None:
            start, stop = self._code.lines(following[0])
            moved = _shift(text[start:stop], self._code.indent, out=False)
            yield "branch", start, stop, f"{statement.indent}else:\n{moved}", 0.6, False

    def _scope_names(self, statement: Statement) -> Sequence[str]:
        scope = self._code.scopes.get(statement.function)
        return scope.names if scope is not None else ()

    def _moved(self, statement: Statement) -> Iterator[Splice]:
        block = statement.block
        position = block.index(statement)
        begin, end = self._code.lines(statement)
        text = self._code.text
        if position + 1 < len(block):
            second = block[position + 1]
            first_of, last_of = self._code.lines(second)
            if end == first_of:
                swapped = text[first_of:last_of] + text[begin:end]
                yield "order", begin, last_of, swapped, 0.0, False
            if isinstance(second.site.node, (*LOOPS, cst.If)) and second.last > second.first:
                inner = self._code.lines(second)
                body = self._first_of(second)
                if body is not None:
                    at = self._code.line_start(body.first)
                    moved = _shift(text[begin:end], self._code.indent, out=False)
                    yield "nesting", begin, at, text[end:at] + moved, 0.8, False
                del inner
        if position > 0 and isinstance(block[position - 1].site.node, (*LOOPS, cst.If, cst.With)):
            moved = _shift(text[begin:end], self._code.indent, out=False)
            yield "nesting", begin, end, moved, 0.0, False
            deeper = _shift(moved, self._code.indent, out=False)
            yield "nesting", begin, end, deeper, 0.8, False
        owner = statement.owner
        last = position == len(block) - 1
        if owner is not None and last and not isinstance(owner.site.node, cst.FunctionDef):
            if position > 0:
                moved = _shift(text[begin:end], self._code.indent, out=True)
                yield "nesting", begin, end, moved, 0.0, False
            after = self._code.lines(owner)[1]
            hole = "" if position > 0 else f"{statement.indent}pass\n"
            moved = hole + text[end:after] + _shift(text[begin:end], self._code.indent, out=True)
            yield "nesting", begin, after, moved, 0.3, False
        if owner is not None and position == 0 and len(block) > 1:
            if not isinstance(owner.site.node, cst.FunctionDef):
                at = self._code.line_start(owner.first)
                moved = _shift(text[begin:end], self._code.indent, out=True) + text[at:begin]
                yield "nesting", at, end, moved, 0.6, False

    def _first_of(self, owner: Statement) -> Statement | None:
        return next((s for s in self._code.statements if s.owner is owner), None)

    def _before(self, statement: Statement, scope: Scope) -> Iterator[Splice]:
        """Insert before a statement, or after the last one of a block."""
        begin, end = self._code.lines(statement)
        indent = statement.indent
        inner = indent + self._code.indent
        names = scope.names
        last = statement is statement.block[-1] and not isinstance(
            statement.site.node, cst.SimpleStatementLine
        )
        lasting = statement is statement.block[-1] and not self._leaves(statement)
        places = [begin, *([end] if last or lasting else [])]
        for place in places:
            for text, cost in self._updates(statement, names):
                yield "update", place, place, f"{indent}{text}\n", cost, False
            for text, cost in self._copies(statement):
                yield "copy", place, place, f"{indent}{text}\n", cost, False
        conditions = list(self._atoms.conditions(statement.function, names))
        opening = self._opens(statement)
        if opening or statement.owner is None or not self._in_loop(statement):
            results = self._results(scope)
            for atom, cost in conditions:
                for result, more, shown in results:
                    line = f"{indent}if {atom}:\n{inner}return {result}\n"
                    far = 0.0 if opening else 0.8
                    yield "guard_result", begin, begin, line, cost + more + far, shown
        if self._in_loop(statement):
            for atom, cost in conditions:
                for jump in ("continue", "break"):
                    line = f"{indent}if {atom}:\n{inner}{jump}\n"
                    yield "guard_jump", begin, begin, line, cost, False
        if not isinstance(statement.site.node, cst.FunctionDef):
            body = _shift(self._code.text[begin:end], self._code.indent, out=False)
            for atom, cost in conditions:
                yield "guard_block", begin, end, f"{indent}if {atom}:\n{body}", cost, False
        if statement is statement.block[-1] and not self._leaves(statement):
            for result, more, shown in self._results(scope):
                yield "result", end, end, f"{indent}return {result}\n", 0.6 + more, shown

    def _opens(self, statement: Statement) -> bool:
        """Whether it is the first statement of a function, but for the docstring."""
        owner = statement.owner
        if owner is None or not isinstance(owner.site.node, cst.FunctionDef):
            return False
        before = statement.block[: statement.block.index(statement)]
        return all(self._is_docstring(other) for other in before)

    def _leaves(self, statement: Statement) -> bool:
        node = statement.site.node
        return isinstance(node, cst.SimpleStatementLine) and isinstance(
            node.body[-1], (cst.Return, cst.Break, cst.Continue, cst.Raise)
        )

    def _updates(self, statement: Statement, names: Sequence[str]) -> Iterator[tuple[str, float]]:
        function = statement.function
        kinds = {name: self._kinds.of_name(function, name) for name in names[:MOST_NAMES]}
        for name, kind in kinds.items():
            if kind in {"int", "?"}:
                yield f"{name} += 1", 0.0
                yield f"{name} -= 1", 0.2
                yield f"{name} = 0", 0.8
            if kind == "float":
                yield f"{name} = round({name}, 2)", 1.0
            if kind == "list":
                yield f"{name} = sorted({name})", 0.6
                yield f"{name} = {name}[::-1]", 0.9
                yield f"{name} = []", 0.9
                yield f"{name} = list({name})", 0.9
            if kind == "str":
                yield f"{name} = {name}.lower()", 0.6
                yield f"{name} = {name}.strip()", 0.8
                yield f"{name} = ''", 0.9
            if kind in {"int", "float"}:
                yield f"{name} = abs({name})", 0.6
            if kind == "bool":
                yield f"{name} = True", 0.4
                yield f"{name} = False", 0.4
            for other, own in kinds.items():
                if other == name:
                    continue
                if own == kind:
                    yield f"{name} = {other}", 0.3
                    if kind in {"int", "float"}:
                        yield f"{name} += {other}", 0.4
                        yield f"{name} -= {other}", 0.7
                if kind == "list" and own != "list":
                    yield f"{name}.append({other})", 0.2
                if kind == "list" and own == "list":
                    yield f"{name}.append({other})", 0.5
                    yield f"{name}.extend({other})", 0.5
                if kind == "str" and own == "str":
                    yield f"{name} += {other}", 0.4
                if kind == "set":
                    yield f"{name}.add({other})", 0.2
                if kind == "dict" and own in {"str", "int"}:
                    yield f"{name}[{other}] = 1", 1.0

    def _copies(self, statement: Statement) -> Iterator[tuple[str, float]]:
        seen = set()
        for other in self._code.statements:
            if other.function != statement.function or other is statement:
                continue
            node = other.site.node
            if not isinstance(node, cst.SimpleStatementLine) or self._is_docstring(other):
                continue
            text = self._code.source(other.site).strip()
            if "\n" in text or text in seen:
                continue
            seen.add(text)
            yield text, 0.3
            yield from self._renamed(statement, text, names_in(other.site))

    def _renamed(
        self, statement: Statement, text: str, used: set[str]
    ) -> Iterator[tuple[str, float]]:
        names = self._scope_names(statement)
        for name in sorted(used & set(names)):
            kind = self._kinds.of_name(statement.function, name)
            for other in names[:MOST_NAMES]:
                if other != name and self._kinds.of_name(statement.function, other) == kind:
                    yield re.sub(rf"\b{name}\b", other, text), 1.0


def _shift(text: str, indent: str, *, out: bool) -> str:
    """Move lines one level in or out.

    >>> _shift("    x = 1\\n", "    ", out=True)
    'x = 1\\n'
    """
    lines = text.splitlines(keepends=True)
    if out:
        return "".join(line.removeprefix(indent) for line in lines)
    return "".join(indent + line if line.strip() else line for line in lines)
