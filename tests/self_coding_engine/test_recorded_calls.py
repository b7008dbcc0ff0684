"""Calls are recorded while tests run, and repeated on other texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from menace.errors import CodingError
from menace.self_coding_engine.recorded_calls import (
    Outcome,
    RecordedCall,
    RecordedCalls,
    differences,
    record_calls,
    replay,
    same,
)
from menace.self_coding_engine.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

HELPER = """\
import sys

def total(values, *, start=0):
    return start + sum(_plain(values))

def _plain(values):
    return list(values)

def first(values):
    values.sort()
    return values[0]

def loud(text):
    print(text)

def of(thing):
    return thing.size

def numbers():
    yield from (1, 2, 3)
"""
TESTS = """\
import pytest
from code.helper import first, loud, numbers, of, total

class Thing:
    size = 3

def test_total():
    assert total([1, 2], start=3) == 6
    assert total([1, 2], start=3) == 6
    assert total((0.5, 0.25)) == 0.75

def test_first():
    assert first([3, 1]) == 1
    with pytest.raises(IndexError):
        first([])

def test_rest():
    loud("a")
    assert of(Thing()) == 3
    assert list(numbers()) == [1, 2, 3]
"""


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox.find()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "code").mkdir()
    (folder / "code" / "__init__.py").write_text("")
    (folder / "code" / "helper.py").write_text(HELPER)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_helper.py").write_text(TESTS)
    return folder


@pytest.fixture(scope="module")
def recorded(sandbox: Sandbox, folder: Path) -> RecordedCalls:
    return record_calls(sandbox, folder, "code/helper.py")


def test_distinct_calls_from_outside_are_recorded(recorded: RecordedCalls) -> None:
    assert recorded.calls == (
        RecordedCall.of("total", [1, 2], start=3),
        RecordedCall.of("total", (0.5, 0.25)),
        RecordedCall.of("first", [3, 1]),
        RecordedCall.of("first", []),
        RecordedCall.of("loud", "a"),
        RecordedCall.of("numbers"),
    )
    assert (recorded.seen, recorded.left_out) == (8, 1)
    assert RecordedCalls.from_json(recorded.to_json()) == recorded


def test_a_function_keeps_so_many_calls_and_no_more(sandbox: Sandbox, folder: Path) -> None:
    found = record_calls(sandbox, folder, "code/helper.py", per_function=1)
    assert [call.function for call in found.calls] == ["total", "first", "loud", "numbers"]
    assert found.left_out == 4


def test_unittest_is_understood(sandbox: Sandbox, folder: Path) -> None:
    (folder / "test_other.py").write_text(
        "import unittest\nfrom code.helper import first\n\n"
        "class Case(unittest.TestCase):\n"
        "    def test_it(self):\n        self.assertEqual(first([2, 1]), 1)\n"
    )
    found = record_calls(sandbox, folder, "code/helper.py", "python -m unittest test_other")
    assert found.calls == (RecordedCall.of("first", [2, 1]),)


def test_another_runner_is_refused_with_a_remedy(sandbox: Sandbox, folder: Path) -> None:
    with pytest.raises(CodingError, match="pytest or unittest"):
        record_calls(sandbox, folder, "code/helper.py", "make test")


def test_tests_that_end_the_process_are_an_error(sandbox: Sandbox, folder: Path) -> None:
    (folder / "test_end.py").write_text("import os\nos._exit(0)\n")
    with pytest.raises(CodingError, match="ended before"):
        record_calls(sandbox, folder, "code/helper.py", "pytest -q test_end.py")


def outcomes(
    sandbox: Sandbox, folder: Path, source: str, recorded: RecordedCalls
) -> tuple[Outcome, ...]:
    return replay(
        sandbox, folder=folder, target="code/helper.py", source=source, calls=recorded.calls
    )


def test_results_errors_arguments_and_prints_are_seen(
    sandbox: Sandbox, folder: Path, recorded: RecordedCalls
) -> None:
    found = outcomes(sandbox, folder, HELPER, recorded)
    assert [outcome.result for outcome in found] == [
        *(6, 0.75, 1, None, None),
        {"!": "iterator", "v": [1, 2, 3]},
    ]
    assert found[3].raised == ("IndexError", "list index out of range")
    assert found[2].arguments is not None
    assert found[0].arguments is None
    assert found[4].printed == "a\n"


@pytest.mark.parametrize(
    ("old", "new", "different"),
    [
        ("sum(_plain(values))", "sum(values)", []),
        ("start + sum", "sum", [0]),
        ("values.sort()\n    return values[0]", "return sorted(values)[0]", [2]),
        ("print(text)", "print(text.upper())", [4]),
        ("return values[0]", "return values[0] if values else None", [3]),
        ("print(text)", "sys.exit()", [4]),
        ("print(text)", "import os; os._exit(0)", [4, 5]),
        ("(1, 2, 3)", "(1, 2)", [5]),
    ],
)
def test_what_a_text_does_otherwise_is_found(
    sandbox: Sandbox,
    folder: Path,
    recorded: RecordedCalls,
    old: str,
    new: str,
    different: list[int],
) -> None:
    before = outcomes(sandbox, folder, HELPER, recorded)
    after = outcomes(sandbox, folder, HELPER.replace(old, new), recorded)
    assert differences(before, after) == different


def test_numbers_are_the_same_up_to_rounding() -> None:
    assert same(0.1 + 0.2, 0.3)
    assert not same(0.3, 0.30001)
    assert not same(True, 1)
    assert same({"!": "numpy.scalar", "v": [1.5]}, 1.5)
    assert not same({"a": 1, "b": 2}, {"b": 2, "a": 1})


def test_an_unknown_outcome_shows_nothing_but_a_new_unknown_one_differs() -> None:
    known, unknown = Outcome(result=1), Outcome(unknown="no plain data")
    assert differences([unknown], [known]) == []
    assert differences([known], [unknown]) == [0]


def test_a_helper_named_like_a_library_module_hides_none(tmp_path: Path) -> None:
    helpers, tests = tmp_path / "helpers", tmp_path / "tests"
    helpers.mkdir()
    tests.mkdir()
    (helpers / "calendar.py").write_text("def hours(day):\n    return 24 * day\n")
    (tests / "conftest.py").write_text(
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parents[1]))\n"
    )
    (tests / "test_hours.py").write_text(
        "import calendar\nfrom helpers.calendar import hours\n\n\n"
        "def test_it():\n    assert calendar.MONDAY == 0\n    assert hours(2) == 48\n"
    )
    recorded = record_calls(Sandbox.find(), tmp_path, "helpers/calendar.py", "pytest -q tests")
    assert [(call.function, call.args) for call in recorded.calls] == [("hours", [2])]
