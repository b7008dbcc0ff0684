"""Constants are found, tuned by what is measured, and written back."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.patches import Claim
from menace.self_coding_engine.proposal import CodingTask
from menace.self_coding_engine.proposers.tuning import TuningProposer
from menace.self_coding_engine.proposers.tuning_literals import (
    Tunable,
    literal,
    tunables,
    with_values,
)
from self_coding_engine.proposers.printed_workbench import PrintedWorkbench

SOURCE = """\
WINDOW = 20  # tune: 1..60
RATE = 0.5  # tune: log 1e-3..1
KIND = "mean"  # tune: "mean" | "median" | "max"
OTHER = 7


def smooth(values, *, alpha=0.3):  # tune: 0..1
    return dict(
        size=4,  # tune: 2..8
        offset=-1.5,  # tune: -3..3
    )
"""


def facts(tunable: Tunable) -> tuple[object, ...]:
    return tunable.name, tunable.value, tunable.low, tunable.high, tunable.log, tunable.options


def test_marks_are_read() -> None:
    assert [facts(tunable) for tunable in tunables(SOURCE)] == [
        ("WINDOW", 20, 1.0, 60.0, False, ()),
        ("RATE", 0.5, 0.001, 1.0, True, ()),
        ("KIND", "mean", 0.0, 0.0, False, ("mean", "median", "max")),
        ("alpha", 0.3, 0.0, 1.0, False, ()),
        ("dict(size)", 4, 2.0, 8.0, False, ()),
        ("dict(offset)", -1.5, -3.0, 3.0, False, ()),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "X = 3  # tune: a..b",
        "X = 'a'  # tune: 1..2",
        "X = 3  # tune: 1",
        "X = f()  # tune: 1..2",
        "X = 3  # tune: one | two",
    ],
)
def test_marks_that_say_nothing_are_left_alone(line: str) -> None:
    assert tunables(f"{line}\nY = 4\n") == []


def test_without_marks_numbers_at_module_level_and_in_keywords_are_found() -> None:
    source = "A = 8\nB = 0.5\nC = True\nD = 'x'\nE = 0\ndef f():\n    local = 3\n    g(4, k=-2.0)\n"
    assert [facts(t) for t in tunables(source)] == [
        ("A", 8, 2, 32, True, ()),
        ("B", 0.5, 0.125, 1.0, True, ()),
        ("g(k)", -2.0, -8.0, -0.5, False, ()),
    ]


numbers = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(numbers, numbers, st.text(alphabet="äb '\"\\", max_size=5))
def test_only_the_values_change(first: float, second: float, text: str) -> None:
    source = f"ä = {first!r}  # tune: 0..1\nB = {text!r}  # tune: 'a' | 'b'\nC = {second!r}\n"
    found = tunables(source)
    new = with_values(source, dict(zip(found, [0.25, 'a"b'], strict=True)))
    assert new == f"ä = 0.25  # tune: 0..1\nB = 'a\"b'  # tune: 'a' | 'b'\nC = {second!r}\n"
    assert with_values(source, {found[1]: text}).splitlines()[0] == source.splitlines()[0]
    assert ast.literal_eval(literal(text)) == text


def tuned(figure: str, source: str = SOURCE, **values: object) -> list[str]:
    task = CodingTask(root=Path(), target="helper.py", source=source, seed=5)
    workbench = PrintedWorkbench(figure=figure, **values)  # type: ignore[arg-type]
    return [proposal.source for proposal in TuningProposer().propose(task, workbench)]


def test_the_optimum_is_neared_and_named() -> None:
    task = CodingTask(root=Path(), target="helper.py", source=SOURCE, seed=5)
    workbench = PrintedWorkbench(figure="1 + abs(WINDOW - 45) + (KIND != 'median')", runs=150)
    (proposal,) = TuningProposer().propose(task, workbench)
    names: dict[str, object] = {}
    exec(proposal.source, names)  # noqa: S102 - the text is ours
    assert abs(int(str(names["WINDOW"])) - 45) < 15
    assert proposal.claim is Claim.IMPROVES
    assert proposal.operator == "marked_constants"
    assert "WINDOW 20 → " in proposal.explanation


def test_constants_that_do_not_matter_stay_as_they_are() -> None:
    (text,) = tuned("abs(WINDOW - 45)", runs=150)
    assert "RATE = 0.5" in text
    assert "OTHER = 7" in text
    assert "alpha=0.3" in text


def test_a_gain_within_the_noise_is_no_proposal() -> None:
    noise = "__import__('random').random()"
    assert tuned(f"10 + {noise} - 0.0001 * WINDOW", runs=120) == []


def test_values_whose_tests_fail_are_not_proposed() -> None:
    for text in tuned("abs(WINDOW - 45)", tests=["WINDOW < 30"], runs=150):
        names: dict[str, object] = {}
        exec(text, names)  # noqa: S102 - the text is ours
        assert int(str(names["WINDOW"])) < 30


def test_without_a_figure_there_is_nothing_to_tune_by() -> None:
    task = CodingTask(root=Path(), target="helper.py", source=SOURCE)
    assert list(TuningProposer().propose(task, PrintedWorkbench())) == []


def test_a_text_that_does_not_parse_is_left_alone() -> None:
    assert tuned("1", source="X = (3  # tune: 1..2\n") == []
