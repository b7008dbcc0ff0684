"""Answers requests to run texts of one file against tests, each in a forked child.

The parent never runs a text itself. It knows the tests' names from the start and believes only
what a child has told of them; a test of which nothing was told has not passed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import gc
import hashlib
import importlib
import importlib.util
import json
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.forked_tests.children import Heard, in_child
from menace.self_coding_engine.forked_tests.deadlines import Pace, prepare
from menace.self_coding_engine.forked_tests.pytest_suite import (
    CollectedTests,
    collect_and_serve,
    run_pytest,
)
from menace.self_coding_engine.forked_tests.recording import CallRecorder, LineTracer, render
from menace.self_coding_engine.forked_tests.suites import (
    SLOW,
    Cases,
    Suite,
    guarded,
    load_text,
    run_test,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from menace.self_coding_engine.forked_tests.children import Tell

LOAD_SECONDS = 5.0
"""CPU time that importing a text may take where nothing is known of it."""

SLACK_SECONDS = 0.3
"""On the clock, beyond what a test may use, before a silent child is taken to hang."""

MOST_HANGS = 3
"""Children that one request may lose before its last tests are left out."""


def poisoned(source: str) -> str:
    """Make every function of a text fail as soon as it is called."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body.insert(0, ast.parse("raise RuntimeError('poisoned')").body[0])
    return ast.unparse(ast.fix_missing_locations(tree))


class ForkServer:
    """Holds what is the same for all texts: the tests, and the modules that they use."""

    def __init__(self) -> None:
        self._suite: Suite | None = None
        self._arguments: list[str] | None = None
        self._target = ""
        self._lent: _Lent | None = None
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
        self._target = os.path.realpath(os.path.join(request["folder"], request["target"]))
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
        self._ids = [name for name, _, _ in first["cases"]]
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
            folder = os.path.join(os.path.realpath(os.getcwd()), "")
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
        lent = _Lent.open(self._arguments or [], self._target, source)
        if lent is None:
            return
        second = self.run({"source": poison, "ids": None, **seconds})
        asked = {"do": "screen", "first": self._ids, "rest": [], "sources": [source, poison]}
        asked |= {"patient": True}
        try:
            quick = lent.ask({**asked, **seconds}, seconds["seconds"] + 5.0)["results"]
        except (EOFError, KeyError, ValueError):
            lent.close()
            return
        slow = [[k for k, case in enumerate(run["cases"]) if case[1]] for run in (first, second)]
        if [found["passed"] for found in quick] == slow:
            self._lent = lent
        else:
            lent.close()

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run tests over one text, each reported, from a fresh child."""
        ids = request["ids"]
        asked = self._ids if ids is None else [name for name in self._ids if name in set(ids)]
        run = _Run(request, known=self._ids if ids is None else asked)
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

    def _run_child(self, request: dict[str, Any], run: _Run, tell: Tell) -> None:
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

    def _pytest_child(self, source: str, only: Sequence[str] | None, around: Any, tell: Tell) -> None:
        arguments = self._arguments or []
        run_pytest(arguments, self._target, source, tell=tell, only=only, around=around)

    def screen(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run tests over many texts, several in one child: quick, not proof.

        ``first`` run all; ``rest`` only where all of the first passed, up to the first failure.
        """
        found = self._quickly(screen, request)
        return self._screen_slowly(request) if found is None else found

    def probe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Call functions of each text with arguments: what comes out, rendered."""
        found = self._quickly(probe, request)
        nothing = [[""] * len(request["calls"]) for _ in request["sources"]]
        return {"outcomes": nothing} if found is None else found

    def record(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run all tests over one text and keep the calls that they make."""
        ids = self._ids if request["ids"] is None else request["ids"]
        found = self._quickly(record, {**request, "ids": ids})
        return {"calls": []} if found is None else found

    def _quickly(
        self, job: Callable[[Suite, dict[str, Any]], dict[str, Any]], request: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Do a job over the tests as they are in memory; ``None`` where they cannot be."""
        if self._suite is not None:
            return job(self._suite, request)
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
        types = {function: {n: sorted(t) for n, t in of.items()} for function, of in lines.types.items()}
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


class _Run:
    """What is known of one text's tests, over as many children as it takes."""

    def __init__(self, request: dict[str, Any], known: Sequence[str]) -> None:
        self._request = request
        self._order = list(known)
        self._cases: dict[str, tuple[bool, str]] = {}
        self._gone: set[str] = set()
        self._lines: dict[str, list[int]] = {}
        self._types: dict[str, dict[str, list[str]]] = {}
        self._reason = ""
        self._ended = False
        self.silence_seconds = 5 * request["test_seconds"] + SLACK_SECONDS + LOAD_SECONDS

    def left(self) -> list[str] | None:
        """Tests of which nothing is known yet; ``None``: whatever there is."""
        if not self._order:
            return None
        return [name for name in self._order if name not in self._cases and name not in self._gone]

    def again(self, until: float) -> bool:
        """Whether another child is of use."""
        return not self._ended and time.monotonic() < until

    def enough(self, word: list[Any]) -> bool:
        """Whether the first failure was all that was wanted."""
        return bool(self._request.get("stop_at_first")) and word[0] == "ends" and bool(word[2])

    def take(self, heard: Heard) -> None:
        """Take in what one child told."""
        current = None
        for word in heard.told:
            kind = word[0]
            if kind == "collected" and not self._order:
                self._order = list(word[1])
            elif kind == "uncollected":
                self._reason = f"{word[1] or 'the tests'} cannot be collected: {word[2]}"
            elif kind == "begins":
                current = word[1]
            elif kind == "ends":
                self._cases[word[1]] = (not word[2], word[2])
                current = None
            elif kind == "skipped":
                self._gone.add(word[1])
                current = None
            elif kind == "lines":
                self._take_lines(word[1], word[2], word[3])
        if heard.end == "enough":
            self._ended, self._reason = True, "stopped at the first failure"
        elif not heard.end:
            self._ended = True
            if not self._reason and self.left():
                self._reason = "some tests did not run"
        elif current is not None:
            # The child died in this test: it has failed, and the others get a child of their own.
            self._cases[current] = (False, heard.end)
            self._ended = not self.left()
        else:
            self._ended, self._reason = True, heard.end

    def _take_lines(self, name: str, lines: list[int], types: dict[str, Any]) -> None:
        self._lines[name] = lines
        for function, variables in types.items():
            known = self._types.setdefault(function, {})
            for variable, names in variables.items():
                known[variable] = sorted({*known.get(variable, []), *names})

    def answer(self) -> dict[str, Any]:
        """The whole of it."""
        if not self._ended and not self._reason:
            self._reason = "too many tests ended their process, or the time was up"
        return {
            "cases": [[n, *self._cases[n]] for n in self._order if n in self._cases],
            "missing": self.left() or [],
            "complete": self._ended and not self._reason,
            "reason": self._reason,
            "lines": self._lines,
            "types": self._types,
        }


def screen(suite: Suite, request: dict[str, Any]) -> dict[str, Any]:
    """Run tests over many texts in as few children as they survive in."""
    sources = request["sources"]
    first, rest = request["first"], request["rest"]
    test_seconds = request["test_seconds"]
    results: list[dict[str, Any]] = []
    until = time.monotonic() + request["seconds"]

    def body(tell: Tell) -> None:
        for source in sources[len(results) :]:
            tell(_screen_one(suite, source, first, rest, request))

    while len(results) < len(sources):
        left = until - time.monotonic()
        if left <= 0:
            break
        silence = 2 * test_seconds * (1 + min(len(first), 4)) + SLACK_SECONDS
        if request.get("patient"):
            silence = left
        heard = in_child(body, seconds=left, silence_seconds=silence)
        results.extend(heard.told)
        if heard.end and heard.end != "the time was up" and len(results) < len(sources):
            results.append({"passed": [], "seen": "", "why": heard.end})
    return {"results": results}


def _screen_one(
    suite: Suite,
    source: str,
    first: Sequence[str],
    rest: Sequence[str],
    request: dict[str, Any],
) -> dict[str, Any]:
    recorder = CallRecorder()
    test_seconds = request["test_seconds"]
    pace = Pace(test_seconds)
    message = load_text(suite, source, max(test_seconds, 0.2), recorder)
    if message:
        return {"passed": [], "seen": f"!{message[-60:]}", "why": "load"}
    passed: list[int] = []
    slow = 0
    for index, name in enumerate(first):
        found = run_test(suite, name, pace)
        if not found:
            passed.append(index)
        elif found.startswith(SLOW):
            slow += 1
            if slow > 1 and not request.get("patient"):
                break
    seen = _digest(recorder.results)
    if len(passed) == len(first):
        for index, name in enumerate(rest, len(first)):
            if run_test(suite, name, pace):
                return {"passed": passed, "seen": seen, "why": "rest"}
            passed.append(index)
    return {"passed": passed, "seen": seen, "why": "slow" if slow else ""}


def _digest(results: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(results).encode("utf-8", "replace"), digest_size=8).hexdigest()


def probe(suite: Suite, request: dict[str, Any]) -> dict[str, Any]:
    """Call functions with arguments given as literals, in as few children as they survive in."""
    calls = [(name, text) for name, text in request["calls"]]
    outcomes: list[list[str]] = []
    until = time.monotonic() + request["seconds"]
    for source in request["sources"]:
        found: list[str] = []

        def body(tell: Tell, source: str = source, found: list[str] = found) -> None:
            message = load_text(suite, source, LOAD_SECONDS)
            for name, text in calls[len(found) :]:
                tell("!load" if message else _probe_one(suite, name, text, request["test_seconds"]))

        for _ in range(MOST_HANGS):
            left = until - time.monotonic()
            if left <= 0 or len(found) >= len(calls):
                break
            silence = 3 * request["test_seconds"] + SLACK_SECONDS
            heard = in_child(body, seconds=left, silence_seconds=silence)
            found.extend(heard.told)
            if heard.end and len(found) < len(calls):
                found.append("!hang")
        outcomes.append(found + [""] * (len(calls) - len(found)))
    return {"outcomes": outcomes}


def record(suite: Suite, request: dict[str, Any]) -> dict[str, Any]:
    """Run tests over one text and keep the calls that they make."""

    def body(tell: Tell) -> None:
        recorder = CallRecorder(keep_calls=True)
        pace = Pace(request["test_seconds"])
        if not load_text(suite, request["source"], LOAD_SECONDS, recorder):
            for name in request["ids"]:
                told = len(recorder.calls)
                run_test(suite, name, pace)
                tell(recorder.calls[told:])

    heard = in_child(
        body,
        seconds=request["seconds"],
        silence_seconds=3 * request["test_seconds"] + SLACK_SECONDS,
    )
    return {"calls": [call for calls in heard.told for call in calls]}


QUICK: dict[str, Callable[[Suite, dict[str, Any]], dict[str, Any]]] = {
    "screen": screen,
    "probe": probe,
    "record": record,
}
"""What can be done over tests in memory."""


def _probe_one(suite: Suite, name: str, text: str, cpu_seconds: float) -> str:
    arguments = ast.literal_eval(text)
    function = suite.namespace().get(name)

    def call() -> str:
        if not callable(function):
            return "!missing"
        result = function(*arguments)
        if result is not None and hasattr(result, "__next__"):
            items = []
            for item in result:
                items.append(item)
                if len(items) >= 1000:
                    break
            return f"generator{render(items)}"
        return render(result) if result is not None else f"None {render(arguments)}"

    returned, value = guarded(call, cpu_seconds)
    return str(value) if returned else f"!{type(value).__name__}"


class _Lent:
    """A collected pytest session in a process of its own, and the pipes to it."""

    def __init__(self, child: int, to: int, back: int) -> None:
        self._child = child
        self._to = os.fdopen(to, "wb", buffering=0)
        self._back = os.fdopen(back, "rb")
        self._descriptor = back

    @classmethod
    def open(cls, arguments: Sequence[str], target: str, source: str) -> _Lent | None:
        """Fork it; ``None`` if the session cannot be collected."""
        reading, to = os.pipe()
        back, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(to)
            os.close(back)

            def serve(suite: CollectedTests) -> None:
                with os.fdopen(reading, "rb") as requests, os.fdopen(writing, "wb", 0) as answers:
                    answers.write(json.dumps(suite.references is not None).encode() + b"\n")
                    for line in requests:
                        request = json.loads(line)
                        found = QUICK[request["do"]](suite, request)
                        answers.write(json.dumps(found).encode() + b"\n")
                os._exit(0)

            try:
                collect_and_serve(arguments, target, source, serve)
            finally:
                os._exit(1)
        os.close(reading)
        os.close(writing)
        lent = cls(child, to, back)
        try:
            able = lent.ask(None, 60.0)
        except (EOFError, ValueError):
            lent.close()
            return None
        if not able:
            lent.close()
            return None
        return lent

    def ask(self, request: dict[str, Any] | None, seconds: float) -> Any:
        """Send a request, or only wait for the first word.

        Raises
        ------
        EOFError
            If the process died or did not answer in time.
        """
        try:
            if request is not None:
                self._to.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError as error:
            raise EOFError from error
        if not select.select([self._descriptor], [], [], seconds)[0]:
            raise EOFError
        line = self._back.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        with contextlib.suppress(OSError):
            self._to.close()
        self._back.close()
