"""The program that times texts in the sandbox: a parent that runs no candidate code.

One line of JSON is asked, one line is the answer. For each pass the parent forks a child, which
loads the text, makes ready, and waits; the parent reads the child's CPU clock from the kernel
(Linux numbers the clock of any process), lets it run, and reads the clock again. So nothing that
the child does to its own clocks changes a figure, and nothing that one pass remembers is there in
the next: a short pass is lengthened by running fresh copies of the module, each over its own copy
of the inputs, so that a cache does not gain from repetition that the recorded inputs do not have.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import time
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from menace.self_coding_engine.driven_calls.encoding import decode
from menace.self_coding_engine.driven_calls.importing import (
    find_imports_in,
    import_place,
    load_afresh,
)
from menace.self_coding_engine.driven_calls.unencodable import UnencodableError
from menace.self_coding_engine.forked_tests.overlay import lay_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from menace.records import Json

    _Input = tuple[str, list[Any], dict[str, Any]]
    _Call = tuple[Callable[..., Any], list[Any], dict[str, Any]]

WARM_SECONDS = 0.02
"""A child runs calls beforehand, for late imports and the like, until so much is used."""

_CONTAINERS = {list, tuple, dict, set, frozenset, deque, defaultdict, OrderedDict, Counter}

RUNNING = "R"
"""State of a thread that computes or would, in ``/proc``."""


class TimingServer:
    """Answers what it is asked; see the module."""

    def __init__(self) -> None:
        self.folder = Path()
        self.target = ""
        self.texts: dict[str, str] = {}
        self.calls: list[tuple[str, list[Any], dict[str, Any]]] = []

    def answer(self, question: Json) -> Json:
        """Answer one question: ``open``, ``text`` or ``time``."""
        if question["ask"] == "open":
            self.folder, self.target = Path(question["folder"]), question["target"]
            self._preload(question["source"])
            return {"calls": self._open(question["calls"])}
        if question["ask"] == "text":
            self.texts[question["name"]] = question["source"]
            self._preload(question["source"])
            return {}
        return self._time(
            self.texts[question["name"]],
            copies=question["copies"],
            warm=question["warm"],
            chosen=question["chosen"],
            seconds=question["seconds"],
        )

    def _open(self, calls: Sequence[Json]) -> int:
        _decoded(calls)
        gc.collect()
        # A child that collects before its pass need not go through what is frozen here.
        gc.freeze()
        self.calls = _decoded(calls)
        return len(self.calls)

    def _preload(self, source: str) -> None:
        """Import what the text imports from elsewhere, so that children need not."""
        with contextlib.suppress(SyntaxError):
            for name in _imported(ast.parse(source)):
                if self._is_elsewhere(name):
                    with contextlib.suppress(ImportError):
                        importlib.import_module(name)

    def _is_elsewhere(self, name: str) -> bool:
        top = name.partition(".")[0]
        place = import_place(self.folder, self.target)
        roots = (*place.first, *place.last)
        if any(
            (Path(root) / top).exists() or (Path(root) / f"{top}.py").exists() for root in roots
        ):
            return False
        return importlib.util.find_spec(top) is not None

    def _time(
        self, source: str, *, copies: int, warm: bool, chosen: Sequence[int], seconds: float
    ) -> Json:
        go, ready = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.close(go[1])
            os.close(ready[0])
            self._run_child(source, copies, warm, chosen, (go[0], ready[1]))
        os.close(go[0])
        os.close(ready[1])
        try:
            return _watch(child, go[1], ready[0], time.monotonic() + seconds)
        finally:
            os.close(go[1])
            os.close(ready[0])
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    def _run_child(
        self, source: str, copies: int, warm: bool, chosen: Sequence[int], pipes: tuple[int, int]
    ) -> None:
        code, (go, ready) = 1, pipes
        try:
            _keep_only(go, ready)
            calls = [self.calls[place] for place in chosen]
            find_imports_in(self.folder, self.target)
            lay_over(str(self.folder / self.target), source)
            if warm:
                _warm(self._bound(calls))
            passes = [self._bound(calls) for _ in range(copies - 1)]
            passes = [_copied(bound) for bound in passes] + [self._bound(calls)]
            _split_pages(passes[-1])
            gc.collect()
            gc.freeze()
            os.write(ready, b"r")
            while os.read(go, 1) == b"g":
                _pass(passes)
                os.write(ready, b"d")
            code = 0
        finally:
            os._exit(code)

    def _bound(self, calls: Iterable[_Input]) -> list[_Call]:
        """Make a fresh copy of the module."""
        module = load_afresh(self.folder, self.target)
        return [(getattr(module, name), args, kwargs) for name, args, kwargs in calls]


def _decoded(calls: Iterable[Json]) -> list[_Input]:
    found = []
    for call in calls:
        with contextlib.suppress(UnencodableError):
            args, kwargs = decode(call["args"]), dict(decode(call["kwargs"]))
            found.append((str(call["function"]), args, kwargs))
    return found


def _copied(calls: Iterable[_Call]) -> list[_Call]:
    """Give the same calls with inputs of their own."""
    return [
        (function, copy.deepcopy(args), copy.deepcopy(kwargs)) for function, args, kwargs in calls
    ]


def _imported(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _keep_only(*kept: int) -> None:
    """Leave the child no way to the parent's input and output."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    edges = sorted({2, *kept})
    for low, high in zip(edges, [*edges[1:], 1 << 12], strict=True):
        os.closerange(low + 1, high)


def _split_pages(calls: Iterable[_Call]) -> None:
    """Touch the counts of references of all inputs.

    The inputs of the last copy are the parent's own, and a page that is first written to has to be
    copied from it. Done within the pass, that would be counted as the text's work.
    """
    level: list[Any] = [part for call in calls for part in call[1:]]
    while level:
        level = [item for item in gc.get_referents(*level) if type(item) in _CONTAINERS]


def _warm(calls: Sequence[_Call]) -> None:
    """Run calls, each on its own copy of the inputs, until a little time is used."""
    limit = time.process_time() + WARM_SECONDS
    for call in calls:
        _pass([_copied([call])])
        if time.process_time() > limit:
            return


def _pass(passes: Iterable[Sequence[_Call]]) -> None:
    for calls in passes:
        for function, args, kwargs in calls:
            with contextlib.suppress(Exception):
                result = function(*args, **kwargs)
                if hasattr(result, "__next__"):
                    for _ in result:
                        pass


def _watch(child: int, go: int, ready: int, until: float) -> Json:
    """Let the child run once, and read its clock before and after.

    What it still does after it has said that it is done is counted, too.
    """
    clock = (~child << 3) | 2
    if not _waited(ready, until):
        return {"error": "it did not get ready: it did not load, or a call ended its process"}
    _come_to_rest(child, until)
    start_clock, start = time.monotonic_ns(), time.clock_gettime_ns(clock)
    os.write(go, b"g")
    if not _waited(ready, until):
        return {"error": "a call did not return in time, or ended its process"}
    if not _come_to_rest(child, until):
        return {"error": "a call went on working after it had said that it was done"}
    end, end_clock = time.clock_gettime_ns(clock), time.monotonic_ns()
    return {"cpu_ns": end - start, "clock_ns": end_clock - start_clock}


def _come_to_rest(child: int, until: float) -> bool:
    """Wait until no thread of the child runs or is ready to run."""
    tasks = Path(f"/proc/{child}/task")
    while time.monotonic() < until:
        states = [_state(task) for task in tasks.iterdir()]
        if RUNNING not in states:
            return True
        time.sleep(0.0)
    return False


def _state(task: Path) -> str:
    """State of a thread; nothing where it has just ended."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _waited(ready: int, until: float) -> bool:
    readable, _, _ = select.select([ready], [], [], max(0.0, until - time.monotonic()))
    return bool(readable) and bool(os.read(ready, 1))


def serve(orders: TextIO, answers: TextIO) -> None:
    """Answer line by line until the input ends."""
    server = TimingServer()
    for line in orders:
        json.dump(server.answer(json.loads(line)), answers)
        answers.write("\n")
        answers.flush()
