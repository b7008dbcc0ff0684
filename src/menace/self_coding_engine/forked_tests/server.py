"""Answers requests to run texts of one file against tests, each in a forked child.

The parent never runs a text itself. It knows the tests' names from the start and believes only
what a child has told of them; a test of which nothing was told has not passed.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.forked_tests.children import in_child
from menace.self_coding_engine.forked_tests.deadlines import OutOfTimeError, Pace, prepare
from menace.self_coding_engine.forked_tests.lent_session import POISON, LentSession, poisoned
from menace.self_coding_engine.forked_tests.pytest_suite import run_pytest
from menace.self_coding_engine.forked_tests.quick_jobs import QUICK
from menace.self_coding_engine.forked_tests.recording import LineTracer
from menace.self_coding_engine.forked_tests.suites import (
    LOAD_SECONDS,
    SLOW,
    Cases,
    Suite,
    load_text,
    run_test,
)
from menace.self_coding_engine.forked_tests.text_run import TextRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from menace.self_coding_engine.forked_tests.children import Tell

UNTIMELY = (OutOfTimeError.__name__, SLOW, "the time was up", "it hung")
"""In messages of tests that were cut off."""

MOST_HANGS = 3
"""Children that one request may lose before its last tests are left out."""


class ForkServer:
    """Holds what is the same for all texts: the tests, and the modules that they use."""

    def __init__(self) -> None:
        self._suite: Suite | None = None
        self._arguments: list[str] | None = None
        self._target = ""
        self._lent: LentSession | None = None
        self._ids: list[str] = []
        prepare()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for."""
        method: Callable[[dict[str, Any]], dict[str, Any]] = {
            "start": self.start,
            "run": self.run,
            "screen": self.screen,
            "probe": self.probe,
            "record": self.record,
        }[request["do"]]
        return method(request)

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Get to know the tests; import what they need beforehand."""
        os.chdir(request["folder"])
        self._target = os.path.realpath(Path(request["folder"], request["target"]))
        if "cases" in request:
            sys.path.insert(0, request["folder"])
            cases = Cases(self._target, [(name, code) for name, code in request["cases"]])
            self._suite = cases
            self._ids = list(cases.ids)
            self._warm_up(lambda: load_text(cases, request["source"], LOAD_SECONDS))
            return {"ids": self._ids, "fast": True}
        sys.dont_write_bytecode = True
        sys.path.insert(0, request["folder"])
        self._arguments = list(request["arguments"])
        if importlib.util.find_spec("xdist") is not None:
            importlib.import_module("xdist")
        self._warm_up(lambda: self._collect(request["source"]))
        seconds = {"seconds": request["seconds"], "test_seconds": request["test_seconds"]}
        first = self.run({"source": request["source"], "ids": None, **seconds})
        self._ids = first["collected"]
        self._lend(request["source"], first, seconds)
        return {"ids": self._ids, "fast": self._lent is not None, "first": first}

    def _collect(self, source: str) -> None:
        arguments = [*(self._arguments or []), "--collect-only"]
        run_pytest(arguments, self._target, source, tell=lambda word: None, only=None, around=None)

    def _warm_up(self, body: Callable[[], object]) -> None:
        """Import here what a child had to import from outside the folder."""
        before = set(sys.modules)

        def watched(tell: Tell) -> None:
            with contextlib.suppress(BaseException):
                body()
            folder = f"{os.path.realpath(Path.cwd())}{os.sep}"
            tell(
                [
                    name
                    for name, module in list(sys.modules.items())
                    if name not in before
                    and getattr(module, "__file__", None)
                    and not os.path.realpath(str(module.__file__)).startswith(folder)
                ]
            )

        heard = in_child(watched, seconds=60.0, silence_seconds=60.0)
        for name in heard.told[0] if heard.told else ():
            # What a test module has imported half-way need not be importable by itself.
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()

    def _lend(self, source: str, first: dict[str, Any], seconds: dict[str, float]) -> None:
        """Keep a collected session at hand, if it gives what a whole run of pytest gives.

        It is tried on the text as it is and on one whose functions all fail. Where tests hold on
        to more of the target than can be replaced, the answers differ, and it is not used.
        """
        try:
            poison = poisoned(source)
        except SyntaxError:
            return
        arguments = self._arguments or []
        lent = LentSession.open(arguments, self._target, source, seconds["seconds"])
        if lent is None:
            return
        second = self.run({"source": poison, "ids": None, **seconds})
        asked: dict[str, Any] = {"do": "screen", "first": self._ids, "rest": [], "patient": True}
        asked |= {"sources": [source, poison]}
        try:
            quick = lent.ask({**asked, **seconds}, seconds["seconds"] + 5.0)["results"]
        except (EOFError, KeyError, ValueError):
            lent.close()
            return
        if all(self._agree(*pair) for pair in zip(quick, (first, second), strict=True)):
            self._lent = lent
        else:
            lent.close()

    def _agree(self, quick: dict[str, Any], slow: dict[str, Any]) -> bool:
        """Whether two ways to run the tests say the same where both had the time."""
        passed = {self._ids[k] for k in quick["passed"]}
        messages = quick.get("messages", {})
        for name, good, message in slow["cases"]:
            if not good and any(word in message for word in UNTIMELY):
                continue
            # A test that holds on to the text as it was fails, too, but not of the poison.
            poison = POISON in message, POISON in messages.get(name, "")
            if (name in passed) != good or poison[0] != poison[1]:
                return False
        return True

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run tests over one text, each reported, from a fresh child."""
        ids = request["ids"]
        asked = self._ids if ids is None else [name for name in self._ids if name in set(ids)]
        run = TextRun(request, known=self._ids if ids is None else asked)
        until = time.monotonic() + request["seconds"]
        for _ in range(MOST_HANGS + 1):
            if not run.again(until):
                break
            body = functools.partial(self._run_child, request, run)
            heard = in_child(
                body,
                seconds=until - time.monotonic(),
                silence_seconds=run.silence_seconds,
                enough=run.enough,
            )
            run.take(heard)
        return run.answer()

    def _run_child(self, request: dict[str, Any], run: TextRun, tell: Tell) -> None:
        pace = Pace(request["test_seconds"])
        mine = self._arguments is not None
        around = functools.partial(_watched, self._target, request, tell, pace if mine else None)
        if self._arguments is not None:
            self._pytest_child(request["source"], run.left(), around, tell)
            return
        suite = self._suite
        if suite is None:
            return
        names = run.left() or ()
        with around("import"):
            message = load_text(suite, request["source"], LOAD_SECONDS)
        tell(["collected", list(names)])
        for name in names:
            tell(["begins", name])
            with around(name):
                found = message or run_test(suite, name, pace)
            tell(["ends", name, found])

    def _pytest_child(
        self, source: str, only: Sequence[str] | None, around: Any, tell: Tell
    ) -> None:
        arguments = self._arguments or []
        run_pytest(arguments, self._target, source, tell=tell, only=only, around=around)

    def screen(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run tests over many texts, several in one child: quick, not proof.

        ``first`` run all; ``rest`` only where all of the first passed, up to the first failure.
        """
        found = self._quickly(request)
        return self._screen_slowly(request) if found is None else found

    def probe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Call functions of each text with arguments: what comes out, rendered."""
        found = self._quickly(request)
        nothing = [[""] * len(request["calls"]) for _ in request["sources"]]
        return {"outcomes": nothing} if found is None else found

    def record(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run all tests over one text and keep the calls that they make."""
        ids = self._ids if request["ids"] is None else request["ids"]
        found = self._quickly({**request, "ids": ids})
        return {"calls": []} if found is None else found

    def _quickly(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Do a job over the tests as they are in memory; ``None`` where they cannot be."""
        if self._suite is not None:
            return QUICK[request["do"]](self._suite, request)
        if self._lent is None:
            return None
        try:
            found: dict[str, Any] = self._lent.ask(request, request["seconds"] + 5.0)
        except (EOFError, ValueError):
            self._lent.close()
            self._lent = None
            return None
        return found

    def _screen_slowly(self, request: dict[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + request["seconds"]
        results = []
        for source in request["sources"]:
            left = until - time.monotonic()
            if left <= 0:
                break
            wanted = [*request["first"], *request["rest"]]
            asked = {"source": source, "ids": wanted, "stop_at_first": True, "seconds": left}
            found = self.run({**asked, "test_seconds": request["test_seconds"]})
            good = {name for name, passed, _ in found["cases"] if passed}
            passed = [k for k, name in enumerate(wanted) if name in good]
            results.append({"passed": passed, "seen": "", "why": found["reason"]})
        return {"results": results}


@contextlib.contextmanager
def _watched(
    target: str, request: dict[str, Any], tell: Tell, pace: Pace | None, name: str
) -> Iterator[None]:
    """Watch over a test: its time where there is a pace, and its lines where they are wanted."""
    tracer = LineTracer(target) if request.get("lines") else None

    def out(lines: LineTracer) -> None:
        types = {
            function: {n: sorted(t) for n, t in of.items()} for function, of in lines.types.items()
        }
        tell(["lines", name, sorted(lines.lines), types])

    with contextlib.nullcontext() if pace is None else pace.deadline():
        if tracer is None:
            yield
            return
        try:
            with tracer:
                yield
        finally:
            out(tracer)
