"""The gate *constructs*: the new text does not begin to reach beyond the file.

Both texts are read as trees, and what may do harm is counted in them; a kind of use that the new
text has more often than the old one is refused, with its line. That is a filter for what can be
seen: Python is too lively for more. What it cannot see meets the sandbox, the tests, the hidden
ones, and the run of old against new.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.patches import GateReport
from menace.self_coding_engine.gates.import_time import uses_at_import
from menace.self_coding_engine.gates.names import Use, dotted, imported_modules, imported_names
from menace.self_coding_engine.gates.vocabulary import (
    CLOSED_SUBMODULES,
    DANGEROUS_ATTRIBUTES,
    DANGEROUS_NAMES,
    FILE_FORMATS,
    FILE_METHODS,
    HARMLESS_BINDINGS,
    HARMLESS_DUNDERS,
    HARMLESS_METHODS,
    HARMLESS_USES,
    NAMED_ACCESS,
    POWERFUL_MODULES,
    SENSITIVE_MODULES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from menace.self_coding_engine.gates.candidate import Candidate


class ConstructGate:
    """Refuses new uses of what reaches files, processes, the interpreter or others' modules."""

    name = "constructs"

    def judge(self, candidate: Candidate) -> GateReport:
        """Count uses in both texts; nothing is run."""
        had = Counter(use.key for use in uses(candidate.before))
        for use in uses(candidate.after):
            had[use.key] -= 1
            if had[use.key] < 0:
                reason = f"line {use.line}: {use.why}"
                return GateReport(self.name, False, reason, {"use": use.key, "line": use.line})
        return GateReport(self.name, True, "nothing in it reaches beyond the file")


def uses(source: str) -> list[Use]:
    r"""List what may do harm in a text, in the order of lines.

    Examples
    --------
    >>> [use.why for use in uses("def f(x):\n    return eval(x)")]
    ['it uses eval']
    """
    tree = ast.parse(source)
    reader = _Reader(imported_names(tree), imported_modules(tree), _bound(tree), _parents(tree))
    found = [*reader.read(tree), *uses_at_import(tree, reader.names)]
    return sorted(found, key=lambda use: use.line)


def _parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def _bound(tree: ast.AST) -> frozenset[str]:
    """Collect names that the text gives a meaning of its own: parameters and assigned names."""
    parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return frozenset(parameters | {n.id for n in names if isinstance(n.ctx, ast.Store)})


@dataclass(frozen=True, slots=True)
class _Reader:
    names: Mapping[str, str]
    modules: frozenset[str]
    bound: frozenset[str]
    parents: Mapping[ast.AST, ast.AST]

    def read(self, tree: ast.AST) -> Iterator[Use]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                yield from self._name(node)
            elif isinstance(node, ast.Attribute):
                yield from self._attribute(node)
            elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                yield from self._changed(node)
            else:
                yield from _form(node)

    def _name(self, node: ast.Name) -> Iterator[Use]:
        name = node.id
        full = self.names.get(name)
        if not isinstance(node.ctx, ast.Load):
            if full is not None or (_is_special(name) and name not in HARMLESS_BINDINGS):
                yield Use(f"bind {name}", node.lineno, f"it gives {name} another meaning")
            return
        special = _is_special(name) and name not in HARMLESS_DUNDERS
        if special or name in DANGEROUS_NAMES or (name == "input" and name not in self.bound):
            yield Use(name, node.lineno, f"it uses {name}")
        elif (full or name).rpartition(".")[2] in NAMED_ACCESS:
            yield from self._by_name(node)
        elif full is not None:
            yield from self._of_module(node, full)

    def _of_module(self, node: ast.Name, full: str) -> Iterator[Use]:
        """Read a name that an import has bound."""
        parent = self.parents.get(node)
        if isinstance(parent, ast.Attribute):
            return  # the whole chain is read where it ends
        if node.id in self.modules or full in SENSITIVE_MODULES:
            # A module by itself: whoever holds it as a value reaches all of it unseen.
            yield Use(f"value {full}", node.lineno, f"it hands the module {full} around")
        elif _is_sensitive(full):
            yield Use(full, node.lineno, f"it uses {full}")

    def _attribute(self, node: ast.Attribute) -> Iterator[Use]:
        if not isinstance(node.ctx, ast.Load):
            yield from self._changed(node)
            return
        full = dotted(node, self.names)
        parent = self.parents.get(node)
        if full is not None and not isinstance(parent, ast.Attribute) and _is_sensitive(full):
            yield Use(full, node.lineno, f"it uses {full}")
            return
        if node.attr in NAMED_ACCESS:
            yield from self._by_name(node)
        elif full is None or not _is_harmless(full):
            yield from _attribute_use(node.attr, node.lineno, of_module=full is not None)

    def _by_name(self, node: ast.Name | ast.Attribute) -> Iterator[Use]:
        """Read ``getattr`` and its like: the name has to stand there, and be harmless."""
        called = self.parents.get(node)
        text = ast.unparse(node)
        if not isinstance(called, ast.Call) or called.func is not node:
            yield Use(text, node.lineno, f"it hands {text} around")
            return
        given = called.args[1:2] if text == "getattr" else called.args[:1]
        if text.endswith("attrgetter"):
            given = called.args
        for argument in given or [called]:
            value = argument.value if isinstance(argument, ast.Constant) else None
            if not isinstance(value, str):
                yield Use(ast.unparse(called), node.lineno, f"{text} of a name that is made up")
                continue
            for part in value.split("."):
                yield from _attribute_use(part, node.lineno)

    def _changed(self, node: ast.Attribute | ast.Subscript) -> Iterator[Use]:
        """Read what is assigned to or deleted: it has to belong to something of the file's own."""
        text = ast.unparse(node)
        root: ast.AST = node
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if not isinstance(root, ast.Name):
            if isinstance(node, ast.Attribute):
                yield Use(f"change {text}", node.lineno, f"it changes {text}, made elsewhere")
            return
        if root.id in self.names:
            yield Use(f"change {text}", node.lineno, f"it changes {text}, which is not its own")
        elif isinstance(node, ast.Attribute):
            yield from _attribute_use(node.attr, node.lineno)


def _attribute_use(name: str, line: int, *, of_module: bool = False) -> Iterator[Use]:
    bare = name.lstrip("_")
    if _is_special(name) and name not in HARMLESS_DUNDERS:
        yield Use(f".{name}", line, f"it looks at {name}")
    elif bare in POWERFUL_MODULES or (of_module and bare in SENSITIVE_MODULES - _ALSO_NO_MODULES):
        yield Use(f".{name}", line, f"it reaches {name} through something else")
    elif name in DANGEROUS_ATTRIBUTES or _is_file_method(name):
        yield Use(f".{name}", line, f"it uses .{name}, which reaches files or shared state")


_ALSO_NO_MODULES = frozenset({"time", "code", "select", "types", "resource"})
"""Attributes of harmless modules that are called like a sensitive one: ``datetime.time``."""


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_file_method(name: str) -> bool:
    return any(
        name.startswith(begin) and name.removeprefix(begin) in FILE_FORMATS
        for begin in FILE_METHODS
    )


def _is_sensitive(full: str) -> bool:
    if _is_harmless(full):
        return False
    closed = any(full == one or full.startswith(f"{one}.") for one in CLOSED_SUBMODULES)
    return closed or full.partition(".")[0] in SENSITIVE_MODULES


def _is_harmless(full: str) -> bool:
    return any(full == one or full.startswith(f"{one}.") for one in HARMLESS_USES)


def _form(node: ast.AST) -> Iterator[Use]:
    """Read what says by its form alone what it is."""
    if isinstance(node, ast.ImportFrom):
        yield from _renamed(node)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if _is_special(node.name) and node.name not in HARMLESS_METHODS:
            why = f"it defines {node.name}, which changes what Python does"
            yield Use(f"def {node.name}", node.lineno, why)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "type":
        if len(node.args) != 1 or node.keywords:
            yield Use("type(…)", node.lineno, "it makes a class by calling type")
    elif isinstance(node, ast.Global):
        key = f"global {', '.join(node.names)}"
        yield Use(key, node.lineno, f"{key}: it keeps a state between calls")
    elif isinstance(node, ast.ExceptHandler) and node.type is None:
        yield Use("except:", node.lineno, "a bare except swallows the end of the time, too")


def _renamed(node: ast.ImportFrom) -> Iterator[Use]:
    """Read imports of names that are dangerous by another name, too."""
    for alias in node.names:
        last = alias.name
        if last in DANGEROUS_ATTRIBUTES or _is_file_method(last):
            yield Use(f"import {last}", node.lineno, f"it imports {last}")
        elif last in NAMED_ACCESS and alias.asname not in {None, last}:
            yield Use(f"import {last}", node.lineno, f"it hides {last} behind another name")
