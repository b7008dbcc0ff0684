"""Work on a frame's rows one by one: over columns instead."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_edits import (
    before,
    expression,
)
from menace.self_coding_engine.proposers.codemods_tree import (
    Change,
    changed,
    loaded,
    name_of,
    stored,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.proposers.codemods_edits import Edits
    from menace.self_coding_engine.proposers.codemods_tree import Tree

NUMPY, PANDAS = "import numpy as np", "import pandas as pd"


def row_loop(node: cst.CSTNode) -> tuple[cst.BaseExpression, str, str] | None:
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
        found = row_loop(node)
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
        yield Change(
            tree.edited(edits), tree.line(node), f"go through columns of {text} side by side"
        )


def _target(names: list[str]) -> cst.BaseAssignTargetExpression:
    (line,) = cst.parse_module(f"for {', '.join(names)} in x: pass\n").body
    if not isinstance(line, cst.For):
        raise TypeError(names)
    return line.target


def _columns_read(tree: Tree, loop: cst.For, row: str, names: dict[str, str], edits: Edits) -> bool:
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
        found = row_loop(node)
        if found is not None and isinstance(node, cst.For):
            text = tree.code(found[0])
            new_iter = f'zip({text}.index, {text}.to_dict("records"), strict=True)'
            yield Change(
                tree.edited({node.iter: expression(new_iter)}),
                tree.line(node),
                f"go through {text} as plain records",
            )
        applied = applied_by_row(tree, node)
        if applied is not None:
            frame, function = applied
            text, name = tree.code(frame), tree.code(function)
            called, records = _called_with_row(function, name), f'{text}.to_dict("records")'
            new = f"pd.Series([{called} for row in {records}], index={text}.index)"
            yield Change(
                tree.edited({node: expression(new)}, PANDAS),
                tree.line(node),
                f"apply to plain records of {text}",
            )


def _called_with_row(function: cst.BaseExpression, text: str) -> str:
    """Write the call on ``row``: of a named function, or what a lambda does."""
    if not isinstance(function, cst.Lambda):
        return f"{text}(row)"
    parameters = function.params.params
    if len(parameters) == 1 and parameters[0].name.value == "row":
        return text.partition(":")[2].strip()
    return f"({text})(row)"


def applied_by_row(
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
    """Frame, column and position of ``f["c"].iloc[i]``, ``f.iloc[i]["c"]``, ``f.loc[i, "c"]``."""
    if not isinstance(node, cst.Subscript) or isinstance(
        tree.parent(node), cst.AssignTarget | cst.AugAssign
    ):
        return None
    try:
        parsed = ast.parse(tree.code(node), mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(parsed, ast.Subscript):
        return None
    inner, index = parsed.value, parsed.slice
    if isinstance(inner, ast.Attribute) and inner.attr in {"iloc", "loc", "at"}:
        if (
            isinstance(index, ast.Tuple)
            and len(index.elts) == 2
            and isinstance(inner.value, ast.Name)
        ):
            return _named_cell(inner.value, index.elts[1], index.elts[0])
        if isinstance(inner.value, ast.Subscript) and isinstance(inner.value.value, ast.Name):
            return _named_cell(inner.value.value, inner.value.slice, index)
    if isinstance(inner, ast.Subscript):
        front = inner.value
        if (
            isinstance(front, ast.Attribute)
            and front.attr in {"iloc", "loc"}
            and isinstance(front.value, ast.Name)
        ):
            return _named_cell(front.value, index, inner.slice)
    return None


def _named_cell(frame: ast.Name, column: ast.expr, place: ast.expr) -> tuple[str, str, str] | None:
    if not (isinstance(column, ast.Constant) and isinstance(column.value, str)):
        return None
    if isinstance(place, ast.Slice | ast.Constant | ast.UnaryOp | ast.Compare):
        return None
    return frame.id, f'"{column.value}"', ast.unparse(place)
