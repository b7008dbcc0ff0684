"""Writes down what a program does under its tests: calls, results, lines, types of variables."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

MOST_ITEMS = 200
"""Of a collection or a generator that are looked at."""

MOST_CHARACTERS = 400
MOST_DEPTH = 6
MOST_CALLS = 400
"""That are kept of one run."""

PLAIN = (bool, int, float, complex, str, bytes, type(None))


def render(value: object, depth: int = 0) -> str:
    """Write a value down so that equal texts mean equal values of equal types, in bounded time.

    >>> render([1, 2.0, "a", True])
    "[1, 2.0, 'a', True]"
    >>> render({2, 1})
    'set{1, 2}'
    """
    if isinstance(value, int) and abs(value) >= 10**60:
        return f"{type(value).__name__}:{value.bit_length()}:{value % 1_000_003}"
    if type(value) in PLAIN:
        return repr(value)[:MOST_CHARACTERS]
    if depth >= MOST_DEPTH:
        return "…"
    if type(value) is list:
        return f"[{_items(value, depth)}]"
    if type(value) is tuple:
        return f"({_items(value, depth)},)"
    if isinstance(value, dict):
        pairs = [
            f"{render(key, depth + 1)}: {render(value[key], depth + 1)}"
            for key in list(value)[:MOST_ITEMS]
        ]
        return f"{type(value).__name__}{{{', '.join(pairs)}}}"
    if isinstance(value, (set, frozenset)):
        texts = sorted(render(item, depth + 1) for item in value)
        return f"{type(value).__name__}{{{', '.join(texts[:MOST_ITEMS])}}}"
    return f"<{type(value).__name__}>"


def _items(values: list[Any] | tuple[Any, ...], depth: int) -> str:
    text = ", ".join([render(item, depth + 1) for item in values[:MOST_ITEMS]])
    return text if len(values) <= MOST_ITEMS else f"{text}, … {len(values)}"


def type_name(value: object) -> str:
    """Name a value's type, with that of its first item.

    >>> type_name([1, 2]), type_name({}), type_name(None)
    ('list[int]', 'dict', 'None')
    """
    if value is None:
        return "None"
    name = type(value).__name__
    if isinstance(value, (list, tuple, set, frozenset, dict)) and value:
        return f"{name}[{type(next(iter(value))).__name__}]"
    return name


class CallRecorder:
    """Records the outermost calls of functions: what came out, and on demand what went in.

    Attributes
    ----------
    results
        Of the outermost calls, rendered, in order; ``!Name`` for an exception.
    calls
        Function → texts of argument tuples, where they can be written as literals.
    """

    def __init__(self, *, keep_calls: bool = False) -> None:
        self.results: list[str] = []
        self.calls: list[tuple[str, str, str]] = []
        self._keep_calls = keep_calls
        self._inside = False

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the function a wrapper that records it."""
        name = function.__name__

        @functools.wraps(function)
        def recorded(*arguments: Any, **keywords: Any) -> Any:
            if self._inside:
                return function(*arguments, **keywords)
            text = self._text(arguments, keywords)
            self._inside = True
            try:
                result = function(*arguments, **keywords)
            except BaseException as error:
                self._add(name, text, f"!{type(error).__name__}")
                raise
            finally:
                self._inside = False
            if inspect.isgenerator(result):
                return self._drawn(name, text, result)
            # A function without a result is there for what it does to its arguments.
            shown = render(result) if result is not None else f"None {render(arguments)}"
            self._add(name, text, shown)
            return result

        return recorded

    def wrap_all(self, namespace: dict[str, Any], module: str) -> None:
        """Wrap the functions that were defined in the module of that name."""
        for name, value in list(namespace.items()):
            if isinstance(value, FunctionType) and value.__module__ == module:
                namespace[name] = self.wrap(value)

    def _add(self, name: str, text: str, result: str) -> None:
        if len(self.results) < MOST_CALLS:
            self.results.append(result)
            if text:
                self.calls.append((name, text, result))

    def _text(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
        if not self._keep_calls or keywords or len(self.calls) >= MOST_CALLS:
            return ""
        text = repr(arguments)
        if len(text) > 10 * MOST_CHARACTERS:
            return ""
        try:
            same = ast.literal_eval(text) == arguments
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return ""
        return text if same else ""

    def _drawn(self, name: str, text: str, generator: Iterator[Any]) -> Iterator[Any]:
        seen: list[str] = []
        end = ""
        try:
            for item in generator:
                if len(seen) < MOST_ITEMS:
                    seen.append(render(item))
                yield item
        except BaseException as error:
            end = f"!{type(error).__name__}"
            raise
        finally:
            self._add(name, text, f"generator({', '.join(seen)}){end}")


class LineTracer:
    """Records which lines of one file run, and of what types its variables are."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: set[int] = set()
        self.types: dict[str, dict[str, set[str]]] = {}

    def __enter__(self) -> LineTracer:
        sys.settrace(self._enter)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        return self._step if frame.f_code.co_filename == self.path else None

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.lines.add(frame.f_lineno)
        types = self.types.setdefault(frame.f_code.co_name, {})
        for name, value in frame.f_locals.items():
            seen = types.setdefault(name, set())
            if len(seen) < 6:
                seen.add(type_name(value))
        if event == "return":
            types.setdefault("return", set()).add(type_name(argument))
        return self._step
