"""Small conditions and values made of what is in reach: what inserted code is built of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from menace.self_coding_engine.repair.code_map import CodeMap, Site
    from menace.self_coding_engine.repair.kinds import Kinds
    from menace.self_coding_engine.repair.vocabulary import Vocabulary

SIZED = frozenset({"list", "str", "tuple", "dict", "set", "deque"})
NUMERIC = frozenset({"int", "float"})
MOST_NAMES = 8
MOST_CONDITIONS = 60

DEFAULTS = {
    "int": ("0", "1", "-1", "None"),
    "float": ("0.0", "0", "1.0", "None"),
    "str": ("''", "None"),
    "list": ("[]", "None", "[[]]"),
    "tuple": ("()", "None", "(None, None)"),
    "dict": ("{}", "None"),
    "set": ("set()", "None"),
    "bool": ("False", "True"),
    "None": ("None", "0", "[]", "''", "-1", "False", "True"),
}
"""Kind → what a function of that kind returns where there is nothing to return."""


NUMBER_TESTS = (
    ("== 0", 0.0),
    ("< 0", 0.2),
    ("<= 0", 0.2),
    ("> 0", 0.3),
    ("== 1", 0.3),
    ("< 2", 0.4),
    ("<= 1", 0.4),
    (">= 0", 0.5),
    ("> 1", 0.5),
    ("!= 0", 0.5),
    ("% 2 == 0", 0.7),
    ("% 2 == 1", 0.7),
)


class Atoms:
    """Conditions and values, by where they are to be written."""

    def __init__(self, code: CodeMap, kinds: Kinds, vocabulary: Vocabulary) -> None:
        self._code = code
        self._kinds = kinds
        self._words = vocabulary
        self._mined: dict[str, list[str]] = {}

    def conditions(self, function: str, names: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Yield conditions over names with the extra cost of each, mined ones first."""
        seen: set[str] = set()
        made = (*self._mined_conditions(function), *self._single(function, names))
        for text, cost in (*made, *self._pairs(function, names)):
            if text not in seen and len(seen) < 4 * MOST_CONDITIONS:
                seen.add(text)
                yield text, cost

    def _mined_conditions(self, function: str) -> Iterator[tuple[str, float]]:
        for text in self._mine(function):
            yield text, 0.2
            yield f"not ({text})" if " " in text else f"not {text}", 0.8

    def _mine(self, function: str) -> list[str]:
        if function not in self._mined:
            found: list[str] = []
            for site in self._code.sites:
                if site.function == function and isinstance(
                    site.node, (cst.Comparison, cst.BooleanOperation)
                ):
                    text = self._code.source(site)
                    if text not in found and len(text) < 60:
                        found.append(text)
            self._mined[function] = found
        return self._mined[function]

    def _single(self, function: str, names: Sequence[str]) -> Iterator[tuple[str, float]]:
        for name in names[:MOST_NAMES]:
            kind = self._kinds.of_name(function, name)
            if kind in SIZED:
                yield from _sizes(name, kind)
            elif kind in NUMERIC:
                yield from self._signs(name)
            elif kind == "bool":
                yield name, 0.0
                yield f"not {name}", 0.0
            else:
                yield from self._absences(name)

    def _signs(self, name: str) -> Iterator[tuple[str, float]]:
        for test, cost in NUMBER_TESTS:
            yield f"{name} {test}", cost
        for number in sorted(self._words.told_numbers - {"0", "1"})[:4]:
            for sign in ("==", "<", ">", "<=", ">=", "!="):
                yield f"{name} {sign} {number}", 0.8

    def _absences(self, name: str) -> Iterator[tuple[str, float]]:
        yield f"{name} is None", 0.4
        yield f"{name} is not None", 0.4
        yield f"not {name}", 0.5
        yield name, 0.6
        for attribute in self._words.attributes[:4]:
            yield f"{name}.{attribute} is None", 0.8
            yield f"not {name}.{attribute}", 0.8

    def _pairs(self, function: str, names: Sequence[str]) -> Iterator[tuple[str, float]]:
        kinds = {name: self._kinds.of_name(function, name) for name in names[:MOST_NAMES]}
        for one, kind in kinds.items():
            for other, second in kinds.items():
                if one == other:
                    continue
                if kind == second and one < other:
                    signs = ("==", "!=", "<", ">", "<=", ">=") if kind in NUMERIC else ("==", "!=")
                    yield from ((f"{one} {sign} {other}", 0.6) for sign in signs)
                if second in SIZED and kind not in {"function", "module"}:
                    yield f"{one} in {other}", 0.7
                    yield f"{one} not in {other}", 0.7
                if kind in NUMERIC and second in SIZED - {"dict", "set"}:
                    yield f"{one} >= len({other})", 0.8
                    yield f"{one} < len({other})", 0.8

    def results(self, function: str, names: Sequence[str]) -> Iterator[tuple[str, float, bool]]:
        """Yield what a function may return: its text, extra cost, and whether a test shows it."""
        told = sorted(self._words.told_strings | self._words.told_numbers)
        mined = [self._code.source(site) for site in self._returned(function)]
        seen: set[str] = set()
        for text, cost, shown in (
            *((text, cost, False) for text, cost in self._natural(function, names)),
            *((text, 0.4, False) for text in mined),
            *((text, 0.6, False) for text in told),
            *((text, 2.5, True) for text in self._words.shown),
        ):
            if text not in seen:
                seen.add(text)
                yield text, cost, shown

    def _natural(self, function: str, names: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Yield values of the type that the function returns."""
        kind = self._kinds.of_name(function, "return")
        for index, text in enumerate(DEFAULTS.get(kind, DEFAULTS["None"])):
            yield text, 0.1 * index
        for name in names[:MOST_NAMES]:
            own = self._kinds.of_name(function, name)
            if own in {kind, "?"} or kind in {"None", "?"}:
                yield name, 0.3
            if kind == "list" and own not in {"list", "None"}:
                yield f"[{name}]", 0.6
            if own in SIZED and kind in NUMERIC:
                yield f"len({name})", 0.6

    def _returned(self, function: str) -> Iterator[Site]:
        for site in self._code.sites:
            if site.function == function and isinstance(site.node, cst.Return):
                yield from (child for child in site.children if child.node is site.node.value)


def _sizes(name: str, kind: str) -> Iterator[tuple[str, float]]:
    yield f"not {name}", 0.0
    yield name, 0.3
    for size in ("== 1", "< 2", "== 2", "> 1"):
        yield f"len({name}) {size}", 0.6
    if kind == "str":
        yield from ((f"{name}.{method}()", 0.8) for method in ("isalpha", "isdigit", "isupper"))
