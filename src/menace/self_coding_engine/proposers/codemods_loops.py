"""What stays the same in a loop is done before it: searches, counts, parsing, joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_edits import (
    after,
    before,
    expression,
    removed,
)
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
    unstable,
    walk,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from menace.self_coding_engine.proposers.codemods_edits import Edits
    from menace.self_coding_engine.proposers.codemods_tree import Loop, Tree

PURE_CALLS = words(
    "re.compile sorted set frozenset sum min max list tuple dict Counter collections.Counter"
    " json.loads datetime.strptime datetime.datetime.strptime datetime.fromisoformat"
    " date.fromisoformat Decimal decimal.Decimal Fraction math.sqrt math.log math.exp"
    " pd.to_datetime pd.Timestamp pd.Timedelta np.array np.asarray np.mean np.std np.sum np.sort"
    " np.unique np.median np.linspace np.arange statistics.mean statistics.median"
    " statistics.stdev statistics.fmean ZoneInfo zoneinfo.ZoneInfo timedelta"
)
"""Calls that give the same for the same arguments and change nothing."""

PURE_METHODS = words(
    "mean sum std median max min var quantile unique tolist to_numpy to_list to_dict lower upper"
    " strip split splitlines keys values items groupby set_index sort_values value_counts"
    " isin dropna nunique idxmax idxmin"
)
CHANGEABLE = words("sorted set list dict Counter collections.Counter json.loads np.array")
"""Of these a loop may be given a fresh one on purpose: to change or to keep it."""


def hoistable_loop(tree: Tree, node: cst.CSTNode) -> Loop | None:
    """Find the outermost loop around a node in which every name of it stays the same."""
    names, found = loaded(node), None
    for loop in tree.loops_around(node):
        if names & unstable(loop):
            break
        found = loop
    return found


def holder(tree: Tree, loop: Loop) -> cst.BaseStatement | None:
    """Find the statement before which something is put to be before a loop."""
    found = tree.statement_of(loop)
    return found if found is not None and tree.function_of(found) is not None else None


def _known_as(tree: Tree, node: cst.CSTNode, *starts: str) -> bool:
    """Whether a name is assigned something that begins like this in its function."""
    name, function = name_of(node), tree.function_of(node)
    if name is None or function is None:
        return False
    for part in walk(function):
        if isinstance(part, cst.Assign) and name in target_names(part.targets[0].target):
            return tree.code(part.value).startswith(starts)
        if isinstance(part, cst.Param) and part.name.value == name and part.annotation:
            return tree.code(part.annotation.annotation).startswith(
                ("str", "dict", "set", "frozenset")
            )
    return False


_HASHED = ("set(", "{", "dict(", "frozenset(", "Counter(", "defaultdict(", '"', "'", 'f"', "f'")


def membership(tree: Tree) -> Iterator[Change]:
    """``x in items`` in a loop, where *items* stays the same: a set made before the loop."""
    for node in walk(tree.module):
        if not (isinstance(node, cst.Comparison) and len(node.comparisons) == 1):
            continue
        target = node.comparisons[0]
        if not isinstance(target.operator, cst.In | cst.NotIn):
            continue
        items = target.comparator
        key_view = _key_view(items)
        if key_view is not None:
            text = tree.code(key_view)
            yield Change(
                tree.edited({items: expression(text)}),
                tree.line(node),
                f"look {text} up by its hash",
            )
            continue
        loop = hoistable_loop(tree, items)
        place = None if loop is None else holder(tree, loop)
        if (
            place is None
            or _known_as(tree, items, *_HASHED)
            or isinstance(items, cst.Set | cst.Dict)
        ):
            continue
        if not isinstance(
            items, cst.Name | cst.Call | cst.Attribute | cst.ListComp | cst.Subscript
        ):
            continue
        name = tree.fresh(f"{_short(items)}_set")
        edits: Edits = {
            place: before(f"{name} = set({tree.code(items)})"),
            items: expression(name),
        }
        what = f"look {tree.code(items)} up in a set"
        yield Change(tree.edited(edits), tree.line(node), what)


def _key_view(node: cst.CSTNode) -> cst.BaseExpression | None:
    """``d`` of ``d.keys()`` and ``list(d.keys())``."""
    if is_call_of(node, "list") and isinstance(node, cst.Call) and len(node.args) == 1:
        node = node.args[0].value
    if (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value == "keys"
        and not node.args
    ):
        return node.func.value
    return None


def _short(node: cst.CSTNode) -> str:
    names = [part.value for part in walk(node) if isinstance(part, cst.Name)]
    return "_".join(names[:2]) if names else "items"


def growing_membership(tree: Tree) -> Iterator[Change]:
    """``x in seen`` where *seen* is a list that grows: a set that grows beside it."""
    for function in tree.functions():
        for line in walk(function.body):
            assign = only_statement(line, cst.Assign)
            if not isinstance(assign, cst.Assign) or not isinstance(assign.value, cst.List):
                continue
            name = name_of(assign.targets[0].target)
            if name is None or len(assign.targets) != 1:
                continue
            change = _grow_beside(tree, function, line, name)
            if change is not None:
                yield change


def _grow_beside(
    tree: Tree, function: cst.FunctionDef, line: cst.CSTNode, name: str
) -> Change | None:
    beside = tree.fresh(f"{name}_set")
    edits: Edits = {line: after(f"{beside} = set({name})")}
    looked_up = False
    for use in walk(function.body):
        if not isinstance(use, cst.Name) or use.value != name:
            continue
        parent = tree.parent(use)
        if isinstance(parent, cst.ComparisonTarget) and isinstance(
            parent.operator, cst.In | cst.NotIn
        ):
            edits[use] = expression(beside)
            looked_up = looked_up or bool(tree.loops_around(use))
        elif not _followed(tree, use, line, beside, edits):
            return None
    if not looked_up:
        return None
    return Change(tree.edited(edits), tree.line(line), f"keep a set of {name} beside the list")


def _followed(tree: Tree, use: cst.Name, line: cst.CSTNode, beside: str, edits: Edits) -> bool:
    """Whether the set can follow what is done with the list at this place."""
    parent = tree.parent(use)
    if isinstance(parent, cst.AssignTarget | cst.AugAssign):
        return tree.statement_of(use) is line
    if isinstance(parent, cst.Attribute) and parent.value is use:
        if parent.attr.value in {"append", "extend"}:
            return _add_beside(tree, parent, beside, edits)
        return parent.attr.value in {"index", "count", "copy"}
    return not (
        isinstance(parent, cst.Subscript)
        and isinstance(tree.parent(parent), cst.AssignTarget | cst.Del | cst.AugAssign)
    )


def _add_beside(tree: Tree, method: cst.Attribute, beside: str, edits: Edits) -> bool:
    call = tree.parent(method)
    line = tree.statement_of(method)
    if not isinstance(call, cst.Call) or line is None or only_statement(line, cst.Expr) is None:
        return False
    arguments = positional(call)
    if arguments is None or len(arguments) != 1:
        return False
    if any(isinstance(part, cst.Call | cst.NamedExpr | cst.Await) for part in walk(arguments[0])):
        return False
    verb = "add" if method.attr.value == "append" else "update"
    edits[line] = after(f"{beside}.{verb}({tree.code(arguments[0])})")
    return True


def hoist(tree: Tree) -> Iterator[Change]:
    """Do a call that gives the same in every round of a loop once, before it."""
    for node in walk(tree.module):
        if not isinstance(node, cst.Call) or not _pure(node):
            continue
        parent = tree.parent(node)
        loop = hoistable_loop(tree, node)
        place = None if loop is None else holder(tree, loop)
        if (
            loop is None
            or place is None
            or (isinstance(parent, cst.Attribute) and _pure_parent(tree, parent))
        ):
            continue
        text = tree.code(node)
        line = tree.statement_of(node)
        assign = None if line is None else only_statement(line, cst.Assign)
        if (
            isinstance(assign, cst.Assign)
            and assign.value is node
            and line is not None
            and line is not place
        ):
            name = name_of(assign.targets[0].target)
            if name is None or _fresh_on_purpose(tree, node, loop, name):
                continue
            if sum(name in target_names(t.target) for t in _targets(loop)) != 1:
                continue
            edits: Edits = {place: before(f"{name} = {text}"), line: removed}
        else:
            if dotted(node.func) in CHANGEABLE and not _only_read(parent):
                continue
            name = tree.fresh(_hoisted_name(node))
            edits = {place: before(f"{name} = {text}"), node: expression(name)}
        yield Change(tree.edited(edits), tree.line(node), f"do {_cut(text)} once, before the loop")


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"


def _targets(node: cst.CSTNode) -> list[cst.AssignTarget]:
    return [part for part in walk(node) if isinstance(part, cst.AssignTarget)]


def _pure(call: cst.Call) -> bool:
    if dotted(call.func) in PURE_CALLS:
        return bool(call.args)
    return isinstance(call.func, cst.Attribute) and call.func.attr.value in PURE_METHODS


def _pure_parent(tree: Tree, attribute: cst.Attribute) -> bool:
    """Whether the call goes on in a longer pure one, which is hoisted as a whole."""
    call = tree.parent(attribute)
    return isinstance(call, cst.Call) and call.func is attribute and _pure(call)


def _only_read(parent: cst.CSTNode | None) -> bool:
    return isinstance(parent, cst.For | cst.CompFor | cst.Subscript | cst.ComparisonTarget)


def _fresh_on_purpose(tree: Tree, call: cst.Call, loop: Loop, name: str) -> bool:
    if dotted(call.func) not in CHANGEABLE:
        return False
    for use in walk(loop):
        if isinstance(use, cst.Name) and use.value == name:
            parent = tree.parent(use)
            if not (_only_read(parent) or isinstance(parent, cst.AssignTarget | cst.Attribute)):
                return True
    return name in unstable(loop) - stored(loop) or name in changed(loop)


def _hoisted_name(call: cst.Call) -> str:
    verb = call.func.attr.value if isinstance(call.func, cst.Attribute) else dotted(call.func)
    about = root = ""
    if isinstance(call.func, cst.Attribute) and dotted(call.func) not in PURE_CALLS:
        root = _short(call.func.value)
    elif call.args:
        about = _short(call.args[0].value)
    return f"{root or about}_{verb}"


def counter(tree: Tree) -> Iterator[Change]:
    """``items.count(x)`` in a loop: all are counted once."""
    yield from _asked_of_list(
        tree,
        "count",
        make=lambda name, items: [f"{name} = Counter({items})"],
        ask=lambda name, wanted: f"{name}[{wanted}]",
        suffix="counts",
        imports=("from collections import Counter",),
    )


def positions(tree: Tree) -> Iterator[Change]:
    """``items.index(x)`` in a loop: first places are noted once."""
    yield from _asked_of_list(
        tree,
        "index",
        make=lambda name, items: [
            f"{name} = {{}}",
            f"for place, value in enumerate({items}):\n    {name}.setdefault(value, place)\n",
        ],
        ask=lambda name, wanted: f"{name}[{wanted}]",
        suffix="places",
        imports=(),
    )


def _asked_of_list(
    tree: Tree,
    method: str,
    *,
    make: Callable[[str, str], list[str]],
    ask: Callable[[str, str], str],
    suffix: str,
    imports: tuple[str, ...],
) -> Iterator[Change]:
    for node in walk(tree.module):
        if not (
            isinstance(node, cst.Call)
            and isinstance(node.func, cst.Attribute)
            and node.func.attr.value == method
            and isinstance(node.func.value, cst.Name)
        ):
            continue
        arguments, items = positional(node), node.func.value
        loop = hoistable_loop(tree, items)
        place = None if loop is None else holder(tree, loop)
        if arguments is None or len(arguments) != 1 or place is None:
            continue
        if _known_as(tree, items, '"', "'", 'f"', "str("):
            continue
        name = tree.fresh(f"{items.value}_{suffix}")
        lines = make(name, items.value)
        edits: Edits = {
            place: before(*lines),
            node: expression(ask(name, tree.code(arguments[0]))),
        }
        what = f"{method} everything in {items.value} once, before the loop"
        yield Change(tree.edited(edits, *imports), tree.line(node), what)
