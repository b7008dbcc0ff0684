"""One of several marked implementations is chosen by what is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from menace.patches import Claim
from menace.self_coding_engine.proposal import CodingTask, TestReport
from menace.self_coding_engine.proposers.implementations import (
    Choice,
    ImplementationProposer,
    choices,
)
from self_coding_engine.proposers.printed_workbench import PrintedWorkbench

SOURCE = """\
def loss_far(): return 9
def loss_near(): return 2
def loss_wrong(): return 1

loss = loss_far  # one of: loss_far, loss_near, loss_wrong, loss_missing
LIMIT = 3
"""


def task(source: str = SOURCE, **values: object) -> CodingTask:
    return CodingTask(root=Path(), target="helper.py", source=source, **values)  # type: ignore[arg-type]


def test_marked_lines_are_found_with_what_the_file_defines() -> None:
    assert choices(SOURCE) == [Choice(5, "loss", "loss_far", ("loss_near", "loss_wrong"))]


@pytest.mark.parametrize(
    "line",
    [
        "f = a  # one of: a",
        "f = a(3)  # one of: a, b",
        "# f = a  # one of: a, b",
        "f = a  # some of: a, b",
        "f = a  # one of: a, unknown",
    ],
)
def test_other_lines_are_not(line: str) -> None:
    assert choices(f"def a(): ...\ndef b(): ...\n{line}\n") == []


def test_a_line_with_a_type_and_other_line_ends_keeps_them() -> None:
    source = "def a(): ...\r\ndef b(): ...\r\nf: object = a   # one of: a, b\r\n"
    (choice,) = choices(source)
    assert choice.with_other(source, "b") == source.replace("= a ", "= b ")


def test_the_best_one_whose_tests_pass_is_proposed() -> None:
    workbench = PrintedWorkbench(figure="loss()", tests=["loss() > 1"])
    (proposal,) = ImplementationProposer().propose(task(), workbench)
    assert proposal.source == SOURCE.replace("loss = loss_far ", "loss = loss_near ")
    assert proposal.claim is Claim.IMPROVES
    assert proposal.parameters == {"name": "loss", "old": "loss_far", "new": "loss_near"}


def test_the_present_one_stays_where_it_is_the_best() -> None:
    workbench = PrintedWorkbench(figure="-loss()")
    assert list(ImplementationProposer().propose(task(), workbench)) == []


def test_without_a_figure_the_time_of_the_tests_decides_what_the_speed_gate_is_shown() -> None:
    source = (
        "def slow(): return sum(x * x for x in range(3_000_000))\n"
        "def quick(): return 8999995500000500000\n"
        "total = slow  # one of: slow, quick\n"
    )
    workbench = PrintedWorkbench(tests=["total() == 8999995500000500000"])
    (proposal,) = ImplementationProposer().propose(task(source), workbench)
    assert proposal.claim is Claim.SPEEDS
    assert "total = quick" in proposal.source


def test_where_tests_fail_nothing_is_chosen() -> None:
    workbench = PrintedWorkbench(figure="loss()")
    failing = TestReport((), complete=False)
    assert list(ImplementationProposer().propose(task(report=failing), workbench)) == []
