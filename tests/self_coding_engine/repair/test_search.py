"""Whole searches over small faulty programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from menace.self_coding_engine.repair.search import RepairSearch
from menace.self_coding_engine.sandbox import Sandbox
from menace.self_coding_engine.testing import TestServer

if TYPE_CHECKING:
    from pathlib import Path

    from menace.self_coding_engine.repair.search import Found


def repaired(folder: Path, source: str, *asserts: str, seconds: float = 30.0) -> Found:
    (folder / "program.py").write_text(source)
    cases = [(f"case {k}", f"assert {text}") for k, text in enumerate(asserts)]
    with TestServer(
        Sandbox.find(), folder=folder, target="program.py", cases=cases, test_seconds=0.5
    ) as server:
        return RepairSearch(server, source, seconds=seconds).run()


@pytest.mark.parametrize(
    ("source", "asserts", "right"),
    [
        (
            "def highest(values):\n    best = values[0]\n    for value in values:\n"
            "        if value < best:\n            best = value\n    return best\n",
            ("highest([1, 3, 2]) == 3", "highest([5]) == 5", "highest([2, 9, 4, 9]) == 9"),
            "if value > best",
        ),
        (
            "def steps(n):\n    count = 0\n    while n != 0:\n        n = n + 1\n"
            "        count += 1\n    return count\n",
            ("steps(0) == 0", "steps(3) == 3", "steps(7) == 7"),
            "n = n - 1",
        ),
        (
            "def flat(rows):\n    found = []\n    for row in rows:\n"
            "        found.append(row)\n    return found\n",
            ("flat([[1, 2], [3]]) == [1, 2, 3]", "flat([]) == []", "flat([[], [4]]) == [4]"),
            "found.extend(row)",
        ),
    ],
)
def test_a_single_edit_is_found(
    tmp_path: Path, source: str, asserts: tuple[str, ...], right: str
) -> None:
    found = repaired(tmp_path, source, *asserts, seconds=20.0)
    assert found.status == "repaired"
    assert found.choice is not None
    assert right in found.choice.patch.source
    assert found.candidates > 10


def test_two_edits_are_found(tmp_path: Path) -> None:
    source = (
        "def longest_run(values):\n    best = current = 0\n    previous = None\n"
        "    for value in values:\n        if value == previous:\n            current += 1\n"
        "        else:\n            current = 0\n        previous = value\n"
        "        if current < best:\n            best = current\n    return best\n"
    )
    asserts = (
        "longest_run([1, 1, 2]) == 2",
        "longest_run([]) == 0",
        "longest_run([3, 3, 3, 1, 1]) == 3",
        "longest_run([1, 2, 3, 3]) == 2",
    )
    found = repaired(tmp_path, source, *asserts, seconds=40.0)
    assert found.patches
    assert len(found.patches[0].edits) == 2
    assert "current > best" in found.patches[0].source


def test_a_program_that_passes_is_left_alone(tmp_path: Path) -> None:
    found = repaired(tmp_path, "def one():\n    return 1\n", "one() == 1")
    assert (found.status, found.candidates) == ("passing", 0)


def test_what_no_small_edit_mends_stays_as_it_is(tmp_path: Path) -> None:
    source = "def secret(a):\n    return a\n"
    found = repaired(
        tmp_path, source, "secret(3) == 'xq81'", "secret(4) == 'zz7'", "secret(5) == 'k'", seconds=6
    )
    assert found.status == "unrepaired"
    assert found.choice is None
    assert found.seconds <= 6.5


def test_thin_evidence_leaves_the_search_unsure(tmp_path: Path) -> None:
    source = "def blend(a, b, c):\n    return a + b + c\n"
    found = repaired(tmp_path, source, "blend(2, 2, 2) == 4")
    assert found.status == "unsure"
    assert len(found.patches) > 5
