"""Sums and extremes that are taken again over almost the same values: carried along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_edits import (
    before,
    expression,
    removed,
)
from menace.self_coding_engine.proposers.codemods_loops import holder
from menace.self_coding_engine.proposers.codemods_tree import (
    Change,
    dotted,
    name_of,
    only_statement,
    positional,
    target_names,
    unstable,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.proposers.codemods_edits import Edits
    from menace.self_coding_engine.proposers.codemods_tree import Tree

ACCUMULATE = "from itertools import accumulate"
SUMS = frozenset({"sum", "math.fsum"})
MEANS = frozenset({"statistics.mean", "statistics.fmean", "np.mean", "mean", "fmean"})
EXTREMES = {"max": "maxima", "min": "minima"}


@dataclass(frozen=True, slots=True)
class _Part:
    """``items[start:stop]`` as text; a missing end is 0 or the length."""

    items: str
    start: str
    stop: str
    place: cst.BaseStatement


def _part_of(tree: Tree, node: cst.BaseExpression) -> _Part | None:
    if not isinstance(node, cst.Subscript) or len(node.slice) != 1:
        return None
    items, cut = name_of(node.value), node.slice[0].slice
    if items is None or not isinstance(cut, cst.Slice) or cut.step is not None:
        return None
    if any(_negative(end) for end in (cut.lower, cut.upper)):
        return None
    loop = None
    for around in tree.loops_around(node):
        if items in unstable(around):
            break
        loop = around
    place = None if loop is None else holder(tree, loop)
    if place is None:
        return None
    start = "0" if cut.lower is None else tree.code(cut.lower)
    stop = f"len({items})" if cut.upper is None else _within(tree, node, items, cut.upper)
    return _Part(items, start, stop, place)


def _negative(end: cst.BaseExpression | None) -> bool:
    return isinstance(end, cst.UnaryOperation)


def _within(tree: Tree, node: cst.CSTNode, items: str, stop: cst.BaseExpression) -> str:
    """Cut the end of a slice at the length, unless it is known not to reach beyond."""
    text = tree.code(stop)
    for loop in tree.loops_around(node):
        clause = loop if isinstance(loop, cst.For) else getattr(loop, "for_in", None)
        if clause is None:
            continue
        counts = tree.code(clause.iter)
        first = sorted(target_names(clause.target) & {text, text.removesuffix(" + 1")})
        if first and (
            counts.startswith(f"enumerate({items})") or counts.endswith(f"len({items}))")
        ):
            return text
    return f"min({text}, len({items}))"


def running_sums(tree: Tree) -> Iterator[Change]:
    """``sum(items[a:b])`` in a loop: sums up to each place are made once, and subtracted."""
    for node in walk(tree.module):
        if not isinstance(node, cst.Call) or dotted(node.func) not in SUMS | MEANS:
            continue
        arguments = positional(node)
        if arguments is None or len(arguments) != 1:
            continue
        part = _part_of(tree, arguments[0])
        if part is not None:
            name = tree.fresh(f"{part.items}_sums")
            edits: Edits = {
                part.place: before(_made(name, part)),
                node: expression(_asked(node, name, part)),
            }
            yield _summed(tree, edits, node, part)
            continue
        named = _named_part(tree, arguments[0])
        if named is not None:
            yield named


def _made(name: str, part: _Part) -> str:
    return f"{name} = [0, *accumulate({part.items})]"


def _asked(call: cst.Call, name: str, part: _Part) -> str:
    total = (
        f"({name}[{part.stop}] - {name}[{part.start}])"
        if part.start != "0"
        else f"{name}[{part.stop}]"
    )
    if dotted(call.func) in MEANS:
        return f"({total} / {_length(part)})"
    return total


def _length(part: _Part) -> str:
    return part.stop if part.start == "0" else f"({part.stop} - ({part.start}))"


def _summed(tree: Tree, edits: Edits, node: cst.CSTNode, part: _Part) -> Change:
    return Change(
        tree.edited(edits, ACCUMULATE),
        tree.line(node),
        f"subtract running sums of {part.items} instead of summing anew",
    )


def _named_part(tree: Tree, node: cst.BaseExpression) -> Change | None:
    """``part = items[a:b]`` of which only sum, mean and length are asked."""
    name, function = name_of(node), tree.function_of(node)
    if name is None or function is None:
        return None
    lines = [
        (line, assign)
        for line in walk(function.body)
        if isinstance(assign := only_statement(line, cst.Assign), cst.Assign)
        and name_of(assign.targets[0].target) == name
    ]
    if len(lines) != 1:
        return None
    line, assign = lines[0]
    part = _part_of(tree, assign.value)
    if part is None:
        return None
    sums = tree.fresh(f"{part.items}_sums")
    edits: Edits = {part.place: before(_made(sums, part)), line: removed}
    for use in walk(function.body):
        if not (isinstance(use, cst.Name) and use.value == name):
            continue
        call = tree.parent(tree.parent(use) or use)
        if isinstance(tree.parent(use), cst.AssignTarget):
            continue
        if not isinstance(call, cst.Call) or len(call.args) != 1:
            return None
        if dotted(call.func) == "len":
            edits[call] = expression(_length(part))
        elif dotted(call.func) in SUMS | MEANS:
            edits[call] = expression(_asked(call, sums, part))
        else:
            return None
    return _summed(tree, edits, line, part)


def running_extremes(tree: Tree) -> Iterator[Change]:
    """``max(items[:i + 1])`` in a loop: the extremes up to each place are made once."""
    for node in walk(tree.module):
        if not isinstance(node, cst.Call) or dotted(node.func) not in EXTREMES:
            continue
        arguments = positional(node)
        if arguments is None or len(arguments) != 1:
            continue
        part = _part_of(tree, arguments[0])
        if part is None or part.start != "0" or part.stop.startswith("len("):
            continue
        function = dotted(node.func)
        name = tree.fresh(f"{part.items}_{EXTREMES[function]}")
        last = part.stop.removesuffix(" + 1") if part.stop.endswith(" + 1") else f"{part.stop} - 1"
        edits: Edits = {
            part.place: before(f"{name} = list(accumulate({part.items}, {function}))"),
            node: expression(f"{name}[{last}]"),
        }
        what = f"carry the {function} of {part.items} along"
        yield Change(tree.edited(edits, ACCUMULATE), tree.line(node), what)


def ends_of_sorted(tree: Tree) -> Iterator[Change]:
    """``sorted(items)[0]``, ``[-1]`` and ``[:k]``: smallest and largest without sorting all."""
    for node in walk(tree.module):
        if not isinstance(node, cst.Subscript) or len(node.slice) != 1:
            continue
        call = node.value
        if not isinstance(call, cst.Call) or dotted(call.func) != "sorted":
            continue
        reverse = [arg for arg in call.args if arg.keyword and arg.keyword.value == "reverse"]
        if reverse and tree.code(reverse[0].value) != "True":
            continue
        rest = ", ".join(tree.code(arg).rstrip(", ") for arg in call.args if arg not in reverse)
        cut, imports = node.slice[0].slice, ""
        if isinstance(cut, cst.Index) and tree.code(cut.value) in {"0", "-1"}:
            lowest = (tree.code(cut.value) == "0") != bool(reverse)
            new = f"{'min' if lowest else 'max'}({rest})"
        elif isinstance(cut, cst.Slice) and cut.lower is None and cut.step is None and cut.upper:
            new = f"{'nlargest' if reverse else 'nsmallest'}({tree.code(cut.upper)}, {rest})"
            imports = f"from heapq import {new.partition('(')[0]}"
        else:
            continue
        text = tree.edited({node: expression(new)}, *([imports] if imports else []))
        yield Change(text, tree.line(node), f"take {new} without sorting everything")


def no_list_to_fold(tree: Tree) -> Iterator[Change]:
    """``any([…])`` and the like: one after the other, without the list in between."""
    for node in walk(tree.module):
        if not isinstance(node, cst.Call) or dotted(node.func) not in {
            *("any", "all", "sum", "set", "frozenset", "max", "min", "dict", "sorted", "tuple"),
        }:
            continue
        if not node.args or not isinstance(node.args[0].value, cst.ListComp) or len(node.args) > 1:
            continue
        made = node.args[0].value
        elt, clause = tree.code(made.elt), tree.code(made.for_in)
        new = f"{dotted(node.func)}({elt} {clause})"
        what = f"feed {dotted(node.func)} without a list in between"
        yield Change(tree.edited({node: expression(new)}), tree.line(node), what)
