"""Searches of one table for each row of another: an index by key, made once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_edits import (
    before,
    expression,
)
from menace.self_coding_engine.proposers.codemods_loops import hoistable_loop, holder
from menace.self_coding_engine.proposers.codemods_tree import (
    Change,
    Comprehension,
    dotted,
    loaded,
    name_of,
    target_names,
    unstable,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from menace.self_coding_engine.proposers.codemods_edits import Edits
    from menace.self_coding_engine.proposers.codemods_tree import Tree

DEFAULTDICT = "from collections import defaultdict"


def index_join(tree: Tree) -> Iterator[Change]:
    """Index by key what is gone through for the rows of the key at hand, again and again."""
    for node in walk(tree.module):
        if isinstance(node, cst.For):
            yield from _loop_join(tree, node)
        elif isinstance(node, Comprehension):
            yield from _comprehension_join(tree, node)


def _loop_join(tree: Tree, inner: cst.For) -> Iterator[Change]:
    body = inner.body
    if not isinstance(body, cst.IndentedBlock) or not body.body:
        return
    first = body.body[0]
    if not isinstance(first, cst.If) or first.orelse is not None:
        return
    skips = _is_continue(first)
    if not skips and len(body.body) != 1:
        return
    found = _key_test(tree, first.test, inner, cst.NotEqual if skips else cst.Equal)
    if found is None:
        return
    key, wanted, rest = found
    if skips and rest:
        return
    if skips:
        new_body: cst.BaseSuite = body.with_changes(body=body.body[1:])
    elif rest:
        kept = first.with_changes(test=cst.parse_expression(rest))
        new_body = body.with_changes(body=[kept])
    else:
        new_body = first.body
    yield from _indexed(
        tree,
        inner,
        inner,
        (key, wanted),
        edit=lambda new_iter: {
            inner: lambda old: old.with_changes(iter=new_iter, body=new_body),
        },
    )


def _is_continue(node: cst.If) -> bool:
    body = node.body
    if not isinstance(body, cst.IndentedBlock) or len(body.body) != 1:
        return False
    line = body.body[0]
    return isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], cst.Continue)


def _comprehension_join(tree: Tree, node: Comprehension) -> Iterator[Change]:
    clause = node.for_in
    if clause.inner_for_in is not None or clause.asynchronous is not None:
        return
    if isinstance(node, cst.GeneratorExp) and not clause.ifs:
        yield from _any_equal(tree, node)
        return
    for condition in clause.ifs:
        found = _key_test(tree, condition.test, clause, cst.Equal)
        if found is None:
            continue
        key, wanted, rest = found
        others = [test for test in clause.ifs if test is not condition]
        if rest:
            others.append(condition.with_changes(test=cst.parse_expression(rest)))
        yield from _indexed(
            tree,
            node,
            clause,
            (key, wanted),
            edit=functools.partial(_narrowed, clause, others),
        )


def _narrowed(clause: cst.CompFor, ifs: list[cst.CompIf], new_iter: cst.BaseExpression) -> Edits:
    return {clause: lambda old: old.with_changes(iter=new_iter, ifs=ifs)}


def _key_test(
    tree: Tree,
    test: cst.BaseExpression,
    loop: cst.For | cst.CompFor,
    operator: type[cst.BaseCompOp],
) -> tuple[str, str, str] | None:
    """Find the key of a row, the key wanted, and what else is asked, in a test."""
    tests = _conjuncts(test)
    for place, part in enumerate(tests):
        if not (isinstance(part, cst.Comparison) and len(part.comparisons) == 1):
            continue
        other = part.comparisons[0]
        if not isinstance(other.operator, operator):
            continue
        bound = target_names(loop.target)
        sides = (part.left, other.comparator)
        for row, wanted in (sides, sides[::-1]):
            if loaded(row) & bound and not loaded(wanted) & bound and _plain(row):
                rest = " and ".join(
                    f"({tree.code(t)})" if isinstance(t, cst.BooleanOperation) else tree.code(t)
                    for t in (*tests[:place], *tests[place + 1 :])
                )
                return tree.code(row), tree.code(wanted), rest
    return None


def _conjuncts(test: cst.BaseExpression) -> list[cst.BaseExpression]:
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        return [*_conjuncts(test.left), *_conjuncts(test.right)]
    return [test]


def _plain(node: cst.BaseExpression) -> bool:
    """Whether a key only looks things up, and calls nothing but methods of text."""
    calls = [part for part in walk(node) if isinstance(part, cst.Call)]
    return all(
        isinstance(call.func, cst.Attribute)
        and call.func.attr.value in {"get", "strip", "lower", "upper", "date"}
        for call in calls
    )


def _indexed(
    tree: Tree,
    node: cst.CSTNode,
    clause: cst.For | cst.CompFor,
    keys: tuple[str, str],
    *,
    edit: Callable[[cst.BaseExpression], Edits],
) -> Iterator[Change]:
    target, rows, (key, wanted) = clause.target, clause.iter, keys
    loop = hoistable_loop(tree, rows) if tree.loops_around(node) else None
    place = None if loop is None else holder(tree, loop)
    # The rows are the loop's own: it is a loop around this one that must leave them alone.
    outer = [up for up in tree.loops_around(node) if up is not node]
    if place is None or loop is None or loop is node or loop not in outer:
        return
    if (loaded(cst.parse_expression(key)) - target_names(target)) & _bound_in(loop, target):
        return
    text = tree.code(rows)
    name = tree.fresh(f"{_stem(rows)}_by_key")
    kept = tree.code(target)
    new_iter = cst.parse_expression(f"{name}.get({wanted}, ())")
    edits: Edits = edit(new_iter)
    edits[place] = before(
        f"{name} = defaultdict(list)",
        f"for {kept} in {text}:\n    {name}[{key}].append({_packed(kept)})\n",
    )
    what = f"find the rows of {text} by their key"
    yield Change(tree.edited(edits, DEFAULTDICT), tree.line(node), what)


def _packed(target: str) -> str:
    return f"({target})" if "," in target and not target.startswith("(") else target


def _bound_in(loop: cst.CSTNode, target: cst.BaseExpression) -> set[str]:
    return unstable(loop) - target_names(target)


def _stem(rows: cst.BaseExpression) -> str:
    names = [part.value for part in walk(rows) if isinstance(part, cst.Name)]
    return names[0] if names else "rows"


def _any_equal(tree: Tree, node: cst.GeneratorExp) -> Iterator[Change]:
    call = tree.parent(tree.parent(node) or node)
    elt = node.elt
    if not (
        isinstance(call, cst.Call)
        and dotted(call.func) == "any"
        and isinstance(elt, cst.Comparison)
    ):
        return
    found = _key_test(tree, elt, node.for_in, cst.Equal)
    loop = hoistable_loop(tree, node.for_in.iter)
    place = None if loop is None else holder(tree, loop)
    if found is None or found[2] or place is None or loop is node:
        return
    key, wanted, _ = found
    rows, target = tree.code(node.for_in.iter), tree.code(node.for_in.target)
    name = tree.fresh(f"{_stem(node.for_in.iter)}_keys")
    edits: Edits = {
        place: before(f"{name} = {{{key} for {target} in {rows}}}"),
        call: expression(f"({wanted} in {name})"),
    }
    yield Change(tree.edited(edits), tree.line(node), f"look keys of {rows} up in a set")


def group_rows(tree: Tree) -> Iterator[Change]:
    """``frame[frame["key"] == value]`` in a loop: the frame is split by key once."""
    for node in walk(tree.module):
        if not (isinstance(node, cst.Subscript) and len(node.slice) == 1):
            continue
        frame = node.value
        if isinstance(frame, cst.Attribute) and frame.attr.value == "loc":
            frame = frame.value
        name = name_of(frame)
        index = node.slice[0].slice
        if name is None or not isinstance(index, cst.Index):
            continue
        found = _mask(tree, index.value, name)
        loop = hoistable_loop(tree, frame)
        place = None if loop is None else holder(tree, loop)
        if found is None or place is None or _is_assigned(tree, node):
            continue
        column, wanted = found
        groups = tree.fresh(f"{name}_by_{column.strip(chr(34) + chr(39))}")
        edits: Edits = {
            place: before(f"{groups} = dict(list({name}.groupby({column}, sort=False)))"),
            node: expression(f"{groups}.get({wanted}, {name}.iloc[:0])"),
        }
        yield Change(tree.edited(edits), tree.line(node), f"split {name} by {column} once")


def _is_assigned(tree: Tree, node: cst.CSTNode) -> bool:
    return isinstance(tree.parent(node), cst.AssignTarget | cst.AugAssign | cst.Del)


def _mask(tree: Tree, test: cst.BaseExpression, frame: str) -> tuple[str, str] | None:
    """Column and value of ``frame["column"] == value``."""
    if not (isinstance(test, cst.Comparison) and len(test.comparisons) == 1):
        return None
    other = test.comparisons[0]
    if not isinstance(other.operator, cst.Equal) or frame in loaded(other.comparator):
        return None
    left = test.left
    if isinstance(left, cst.Attribute) and name_of(left.value) == frame:
        return f'"{left.attr.value}"', tree.code(other.comparator)
    if isinstance(left, cst.Subscript) and name_of(left.value) == frame and len(left.slice) == 1:
        column = left.slice[0].slice
        if isinstance(column, cst.Index) and isinstance(column.value, cst.SimpleString):
            return tree.code(column.value), tree.code(other.comparator)
    return None
