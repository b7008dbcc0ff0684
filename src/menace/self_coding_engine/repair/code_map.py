"""A text and its parts: where expressions and statements stand, and which names are in reach."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from libcst.metadata import CodeRange

MODULE = "<module>"

IN_OPERATIONS = (
    cst.BinaryOperation,
    cst.BooleanOperation,
    cst.Comparison,
    cst.UnaryOperation,
    cst.IfExp,
    cst.Lambda,
    cst.NamedExpr,
    cst.GeneratorExp,
    cst.Yield,
)
"""Kinds that need parentheses as operands."""

ASSIGNING = (
    cst.AssignTarget,
    cst.For,
    cst.CompFor,
    cst.AugAssign,
    cst.AnnAssign,
    cst.NamedExpr,
)

LAYOUT = (
    cst.BaseParenthesizableWhitespace,
    cst.TrailingWhitespace,
    cst.EmptyLine,
    cst.Newline,
    cst.Comment,
    cst.Comma,
    cst.Colon,
    cst.Semicolon,
    cst.LeftParen,
    cst.RightParen,
    cst.LeftSquareBracket,
    cst.RightSquareBracket,
    cst.LeftCurlyBrace,
    cst.RightCurlyBrace,
    cst.AssignEqual,
    cst.Dot,
)
"""Nodes without a meaning of their own."""


@dataclass(slots=True, eq=False)
class Site:
    """A node of the tree and where it stands.

    Attributes
    ----------
    start, end
        Offsets of its text, without parentheses around it.
    function
        Name of the innermost function around it.
    stored
        Whether it is assigned to.
    """

    node: cst.CSTNode
    parent: Site | None
    start: int
    end: int
    line: int
    function: str
    stored: bool = False
    children: list[Site] = field(default_factory=list)

    def above(self) -> Iterator[Site]:
        """Yield what is around it, innermost first."""
        site = self.parent
        while site is not None:
            yield site
            site = site.parent


@dataclass(slots=True, eq=False)
class Statement:
    """A statement that has lines of its own.

    Attributes
    ----------
    first, last
        Lines, from 1.
    block
        The statements of its block, itself among them.
    owner
        The compound statement that the block belongs to.
    """

    site: Site
    first: int
    last: int
    indent: str
    block: list[Statement]
    owner: Statement | None
    function: str


@dataclass(slots=True)
class Scope:
    """A function's names.

    Attributes
    ----------
    names
        Parameters and assigned names, in order of appearance; then those of the functions around.
    """

    site: Site
    parameters: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    docstring: str = ""


class CodeMap:
    """A text, taken apart.

    Raises
    ------
    libcst.ParserSyntaxError
        If the text is no Python.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
        self._ranges: Mapping[cst.CSTNode, CodeRange] = wrapper.resolve(PositionProvider)
        self.sites: list[Site] = []
        self.statements: list[Statement] = []
        self.scopes: dict[str, Scope] = {}
        self._stored: set[int] = set()
        self.indent = wrapper.module.default_indent
        self.root = self._read(wrapper.module, None, MODULE)
        self._lend_names()
        self._read_block(self.root, None)

    def source(self, site: Site) -> str:
        """Cut a site's text out."""
        return self.text[site.start : site.end]

    def of(self, node: cst.CSTNode) -> Site:
        """Where a node stands."""
        return self._by_node[id(node)]

    def line_start(self, line: int) -> int:
        """Offset at which a line begins; the end of the text after the last one."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def lines(self, statement: Statement) -> tuple[int, int]:
        """Offsets of a statement's lines, the last one's end included."""
        return self.line_start(statement.first), self.line_start(statement.last + 1)

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def _read(self, node: cst.CSTNode, parent: Site | None, function: str) -> Site:
        if parent is None:
            self._by_node: dict[int, Site] = {}
        place = self._ranges[node]
        start = self._offset(place.start.line, place.start.column)
        end = self._offset(place.end.line, place.end.column)
        stored = id(node) in self._stored
        site = Site(node, parent, start, end, place.start.line, function, stored)
        self._by_node[id(node)] = site
        self.sites.append(site)
        inner = function
        if isinstance(node, cst.FunctionDef):
            inner = node.name.value
            doc = node.get_docstring() or ""
            self.scopes[inner] = Scope(site, docstring=doc)
        self._mark_stored(node)
        scope = self.scopes.get(function)
        if scope is not None:
            self._take_name(node, site, scope)
        for child in node.children:
            if not isinstance(child, LAYOUT) and child in self._ranges:
                site.children.append(self._read(child, site, inner))
        return site

    def _lend_names(self) -> None:
        """Let functions within functions read the names of those around them."""
        for scope in self.scopes.values():  # outer ones come before inner ones
            outer = self.scopes.get(scope.site.function)
            if outer is not None and outer is not scope:
                scope.names += [name for name in outer.names if name not in scope.names]

    def _take_name(self, node: cst.CSTNode, site: Site, scope: Scope) -> None:
        name = None
        if isinstance(node, cst.Param):
            name = node.name.value
            owner = next(
                (up for up in site.above() if isinstance(up.node, (cst.FunctionDef, cst.Lambda))),
                None,
            )
            if owner is not None and isinstance(owner.node, cst.FunctionDef):
                scope.parameters.append(name)
            else:
                return
        elif isinstance(node, cst.Name) and site.stored:
            if any(isinstance(up.node, cst.CompFor) for up in site.above()):
                return
            name = node.value
        if name is not None and name not in scope.names:
            scope.names.append(name)

    def _mark_stored(self, node: cst.CSTNode) -> None:
        targets: list[cst.CSTNode] = []
        if isinstance(node, ASSIGNING):
            targets.append(node.target)
        elif isinstance(node, cst.AsName):
            targets.append(node.name)
        while targets:
            target = targets.pop()
            if isinstance(target, (cst.Tuple, cst.List)):
                targets.extend(element.value for element in target.elements)
            self._stored.add(id(target))

    def _read_block(self, owner_site: Site, owner: Statement | None) -> None:
        for site in owner_site.children:
            if isinstance(site.node, (cst.IndentedBlock, cst.Module)):
                self._take_block(site, owner)
            elif (
                isinstance(site.node, (cst.Else, cst.If, cst.Finally, cst.ExceptHandler)) and owner
            ):
                self._read_block(site, owner)
        if isinstance(owner_site.node, cst.Module):
            self._take_block(owner_site, None)

    def _take_block(self, site: Site, owner: Statement | None) -> None:
        block: list[Statement] = []
        for child in site.children:
            node = child.node
            if not isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                continue
            first = child.line
            last = self._last_line(child)
            begin = self.line_start(first)
            indent = self.text[begin : child.start]
            if indent.strip():
                indent = ""
            statement = Statement(child, first, last, indent, block, owner, child.function)
            block.append(statement)
            self.statements.append(statement)
            if isinstance(node, cst.BaseCompoundStatement):
                self._read_block(child, statement)

    def _last_line(self, site: Site) -> int:
        end = site.end
        while end > site.start and self.text[end - 1].isspace():
            end -= 1
        return self.text.count("\n", 0, end) + 1


def is_enclosed(node: cst.CSTNode) -> bool:
    """Whether parentheses of its own are around a node."""
    return isinstance(node, cst.BaseExpression) and len(node.lpar) > 0


def names_in(site: Site) -> set[str]:
    """All names that are read or written below a site."""
    found = set()
    todo = [site]
    while todo:
        one = todo.pop()
        if isinstance(one.node, cst.Name):
            found.add(one.node.value)
        todo.extend(one.children)
    return found
