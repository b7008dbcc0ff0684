"""The repair benchmark over programs of our own: what it reads, sees, hides and writes."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.repair import __main__ as program
from benchmarks.repair import humaneval, quixbugs

from menace.self_coding_engine.sandbox import Sandbox
from quixbugs_shape import write_checkout

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    {
        "task_id": "Own/0",
        "entry_point": "largest",
        "bug_type": "operator misuse",
        "prompt": "def largest(values):\n",
        "declaration": "def largest(values):\n",
        "buggy_solution": "    return min(values)\n",
        "example_test": "def check(largest):\n    assert largest([1, 3]) == 3\ncheck(largest)\n",
        "test": "def check(largest):\n    assert largest([5, 2]) == 5\n\ncheck(largest)\n",
    },
    {
        "task_id": "Own/1",
        "entry_point": "untested",
        "bug_type": "missing logic",
        "prompt": "def untested(a):\n",
        "declaration": "def untested(a):\n",
        "buggy_solution": "    return a\n",
        "example_test": "",
        "test": "def check(f):\n    assert f(1) == 2\ncheck(untested)\n",
    },
]


def data_file(folder: Path) -> Path:
    path = folder / "own.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in ROWS)
    return path


@pytest.mark.slow
def test_both_sets_are_measured_and_written(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    checkout = write_checkout(tmp_path / "checkout", only=("clamped", "chain_sum", "halvings"))
    given = ["--data", str(data_file(tmp_path)), "--quixbugs", str(checkout), "--out", str(out)]
    assert program.main([*given, "--budget-seconds", "15"]) == 0
    report: dict[str, Any] = json.loads(out.read_text())
    status = {row["task_id"]: row["status"] for row in report["rows"]}
    assert report["programs"] == len(status) == 5
    assert status["Own/0"] == "correct"
    assert status["Own/1"] == "no_tests"
    assert status["QuixBugs/clamped"] == "correct"
    assert report["correct"] <= report["plausible"] <= 4
    assert report["correct"] >= 2
    for row in report["rows"]:
        assert {"task_id", "status", "seconds", "candidates", "operator"} <= set(row)
        assert row["seconds"] <= 15 * 1.02
    assert report["environment"]["budget_seconds"] == 15


def test_a_checkout_is_read_where_it_lies(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "checkout")
    programs = quixbugs.read_programs(checkout)
    names = {one.name for one in programs}
    assert {"clamped", "stairs", "deepest"} <= names
    assert "node" not in names, "a helper without tests of its own is no program"
    tests = ["a", "b", "c", "d", "e"]
    assert quixbugs.visible_half(tests) == ["a", "c", "e"]
    assert quixbugs.held_out_half(tests) == ["b", "d"]
    assert quixbugs.held_out_half(["a"]) == ["a"]


def test_a_patch_is_also_compared_with_the_correct_program(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "checkout", only=("clamped",))
    (clamped,) = quixbugs.read_programs(checkout)
    sandbox = Sandbox.find()
    right = clamped.source().replace("min(low,", "max(low,")
    fitted = right.replace("    return [", "    if low == high:\n        return []\n    return [")
    assert clamped.judge(sandbox, right)
    assert not clamped.judge(sandbox, clamped.source())
    assert not clamped.judge(sandbox, fitted)


def test_asserts_are_shown_one_by_one_with_what_precedes_them() -> None:
    script = "def check(f):\n    one = 1\n    assert f(one)\n    assert f(2) == [3]\ncheck(g)\n"
    first, second = humaneval.split_asserts(script)
    assert "one = 1" in second
    assert first.count("assert") == second.count("assert") == 1
    assert list(humaneval.literals(second)) == ["[3]"]


def test_a_script_that_is_set_out_wrongly_is_read_by_line() -> None:
    script = " def check(f):\n    assert f(1)\n  assert f(2)\ncheck(g)"
    assert len(humaneval.split_asserts(script)) == 2


def test_without_asserts_the_examples_of_the_docstring_are_shown(tmp_path: Path) -> None:
    prompt = 'def twice(a):\n    """Double it.\n\n    >>> twice(2)\n    4\n    """\n'
    assert humaneval.doctest_asserts(prompt) == ["assert (twice(2)) == (4)"]
    path = tmp_path / "one.jsonl"
    row = {**ROWS[1], "prompt": prompt, "buggy_solution": "    return a\n"}
    path.write_text(json.dumps(row) + "\n")
    (only,) = humaneval.read_programs(path)
    assert len(only.cases) == 1


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(SystemExit):
        program.main([])
