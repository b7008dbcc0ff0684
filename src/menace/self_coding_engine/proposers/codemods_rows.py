"""Work on a frame's rows one by one: over columns instead."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_tree import (
    Change,
    after,
    before,
    changed,
    dotted,
    expression,
    is_call_of,
    joined,
    loaded,
    name_of,
    only_statement,
    removed,
    replaced,
    stored,
    target_names,
    walk,
)
from menace.self_coding_engine.proposers.codemods_vectors import NotVectorisableError, RowCode, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from menace.self_coding_engine.proposers.codemods_tree import Edits, Tree

NUMPY, PANDAS = "import numpy as np", "import pandas as pd"


def _row_loop(node: cst.CSTNode) -> tuple[cst.BaseExpression, str, str] | None:
    """Frame, name of the label and name of the row of ``for label, row in frame.iterrows()``."""
    if not isinstance(node, cst.For) or not isinstance(node.iter, cst.Call):
        return None
    function, target = node.iter.func, node.target
    if not (isinstance(function, cst.Attribute) and function.attr.value == "iterrows"):
        return None
    if not isinstance(target, cst.Tuple) or len(target.elements) != 2:
        return None
    label, row = (name_of(element.value) for element in target.elements)
    return None if label is None or row is None else (function.value, label, row)


def zip_columns(tree: Tree) -> Iterator[Change]:
    """``iterrows`` of which only columns are asked: the columns side by side."""
    for node in walk(tree.module):
        found = _row_loop(node)
        if found is None or not isinstance(node, cst.For):
            continue
        frame, label, row = found
        names: dict[str, str] = {}
        edits: Edits = {}
        if not _columns_read(tree, node, row, names, edits):
            continue
        text = tree.code(frame)
        labelled = label in loaded(node.body)
        columns = [f"{text}[{column}]" for column in names]
        sources = [f"{text}.index", *columns] if labelled or not columns else columns
        targets = [label, *names.values()] if labelled or not columns else list(names.values())
        joined_iter = f"zip({', '.join(sources)}, strict=True)" if len(sources) > 1 else sources[0]
        new_iter, new_target = cst.parse_expression(joined_iter), _target(targets)
        edits[node] = lambda old, i=new_iter, t=new_target: old.with_changes(iter=i, target=t)  # type: ignore[misc]
        yield Change(tree.edited(edits), tree.line(node), f"go through columns of {text} side by side")


def _target(names: list[str]) -> cst.BaseAssignTargetExpression:
    (line,) = cst.parse_module(f"for {', '.join(names)} in x: pass\n").body
    if not isinstance(line, cst.For):
        raise TypeError(names)
    return line.target


def _columns_read(
    tree: Tree, loop: cst.For, row: str, names: dict[str, str], edits: Edits
) -> bool:
    for use in walk(loop.body):
        if not (isinstance(use, cst.Name) and use.value == row):
            continue
        parent = tree.parent(use)
        if isinstance(parent, cst.Attribute) and parent.attr is use:
            continue
        column = _column(tree, parent, use)
        if column is None or parent is None or isinstance(tree.parent(parent), cst.AssignTarget):
            return False
        if column not in names:
            names[column] = tree.fresh(f"{row}_{column[1:-1]}")
        edits[parent] = expression(names[column])
    return True


def _column(tree: Tree, parent: cst.CSTNode | None, use: cst.CSTNode) -> str | None:
    """Column of ``row["column"]`` or ``row.column``, quoted."""
    if isinstance(parent, cst.Subscript) and parent.value is use and len(parent.slice) == 1:
        index = parent.slice[0].slice
        if isinstance(index, cst.Index) and isinstance(index.value, cst.SimpleString):
            return tree.code(index.value)
    if isinstance(parent, cst.Attribute) and parent.value is use:
        call = tree.parent(parent)
        if not (isinstance(call, cst.Call) and call.func is parent):
            return f'"{parent.attr.value}"'
    return None


def row_records(tree: Tree) -> Iterator[Change]:
    """``iterrows``, or ``apply`` by row: plain dictionaries instead of a Series per row."""
    for node in walk(tree.module):
        found = _row_loop(node)
        if found is not None and isinstance(node, cst.For):
            text = tree.code(found[0])
            new_iter = f'zip({text}.index, {text}.to_dict("records"), strict=True)'
            yield Change(
                tree.edited({node.iter: expression(new_iter)}),
                tree.line(node),
                f"go through {text} as plain records",
            )
        applied = _applied_by_row(tree, node)
        if applied is not None:
            frame, function = applied
            text, name = tree.code(frame), tree.code(function)
            new = (
                f'pd.Series([{_called_with_row(function, name)} for row in {text}.to_dict("records")],'
                f" index={text}.index)"
            )
            yield Change(
                tree.edited({node: expression(new)}, PANDAS),
                tree.line(node),
                f"apply to plain records of {text}",
            )


def _called_with_row(function: cst.BaseExpression, text: str) -> str:
    """The call on ``row``: of a named function, or what a lambda of one parameter does."""
    if not isinstance(function, cst.Lambda):
        return f"{text}(row)"
    parameters = function.params.params
    if len(parameters) == 1 and parameters[0].name.value == "row":
        return text.partition(":")[2].strip()
    return f"({text})(row)"


def _applied_by_row(
    tree: Tree, node: cst.CSTNode
) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    """Frame and function of ``frame.apply(function, axis=1)``."""
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Attribute):
        return None
    if node.func.attr.value != "apply" or len(node.args) != 2:
        return None
    function, axis = node.args
    if function.keyword is not None or axis.keyword is None or axis.keyword.value != "axis":
        return None
    if tree.code(axis.value) not in {"1", '"columns"', "'columns'"}:
        return None
    return node.func.value, function.value


def vector_apply(tree: Tree) -> Iterator[Change]:
    """``apply`` by row, or on a column, of plain arithmetic and choices: over whole columns."""
    for node in walk(tree.module):
        applied = _applied_by_row(tree, node)
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
            yield Change(text, tree.line(node), f"compute over columns of {tree.code(frame)}" + _how(exact, rounds))
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
    """A loop over rows that fills lists or a column by arithmetic and choices: over whole columns."""
    for node in walk(tree.module):
        found = _row_loop(node)
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
            yield Change(text, tree.line(node), f"compute over columns of {tree.code(frame)}" + _how(exact, rounds))
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
    if not sinks or body is None or label in {n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name)}:
        return None
    local = frozenset(stored(loop.body)) - set(sinks)
    if _used_elsewhere(tree, loop, local):
        local = frozenset()
    fresh = _fresh_names(tree, own=local)
    code = RowCode(frame=frame, row=row, exact_round=exact, fresh=fresh)
    names: dict[str, str] = {}
    for sink, column in sinks.items():
        if column:
            names[sink] = f"{frame}[{column}]"
    try:
        if code.run(body, names) is not None:
            return None
    except NotVectorisableError:
        return None
    if any(sink not in names for sink in sinks) or _used_elsewhere(tree, loop, set(names) - set(sinks)):
        return None
    lines = list(code.lines)
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
    return tree.edited(edits, NUMPY, PANDAS), code.rounds


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
        if any(_stores(earlier, name) for earlier in new):
            return None
        sinks[name] = column
        new.append(ast.Assign([ast.Name(name, ast.Store())], value))
    return new


def _stores(node: ast.stmt, name: str) -> bool:
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
            if ast.unparse(at) == label and isinstance(column, ast.Constant):
                name = f"column_{column.value}".replace(" ", "_")
                return name, repr(column.value).replace("'", '"'), node.value
    return None


def _empty_list(tree: Tree, loop: cst.For, name: str) -> cst.CSTNode | None:
    """The line ``name = []`` before a loop, if nothing else is done with it up to there."""
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


def column_lists(tree: Tree) -> Iterator[Change]:
    """Single cells read by position in a loop: the column as a list, made once."""
    for node in walk(tree.module):
        found = _cell(tree, node)
        if found is None or not isinstance(node, cst.Subscript):
            continue
        frame, column, place_text = found
        loops = tree.loops_around(node)
        if not loops or any(frame in stored(loop) | changed(loop) for loop in loops):
            continue
        holder = tree.statement_of(loops[-1])
        if holder is None or tree.function_of(holder) is None:
            continue
        name = tree.fresh(f"{column[1:-1]}_values")
        edits: Edits = {holder: before(f"{name} = {frame}[{column}].tolist()")}
        for other in walk(loops[-1]):
            same = _cell(tree, other)
            if same is not None and same[:2] == (frame, column):
                edits[other] = expression(f"{name}[{same[2]}]")
        del place_text
        yield Change(tree.edited(edits), tree.line(node), f"read {frame}[{column}] from a list")


def _cell(tree: Tree, node: cst.CSTNode) -> tuple[str, str, str] | None:
    """Frame, column and position of a cell: ``f["c"].iloc[i]``, ``f.iloc[i]["c"]``, ``f.loc[i, "c"]``."""
    if not isinstance(node, cst.Subscript) or isinstance(tree.parent(node), cst.AssignTarget | cst.AugAssign):
        return None
    try:
        parsed = ast.parse(tree.code(node), mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(parsed, ast.Subscript):
        return None
    inner, index = parsed.value, parsed.slice
    if isinstance(inner, ast.Attribute) and inner.attr in {"iloc", "loc", "at"}:
        if isinstance(index, ast.Tuple) and len(index.elts) == 2 and isinstance(inner.value, ast.Name):
            return _named_cell(inner.value, index.elts[1], index.elts[0])
        if isinstance(inner.value, ast.Subscript) and isinstance(inner.value.value, ast.Name):
            return _named_cell(inner.value.value, inner.value.slice, index)
    if isinstance(inner, ast.Subscript):
        front = inner.value
        if isinstance(front, ast.Attribute) and front.attr in {"iloc", "loc"} and isinstance(front.value, ast.Name):
            return _named_cell(front.value, index, inner.slice)
    return None


def _named_cell(frame: ast.Name, column: ast.expr, place: ast.expr) -> tuple[str, str, str] | None:
    if not (isinstance(column, ast.Constant) and isinstance(column.value, str)):
        return None
    if isinstance(place, ast.Slice | ast.Constant | ast.UnaryOp | ast.Compare):
        return None
    return frame.id, f'"{column.value}"', ast.unparse(place)


__all__ = ["column_lists", "row_records", "vector_apply", "vector_loop", "zip_columns"]
