"""What is done over tests in memory: many texts in one child, as long as it survives them."""

from __future__ import annotations

import ast
import hashlib
import time
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.forked_tests.children import in_child
from menace.self_coding_engine.forked_tests.deadlines import Pace
from menace.self_coding_engine.forked_tests.recording import CallRecorder, render
from menace.self_coding_engine.forked_tests.suites import (
    LOAD_SECONDS,
    SLOW,
    Suite,
    guarded,
    load_text,
    run_test,
)
from menace.self_coding_engine.forked_tests.text_run import SLACK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from menace.self_coding_engine.forked_tests.children import Tell

MOST_HANGS = 3
"""Children that a text's calls may cost."""

MOST_DRAWN = 1000
"""Items that a generator is asked for."""


def screen(suite: Suite, request: dict[str, Any]) -> dict[str, Any]:
    """Run tests over many texts in as few children as they survive in.

    ``patient``: run all tests whatever they take, and tell what they say.
    """
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
    patient = bool(request.get("patient"))
    test_seconds = request["test_seconds"]
    pace = Pace(test_seconds)
    message = load_text(suite, source, max(test_seconds, 0.2), recorder)
    if message:
        return {"passed": [], "seen": f"!{message[-60:]}", "why": "load"}
    passed: list[int] = []
    messages: dict[str, str] = {}
    slow = 0
    for index, name in enumerate(first):
        found = run_test(suite, name, pace, quiet=not patient)
        if not found:
            passed.append(index)
        elif found.startswith(SLOW):
            slow += 1
            if not patient:
                break
        elif patient:
            messages[name] = found
    found_out: dict[str, Any] = {"messages": messages} if patient else {}
    found_out |= {"seen": _digest(recorder.results), "slowest": pace.slowest_seconds}
    if len(passed) == len(first):
        for index, name in enumerate(rest, len(first)):
            if run_test(suite, name, pace, quiet=True):
                return {"passed": passed, **found_out, "why": "rest"}
            passed.append(index)
    return {"passed": passed, **found_out, "why": "slow" if slow else ""}


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
                if len(items) >= MOST_DRAWN:
                    break
            return f"generator{render(items)}"
        return render(result) if result is not None else f"None {render(arguments)}"

    returned, value = guarded(call, cpu_seconds)
    return str(value) if returned else f"!{type(value).__name__}"
