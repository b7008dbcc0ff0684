"""Tests that pytest has collected, run over many texts without collecting them again."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from menace.self_coding_engine.forked_tests.overlay import lay_over
from menace.self_coding_engine.forked_tests.suites import References

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from menace.self_coding_engine.forked_tests.children import Tell
    from menace.self_coding_engine.forked_tests.recording import CallRecorder

PLAIN_MARKS = frozenset({"parametrize"})


def pytest_arguments(arguments: Sequence[str]) -> list[str]:
    """Add what a run here needs: no cache, no processes, no capture of the server's own files."""
    extra = ["-p", "no:cacheprovider", "-s"]
    if "xdist" in sys.modules:
        extra += ["-n", "0"]
    return [*arguments, *extra]


class CollectedTests:
    """A pytest session's tests, with what a text in place of the target has to replace.

    A plain function is called directly, all else goes through pytest's own protocol.
    """

    def __init__(self, session: pytest.Session, target: str) -> None:
        self._items = {item.nodeid: item for item in session.items}
        self.ids = list(self._items)
        self._session = session
        self._target = target
        self._deepest = sys.getrecursionlimit()
        module = next(
            (
                module
                for module in list(sys.modules.values())
                if os.path.realpath(getattr(module, "__file__", None) or "") == target
            ),
            None,
        )
        self.references = None if module is None else References(module)
        self._failures: list[BaseException] = []
        self._outcomes: list[str] = []
        session.config.pluginmanager.register(self)

    def load(self, source: str, recorder: CallRecorder | None) -> None:
        """Replace the target."""
        if self.references is None:
            message = "no test imports the target"
            raise ImportError(message)
        # A recorded call takes two frames.
        sys.setrecursionlimit(self._deepest if recorder is None else 2 * self._deepest)
        lay_over(self._target, source)
        self.references.replace(source, recorder)
        for item in self._items.values():
            if isinstance(item, pytest.Function) and "obj" in vars(item):
                del item.obj

    def is_plain(self, name: str) -> bool:
        """Whether a test is called directly."""
        return direct_call(self._items[name]) is not None

    def namespace(self) -> dict[str, Any]:
        """Give what the text has defined."""
        return {} if self.references is None else vars(self.references.module)

    def call(self, name: str) -> None:
        """Run a test; one that is skipped has not passed."""
        item = self._items[name]
        direct = direct_call(item)
        if direct is not None:
            direct()
            return
        self._failures, self._outcomes = [], []
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if self._failures:
            raise self._failures[0]
        if self._outcomes != ["passed"] * 3:
            message = f"pytest says {self._outcomes}"
            raise AssertionError(message)

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Keep what a phase raised."""
        if call.excinfo is not None:
            self._failures.append(call.excinfo.value)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep how a phase ended."""
        expected = report.skipped and is_expected_to_fail(self._items[report.nodeid], report)
        self._outcomes.append("passed" if expected else report.outcome)


def is_expected_to_fail(item: pytest.Item, report: pytest.TestReport) -> bool:
    """Whether a failure was announced by the test's own mark; not by a call while it ran."""
    return hasattr(report, "wasxfail") and item.get_closest_marker("xfail") is not None


def direct_call(item: pytest.Item) -> Callable[[], Any] | None:
    """How to call a test that is a plain function: no fixture, no class, no mark but parameters."""
    if not isinstance(item, pytest.Function) or item.cls is not None:
        return None
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if set(item.fixturenames) - set(parameters):
        return None
    if any(mark.name not in PLAIN_MARKS for mark in item.iter_markers()):
        return None
    names = item.function.__code__.co_varnames[: item.function.__code__.co_argcount]
    if item.function.__code__.co_flags & 0x1A0 or set(names) != set(parameters):
        # Generators, coroutines and parameters that reach the test through fixtures.
        return None
    return lambda: item.function(**{name: parameters[name] for name in names})


class _Reports:
    """Tells of each test as it begins and ends, in a session of its own."""

    def __init__(self, tell: Tell, only: Collection[str] | None, around: Any) -> None:
        self._tell = tell
        self._only = only
        self._around = around
        self._current: list[pytest.TestReport] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests that were asked for."""
        if self._only is not None:
            items[:] = [item for item in items if item.nodeid in self._only]
        self._tell(["collected", [item.nodeid for item in items]])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell of a file that cannot be collected."""
        if report.failed:
            self._tell(["uncollected", report.nodeid, str(report.longrepr)[-2000:]])

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Surround a test with what watches over it."""
        self._current = []
        self._tell(["begins", item.nodeid])
        with self._around(item.nodeid):
            yield
        reports = self._current
        if any(report.skipped and not is_expected_to_fail(item, report) for report in reports):
            self._tell(["skipped", item.nodeid])
            return
        bad = [report for report in reports if report.failed]
        passed = not bad and len(reports) == 3
        message = "" if passed else str(bad[0].longrepr)[-2000:] if bad else "it did not finish"
        self._tell(["ends", item.nodeid, message])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather the reports of the test's phases."""
        self._current.append(report)


def run_pytest(
    arguments: Sequence[str],
    target: str,
    source: str,
    *,
    tell: Tell,
    only: Collection[str] | None,
    around: Any,
) -> None:
    """Run pytest from its very start over a text."""
    lay_over(target, source)
    code = pytest.main(pytest_arguments(arguments), plugins=[_Reports(tell, only, around)])
    tell(["code", int(code)])


def collect_and_serve(
    arguments: Sequence[str],
    target: str,
    source: str,
    serve: Callable[[CollectedTests], None],
) -> None:
    """Let pytest collect over a text, then serve from inside its session."""

    class Serving:
        def pytest_runtestloop(self, session: pytest.Session) -> bool:
            if not session.testsfailed:
                serve(CollectedTests(session, target))
            return True

    lay_over(target, source)
    pytest.main(pytest_arguments(arguments), plugins=[Serving()])
