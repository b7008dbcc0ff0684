"""Edits of a parsed file: statements before, after and instead of others, and imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Callable

    Edit = Callable[
        [cst.CSTNode], cst.CSTNode | cst.FlattenSentinel[cst.CSTNode] | cst.RemovalSentinel
    ]
    Edits = dict[cst.CSTNode, Edit]


def statement(text: str) -> cst.BaseStatement:
    """Parse one statement."""
    parsed = cst.parse_statement(text)
    if isinstance(parsed, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        return parsed
    message = f"no statement: {text}"
    raise TypeError(message)


def expression(text: str) -> Edit:
    """Make an edit that puts this expression in a node's place."""
    parsed = cst.parse_expression(text)
    return lambda _old: parsed


def before(*texts: str) -> Callable[[cst.CSTNode], cst.FlattenSentinel[cst.CSTNode]]:
    """Make an edit that puts statements before one, below the comments that lead it."""

    def edit(node: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        new: list[cst.CSTNode] = [statement(text) for text in texts]
        if isinstance(node, cst.SimpleStatementLine | cst.For | cst.While | cst.If | cst.With):
            lines = node.leading_lines
            new[0] = new[0].with_changes(leading_lines=lines)
            node = node.with_changes(leading_lines=())
        return cst.FlattenSentinel([*new, node])

    return edit


def after(*texts: str) -> Edit:
    """Make an edit that puts statements after one."""
    return lambda node: cst.FlattenSentinel([node, *(statement(text) for text in texts)])


def replaced(*texts: str) -> Edit:
    """Make an edit that puts statements in the place of one."""

    def edit(node: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        new: list[cst.CSTNode] = [statement(text) for text in texts]
        lines = getattr(node, "leading_lines", ())
        if new:
            new[0] = new[0].with_changes(leading_lines=lines)
        return cst.FlattenSentinel(new)

    return edit


def removed(_node: cst.CSTNode) -> cst.RemovalSentinel:
    """Take a node away."""
    return cst.RemovalSentinel.REMOVE


def around(above: str, below: str) -> Edit:
    """Make an edit that puts one statement before and one after."""

    def edit(node: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        return cst.FlattenSentinel([*before(above)(node), statement(below)])

    return edit


def with_imports(module: cst.Module, imports: tuple[str, ...]) -> str:
    """Text of a module with import lines added below its docstring and future imports."""
    present = {
        module.code_for_node(line).strip()
        for line in module.body
        if isinstance(line, cst.SimpleStatementLine)
    }
    missing = [
        line for line in dict.fromkeys(imports) if line not in present and not _bound(module, line)
    ]
    if not missing:
        return module.code
    place = _first_place(module)
    new = [statement(line) for line in missing]
    body = [*module.body[:place], *new, *module.body[place:]]
    if place < len(module.body):
        follower = module.body[place]
        if not _is_import(follower) and not getattr(follower, "leading_lines", ()):
            blank = follower.with_changes(leading_lines=[cst.EmptyLine(indent=False)] * 2)
            body[place + len(new)] = blank
    return module.with_changes(body=body).code


def _bound(module: cst.Module, line: str) -> bool:
    """Whether the module imports the name of a line already, by another line."""
    wanted = line.rsplit(maxsplit=1)[-1]
    for stmt in module.body:
        if isinstance(stmt, cst.SimpleStatementLine) and isinstance(stmt.body[0], cst.ImportFrom):
            words = module.code_for_node(stmt.body[0]).replace(",", " ").replace("(", " ").split()
            if wanted in words and line.split()[1] in words:
                return True
    return False


def _is_import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(
        node.body[0], cst.Import | cst.ImportFrom
    )


def _first_place(module: cst.Module) -> int:
    place = 0
    for position, node in enumerate(module.body):
        if not isinstance(node, cst.SimpleStatementLine):
            break
        first = node.body[0]
        is_text = (
            position == 0
            and isinstance(first, cst.Expr)
            and isinstance(first.value, cst.SimpleString | cst.ConcatenatedString)
        )
        is_future = (
            isinstance(first, cst.ImportFrom)
            and isinstance(first.module, cst.Name)
            and first.module.value == "__future__"
        )
        if not (is_text or is_future):
            break
        place = position + 1
    # Among the imports, standard library first: before the first import there is.
    return place
