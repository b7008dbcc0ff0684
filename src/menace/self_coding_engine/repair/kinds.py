"""Guesses of what type an expression has, from what was seen and from how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.code_map import MODULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from menace.self_coding_engine.repair.code_map import Site

UNKNOWN = "?"
INT_CALLS = frozenset({"len", "int", "ord", "hash", "id"})
STR_CALLS = frozenset({"str", "chr", "repr", "bin", "hex", "format", "input"})
LIST_CALLS = frozenset({"list", "sorted"})
BOOL_CALLS = frozenset({"any", "all", "isinstance", "bool", "hasattr", "callable"})
STR_METHODS = frozenset(
    {"lower", "upper", "strip", "lstrip", "rstrip", "join", "replace", "swapcase", "title"}
    | {"capitalize", "zfill", "format", "decode"}
)
INT_METHODS = frozenset({"count", "index", "find", "rfind", "bit_length"})
LIST_METHODS = frozenset({"split", "splitlines", "rsplit"})
BOOL_METHODS = frozenset(
    {"startswith", "endswith", "isdigit", "isalpha", "isalnum", "islower", "isupper", "isspace"}
)
NUMBERS = frozenset({"int", "float", "bool"})


class Kinds:
    """Types of variables as seen in a run, by function.

    Parameters
    ----------
    types
        Function → variable → type names, ``list[int]`` for a list whose first item was an int.
    """

    def __init__(self, types: Mapping[str, Mapping[str, frozenset[str]]]) -> None:
        self._types = types
        self._anywhere: dict[str, set[str]] = {}
        for variables in types.values():
            for name, seen in variables.items():
                self._anywhere.setdefault(name, set()).update(seen)

    def of_name(self, function: str, name: str) -> str:
        """Kind of a variable: the one name that all values had, without that of the items."""
        return _plain(self._seen(function, name))

    def items_of(self, function: str, name: str) -> str:
        """Kind of the items of a variable that holds a collection."""
        inner = {seen.partition("[")[2].rstrip("]") for seen in self._seen(function, name)} - {""}
        return inner.pop() if len(inner) == 1 else UNKNOWN

    def _seen(self, function: str, name: str) -> set[str]:
        seen = self._types.get(function, {}).get(name)
        return set(seen) if seen else self._anywhere.get(name, set())

    def of(self, site: Site) -> str:
        """Kind of an expression."""
        node = site.node
        if isinstance(node, cst.Name):
            if node.value in {"True", "False"}:
                return "bool"
            return "None" if node.value == "None" else self.of_name(site.function, node.value)
        if isinstance(node, cst.Call):
            return self._of_call(site, node)
        if isinstance(node, (cst.BinaryOperation, cst.UnaryOperation, cst.BooleanOperation)):
            return self._of_operation(site, node)
        if isinstance(node, cst.Subscript):
            return self._of_subscript(site, node)
        return _LITERALS.get(type(node), UNKNOWN)

    def _child(self, site: Site, node: cst.CSTNode) -> str:
        return next((self.of(child) for child in site.children if child.node is node), UNKNOWN)

    def _of_call(self, site: Site, node: cst.Call) -> str:
        if isinstance(node.func, cst.Name):
            name = node.func.value
            for kind, names in _CALLS:
                if name in names:
                    return kind
            if name in {"set", "dict", "tuple", "float", "list"}:
                return name
            if name in {"abs", "round", "sum"}:
                return "int"
            if name in {"max", "min"} and len(node.args) > 1:
                return "int"
            returned = self._types.get(name, {}).get("return")
            return _plain(set(returned)) if returned else UNKNOWN
        if isinstance(node.func, cst.Attribute):
            for kind, names in _METHODS:
                if node.func.attr.value in names:
                    return kind
        return UNKNOWN

    def _of_operation(
        self, site: Site, node: cst.BinaryOperation | cst.UnaryOperation | cst.BooleanOperation
    ) -> str:
        if isinstance(node, cst.UnaryOperation):
            negated = isinstance(node.operator, cst.Not)
            return "bool" if negated else self._child(site, node.expression)
        sides = {self._child(site, node.left), self._child(site, node.right)}
        if isinstance(node, cst.BooleanOperation):
            return sides.pop() if len(sides) == 1 else UNKNOWN
        for kind in ("str", "list", "tuple", "set"):
            if kind in sides:
                return kind
        if isinstance(node.operator, cst.Divide) or "float" in sides:
            return "float"
        return "int" if sides <= {"int", "bool"} else UNKNOWN

    def _of_subscript(self, site: Site, node: cst.Subscript) -> str:
        base = self._child(site, node.value)
        sliced = any(isinstance(element.slice, cst.Slice) for element in node.slice)
        if sliced or base == "str":
            return base
        if isinstance(node.value, cst.Name):
            return self.items_of(site.function, node.value.value)
        return UNKNOWN


def _plain(seen: set[str]) -> str:
    kinds = {name.partition("[")[0] for name in seen} - {"None"}
    if kinds == {"int", "float"}:
        return "float"
    if kinds == {"int", "bool"}:
        return "int"
    if len(kinds) == 1:
        return kinds.pop()
    return "None" if seen == {"None"} else UNKNOWN


_LITERALS: Mapping[type[cst.CSTNode], str] = {
    cst.Integer: "int",
    cst.Float: "float",
    cst.SimpleString: "str",
    cst.FormattedString: "str",
    cst.ConcatenatedString: "str",
    cst.List: "list",
    cst.ListComp: "list",
    cst.Tuple: "tuple",
    cst.Dict: "dict",
    cst.DictComp: "dict",
    cst.Set: "set",
    cst.SetComp: "set",
    cst.Comparison: "bool",
    cst.GeneratorExp: "generator",
}
_CALLS = (
    ("int", INT_CALLS),
    ("str", STR_CALLS),
    ("list", LIST_CALLS),
    ("bool", BOOL_CALLS),
)
_METHODS = (
    ("str", STR_METHODS),
    ("int", INT_METHODS),
    ("list", LIST_METHODS),
    ("bool", BOOL_METHODS),
)


def alike(one: str, other: str) -> float:
    """Extra cost of one kind standing where the other stood.

    >>> alike("int", "int"), alike("int", "?"), alike("int", "str")
    (0.0, 0.5, 2.0)
    """
    if one == other and one != UNKNOWN:
        return 0.0
    if UNKNOWN in {one, other}:
        return 0.5
    return 0.3 if {one, other} <= NUMBERS else 2.0


def is_module(function: str) -> bool:
    """Whether a site lies outside all functions."""
    return function == MODULE
