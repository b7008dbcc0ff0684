"""A parsed file with what the speed rules ask of it: loops, stores, changes, uses; and edits."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Edit = Callable[[cst.CSTNode], cst.CSTNode | cst.FlattenSentinel[cst.CSTNode] | cst.RemovalSentinel]
    Edits = dict[cst.CSTNode, Edit]

MUTATORS = frozenset(
    "append extend insert remove pop clear sort reverse add discard update setdefault popitem"
    " appendleft popleft extendleft rotate drop_duplicates fill put resize".split()
)
"""Methods that may change their object."""

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
        """The node around this one."""
        return self._parents.get(node)

    def functions(self) -> Iterator[cst.FunctionDef]:
        """Every function, methods and inner ones included."""
        return (node for node in walk(self.module) if isinstance(node, cst.FunctionDef))

    def module_functions(self) -> dict[str, cst.FunctionDef]:
        """Functions at module level."""
        return {node.name.value: node for node in self.module.body if isinstance(node, cst.FunctionDef)}

    def function_of(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """The innermost function around a node."""
        return next((up for up in self.above(node) if isinstance(up, cst.FunctionDef)), None)

    def statement_of(self, node: cst.CSTNode) -> cst.BaseStatement | None:
        """The innermost whole statement that holds a node, or is it."""
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
            if isinstance(up, cst.For) and below is up.body or isinstance(up, cst.While):
                loops.append(up)
            elif isinstance(up, Comprehension) and not (
                below is up.for_in and self._in_first_iter(up.for_in, node)
            ):
                loops.append(up)
            below = up
        return loops

    def _in_first_iter(self, clause: cst.CompFor, node: cst.CSTNode) -> bool:
        return node is clause.iter or clause.iter in set(self.above(node))

    def fresh(self, wanted: str) -> str:
        """A name like this one that the file does not use yet."""
        stem = "".join(char if char.isalnum() else "_" for char in wanted).strip("_").lower() or "value"
        name, number = stem, 2
        while name in self.names or hasattr(builtins, name):
            name, number = f"{stem}_{number}", number + 1
        return name

    def edited(self, edits: Edits, *imports: str) -> str:
        """Text after the edits, with these import lines where they are missing."""
        module = self.module.visit(_Edited(edits))
        return with_imports(module, imports)


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and all below it, outermost first, in the order of the text."""
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
        elif isinstance(node, cst.Attribute):
            stack.append(node.value)
        elif isinstance(node, cst.Arg):
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
        if isinstance(part, cst.AssignTarget | cst.AugAssign | cst.AnnAssign | cst.For | cst.CompFor):
            found |= target_names(part.target)
        elif isinstance(part, cst.NamedExpr):
            found |= target_names(part.target)
        elif isinstance(part, cst.AsName):
            found |= target_names(part.name)
        elif isinstance(part, cst.Del):
            found |= loaded(part)
        elif isinstance(part, cst.FunctionDef | cst.ClassDef):
            found.add(part.name.value)
    return found


def root_name(node: cst.CSTNode) -> str | None:
    """``a`` of ``a``, ``a.b``, ``a[0].c``."""
    while isinstance(node, cst.Attribute | cst.Subscript):
        node = node.value
    return node.value if isinstance(node, cst.Name) else None


def changed(node: cst.CSTNode) -> set[str]:
    """Names whose object may be changed in place within a node, by what can be seen in it."""
    found: set[str | None] = set()
    for part in walk(node):
        if isinstance(part, cst.AssignTarget | cst.AugAssign | cst.AnnAssign):
            if isinstance(part.target, cst.Subscript | cst.Attribute) or isinstance(part, cst.AugAssign):
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


def statement(text: str) -> cst.BaseStatement:
    """Parse one statement."""
    parsed = cst.parse_statement(text)
    if isinstance(parsed, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        return parsed
    message = f"no statement: {text}"
    raise TypeError(message)


def expression(text: str) -> Edit:
    """An edit that puts this expression in a node's place."""
    parsed = cst.parse_expression(text)
    return lambda _old: parsed


def before(*texts: str) -> Edit:
    """An edit that puts statements before one, below the comments that lead it."""

    def edit(node: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        new: list[cst.CSTNode] = [statement(text) for text in texts]
        if isinstance(node, cst.SimpleStatementLine | cst.For | cst.While | cst.If | cst.With):
            lines = node.leading_lines
            new[0] = new[0].with_changes(leading_lines=lines)
            node = node.with_changes(leading_lines=())
        return cst.FlattenSentinel([*new, node])

    return edit


def after(*texts: str) -> Edit:
    """An edit that puts statements after one."""
    return lambda node: cst.FlattenSentinel([node, *(statement(text) for text in texts)])


def replaced(*texts: str) -> Edit:
    """An edit that puts statements in the place of one."""

    def edit(node: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        new: list[cst.CSTNode] = [statement(text) for text in texts]
        lines = getattr(node, "leading_lines", ())
        if new:
            new[0] = new[0].with_changes(leading_lines=lines)
        return cst.FlattenSentinel(new)

    return edit


def removed(_node: cst.CSTNode) -> cst.RemovalSentinel:
    """Take a node away."""
    return cst.RemovalSentinel.REMOVE


def joined(first: Edit | None, second: Edit) -> Edit:
    """Both edits of one node, where the first keeps it as the last of what it gives."""
    if first is None:
        return second

    def edit(node: cst.CSTNode) -> cst.FlattenSentinel[cst.CSTNode]:
        once = first(node)
        nodes = list(once) if isinstance(once, cst.FlattenSentinel) else [once]
        twice = second(nodes[-1])  # type: ignore[arg-type]  # no first edit removes its node
        rest = list(twice) if isinstance(twice, cst.FlattenSentinel) else [twice]
        return cst.FlattenSentinel([*nodes[:-1], *rest])  # type: ignore[list-item]

    return edit


def with_imports(module: cst.Module, imports: tuple[str, ...]) -> str:
    """Text of a module with import lines added below its docstring and future imports."""
    present = {
        module.code_for_node(line).strip()
        for line in module.body
        if isinstance(line, cst.SimpleStatementLine)
    }
    missing = [line for line in dict.fromkeys(imports) if line not in present and not _bound(module, line)]
    if not missing:
        return module.code
    place = _first_place(module)
    new = [statement(line) for line in missing]
    body = [*module.body[:place], *new, *module.body[place:]]
    if place < len(module.body):
        follower = module.body[place]
        if not _is_import(follower) and not getattr(follower, "leading_lines", ()):
            blank = follower.with_changes(leading_lines=[cst.EmptyLine(indent=False)] * 2)
            body[place + len(new)] = blank
    return module.with_changes(body=body).code


def _bound(module: cst.Module, line: str) -> bool:
    """Whether the module imports the name of a line already, by another line."""
    wanted = line.split()[-1]
    for stmt in module.body:
        if isinstance(stmt, cst.SimpleStatementLine) and isinstance(stmt.body[0], cst.ImportFrom):
            words = module.code_for_node(stmt.body[0]).replace(",", " ").replace("(", " ").split()
            if wanted in words and line.split()[1] in words:
                return True
    return False


def _is_import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(
        node.body[0], cst.Import | cst.ImportFrom
    )


def _first_place(module: cst.Module) -> int:
    place = 0
    for position, node in enumerate(module.body):
        if not isinstance(node, cst.SimpleStatementLine):
            break
        first = node.body[0]
        is_text = position == 0 and isinstance(first, cst.Expr) and isinstance(
            first.value, cst.SimpleString | cst.ConcatenatedString
        )
        is_future = (
            isinstance(first, cst.ImportFrom)
            and isinstance(first.module, cst.Name)
            and first.module.value == "__future__"
        )
        if not (is_text or is_future):
            break
        place = position + 1
    # Among the imports, standard library first: before the first import there is.
    return place


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
    """The one small statement of a line, if it is of this kind."""
    if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
        small = node.body[0]
        return small if isinstance(small, kind) else None
    return None


def name_of(node: cst.CSTNode) -> str | None:
    """``x`` of a plain name."""
    return node.value if isinstance(node, cst.Name) else None
