"""The benchmarks of speed rules and of measuring run, at the smallest size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from benchmarks.planted_inputs import HELD_OUT, INPUTS

from benchmarks import ab_noise, planted_inefficiencies

if TYPE_CHECKING:
    from pathlib import Path


def test_every_planted_function_has_tests_and_inputs() -> None:
    folder = planted_inefficiencies.PLANTED
    names = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert names == set(INPUTS)
    assert names == {path.stem.removeprefix("test_") for path in folder.glob("tests/test_*.py")}
    assert len(names) == 12
    assert set(HELD_OUT) < names


def test_inputs_are_the_same_again_for_the_same_seed() -> None:
    for name in INPUTS:
        made = planted_inefficiencies.made_calls
        assert made(name, 3) == made(name, 3) != made(name, 4)


@pytest.mark.slow
def test_a_planted_function_is_improved_and_judged(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    planted_inefficiencies.main(["--out", str(out), "--only", "drawdown", "--looks", "12"])
    found = json.loads(out.read_text())
    (row,) = found["rows"]
    assert found["functions"] == 1
    assert (found["slower"], found["wrong"]) == (0, 0)
    assert "accumulate" in row["text"] or row["kept"] == []


@pytest.mark.slow
def test_noise_is_measured_on_identical_and_on_quicker_texts(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    arguments = ["--pairs", "1", "--true-pairs", "1", "--busy", "1", "--out", str(out)]
    ab_noise.main(arguments)
    found = json.loads(out.read_text())
    assert found["identical"]["offered"] == 1
    assert [part["offered"] for part in found["true_gains"].values()] == [1, 1, 1]
