"""Edit lists over statements: delete, copy, move and replace within a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.proposers.codemods_tree import Tree, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np

DELETE, COPY, MOVE, REPLACE = "delete", "copy", "move", "replace"
KINDS = (DELETE, COPY, MOVE, REPLACE)


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit; statements are known by their place in the unedited text.

    Attributes
    ----------
    kind
        ``delete`` takes ``place`` away; ``copy`` puts a copy of ``other`` after it; ``move`` brings
        ``other`` there; ``replace`` puts a copy of ``other`` in its stead.
    """

    kind: str
    place: int
    other: int = -1


class _Rewritten(cst.CSTTransformer):
    def __init__(self, content: dict[cst.CSTNode, list[cst.BaseStatement]]) -> None:
        super().__init__()
        self._content = content

    def on_leave(  # type: ignore[override]  # one visitor for every kind of node
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.FlattenSentinel[cst.CSTNode] | cst.RemovalSentinel:
        new = self._content.get(original_node)
        if new is not None:
            nodes = [updated_node if node is original_node else node for node in new]
            return cst.FlattenSentinel(nodes) if nodes else cst.RemovalSentinel.REMOVE
        if isinstance(updated_node, cst.IndentedBlock) and not updated_node.body:
            return updated_node.with_changes(body=[cst.parse_statement("pass")])
        return updated_node


class EditableText:
    """A text whose functions' statements are numbered.

    Attributes
    ----------
    size
        Number of statements.
    """

    def __init__(self, source: str) -> None:
        self._tree = Tree(source)
        self._nodes: list[cst.BaseStatement] = []
        self._scopes: list[int] = []
        for number, function in enumerate(self._tree.functions()):
            for node in walk(function.body):
                if (
                    isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement)
                    and self._tree.function_of(node) is function
                ):
                    self._nodes.append(node)
                    self._scopes.append(number)
        self.size = len(self._nodes)

    def random_edit(self, rng: np.random.Generator) -> Edit:
        """Draw an edit within one function."""
        kind = KINDS[int(rng.integers(len(KINDS)))]
        place = int(rng.integers(self.size))
        mates = [
            n for n in range(self.size) if self._scopes[n] == self._scopes[place] and n != place
        ]
        if kind == DELETE or not mates:
            return Edit(DELETE, place)
        return Edit(kind, place, mates[int(rng.integers(len(mates)))])

    def apply(self, edits: Iterable[Edit]) -> str:
        """Text after the edits, in their order."""
        content: dict[cst.CSTNode, list[cst.BaseStatement]] = {}
        for edit in edits:
            node = self._nodes[edit.place]
            here = content.setdefault(node, [node])
            if edit.kind == DELETE:
                here.clear()
                continue
            other = self._nodes[edit.other]
            copy = other.deep_clone()
            if edit.kind == REPLACE:
                here[:] = [copy]
                continue
            here.append(copy)
            if edit.kind == MOVE:
                content[other] = []
        return self._tree.module.visit(_Rewritten(content)).code

    def describe(self, edits: Iterable[Edit]) -> str:
        """Say the edits in words, by line."""
        said = []
        for edit in edits:
            line = self._tree.line(self._nodes[edit.place])
            if edit.kind == DELETE:
                said.append(f"delete line {line}")
                continue
            other = self._tree.line(self._nodes[edit.other])
            words = {COPY: "copy line {1} after line {0}", MOVE: "move line {1} after line {0}"}
            said.append(
                words.get(edit.kind, "put line {1} in place of line {0}").format(line, other)
            )
        return ", ".join(said)


def minimal(edits: Sequence[Edit], holds: Callable[[Sequence[Edit]], bool]) -> list[Edit]:
    """Fewest edits, none of which can be left out, by delta debugging.

    Parameters
    ----------
    holds
        Whether a shorter list still does what the whole one does.

    References
    ----------
    Zeller, Hildebrandt, Simplifying and isolating failure-inducing input, IEEE TSE 28(2), 2002,
    sec. 3.2 (ddmin).

    Examples
    --------
    >>> minimal(range(8), lambda kept: {2, 5} <= set(kept))
    [2, 5]
    """
    kept, parts = list(edits), 2
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            if fewer and holds(fewer):
                kept, parts = fewer, max(parts - 1, 2)
                break
        else:
            if parts >= len(kept):
                break
            parts = min(len(kept), 2 * parts)
    return kept
