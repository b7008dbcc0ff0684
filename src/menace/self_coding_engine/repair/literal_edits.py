"""Other values for numbers and strings: near ones, usual ones, and those that are spoken of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.repair.vocabulary import Vocabulary

Value = tuple[str, float]
"""A literal as it is written, and its cost beyond the operator's."""

LONGEST_STRING = 60
HEARD_BONUS = 0.5
"""Less cost for a number of the prose where the present one is not in it."""

UNLIKELY = 0.8
"""More cost for changing a number that the prose speaks of."""


def integers(value: int, words: Vocabulary) -> Iterator[Value]:
    """Yield other integers.

    >>> from menace.self_coding_engine.repair.vocabulary import Vocabulary
    >>> dict(integers(7, Vocabulary()))["8"]
    0.0
    """
    told = words.told_numbers
    options = {0: 0.5, 1: 0.5, 2: 0.7, -value: 0.8, value * 10: 1.8, 10: 1.8}
    options |= {value + 2: 1.6, value - 2: 1.6, value * 2: 1.6, value // 2: 1.6}
    for text in sorted(words.own_numbers):
        if text.isdecimal():
            options.setdefault(int(text), 1.2)
    for text in sorted(told):
        if "." not in text:
            options[int(text)] = min(0.2, options.get(int(text), 1.0))
    options |= {value + 1: 0.0, value - 1: 0.0}
    options.pop(value, None)
    written = str(value)
    for number, cost in options.items():
        heard = str(number) in told and written not in told
        extra = UNLIKELY if written in told else 0.0
        yield str(number), cost + extra - (HEARD_BONUS if heard else 0.0)
    if len(written) > 2:
        for place in range(len(written)):
            yield str(int(written[:place] + written[place + 1 :])), 2.0
    if value in {0, 1}:
        yield from ((text, 2.4) for text in ("float('inf')", "float('-inf')", "None"))


def floats(value: float, words: Vocabulary) -> Iterator[Value]:
    """Yield other floating-point numbers."""
    numbers = {value + 1, value - 1, -value, value * 10, value / 10, value * 2, value / 2}
    numbers |= {0.0, 1.0, 2.0, 0.5}
    for number in sorted(numbers - {value}):
        yield repr(number), 1.0
    for text in sorted(words.own_numbers | words.told_numbers):
        yield text, 0.6


def strings(value: str, words: Vocabulary) -> Iterator[Value]:
    """Yield other strings: those in use, other cases, one letter more or less."""
    options = dict.fromkeys(sorted(words.own_strings), 0.6)
    options |= dict.fromkeys(sorted(words.told_strings), 0.2)
    for text in (value.upper(), value.lower(), value.swapcase(), value.strip(), "", " "):
        options.setdefault(repr(text), 0.8)
    options.setdefault(repr(value[::-1]), 1.0)
    for text in (value[1:], value[:-1], value.replace(" ", ""), value + " "):
        options.setdefault(repr(text), 1.2)
    if 3 <= len(value) <= 30 and value.isalpha():
        for place in range(len(value)):
            options.setdefault(repr(value[:place] + value[place + 1 :]), 1.8)
        for letter in "abcdefghijklmnopqrstuvwxyz":
            if letter not in value.lower():
                options.setdefault(repr(value + letter), 2.2)
    options.pop(repr(value), None)
    yield from options.items()
