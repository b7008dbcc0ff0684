"""Tests that one process can run over many texts of a file, one after the other."""

from __future__ import annotations

import random
import sys
import traceback
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from menace.self_coding_engine.forked_tests.deadlines import OutOfTimeError, Pace, deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from menace.self_coding_engine.forked_tests.recording import CallRecorder

MODULE = "candidate"
"""Name of the module that a text of assert scripts makes."""

LOAD_SECONDS = 5.0
"""CPU time that importing a text may take where nothing is known of it."""

SLOW = "took more than"
"""How the message of a test that was interrupted begins."""

MOST_MESSAGE_CHARACTERS = 2000


class Suite(Protocol):
    """Tests with names known beforehand."""

    ids: list[str]

    def load(self, source: str, recorder: CallRecorder | None) -> None:
        """Put a text in place of the target; raises what the text raises."""
        ...

    def call(self, name: str) -> None:
        """Run one test; raises what the test raises."""
        ...

    def is_plain(self, name: str) -> bool:
        """Whether nothing but the test's own code runs when it is called."""
        ...

    def namespace(self) -> dict[str, Any]:
        """Names that the text in place has defined."""
        ...


class Cases:
    """Assert scripts: each runs in a copy of the text's own namespace."""

    def __init__(self, path: str, cases: Sequence[tuple[str, str]]) -> None:
        self.ids = [name for name, _ in cases]
        self._path = path
        self._codes = {
            name: compile(code, f"<{name}>", "exec", dont_inherit=True) for name, code in cases
        }
        self._namespace: dict[str, Any] = {}
        self._shown: dict[str, Any] = {}

    def load(self, source: str, recorder: CallRecorder | None) -> None:
        """Run the text as a module."""
        module = ModuleType(MODULE)
        module.__file__ = self._path
        sys.modules[MODULE] = module
        self._namespace = vars(module)
        exec(compile(source, self._path, "exec", dont_inherit=True), self._namespace)  # noqa: S102
        self._shown = dict(self._namespace)
        if recorder is not None:
            # Only what the cases see: the text's own calls, recursion too, stay as they are.
            recorder.wrap_all(self._shown, MODULE)

    def call(self, name: str) -> None:
        """Run a script."""
        exec(self._codes[name], dict(self._shown))  # noqa: S102

    def is_plain(self, name: str) -> bool:
        """Say that it is: a script."""
        return name in self._codes

    def namespace(self) -> dict[str, Any]:
        """Give what the text has defined."""
        return self._namespace


class References:
    """Where the modules of a process refer to what one module defines.

    After ``from target import function`` a test module holds the function itself, so a new text in
    place of the target has to be brought there, too.
    """

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        own = {
            id(value): name
            for name, value in vars(module).items()
            if isinstance(value, (FunctionType, type)) and value.__module__ == module.__name__
        }
        self._kept = {
            name: value
            for name, value in vars(module).items()
            if name.startswith("__") and name.endswith("__")
        }
        self._slots = [
            (vars(other), name, own[id(value)])
            for other in list(sys.modules.values())
            if isinstance(other, ModuleType) and other is not module
            for name, value in list(vars(other).items())
            if id(value) in own
        ]

    def replace(self, source: str, recorder: CallRecorder | None) -> None:
        """Run the text as the module, and point everything that referred to the old one to it."""
        namespace = vars(self.module)
        namespace.clear()
        namespace.update(self._kept)
        path = str(self.module.__file__)
        exec(compile(source, path, "exec", dont_inherit=True), namespace)  # noqa: S102
        if recorder is not None:
            recorder.wrap_all(namespace, self.module.__name__)
        for slots, name, original in self._slots:
            # A text that no longer has the name leaves its users with an error, not with the old.
            slots[name] = namespace.get(original)


def run_test(suite: Suite, name: str, pace: Pace, *, quiet: bool = False) -> str:
    """Run one test; ``""`` if it passed, else the end of what it said, or quietly just a word."""
    random.seed(0)
    cpu_seconds = pace.seconds
    try:
        with pace.deadline(precise=suite.is_plain(name)):
            suite.call(name)
    except OutOfTimeError:
        return f"{SLOW} {cpu_seconds:.3g} s of CPU time"
    except BaseException as error:  # noqa: BLE001 - a test may raise anything
        return "failed" if quiet else _message(error)
    return ""


def load_text(
    suite: Suite, source: str, cpu_seconds: float, recorder: CallRecorder | None = None
) -> str:
    """Put a text in place; ``""`` if it could be run, else why not."""
    random.seed(0)
    try:
        with deadline(cpu_seconds):
            suite.load(source, recorder)
    except OutOfTimeError:
        return f"importing it took more than {cpu_seconds:.3g} s of CPU time"
    except BaseException as error:  # noqa: BLE001 - a text may raise anything
        return _message(error)
    return ""


def _message(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error, limit=-3)
    except Exception:  # noqa: BLE001 - an exception of the text's own may fail to describe itself
        return type(error).__name__
    return "".join(lines).strip()[-MOST_MESSAGE_CHARACTERS:] or type(error).__name__


def guarded(function: Callable[[], Any], cpu_seconds: float) -> tuple[bool, Any]:
    """Call a function under a deadline: whether it returned, and its value or exception."""
    random.seed(0)
    try:
        with deadline(cpu_seconds):
            return True, function()
    except BaseException as error:  # noqa: BLE001 - a text may raise anything
        return False, error
