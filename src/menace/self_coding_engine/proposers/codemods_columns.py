"""Arithmetic and choices by row: over whole columns instead."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_edits import (
    after,
    before,
    expression,
    removed,
    replaced,
)
from menace.self_coding_engine.proposers.codemods_rows import applied_by_row, row_loop
from menace.self_coding_engine.proposers.codemods_tree import (
    Change,
    dotted,
    name_of,
    only_statement,
    stored,
    walk,
)
from menace.self_coding_engine.proposers.codemods_vectors import NotVectorisableError, RowCode, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from menace.self_coding_engine.proposers.codemods_edits import Edits
    from menace.self_coding_engine.proposers.codemods_tree import Tree

NUMPY, PANDAS = "import numpy as np", "import pandas as pd"


def vector_apply(tree: Tree) -> Iterator[Change]:
    """``apply`` by row, or on a column, of plain arithmetic and choices: over whole columns."""
    for node in walk(tree.module):
        applied = applied_by_row(tree, node)
        whole = applied is None
        if applied is None:
            applied = _applied_to_column(node)
        if applied is None or not isinstance(node, cst.Call):
            continue
        frame, function = applied
        for exact in (True, False):
            change = _vector_call(tree, node, frame, function, whole=whole, exact=exact)
            if change is None:
                break
            text, rounds = change
            yield Change(
                text,
                tree.line(node),
                f"compute over columns of {tree.code(frame)}" + _how(exact, rounds),
            )
            if not rounds:
                break


def _how(exact: bool, rounds: bool) -> str:
    return ", rounded by NumPy" if rounds and not exact else ""


def _applied_to_column(node: cst.CSTNode) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
        return None
    if node.func.attr.value not in {"apply", "map"} or len(node.args) != 1 or node.args[0].keyword:
        return None
    if not isinstance(node.func.value, cst.Subscript):
        return None
    return node.func.value, node.args[0].value


def _vector_call(
    tree: Tree,
    node: cst.Call,
    frame: cst.BaseExpression,
    function: cst.BaseExpression,
    *,
    whole: bool,
    exact: bool,
) -> tuple[str, bool] | None:
    definition = _definition(tree, function)
    if definition is None:
        return None
    parameter, body, called = definition
    text = tree.code(frame)
    inline = called is None
    code = RowCode(
        frame=text if inline else "rows",
        row=parameter,
        whole=whole,
        exact_round=exact,
        fresh=_fresh_names(tree, free=not inline),
    )
    try:
        result = code.run(body, {})
    except NotVectorisableError:
        return None
    if result is None:
        return None
    series = code.series(result)
    if inline:
        place = tree.statement_of(node)
        if place is None:
            return None
        edits: Edits = {node: expression(tidy(series))}
        if code.lines:
            edits[place] = before(*code.lines)
        return tree.edited(edits, NUMPY, PANDAS), code.rounds
    name = tree.fresh(f"{called.name.value}_of_rows")  # type: ignore[union-attr]
    lines = "".join(f"    {line}\n" for line in code.lines)
    made = f"\n\ndef {name}(rows):\n{lines}    return {tidy(series)}\n"
    edits = {node: expression(f"{name}({text})"), called: after(made)}  # type: ignore[dict-item]
    return tree.edited(edits, NUMPY, PANDAS), code.rounds


def _definition(
    tree: Tree, function: cst.BaseExpression
) -> tuple[str, list[ast.stmt], cst.FunctionDef | None] | None:
    """Parameter and body of a lambda or a function of the module."""
    if isinstance(function, cst.Lambda):
        parsed = ast.parse(tree.code(function), mode="eval").body
        if not isinstance(parsed, ast.Lambda) or len(parsed.args.args) != 1:
            return None
        parameter, inner = parsed.args.args[0].arg, parsed.body
        if isinstance(inner, ast.Call) and [ast.unparse(a) for a in inner.args] == [parameter]:
            named = tree.module_functions().get(ast.unparse(inner.func))
            if named is not None and not inner.keywords:
                return _definition(tree, named.name)
        return parameter, [ast.Return(inner)], None
    named = tree.module_functions().get(dotted(function))
    if named is None:
        return None
    (parsed_function,) = ast.parse(textwrap.dedent(tree.module.code_for_node(named))).body
    if not isinstance(parsed_function, ast.FunctionDef) or len(parsed_function.args.args) != 1:
        return None
    return parsed_function.args.args[0].arg, parsed_function.body, named


def _fresh_names(
    tree: Tree, *, free: bool = False, own: frozenset[str] = frozenset()
) -> Callable[[str], str]:
    """Give each name once; with ``free`` also those that the file uses elsewhere."""
    taken: set[str] = set()

    def fresh(wanted: str) -> str:
        name, number = wanted, 2
        while name in taken or not (free or name in own or tree.fresh(name) == name):
            name, number = f"{wanted}_{number}", number + 1
        taken.add(name)
        return name

    return fresh


def vector_loop(tree: Tree) -> Iterator[Change]:
    """Compute over whole columns what a loop over rows puts into lists or a column."""
    for node in walk(tree.module):
        found = row_loop(node)
        if found is None or not isinstance(node, cst.For):
            continue
        frame, label, row = found
        if name_of(frame) is None and not isinstance(frame, cst.Attribute | cst.Subscript):
            continue
        for exact in (True, False):
            change = _vector_rows(tree, node, tree.code(frame), label, row, exact=exact)
            if change is None:
                break
            text, rounds = change
            yield Change(
                text,
                tree.line(node),
                f"compute over columns of {tree.code(frame)}" + _how(exact, rounds),
            )
            if not rounds:
                break


def _vector_rows(
    tree: Tree, loop: cst.For, frame: str, label: str, row: str, *, exact: bool
) -> tuple[str, bool] | None:
    (parsed,) = ast.parse(textwrap.dedent(tree.module.code_for_node(loop)).strip()).body
    if not isinstance(parsed, ast.For) or parsed.orelse:
        return None
    sinks: dict[str, str] = {}
    body = _with_sinks(parsed.body, frame, label, sinks)
    if not sinks or body is None or any(_names(node, label) for node in body):
        return None
    local = frozenset(stored(loop.body)) - set(sinks)
    if _used_elsewhere(tree, loop, local):
        local = frozenset()
    fresh = _fresh_names(tree, own=local)
    code = RowCode(frame=frame, row=row, exact_round=exact, fresh=fresh)
    names = {sink: f"{frame}[{column}]" for sink, column in sinks.items() if column}
    try:
        returned = code.run(body, names)
    except NotVectorisableError:
        return None
    complete = returned is None and all(sink in names for sink in sinks)
    if not complete or _used_elsewhere(tree, loop, set(names) - set(sinks)):
        return None
    edits = _stored_columns(tree, loop, code, sinks, names)
    return None if edits is None else (tree.edited(edits, NUMPY, PANDAS), code.rounds)


def _stored_columns(
    tree: Tree, loop: cst.For, code: RowCode, sinks: dict[str, str], names: dict[str, str]
) -> Edits | None:
    """Make the edits that put columns where the loop put its values."""
    lines, frame = list(code.lines), code.frame
    edits: Edits = {}
    for sink, column in sinks.items():
        if column:
            lines.append(f"{frame}[{column}] = {tidy(names[sink])}")
            continue
        made = _empty_list(tree, loop, sink)
        if made is None:
            return None
        edits[made] = removed
        lines.append(f"{sink} = {tidy(code.series(names[sink]))}.tolist()")
    edits[loop] = replaced(*lines)
    return edits


def _with_sinks(
    body: list[ast.stmt], frame: str, label: str, sinks: dict[str, str]
) -> list[ast.stmt] | None:
    """Turn ``list.append(x)`` and ``frame.loc[label, "c"] = x`` into assignments to one name each.

    A list is to be given one value on every way through the body; two are one too many.
    """
    new: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If):
            yes = _with_sinks(node.body, frame, label, sinks)
            no = _with_sinks(node.orelse, frame, label, sinks)
            if yes is None or no is None:
                return None
            new.append(ast.If(node.test, yes, no))
            continue
        sink = _sink(node, frame, label)
        if sink is None:
            new.append(node)
            continue
        name, column, value = sink
        if any(_names(earlier, name) for earlier in new):
            return None
        sinks[name] = column
        new.append(ast.Assign([ast.Name(name, ast.Store())], value))
    return new


def _names(node: ast.stmt, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))


def _sink(node: ast.stmt, frame: str, label: str) -> tuple[str, str, ast.expr] | None:
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr == "append"
        and isinstance(node.value.func.value, ast.Name)
        and len(node.value.args) == 1
    ):
        return node.value.func.value.id, "", node.value.args[0]
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        place = node.targets[0]
        if ast.unparse(place.value) in {f"{frame}.loc", f"{frame}.at"} and isinstance(
            place.slice, ast.Tuple
        ):
            at, column = place.slice.elts
            if (
                ast.unparse(at) == label
                and isinstance(column, ast.Constant)
                and isinstance(column.value, str)
            ):
                name = f"column_{column.value}".replace(" ", "_")
                return name, repr(column.value).replace("'", '"'), node.value
    return None


def _empty_list(tree: Tree, loop: cst.For, name: str) -> cst.CSTNode | None:
    """Find the line ``name = []`` before a loop, if nothing else is done with it till then."""
    function = tree.function_of(loop)
    if function is None:
        return None
    found = None
    for node in walk(function.body):
        if node is loop:
            break
        assign = only_statement(node, cst.Assign)
        if isinstance(assign, cst.Assign) and name_of(assign.targets[0].target) == name:
            found = node if tree.code(assign.value) in {"[]", "list()"} else None
        elif isinstance(node, cst.Name) and node.value == name and found is not None:
            inside = {id(n) for n in walk(found)}
            if id(node) not in inside:
                return None
    return found


def _used_elsewhere(tree: Tree, loop: cst.For, names: Iterable[str]) -> bool:
    """Whether a name that the loop binds stands outside of it, too, in its function."""
    function = tree.function_of(loop)
    if function is None:
        return True
    wanted, inside = set(names), {id(node) for node in walk(loop)}
    return any(
        isinstance(node, cst.Name) and node.value in wanted and id(node) not in inside
        for node in walk(function)
    )
