"""Generated features are readable code, and what is written by hand stays as it is."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.errors import CodingError
from menace.helper_code import FeatureHelper
from menace.records import BotConfig
from menace.self_coding_engine.proposers.feature_ideas import Idea, ideas_for
from menace.self_coding_engine.proposers.feature_schema import Kind, read_schema
from menace.self_coding_engine.proposers.feature_text import (
    function_text,
    generated_names,
    with_ideas,
)

BY_HAND = '''\
"""Written by hand."""
import pandas as pd

CONTEXT_ROWS = 3


# Why this is so.
def features(rows):
    x = 1   # odd   spacing
    return pd.DataFrame({"mine": rows["temp"].shift(3)})
'''


def hourly(count: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    hours = np.arange(count)
    day = hours // 24 % 7
    holiday = pd.Series([None] * count, dtype=object)
    holiday[48] = "Labour Day"
    return pd.DataFrame(
        {
            "at": pd.date_range("2024-01-01", periods=count, freq="h").astype(str),
            "hour": hours % 24,
            "day": day,
            "working": (day < 5).astype(int),
            "holiday": holiday,
            "temp": rng.normal(size=count),
            "wind": rng.normal(size=count),
            "sky": rng.choice(["clear", "rain"], size=count),
            "grade": rng.integers(1, 5, size=count),
            "y": rng.integers(0, 2, size=count),
        }
    )


BOT = BotConfig("alpha", None, "y", time="at")
HIDDEN = frozenset({"y"})


def all_ideas(rows: pd.DataFrame) -> list[Idea]:
    return ideas_for(read_schema(rows, BOT, hidden=HIDDEN))


def helper(source: str) -> FeatureHelper:
    return FeatureHelper.of_text(source, place="features.py")


def test_columns_are_known_by_what_they_hold() -> None:
    schema = read_schema(hourly(), BOT, hidden=HIDDEN)
    assert {column.name: column.kind for column in schema.columns} == {
        "at": Kind.TIME,
        "hour": Kind.HOUR,
        "day": Kind.WEEKDAY,
        "working": Kind.FLAG,
        "holiday": Kind.SPARSE,
        "temp": Kind.QUANTITY,
        "wind": Kind.QUANTITY,
        "sky": Kind.CATEGORY,
        "grade": Kind.GRADE,
    }
    assert schema.ordered


def test_nothing_is_made_of_neighbours_where_rows_share_a_time() -> None:
    rows = hourly().drop(columns="hour")
    rows["at"] = np.arange(len(rows)) // 50
    assert not any(idea.context_rows for idea in all_ideas(rows))


def test_no_idea_reads_the_target_or_what_is_dropped() -> None:
    hidden = frozenset({"y", "wind"})
    ideas = ideas_for(read_schema(hourly(), BOT, hidden=hidden))
    text = "".join(function_text(idea) for idea in ideas)
    assert "wind" not in text
    assert '"y"' not in text


def test_every_idea_runs_and_depends_on_its_context_only() -> None:
    rows = hourly()
    for idea in all_ideas(rows):
        made = helper(with_ideas("", [idea], function="features"))
        columns = made(rows, hidden=HIDDEN)
        assert list(columns.columns) == [name for name, _ in idea.columns]
        made.check_context(rows, columns, hidden=HIDDEN)
        assert made.context_rows == idea.context_rows
        assert len(made(rows.iloc[:0], hidden=HIDDEN)) == 0


def test_features_outlive_a_column_that_disappears() -> None:
    rows = hourly()
    ideas = [idea for idea in all_ideas(rows) if idea.family != "calendar"]
    made = helper(with_ideas("", ideas, function="features"))
    assert len(made(rows[["at", "temp", "y"]], hidden=HIDDEN)) == len(rows)


def test_a_new_file_is_formatted_and_clean(tmp_path: Path) -> None:
    rows = hourly()
    file = tmp_path / "features.py"
    file.write_text(with_ideas("", all_ideas(rows), function="features"), encoding="utf-8")
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    assert ruff is not None
    for command in (["check", "--select", "E,F,W,I,B"], ["format", "--check"]):
        subprocess.run(
            [ruff, command[0], "--isolated", "--line-length", "100", *command[1:], str(file)],
            check=True,
        )


def test_what_is_written_by_hand_stays_to_the_letter() -> None:
    ideas = all_ideas(hourly())[:5]
    changed = with_ideas(BY_HAND, ideas, function="features")
    added = [line for line in changed.splitlines() if line not in BY_HAND.splitlines()]
    assert "@_with_generated" in added
    kept = [line for line in changed.splitlines() if line not in added]
    assert [line for line in kept if line] == [line for line in BY_HAND.splitlines() if line]
    made = helper(changed)
    columns = made(hourly(), hidden=HIDDEN)
    assert next(iter(columns.columns)) == "mine"
    assert made.context_rows == max([3, *(idea.context_rows for idea in ideas)])
    names = [idea.name for idea in ideas]
    assert generated_names(changed) == tuple(names)
    back = with_ideas(changed, [], function="features", drop=names)
    imports = ("import functools", "import numpy as np", "")
    mine = [line for line in BY_HAND.splitlines() if line]
    assert [line for line in back.splitlines() if line not in imports] == mine


def test_adding_in_two_steps_comes_to_the_same_file() -> None:
    ideas = all_ideas(hourly())[:4]
    for source in ("", BY_HAND):
        at_once = with_ideas(source, ideas, function="features")
        one = with_ideas(source, ideas[:2], function="features")
        assert with_ideas(one, ideas[2:], function="features") == at_once


def test_a_generated_function_that_was_edited_keeps_its_edit() -> None:
    ideas = all_ideas(hourly())
    first = with_ideas("", ideas[:1], function="features")
    edited = first.replace("24 *", "2400 *")
    assert "2400 *" in with_ideas(edited, ideas[1:2], function="features")


def test_a_file_that_loses_all_that_was_generated_still_makes_no_columns() -> None:
    ideas = all_ideas(hourly())[:2]
    full = with_ideas("", ideas, function="features")
    bare = with_ideas(full, [], function="features", drop=[idea.name for idea in ideas])
    assert helper(bare)(hourly(), hidden=HIDDEN).shape == (400, 0)
    assert with_ideas(bare, ideas, function="features") == full


def test_no_python_is_an_error() -> None:
    with pytest.raises(CodingError, match="no Python"):
        with_ideas("def features(", all_ideas(hourly())[:1], function="features")


@given(st.text(min_size=1, max_size=30).filter(lambda name: name not in {"y", "at"}))
def test_no_name_of_a_column_breaks_out_of_its_literal(name: str) -> None:
    rows = hourly(200)[["hour", "working", "y"]].rename(columns={"working": name})
    for idea in all_ideas(rows):
        source = with_ideas("", [idea], function="features")
        body = ast.parse(source).body
        allowed = ast.Import | ast.FunctionDef | ast.Assign | ast.Expr
        assert all(isinstance(statement, allowed) for statement in body)
        assert sum(isinstance(statement, ast.FunctionDef) for statement in body) <= 4
        made = helper(source)(rows, hidden=HIDDEN)
        assert list(made.columns) == [column for column, _ in idea.columns]
