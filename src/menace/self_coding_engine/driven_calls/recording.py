"""The program that runs the tests in the sandbox and notes the calls of the target's functions.

What to do comes as JSON, and the calls go out as one line of JSON. Only calls from outside the
target are noted, as they were made: arguments are encoded before the function runs.
"""

from __future__ import annotations

import functools
import importlib.machinery
import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from menace.self_coding_engine.driven_calls.encoding import encode
from menace.self_coding_engine.driven_calls.importing import find_imports_in
from menace.self_coding_engine.driven_calls.unencodable import UnencodableError

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

    from menace.records import Json


class Recorder:
    """Keeps distinct calls, up to a number per function and a size in all."""

    def __init__(self, *, per_function: int, characters: int) -> None:
        self.per_function = per_function
        self.characters_left = characters
        self.calls: dict[str, dict[str, None]] = {}
        self.seen = 0
        self.left_out = 0
        self._inside = False

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give a function that notes its calls and is else the same."""

        @functools.wraps(function)
        def noted(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._note(function.__name__, args, kwargs)
            self._inside = True
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = False

        return noted

    def _note(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.seen += 1
        kept = self.calls.setdefault(name, {})
        if len(kept) >= self.per_function:
            self.left_out += 1
            return
        try:
            text = json.dumps({"args": encode(list(args)), "kwargs": encode(kwargs)})
        except (UnencodableError, RecursionError):
            self.left_out += 1
            return
        if text in kept:
            return
        if len(text) > self.characters_left:
            self.left_out += 1
            return
        self.characters_left -= len(text)
        kept[text] = None

    def to_json(self) -> Json:
        """Give the calls in the order in which each function first had them."""
        return {
            "calls": [
                {"function": name, **json.loads(text)}
                for name, texts in self.calls.items()
                for text in texts
            ],
            "seen": self.seen,
            "left_out": self.left_out,
        }


def watch_module(path: Path, recorder: Recorder) -> None:
    """Wrap the functions of the module at this path as soon as it is imported."""
    real = importlib.machinery.SourceFileLoader.exec_module

    def exec_module(loader: importlib.machinery.SourceFileLoader, module: types.ModuleType) -> None:
        real(loader, module)
        if Path(str(module.__file__)) != path:
            return
        for name, value in list(vars(module).items()):
            if (
                inspect.isfunction(value)
                and value.__module__ == module.__name__
                and value.__name__ == name
                and not inspect.iscoroutinefunction(value)
            ):
                setattr(module, name, recorder.wrap(value))

    setattr(importlib.machinery.SourceFileLoader, "exec_module", exec_module)  # noqa: B010


def serve(orders: TextIO, answers: TextIO) -> None:
    """Run the tests of the order."""
    order = json.load(orders)
    folder = Path(order["folder"])
    sys.dont_write_bytecode = True
    find_imports_in(folder, order["target"])
    recorder = Recorder(per_function=order["per_function"], characters=order["characters"])
    watch_module(folder / order["target"], recorder)
    code = _run(order["runner"], order["arguments"])
    json.dump({**recorder.to_json(), "code": code}, answers)


def _run(runner: str, arguments: list[str]) -> int:
    if runner == "unittest":
        import unittest

        program = unittest.main(module=None, argv=["unittest", *arguments], exit=False)
        return 0 if program.result.wasSuccessful() else 1
    import pytest

    return int(pytest.main(["-p", "no:cacheprovider", *arguments]))
