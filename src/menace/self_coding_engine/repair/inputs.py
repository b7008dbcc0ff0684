"""Further inputs, made from those of the tests: alike enough, and different enough to tell."""

from __future__ import annotations

import ast
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from menace.self_coding_engine.testing.observations import Call

MOST_INPUTS = 80
MOST_TRIES = 12
LARGEST = 10_000


def further_inputs(
    calls: Sequence[Call], *, seed: int = 0, most: int = MOST_INPUTS
) -> list[tuple[str, str]]:
    """Make inputs for the functions that tests call, other than those of the tests.

    Values keep their types; numbers keep to signs that were seen, letters to those that were, and
    lists that were always in order, or without repeats, stay so.

    Parameters
    ----------
    calls
        As the tests made them.
    most
        Inputs in all.

    Returns
    -------
    list[tuple[str, str]]
        Function, and its arguments as a literal tuple.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    seen = dict.fromkeys((call.function, call.arguments) for call in calls)
    read = [(function, ast.literal_eval(text)) for function, text in seen]
    if not read:
        return []
    mutation = _Mutation(chance, [arguments for _, arguments in read])
    shapes = _shapes(read)
    found: dict[tuple[str, str], None] = {}
    for round_number in range(MOST_TRIES * most):
        function, arguments = read[round_number % len(read)]
        changed = list(arguments)
        if changed:
            for _ in range(chance.choice((1, 1, 2, 3))):
                place = chance.randrange(len(changed))
                value = mutation.of(changed[place])
                for shape in shapes.get((function, place), ()):
                    value = shape(value)
                changed[place] = value
        if chance.random() < 0.2:
            _, other = chance.choice(read)
            if len(other) == len(changed) and changed:
                place = chance.randrange(len(changed))
                changed[place] = other[place]
        key = (function, repr(tuple(changed)))
        if key not in seen and key not in found:
            found[key] = None
            if len(found) >= most:
                break
    return list(found)


def _shapes(
    read: Sequence[tuple[str, tuple[Any, ...]]],
) -> dict[tuple[str, int], list[Callable[[list[Any]], list[Any]]]]:
    """Find what all lists given as one argument have in common: in order, without repeats."""
    given: dict[tuple[str, int], list[Any]] = {}
    for function, arguments in read:
        for place, value in enumerate(arguments):
            given.setdefault((function, place), []).append(value)
    found: dict[tuple[str, int], list[Callable[[list[Any]], list[Any]]]] = {}
    for key, values in given.items():
        lists = [value for value in values if isinstance(value, list)]
        telling = [value for value in lists if len(value) > 1]
        if len(lists) < len(values) or not telling:
            continue
        shapes = found.setdefault(key, [])
        if all(_distinct(value) == value for value in telling):
            shapes.append(_distinct)
        if all(_in_order(value) == value for value in telling):
            shapes.append(_in_order)
    return found


def _distinct(value: list[Any]) -> list[Any]:
    return [item for place, item in enumerate(value) if item not in value[:place]]


def _in_order(value: list[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return value


class _Mutation:
    """Changes values the way the seen ones vary."""

    def __init__(self, chance: random.Random, seen: Sequence[Any]) -> None:
        self._chance = chance
        self._numbers: list[float] = []
        self._letters: list[str] = []
        self._empty = False
        self._look(seen)

    def _look(self, value: Any) -> None:
        if isinstance(value, str):
            self._letters.extend(sorted(set(value)))
            self._empty = self._empty or not value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self._numbers.append(value)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._look(key)
                self._look(item)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                self._look(item)

    def of(self, value: Any) -> Any:
        """Make another value of the same type."""
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return self._integer(value)
        if isinstance(value, float):
            return self._float(value)
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, tuple):
            return tuple(self._list(list(value), keep=True))
        if isinstance(value, (set, frozenset)):
            return type(value)(self._list(sorted(value, key=repr)))
        if isinstance(value, dict):
            return self._dict(value)
        return value

    def _integer(self, value: int) -> int:
        near = (value + 1, value - 1, value + 2, value * 2, value // 2, value + 10, 0, 1, 2)
        seen = [int(number) for number in self._numbers] or [value]
        choice = self._chance.choice((*near, *self._chance.sample(seen, min(3, len(seen)))))
        if choice < 0 and min(seen) >= 0:
            choice = -choice
        return max(-LARGEST, min(max(LARGEST, abs(value)), choice))

    def _float(self, value: float) -> float:
        near = (value + 1, value - 0.5, value * 2, value / 2, value + 0.1, 0.0, 1.5)
        choice = self._chance.choice((*near, *[float(number) for number in self._numbers[:5]]))
        return round(abs(choice) if min(self._numbers, default=0) >= 0 else choice, 6)

    def _string(self, value: str) -> str:
        letters = self._letters or ["a"]
        place = self._chance.randrange(len(value) + 1)
        kind = self._chance.randrange(8)
        if kind == 0 and value:
            return value[:place] + value[place + 1 :]
        if kind == 1:
            return value[::-1]
        if kind == 2 and value:
            return value[:place] + value[max(0, place - 1) :]
        if kind == 3 and any(letter.isupper() for letter in letters):
            return value.swapcase()
        if kind == 4 and value:
            return value[:place] or value
        if kind == 5:
            return "".join(self._chance.sample(value, len(value)))
        if kind == 6:
            return value + value
        return value[:place] + self._chance.choice(letters) + value[place:]

    def _list(self, value: list[Any], *, keep: bool = False) -> list[Any]:
        if not value:
            return [self.of(self._numbers[0])] if self._numbers and not keep else value
        place = self._chance.randrange(len(value))
        kind = self._chance.randrange(9)
        if not keep and kind == 0:
            return value[:place] + value[place + 1 :]
        if not keep and kind == 1:
            return [*value[:place], value[place], *value[place:]]
        if kind == 2:
            return value[::-1]
        if kind == 3:
            return self._chance.sample(value, len(value))
        if not keep and kind == 4:
            return value[: place + 1]
        if not keep and kind == 5:
            return [*value, self.of(value[place])]
        if not keep and kind == 6 and len({type(item) for item in value}) == 1:
            return sorted(value, key=repr)
        changed = list(value)
        for _ in range(self._chance.choice((1, 1, 2))):
            place = self._chance.randrange(len(value))
            changed[place] = self.of(changed[place])
        return changed

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        if not value:
            return value
        key = self._chance.choice(list(value))
        changed = dict(value)
        if self._chance.random() < 0.3:
            del changed[key]
        else:
            changed[key] = self.of(changed[key])
        return changed
