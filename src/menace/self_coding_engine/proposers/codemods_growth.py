"""Lists, texts, arrays and frames that are built piece by piece, and copies that nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_edits import (
    around,
    expression,
    replaced,
)
from menace.self_coding_engine.proposers.codemods_loops import holder
from menace.self_coding_engine.proposers.codemods_tree import (
    Change,
    changed,
    dotted,
    is_call_of,
    loaded,
    name_of,
    only_statement,
    positional,
    stored,
    target_names,
    walk,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.proposers.codemods_edits import Edits
    from menace.self_coding_engine.proposers.codemods_tree import Loop, Tree

_NP_GROW = words("np.append np.concatenate np.hstack np.vstack numpy.append")


def _grown(tree: Tree) -> Iterator[tuple[cst.CSTNode, str, cst.BaseExpression, Loop]]:
    """Lines ``x = f(x, more)`` and ``x += more`` in a loop that says nothing else of *x*."""
    for line in walk(tree.module):
        assign = only_statement(line, cst.Assign)
        added = only_statement(line, cst.AugAssign)
        if isinstance(assign, cst.Assign) and len(assign.targets) == 1:
            name, value = name_of(assign.targets[0].target), assign.value
        elif isinstance(added, cst.AugAssign) and isinstance(added.operator, cst.AddAssign):
            name, value = name_of(added.target), added.value
        else:
            continue
        loops = tree.loops_around(line)
        if name is None or not loops:
            continue
        alone = [loop for loop in loops if _says_only(loop, line, name)]
        if alone:
            yield line, name, value, alone[-1]


def _says_only(loop: Loop, line: cst.CSTNode, name: str) -> bool:
    inside = {id(node) for node in walk(line)}
    return not any(
        isinstance(node, cst.Name) and node.value == name and id(node) not in inside
        for node in walk(loop)
    )


def _begins_as(tree: Tree, loop: Loop, name: str, *kinds: type[cst.CSTNode]) -> cst.CSTNode | None:
    """Find the value that a name has before a loop, if it is of these kinds."""
    function = tree.function_of(loop)
    if function is None:
        return None
    last = None
    for node in walk(function.body):
        if node is loop:
            break
        if isinstance(node, cst.Assign) and name in target_names(node.targets[0].target):
            last = node.value
    return last if isinstance(last, kinds) else None


def extend_list(tree: Tree) -> Iterator[Change]:
    """``items = items + more`` in a loop: the list grows in place."""
    for line, name, value, loop in _grown(tree):
        if not isinstance(value, cst.BinaryOperation) or not isinstance(value.operator, cst.Add):
            continue
        if name_of(value.left) != name or name in loaded(value.right):
            continue
        if _begins_as(tree, loop, name, cst.List, cst.ListComp) is None:
            continue
        more = value.right
        one = isinstance(more, cst.List) and len(more.elements) == 1
        if one and isinstance(more, cst.List) and isinstance(more.elements[0], cst.Element):
            new = f"{name}.append({tree.code(more.elements[0].value)})"
        else:
            new = f"{name}.extend({tree.code(more)})"
        yield Change(
            tree.edited({line: replaced(new)}), tree.line(line), f"let {name} grow in place"
        )


def join_text(tree: Tree) -> Iterator[Change]:
    """``text += more`` in a loop: pieces are kept and joined once."""
    for line, name, value, loop in _grown(tree):
        piece = value
        if isinstance(value, cst.BinaryOperation):
            if name_of(value.left) == name and isinstance(value.operator, cst.Add):
                piece = value.right
            elif name in loaded(value):
                continue
        if name in loaded(piece):
            continue
        if _begins_as(tree, loop, name, cst.SimpleString, cst.FormattedString) is None:
            continue
        place = holder(tree, loop)
        if place is None or place is not loop:
            continue
        parts = tree.fresh(f"{name}_parts")
        edits: Edits = {
            line: replaced(f"{parts}.append({tree.code(piece)})"),
            place: around(f"{parts} = [{name}]", f'{name} = "".join({parts})'),
        }
        yield Change(tree.edited(edits), tree.line(line), f"join the pieces of {name} once")


def collect_parts(tree: Tree) -> Iterator[Change]:
    """``pd.concat``, ``np.append`` and the like in a loop: pieces are put together once."""
    for line, name, value, loop in _grown(tree):
        place = holder(tree, loop)
        if not isinstance(value, cst.Call) or not value.args or place is None or place is not loop:
            continue
        found = _pieces(tree, value, name)
        if found is None:
            continue
        piece, last = found
        parts = tree.fresh(f"{name}_parts")
        edits: Edits = {
            line: replaced(f"{parts}.append({piece})"),
            place: around(f"{parts} = [{name}]", last.format(name=name, parts=parts)),
        }
        yield Change(tree.edited(edits), tree.line(line), f"put the pieces of {name} together once")


def _pieces(tree: Tree, call: cst.Call, name: str) -> tuple[str, str] | None:
    function, first = dotted(call.func), call.args[0].value
    rest = "".join(f", {tree.code(arg).rstrip(', ')}" for arg in call.args[1:])
    if function in {"np.append", "numpy.append"} and len(call.args) == 2 and name_of(first) == name:
        root = function.partition(".")[0]
        piece = f"{root}.ravel({tree.code(call.args[1].value)})"
        return piece, f"{{name}} = {root}.concatenate({{parts}})"
    if function in {"pd.concat", "pandas.concat"} | _NP_GROW and isinstance(first, cst.List):
        items = [element.value for element in first.elements]
        if len(items) == 2 and name_of(items[0]) == name and name not in loaded(items[1]):
            return tree.code(items[1]), f"{{name}} = {function}({{parts}}{rest})"
    return None


def flatten_once(tree: Tree) -> Iterator[Change]:
    """``sum(lists, [])``: chained."""
    for node in walk(tree.module):
        if not is_call_of(node, "sum") or not isinstance(node, cst.Call) or len(node.args) != 2:
            continue
        if tree.code(node.args[1].value) not in {"[]", "list()"}:
            continue
        text = f"list(chain.from_iterable({tree.code(node.args[0].value)}))"
        yield Change(
            tree.edited({node: expression(text)}, "from itertools import chain"),
            tree.line(node),
            "chain the lists",
        )


def queue(tree: Tree) -> Iterator[Change]:
    """Make a deque of a list that is taken from or added to at its front."""
    for function in tree.functions():
        for line in walk(function.body):
            assign = only_statement(line, cst.Assign)
            if not isinstance(assign, cst.Assign) or len(assign.targets) != 1:
                continue
            name = name_of(assign.targets[0].target)
            if name is None or not (
                isinstance(assign.value, cst.List) or is_call_of(assign.value, "list", "sorted")
            ):
                continue
            edits = _as_queue(tree, function, line, name)
            if edits is None:
                continue
            text = tree.code(assign.value)
            made = "deque()" if text == "[]" else f"deque({text})"
            edits[assign.value] = expression(made)
            yield Change(
                tree.edited(edits, "from collections import deque"),
                tree.line(line),
                f"make {name} a deque",
            )


def _as_queue(tree: Tree, function: cst.FunctionDef, line: cst.CSTNode, name: str) -> Edits | None:
    edits: Edits = {}
    for use in walk(function.body):
        if not isinstance(use, cst.Name) or use.value != name:
            continue
        parent = tree.parent(use)
        if isinstance(parent, cst.AssignTarget):
            if tree.statement_of(use) is not line:
                return None
        elif isinstance(parent, cst.Attribute) and parent.value is use:
            call = tree.parent(parent)
            if not isinstance(call, cst.Call) or not _queue_method(tree, parent, call, name, edits):
                return None
        elif isinstance(parent, cst.Arg):
            call = tree.parent(parent)
            if not is_call_of(call or parent, "len", "sum", "list", "sorted", "bool", "max", "min"):
                return None
        elif not isinstance(
            parent,
            cst.While
            | cst.If
            | cst.For
            | cst.CompFor
            | cst.ComparisonTarget
            | cst.UnaryOperation
            | cst.BooleanOperation,
        ):
            return None
    return edits or None


def _queue_method(
    tree: Tree, method: cst.Attribute, call: cst.Call, name: str, edits: Edits
) -> bool:
    arguments, verb = positional(call), method.attr.value
    if arguments is None:
        return False
    texts = [tree.code(argument) for argument in arguments]
    if verb == "pop" and texts == ["0"]:
        edits[call] = expression(f"{name}.popleft()")
    elif verb == "insert" and len(texts) == 2 and texts[0] == "0":
        edits[call] = expression(f"{name}.appendleft({texts[1]})")
    else:
        return verb in {"append", "extend", "clear"} or (verb == "pop" and not texts)
    return True


def needless_copy(tree: Tree) -> Iterator[Change]:
    """Use a thing itself instead of a copy, where neither is changed afterwards."""
    for node in walk(tree.module):
        original = _copied(node)
        function = tree.function_of(node)
        if original is None or function is None or not isinstance(node, cst.BaseExpression):
            continue
        if not (tree.loops_around(node) or is_call_of(node, "copy.deepcopy", "deepcopy")):
            continue
        if not _never_changed(tree, function, node):
            continue
        text = tree.code(original)
        yield Change(
            tree.edited({node: expression(text)}),
            tree.line(node),
            f"use {text} itself, which is not changed, instead of a copy",
        )


def _copied(node: cst.CSTNode) -> cst.BaseExpression | None:
    if isinstance(node, cst.Call):
        if is_call_of(node, "copy.deepcopy", "deepcopy", "copy.copy", "list", "dict", "tuple"):
            return node.args[0].value if len(node.args) == 1 and not node.args[0].keyword else None
        if isinstance(node.func, cst.Attribute) and node.func.attr.value == "copy":
            return node.func.value if not node.args and name_of(node.func.value) != "copy" else None
    if isinstance(node, cst.Subscript) and len(node.slice) == 1:
        cut = node.slice[0].slice
        if isinstance(cut, cst.Slice) and not (cut.lower or cut.upper or cut.step):
            return node.value
    return None


def _never_changed(tree: Tree, function: cst.FunctionDef, node: cst.BaseExpression) -> bool:
    parent = tree.parent(node)
    if isinstance(parent, cst.For | cst.CompFor):
        original = _copied(node)
        return original is None or not loaded(original) & changed(parent)
    if isinstance(parent, cst.Arg):
        call = tree.parent(parent)
        return isinstance(call, cst.Call) and not _callee_changes(tree, call, parent)
    if not isinstance(parent, cst.Assign) or len(parent.targets) != 1:
        return False
    name = name_of(parent.targets[0].target)
    if name is None or name in changed(function.body):
        return False
    for use in walk(function.body):
        if not isinstance(use, cst.Name) or use.value != name:
            continue
        above = tree.parent(use)
        if isinstance(above, cst.Arg):
            call = tree.parent(above)
            if not isinstance(call, cst.Call) or _callee_changes(tree, call, above):
                return False
        elif isinstance(above, cst.Return | cst.Element | cst.DictElement | cst.Yield | cst.Assign):
            return False
    return True


def _callee_changes(tree: Tree, call: cst.Call, argument: cst.Arg) -> bool:
    """Whether a function may change or keep this argument; one of elsewhere is trusted not to."""
    function = tree.module_functions().get(dotted(call.func))
    if function is None:
        return isinstance(call.func, cst.Attribute) and call.func.attr.value in {
            *("append", "add", "insert", "extend", "update", "setdefault"),
        }
    parameters = [part.name.value for part in function.params.params]
    place = list(call.args).index(argument)
    if argument.keyword is not None:
        name = argument.keyword.value
    elif place < len(parameters):
        name = parameters[place]
    else:
        return True
    returned = {
        n.value.value
        for n in walk(function.body)
        if isinstance(n, cst.Return) and isinstance(n.value, cst.Name)
    }
    # Loop variables over the argument are parts of it, and so are what they are changed through.
    parts = {name}
    for loop in walk(function.body):
        if isinstance(loop, cst.For | cst.CompFor) and loaded(loop.iter) & parts:
            parts |= target_names(loop.target)
    return bool(parts & changed(function.body)) or name in returned or name in stored(function.body)
