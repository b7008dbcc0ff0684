"""Edit lists: applied, searched, and cut down to what matters."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from menace.patches import Claim
from menace.self_coding_engine.proposal import CodingTask
from menace.self_coding_engine.proposers.genetic import GeneticProposer, GeneticSettings
from menace.self_coding_engine.proposers.genetic_edits import (
    COPY,
    DELETE,
    MOVE,
    REPLACE,
    Edit,
    EditableText,
    minimal,
)
from self_coding_engine.proposers.printed_workbench import PrintedWorkbench

SOURCE = """\
def total(values):
    found = 0
    for value in values:
        found += value
        found = 0
    return found


def other():
    return 1
"""


def test_edits_are_applied_to_the_statements_of_the_unedited_text() -> None:
    text = EditableText(SOURCE)
    assert text.size == 6
    assert "        found = 0" not in text.apply([Edit(DELETE, 3)])
    assert text.apply([Edit(COPY, 2, 4)]).count("return found") == 2
    assert text.apply([Edit(REPLACE, 3, 2)]).count("found += value") == 2
    moved = text.apply([Edit(MOVE, 2, 3)])
    assert moved.index("found += value") < moved.rindex("found = 0")
    assert moved.count("found = 0") == 2
    assert text.apply([]) == SOURCE


def test_a_body_that_is_left_empty_passes() -> None:
    text = EditableText(SOURCE)
    assert "def other():\n    pass" in text.apply([Edit(DELETE, 5)])


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_any_list_of_edits_gives_a_text_that_parses(seed: int, size: int) -> None:
    text, rng = EditableText(SOURCE), np.random.default_rng(seed)
    edits = [text.random_edit(rng) for _ in range(size)]
    ast.parse(text.apply(edits))
    assert text.apply(edits) == text.apply(edits)
    assert text.describe(edits)


@given(st.sets(st.integers(0, 15), min_size=1, max_size=5))
def test_delta_debugging_keeps_what_matters_and_nothing_else(matters: set[int]) -> None:
    assert minimal(list(range(16)), lambda kept: matters <= set(kept)) == sorted(matters)  # type: ignore[arg-type, comparison-overlap]


def proposals(tests: list[str], *, figure: str | None, source: str = SOURCE) -> list[str]:
    workbench = PrintedWorkbench(figure=figure, tests=tests)
    report = workbench.run_tests(source)
    task = CodingTask(root=Path(), target="helper.py", source=source, report=report, seed=1)
    proposer = GeneticProposer(GeneticSettings(population=12, generations=12))
    found = list(proposer.propose(task, workbench))
    assert all(proposal.claim is not Claim.SPEEDS for proposal in found)
    return [proposal.source for proposal in found]


def test_a_line_that_breaks_a_test_is_got_out_of_the_way() -> None:
    tests = ["total([1, 2]) == 3", "total([]) == 0", "other() == 1"]
    (text,) = proposals(tests, figure=None)
    report = PrintedWorkbench(tests=tests).run_tests(text)
    assert report is not None
    assert report.passed
    assert "        found = 0\n" not in text


def test_a_figure_is_improved_where_the_tests_leave_room() -> None:
    source = "def steps():\n    found = 3\n    found += 5\n    return found\n"
    (text,) = proposals(["steps() > 0"], figure="steps()", source=source)
    figure = PrintedWorkbench(figure="steps()").measure(text)
    assert figure is not None
    assert 0 < figure < 8


def test_without_tests_nothing_is_searched() -> None:
    task = CodingTask(root=Path(), target="helper.py", source=SOURCE)
    assert list(GeneticProposer().propose(task, PrintedWorkbench(figure="1"))) == []
