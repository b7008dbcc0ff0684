"""The repair proposer: what it says, and when it is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.patches import Claim
from menace.self_coding_engine.proposal import CaseReport, CodingTask, TestReport
from menace.self_coding_engine.proposers.repair import RepairProposer
from menace.self_coding_engine.sandbox import Sandbox
from menace.self_coding_engine.testing import TestServer

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "def span(values):\n    return max(values) + min(values)\n"
TESTS = """\
from helper import span


def test_span():
    assert span([1, 4, 9]) == 8


def test_one():
    assert span([7]) == 0
"""


class ServedBench:
    """A workbench over one test server."""

    def __init__(self, server: TestServer | None) -> None:
        self.test_server = server

    def seconds_left(self) -> float:
        return 30.0

    def run_tests(self, source: str, *, lines: bool = False) -> TestReport | None:
        return None if self.test_server is None else self.test_server.run(source, lines=lines)

    def measure(self, source: str) -> float | None:
        return None

    def validate(self, source: str) -> float | None:
        return None


def task(root: Path, report: TestReport | None) -> CodingTask:
    return CodingTask(root=root, target="helper.py", source=SOURCE, report=report)


def test_a_failing_test_gets_an_explained_repair(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(SOURCE)
    (tmp_path / "test_helper.py").write_text(TESTS)
    with TestServer(
        Sandbox.find(), folder=tmp_path, target="helper.py", tests="pytest -q test_helper.py"
    ) as server:
        report = server.run(SOURCE)
        proposals = list(RepairProposer().propose(task(tmp_path, report), ServedBench(server)))
    first = proposals[0]
    assert first.source == SOURCE.replace("+", "-")
    assert (first.claim, first.operator, first.target) == (
        Claim.REPAIRS,
        "arithmetic",
        "helper.py",
    )
    assert first.explanation == (
        "line 2: it changes an arithmetic or bit operator (max(values) - min(values))"
    )
    assert first.parameters["edits"][0]["line"] == 2
    assert 0.0 < first.prior <= 1.0


def test_it_is_silent_where_no_test_fails_or_nothing_can_run(tmp_path: Path) -> None:
    proposer = RepairProposer()
    good = TestReport((CaseReport("a", True),), True)
    bad = TestReport((CaseReport("a", False),), True)
    assert list(proposer.propose(task(tmp_path, None), ServedBench(None))) == []
    assert list(proposer.propose(task(tmp_path, good), ServedBench(None))) == []
    assert list(proposer.propose(task(tmp_path, bad), ServedBench(None))) == []
