from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.accounting import ModuleRoiLog
from menace.cli.rankings import BAR_HALF, bar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran
    from support import DriftingStream

    Menace = Callable[..., Ran]


@pytest.mark.usefixtures("cared")
def test_a_settled_cycle_shows_in_the_rankings(menace: Menace) -> None:
    shown = menace("rankings", "alpha", "--json")
    assert shown.document["cycles"] == 1
    [row] = shown.document["modules"]
    assert (row["module"], row["total"], row["cycles"], row["flat"]) == ("model", 0.0, 1, False)


def test_before_any_cycle_the_command_to_run_one_is_named(
    menace: Menace, folder: Path, stream: DriftingStream
) -> None:
    del folder
    stream.grow(30)
    assert menace("bot", "add", "alpha", "--source", stream.path, "--target", "label").code == 0
    shown = menace("rankings", "alpha")
    assert (shown.code, shown.out) == (
        0,
        "no cycle of alpha is settled yet; menace cycle alpha runs one\n",
    )
    assert menace("rankings", "alpha", "--json").document["modules"] == []


def test_modules_stand_best_first_with_bars_and_flat_ones_are_marked(
    menace: Menace, cared: DriftingStream, folder: Path
) -> None:
    del cared
    log = ModuleRoiLog(folder / "state" / "alpha.modules.jsonl")
    for cycle in (2, 3, 4):
        log.log_cycle(cycle, 0.5, {"window": 0.75, "family:linear": -0.25})
    told = menace("rankings", "alpha").out
    lines = told.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["window", "model", "family:linear"]
    assert "+2.25" in lines[2]
    assert "│" + "█" * BAR_HALF in lines[2]
    assert "█│" in lines[4]
    assert lines[-1] == "3 modules over 4 settled cycles; 64 buckets, 0 collisions"
    flat = menace("rankings", "alpha", "--threshold", 0.75).out
    assert flat.splitlines()[-1].endswith("; no longer moving: window, family:linear")
    assert log.diminishing(0.75) == ["family:linear", "window"]  # to look is not to be told


@pytest.mark.usefixtures("folder")
def test_an_unknown_bot_and_wrong_options_are_refused(
    menace: Menace, cared: DriftingStream
) -> None:
    del cared
    assert "no bot" in menace("rankings", "beta").err
    for option in (("--threshold", "-1"), ("--consecutive", "0")):
        refused = menace("rankings", "alpha", *option)
        assert (refused.code, "remedy:" in refused.err) == (1, True)


@given(value=st.floats(-1e9, 1e9), largest=st.floats(0, 1e9))
def test_a_bar_is_as_wide_whatever_it_shows(value: float, largest: float) -> None:
    drawn = bar(value, max(largest, abs(value)))
    assert len(drawn) == 2 * BAR_HALF + 1
    assert drawn[BAR_HALF] == "│"
    shown = drawn[BAR_HALF + 1 :] if value >= 0 else drawn[:BAR_HALF]
    assert bool(shown.strip()) == (value != 0)
