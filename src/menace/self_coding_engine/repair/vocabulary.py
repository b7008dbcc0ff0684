"""What may be written into a text: literals and names from the file, its prose and its tests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Iterable

    from menace.self_coding_engine.repair.code_map import CodeMap

MOST_STRING_CHARACTERS = 40

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)")
_STRING = re.compile(r"'([^'\n]{0,40})'|\"([^\"\n]{0,40})\"")
_NUMBER_WORDS = {
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "ten": "10",
    "twice": "2",
    "half": "2",
    "even": "2",
    "odd": "2",
}


@dataclass(slots=True)
class Vocabulary:
    """Literals as they are written, by where they were found.

    Attributes
    ----------
    own_numbers, own_strings
        Of the code.
    told_numbers, told_strings
        Of its comments and docstrings, and what a person asked for.
    shown
        Literals of the tests, where they are given: numbers in the place of others, and, last of
        all, what is returned early.
    attributes, methods
        Names after a dot.
    functions
        That the module defines.
    words
        Of the prose, in small letters.
    """

    own_numbers: set[str] = field(default_factory=set)
    own_strings: set[str] = field(default_factory=set)
    told_numbers: set[str] = field(default_factory=set)
    told_strings: set[str] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    words: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, code: CodeMap, prose: str = "", shown: Iterable[str] = ()) -> Vocabulary:
        """Read a text's vocabulary."""
        found = cls(shown=list(dict.fromkeys(shown)))
        told = [prose, *(scope.docstring for scope in code.scopes.values())]
        told += re.findall(r"#(.*)", code.text)
        for site in code.sites:
            node = site.node
            if isinstance(node, (cst.Integer, cst.Float)):
                found.own_numbers.add(node.value)
            elif isinstance(node, cst.SimpleString):
                if site.parent is not None and isinstance(site.parent.node, cst.Expr):
                    # It stands alone: the module's docstring, or a note in place of a comment.
                    told.append(node.raw_value)
                elif '"""' not in node.value:
                    found.own_strings.add(node.value)
            elif isinstance(node, cst.Attribute) and node.attr.value not in found.attributes:
                called = site.parent is not None and isinstance(site.parent.node, cst.Call)
                if not called:
                    found.attributes.append(node.attr.value)
        found.functions = list(code.scopes)
        for text in told:
            found.listen(text)
        return found

    def shown_numbers(self) -> list[str]:
        """Numbers that the tests name, and the code does not, without a sign."""
        plain = (text for text in self.shown if text.replace(".", "", 1).isdigit())
        return [text for text in plain if text not in self.own_numbers]

    def listen(self, text: str) -> None:
        """Take in words, numbers and quoted strings of prose, examples left out."""
        prose = "\n".join(line for line in text.splitlines() if ">>>" not in line)
        self.words |= set(re.findall(r"[a-z]+", prose.lower()))
        self.told_numbers |= set(_NUMBER.findall(prose))
        self.told_numbers |= {
            number for word, number in _NUMBER_WORDS.items() if word in self.words
        }
        for one, other in _STRING.findall(prose):
            text = one or other
            if len(text) <= MOST_STRING_CHARACTERS:
                self.told_strings.add(repr(text))
