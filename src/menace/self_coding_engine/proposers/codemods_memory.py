"""Results that are asked for again: remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_edits import (
    expression,
    statement,
)
from menace.self_coding_engine.proposers.codemods_loops import PURE_CALLS, PURE_METHODS
from menace.self_coding_engine.proposers.codemods_tree import (
    MUTATORS,
    Change,
    changed,
    dotted,
    loaded,
    positional,
    stored,
    walk,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.proposers.codemods_edits import Edit, Edits
    from menace.self_coding_engine.proposers.codemods_tree import Tree

LRU_CACHE = "from functools import lru_cache"
REMEMBERED = 65_536
"""Results at most that a memory holds."""

PARSERS = words(
    "datetime.strptime datetime.datetime.strptime datetime.fromisoformat"
    " datetime.datetime.fromisoformat date.fromisoformat datetime.date.fromisoformat"
    " time.strptime Decimal decimal.Decimal Fraction fractions.Fraction pd.Timestamp"
    " pd.to_datetime pd.Timedelta ip_address ipaddress.ip_address ip_network"
    " ipaddress.ip_network urlparse urlsplit urllib.parse.urlparse urllib.parse.urlsplit"
    " parser.parse dateutil.parser.parse re.compile ZoneInfo zoneinfo.ZoneInfo UUID"
    " uuid.UUID"
)
"""They make something unchangeable from text or numbers, and take long over it."""

_BUILTINS = words(
    "abs all any bool bytes chr complex divmod enumerate float format frozenset hash hex int len"
    " max min oct ord pow range repr reversed round str sum tuple zip sorted isinstance ValueError"
    " TypeError KeyError map filter"
)
_PURE_OF_TEXT = PURE_METHODS | words(
    "replace startswith endswith find rfind index count isdigit isalpha isalnum title capitalize"
    " join casefold partition rpartition rsplit lstrip rstrip zfill get format date year month day"
    " weekday isoweekday isoformat toordinal total_seconds group groups match search fullmatch"
    " findall sub bit_length as_tuple copy isocalendar"
)


def memo_parsing(tree: Tree) -> Iterator[Change]:
    """Remember by value what parsing made, in a loop over values that come again."""
    seen: set[str] = set()
    for node in walk(tree.module):
        if not isinstance(node, cst.Call) or dotted(node.func) not in PARSERS:
            continue
        name = dotted(node.func)
        if name in seen or not positional(node) or not tree.loops_around(node):
            continue
        seen.add(name)
        function = tree.function_of(node)
        top = _top_level(tree, function)
        if function is None or top is None or name.partition(".")[0] in stored(function):
            continue
        memory = tree.fresh(f"remembered_{name.rpartition('.')[2]}")
        edits: Edits = {
            call.func: expression(memory)
            for call in walk(tree.module)
            if isinstance(call, cst.Call) and dotted(call.func) == name and positional(call)
        }
        made = f"{memory} = lru_cache(maxsize={REMEMBERED}, typed=True)({name})"
        edits[top] = _above(made)
        what = f"remember what {name} made of a value"
        yield Change(tree.edited(edits, LRU_CACHE), tree.line(node), what)


def _top_level(tree: Tree, node: cst.CSTNode | None) -> cst.FunctionDef | cst.ClassDef | None:
    if node is None:
        return None
    for up in (node, *tree.above(node)):
        if tree.parent(up) is tree.module and isinstance(up, cst.FunctionDef | cst.ClassDef):
            made = (n for n in tree.module.body if isinstance(n, cst.FunctionDef | cst.ClassDef))
            return next(made, up)
    return None


def _above(text: str) -> Edit:
    """Make an edit that puts a module-level line before a function."""

    def edit(node: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        lines = getattr(node, "leading_lines", ())
        blank = [cst.EmptyLine(indent=False)] * 2
        line = statement(text).with_changes(leading_lines=lines)
        return cst.FlattenSentinel([line, node.with_changes(leading_lines=blank)])

    return edit


def memo_function(tree: Tree) -> Iterator[Change]:
    """Remember the results of a pure function that calls itself, or is called in a loop."""
    functions = tree.module_functions()
    pure = {name for name, function in functions.items() if _pure(tree, function, set(functions))}
    while True:
        calling = {name for name in pure if (_called(functions[name]) & set(functions)) - pure}
        if not calling:
            break
        pure -= calling
    for name in functions:
        function = functions[name]
        if name not in pure or not (_repeated(tree, name) and _keepable(function)):
            continue
        # Typed, because 1, 1.0 and True are one key otherwise.
        decorator = cst.Decorator(
            cst.parse_expression(f"lru_cache(maxsize={REMEMBERED}, typed=True)")
        )
        edits: Edits = {
            function: lambda old, decorator=decorator: old.with_changes(  # type: ignore[misc]
                decorators=[decorator, *old.decorators]
            )
        }
        what = f"remember the results of {name}"
        yield Change(tree.edited(edits, LRU_CACHE), tree.line(function), what)


def _called(function: cst.FunctionDef) -> set[str]:
    return {dotted(n.func) for n in walk(function.body) if isinstance(n, cst.Call)}


def _pure(tree: Tree, function: cst.FunctionDef, known: set[str]) -> bool:
    """Whether nothing that can be seen in a function changes or depends on anything outside."""
    if function.asynchronous is not None or function.decorators:
        return False
    parameters = {part.name.value for part in walk(function.params) if isinstance(part, cst.Param)}
    local = stored(function.body) | parameters
    for node in walk(function.body):
        if isinstance(
            node,
            cst.Global
            | cst.Nonlocal
            | cst.Yield
            | cst.Await
            | cst.With
            | cst.FunctionDef
            | cst.Lambda,
        ):
            return False
        if isinstance(node, cst.Call) and not _pure_call(node, known):
            return False
    if changed(function.body) & (parameters | (loaded(function.body) - local)):
        return False
    return not (loaded(function.body) - local) & _changing_globals(tree)


def _pure_call(call: cst.Call, known: set[str]) -> bool:
    name = dotted(call.func)
    if name in PURE_CALLS or name in PARSERS or name in _BUILTINS or name in known:
        return True
    if name.startswith(("math.", "statistics.", "re.")):
        return True
    return isinstance(call.func, cst.Attribute) and (
        call.func.attr.value in _PURE_OF_TEXT or call.func.attr.value in MUTATORS
    )


def _changing_globals(tree: Tree) -> set[str]:
    """Names of the module that some function rebinds or changes."""
    found: set[str] = set()
    for function in tree.functions():
        for node in walk(function.body):
            if isinstance(node, cst.Global):
                found |= {item.name.value for item in node.names}
        found |= changed(function.body) - stored(function)
    return found


def _repeated(tree: Tree, name: str) -> bool:
    for node in walk(tree.module):
        if isinstance(node, cst.Call) and dotted(node.func) == name:
            function = tree.function_of(node)
            inside = function is not None and function.name.value == name
            if inside or tree.loops_around(node):
                return True
    return False


def _keepable(function: cst.FunctionDef) -> bool:
    """Whether what it returns cannot be changed by who gets it, as far as can be seen."""
    returned = [n.value for n in walk(function.body) if isinstance(n, cst.Return) and n.value]
    made = {
        dotted(n.targets[0].target)
        for n in walk(function.body)
        if isinstance(n, cst.Assign) and _changeable(n.value)
    }
    return bool(returned) and not any(
        _changeable(value) or dotted(value) in made for value in returned
    )


def _changeable(node: cst.BaseExpression) -> bool:
    """Whether an expression makes, or may give, a list or the like."""
    if isinstance(node, cst.IfExp):
        return _changeable(node.body) or _changeable(node.orelse)
    if isinstance(node, cst.BooleanOperation | cst.BinaryOperation):
        return _changeable(node.left) or _changeable(node.right)
    if isinstance(node, cst.Tuple):
        return any(_changeable(element.value) for element in node.elements)
    return isinstance(
        node, cst.List | cst.Dict | cst.Set | cst.ListComp | cst.DictComp | cst.SetComp
    ) or (
        isinstance(node, cst.Call)
        and dotted(node.func)
        in {"list", "dict", "set", "sorted", "defaultdict", "Counter", "deque"}
    )
