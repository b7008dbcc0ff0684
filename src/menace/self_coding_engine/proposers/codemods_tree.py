"""A parsed file with what the speed rules ask of it: loops, stores, changes, uses; and edits."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from menace.self_coding_engine.proposers.codemods_edits import with_imports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from menace.self_coding_engine.proposers.codemods_edits import Edit, Edits


def words(text: str) -> frozenset[str]:
    """Read a set of words."""
    return frozenset(text.split())


MUTATORS = words(
    "append extend insert remove pop clear sort reverse add discard update setdefault popitem"
    " appendleft popleft extendleft rotate drop_duplicates fill put resize"
)
"""Methods that may change their object."""

_BINDING = cst.AssignTarget | cst.AugAssign | cst.AnnAssign | cst.For | cst.CompFor | cst.NamedExpr
Comprehension = cst.ListComp | cst.SetComp | cst.GeneratorExp | cst.DictComp
Loop = cst.For | cst.While | cst.ListComp | cst.SetComp | cst.GeneratorExp | cst.DictComp


@dataclass(frozen=True, slots=True)
class Change:
    """A new text that one rule made at one place.

    Attributes
    ----------
    line
        Of the old text.
    what
        The change in a few words.
    """

    source: str
    line: int
    what: str


class _Edited(cst.CSTTransformer):
    def __init__(self, edits: Mapping[cst.CSTNode, Edit]) -> None:
        super().__init__()
        self._edits = edits

    def on_leave(  # type: ignore[override]  # one visitor for every kind of node
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.FlattenSentinel[cst.CSTNode] | cst.RemovalSentinel:
        edit = self._edits.get(original_node)
        return updated_node if edit is None else edit(updated_node)


class Tree:
    """A parsed file.

    Parameters
    ----------
    source
        Its text.

    Raises
    ------
    libcst.ParserSyntaxError
        Where it does not parse.
    """

    def __init__(self, source: str) -> None:
        self.module = cst.parse_module(source)
        self._positions = MetadataWrapper(self.module, unsafe_skip_copy=True).resolve(
            PositionProvider
        )
        self._parents: dict[cst.CSTNode, cst.CSTNode] = {}
        stack: list[cst.CSTNode] = [self.module]
        while stack:
            node = stack.pop()
            for child in node.children:
                self._parents[child] = node
                stack.append(child)
        self.names = {node.value for node in walk(self.module) if isinstance(node, cst.Name)}

    def code(self, node: cst.CSTNode) -> str:
        """Text of a node; an expression over several lines is put in brackets."""
        text = self.module.code_for_node(node).strip()
        return f"({text})" if "\n" in text and isinstance(node, cst.BaseExpression) else text

    def line(self, node: cst.CSTNode) -> int:
        """First line of a node."""
        position = self._positions.get(node)
        return int(position.start.line) if position is not None else 0

    def above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Nodes around this one, innermost first."""
        while node in self._parents:
            node = self._parents[node]
            yield node

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Give the node around this one."""
        return self._parents.get(node)

    def functions(self) -> Iterator[cst.FunctionDef]:
        """Every function, methods and inner ones included."""
        return (node for node in walk(self.module) if isinstance(node, cst.FunctionDef))

    def module_functions(self) -> dict[str, cst.FunctionDef]:
        """Functions at module level."""
        return {
            node.name.value: node for node in self.module.body if isinstance(node, cst.FunctionDef)
        }

    def function_of(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """Find the innermost function around a node."""
        return next((up for up in self.above(node) if isinstance(up, cst.FunctionDef)), None)

    def statement_of(self, node: cst.CSTNode) -> cst.BaseStatement | None:
        """Find the innermost whole statement that holds a node, or is it."""
        for up in (node, *self.above(node)):
            if isinstance(up, cst.SimpleStatementLine | cst.BaseCompoundStatement):
                return up
        return None

    def loops_around(self, node: cst.CSTNode) -> list[Loop]:
        """Loops that run a node again and again, innermost first, within its function."""
        loops: list[Loop] = []
        below = node
        for up in self.above(node):
            if isinstance(up, cst.FunctionDef | cst.Lambda | cst.ClassDef):
                break
            if isinstance(up, Loop) and self._runs_again(up, below, node):
                loops.append(up)
            below = up
        return loops

    def _runs_again(self, loop: Loop, below: cst.CSTNode, node: cst.CSTNode) -> bool:
        """Whether a loop runs a node within it in every round, and not once at its beginning."""
        if isinstance(loop, cst.For):
            return below is loop.body
        if isinstance(loop, cst.While) or below is not loop.for_in:
            return True
        first = loop.for_in.iter
        return node is not first and first not in set(self.above(node))

    def fresh(self, wanted: str) -> str:
        """Make a name like this one that the file does not use yet."""
        stem = (
            "".join(char if char.isalnum() else "_" for char in wanted).strip("_").lower()
            or "value"
        )
        name, number = stem, 2
        while name in self.names or hasattr(builtins, name):
            name, number = f"{stem}_{number}", number + 1
        return name

    def edited(self, edits: Edits, *imports: str) -> str:
        """Text after the edits, with these import lines where they are missing."""
        module = self.module.visit(_Edited(edits))
        return with_imports(module, imports)


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Go through a node and all below it, outermost first, in the order of the text."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def loaded(node: cst.CSTNode) -> set[str]:
    """Names that occur in a node, save those of attributes and keywords."""
    found: set[str] = set()
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, cst.Name):
            found.add(node.value)
        elif isinstance(node, cst.Attribute | cst.Arg):
            stack.append(node.value)
        else:
            stack.extend(node.children)
    return found


def target_names(node: cst.CSTNode) -> set[str]:
    """Names that an assignment target binds."""
    if isinstance(node, cst.Name):
        return {node.value}
    if isinstance(node, cst.Tuple | cst.List):
        return {name for element in node.elements for name in target_names(element.value)}
    return set()


def stored(node: cst.CSTNode) -> set[str]:
    """Names that are bound within a node."""
    found: set[str] = set()
    for part in walk(node):
        if isinstance(part, _BINDING):
            found |= target_names(part.target)
        elif isinstance(part, cst.AsName):
            found |= target_names(part.name)
        elif isinstance(part, cst.Del):
            found |= loaded(part)
        elif isinstance(part, cst.FunctionDef | cst.ClassDef):
            found.add(part.name.value)
    return found


def root_name(node: cst.CSTNode) -> str | None:
    """Find ``a`` of ``a``, ``a.b``, ``a[0].c``."""
    while isinstance(node, cst.Attribute | cst.Subscript):
        node = node.value
    return node.value if isinstance(node, cst.Name) else None


def changed(node: cst.CSTNode) -> set[str]:
    """Names whose object may be changed in place within a node, by what can be seen in it."""
    found: set[str | None] = set()
    for part in walk(node):
        if isinstance(part, cst.AssignTarget | cst.AugAssign | cst.AnnAssign):
            if isinstance(part.target, cst.Subscript | cst.Attribute) or isinstance(
                part, cst.AugAssign
            ):
                found.add(root_name(part.target))
        elif isinstance(part, cst.Call) and isinstance(part.func, cst.Attribute):
            in_place = any(
                arg.keyword is not None
                and arg.keyword.value == "inplace"
                and isinstance(arg.value, cst.Name)
                and arg.value.value == "True"
                for arg in part.args
            )
            if part.func.attr.value in MUTATORS or in_place:
                found.add(root_name(part.func.value))
        elif isinstance(part, cst.Del):
            found |= loaded(part)
    return {name for name in found if name is not None}


def unstable(node: cst.CSTNode) -> set[str]:
    """Names that may stand for something else after a run of a node."""
    return stored(node) | changed(node)


def is_call_of(node: cst.CSTNode, *names: str) -> bool:
    """Whether a node calls one of these functions, given with their dots."""
    return isinstance(node, cst.Call) and dotted(node.func) in names


def dotted(node: cst.CSTNode) -> str:
    """``a.b.c`` of a name or attribute, else nothing."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        front = dotted(node.value)
        return f"{front}.{node.attr.value}" if front else ""
    return ""


def positional(call: cst.Call) -> list[cst.BaseExpression] | None:
    """Arguments of a call that has only plain positional ones."""
    if any(arg.keyword is not None or arg.star for arg in call.args):
        return None
    return [arg.value for arg in call.args]


def only_statement(node: cst.CSTNode, kind: type[cst.CSTNode]) -> cst.CSTNode | None:
    """Find the one small statement of a line, if it is of this kind."""
    if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
        small = node.body[0]
        return small if isinstance(small, kind) else None
    return None


def name_of(node: cst.CSTNode) -> str | None:
    """``x`` of a plain name."""
    return node.value if isinstance(node, cst.Name) else None
