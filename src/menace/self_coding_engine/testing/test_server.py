"""A fork server in the sandbox: tests are imported once, each text costs a fork or less."""

from __future__ import annotations

import dataclasses
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from menace.errors import CodingError
from menace.self_coding_engine.proposal import CaseReport, TestReport
from menace.self_coding_engine.sandbox import SandboxLimits, SessionEndedError
from menace.self_coding_engine.testing.observations import Call, Observations, Screened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.self_coding_engine.sandbox import Sandbox, SandboxSession

PACKAGE_ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).resolve().parents[1] / "forked_tests" / "program.py"

MOST_TEST_SECONDS = 10.0
"""CPU time for a test of which nothing is known yet."""

LEAST_TEST_SECONDS = 0.5
LEAST_SCREEN_SECONDS = 0.004
SPARE_SECONDS = 5.0
"""Beyond what the server was given, until the session is ended."""


class TestServer:
    """Runs texts of one file against the tests of its folder.

    What the tests import is imported once; for each text a child is forked, so that a text which
    hangs, crashes or exits early costs only itself. Test names are known from the start: a test
    that says nothing has not passed. Reports guard against accidents of honest code; a text that
    sets out to forge its own report has to be stopped by other gates.

    Parameters
    ----------
    sandbox
        Where to run.
    folder
        Read-only; the working folder of the tests.
    target
        The file in it whose text changes, with ``/``.
    tests
        A command that runs pytest: ``pytest -q tests`` or ``python -m pytest …``.
    cases
        Instead: (name, script) pairs; each runs in the names that the text defines.
    limits
        Of the session as a whole.
    start_seconds
        On the clock, for getting to know the tests.
    source
        The text to get to know them with, in place of the file's own.
    test_seconds
        CPU time of one test, as long as none of the same run has used it up; then much less.

    Raises
    ------
    CodingError
        If the command does not run pytest, or the target is not there.
    """

    __test__ = False

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        folder: Path,
        target: str,
        tests: str = "pytest -q tests",
        cases: Sequence[tuple[str, str]] | None = None,
        limits: SandboxLimits | None = None,
        test_seconds: float = MOST_TEST_SECONDS,
        start_seconds: float = 120.0,
        source: str | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._folder = folder.resolve()
        self._target = target
        self._arguments = [] if cases is not None else pytest_arguments(tests)
        self._cases = cases
        self._limits = limits or SandboxLimits(
            wall_seconds=3600.0, cpu_seconds=3600.0, memory_bytes=2 << 30, output_bytes=16 << 20
        )
        self._session: SandboxSession | None = None
        self._context: Any = None
        self._ids: tuple[str, ...] = ()
        self._used_seconds = 0.0
        self._first: tuple[str, dict[str, Any]] | None = None
        self._test_seconds = test_seconds
        self._start_seconds = start_seconds
        self._source = source
        self.fast = False

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of the tests, in the order in which they run."""
        return self._ids

    @property
    def cpu_seconds(self) -> float:
        """Used so far, by ended sessions too."""
        now = 0.0 if self._session is None else self._session.cpu_seconds
        return self._used_seconds + now

    def run(
        self,
        source: str,
        *,
        lines: bool = False,
        only: Sequence[str] | None = None,
        stop_at_first: bool = False,
        seconds: float | None = None,
    ) -> TestReport:
        """Run the tests over a text, from a fresh process, as pytest would.

        Parameters
        ----------
        only
            Names of tests; all by default.
        stop_at_first
            Do not run on after a failure; the report is then not complete.
        seconds
            On the clock, for all of it.
        """
        answer = self._run(source, lines=lines, only=only, stop=stop_at_first, seconds=seconds)
        return _report(answer)

    def observe(
        self, source: str, *, only: Sequence[str] | None = None, seconds: float | None = None
    ) -> Observations:
        """Run tests for passes and failures, then again with lines, types of variables and calls.

        Watching makes a test many times slower: what fails is found without.
        """
        plain = self._known(source, only) or self._run(source, only=only, seconds=seconds)
        answer = self._run(source, lines=True, only=only, seconds=seconds)
        types = {
            function: {name: frozenset(kinds) for name, kinds in variables.items()}
            for function, variables in answer.get("types", {}).items()
        }
        times = {"seconds": seconds or 60.0, "test_seconds": LEAST_TEST_SECONDS}
        ids = None if only is None else list(only)
        record = {"do": "record", "source": source, "ids": ids}
        recorded = self._ask(record | times, seconds or 60.0)
        calls = tuple(Call(*call) for call in recorded.get("calls", ()))
        report = dataclasses.replace(_report(plain), lines=_report(answer).lines)
        return Observations(report, types, calls)

    def screen(
        self,
        sources: Sequence[str],
        *,
        first: Sequence[str],
        rest: Sequence[str] = (),
        test_seconds: float = LEAST_SCREEN_SECONDS,
        seconds: float = 60.0,
    ) -> list[Screened]:
        """Look at many texts quickly, several to a process: a filter, not a proof.

        Parameters
        ----------
        first, rest
            Tests that run in any case, and those that run once all of the first have passed.
        test_seconds
            CPU time of one test.

        Returns
        -------
        list[Screened]
            One per text, in order; fewer if the time was up.
        """
        wanted = [*first, *rest]
        request = {"do": "screen", "sources": list(sources), "first": list(first)}
        times = {"test_seconds": test_seconds, "seconds": seconds}
        answer = self._ask({**request, "rest": list(rest), **times}, seconds)
        return [
            Screened(
                frozenset(wanted[k] for k in row["passed"]),
                row["seen"],
                row["why"],
                row.get("slowest", 0.0),
            )
            for row in answer.get("results", [])
        ]

    def probe(
        self,
        sources: Sequence[str],
        calls: Sequence[tuple[str, str]],
        *,
        test_seconds: float = LEAST_SCREEN_SECONDS,
        seconds: float = 60.0,
    ) -> list[list[str]]:
        """Call (function, arguments as a literal tuple) in each text: results, rendered.

        ``!Name`` stands for an exception, ``""`` for a call that was not made.
        """
        request = {"do": "probe", "sources": list(sources), "calls": [list(call) for call in calls]}
        answer = self._ask({**request, "test_seconds": test_seconds, "seconds": seconds}, seconds)
        nothing = [[""] * len(calls) for _ in sources]
        outcomes: list[list[str]] = answer.get("outcomes", nothing)
        return outcomes

    def _known(self, source: str, only: Sequence[str] | None) -> dict[str, Any] | None:
        """Give what the start has shown of the file as it is."""
        if self._first is None or self._first[0] != source:
            return None
        answer = self._first[1]
        if only is None:
            return answer
        wanted = set(only)
        return {**answer, "cases": [case for case in answer["cases"] if case[0] in wanted]}

    def _run(
        self,
        source: str,
        *,
        lines: bool = False,
        only: Sequence[str] | None = None,
        stop: bool = False,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        wall = 60.0 if seconds is None else seconds
        used = self.cpu_seconds
        request = {"do": "run", "source": source, "lines": lines}
        asked = {"ids": None if only is None else list(only), "stop_at_first": stop}
        times = {"seconds": wall, "test_seconds": self._test_seconds}
        answer = self._ask({**request, **asked, **times}, wall)
        answer["cpu_seconds"] = max(0.0, self.cpu_seconds - used)
        return answer

    def _start(self) -> None:
        path = self._folder / self._target
        try:
            source = path.read_text(encoding="utf-8") if self._source is None else self._source
        except OSError as error:
            message = f"The file to change cannot be read: {error}"
            raise CodingError(message, remedy="name a file below the folder") from error
        root = PACKAGE_ROOT
        command = ["{python}", "-X", "utf8", str(PROGRAM), str(root)]
        self._context = self._sandbox.session(
            command,
            folder=self._folder,
            limits=self._limits,
            bind=(root / "menace",),
            environment={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._session = self._context.__enter__()
        request: dict[str, Any] = {"do": "start", "folder": str(self._folder)}
        request |= {"target": self._target, "source": source}
        if self._cases is None:
            request |= {"arguments": self._arguments}
        else:
            request |= {"cases": [list(case) for case in self._cases]}
        # Up to three runs of all tests: as they are, with all failing, and quickly.
        times = {"seconds": self._start_seconds / 4, "test_seconds": self._test_seconds}
        answer = self._ask(request | times, self._start_seconds)
        self._ids = tuple(answer.get("ids", ()))
        self.fast = bool(answer.get("fast"))
        self._first = (source, answer["first"]) if "first" in answer else None

    def _stop(self) -> None:
        if self._context is not None and self._session is not None:
            self._used_seconds += self._session.cpu_seconds
            self._context.__exit__(None, None, None)
        self._context = self._session = None

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        if self._session is None:
            self._start()
        session = self._session
        if session is None:
            return {"reason": "the test server does not start"}
        started = time.monotonic()
        try:
            answer: dict[str, Any] = session.ask(request, seconds=seconds + SPARE_SECONDS)
        except SessionEndedError as error:
            self._stop()
            after = time.monotonic() - started
            return {"reason": f"the test server ended after {after:.1f} s: {error.message}"}
        return answer


def pytest_arguments(tests: str) -> list[str]:
    """Take pytest's arguments out of a command.

    >>> pytest_arguments("python -m pytest -q tests")
    ['-q', 'tests']
    """
    words = shlex.split(tests)
    if words[:1] in (["pytest"], ["py.test"]):
        return words[1:]
    if len(words) >= 3 and words[0].startswith("python") and words[1:3] == ["-m", "pytest"]:
        return words[3:]
    message = f"The tests are to be run by {tests!r}, which is not pytest"
    raise CodingError(message, remedy='give a command such as "pytest -q tests"')


def _report(answer: dict[str, Any]) -> TestReport:
    return TestReport(
        cases=tuple(CaseReport(*case) for case in answer.get("cases", ())),
        complete=bool(answer.get("complete")),
        reason=str(answer.get("reason", "")),
        cpu_seconds=float(answer.get("cpu_seconds", 0.0)),
        lines={name: frozenset(lines) for name, lines in answer.get("lines", {}).items()},
    )
