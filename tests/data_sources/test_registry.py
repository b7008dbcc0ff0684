"""Picking a backend, and callables that do not keep their word."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from menace.data_sources import open_source, rows_of
from menace.data_sources.callable_source import CallableSource
from menace.errors import ConfigError, SourceError
from menace.records import BotConfig, SourceConfig

if TYPE_CHECKING:
    from pathlib import Path


def a_bot(source: SourceConfig | None) -> BotConfig:
    return BotConfig(name="alpha", source=source, target="y")


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'excel' is not a kind.*callable, csv, parquet, sql"):
        open_source(a_bot(SourceConfig("excel", "rows.xlsx")), tmp_path)


def test_a_bot_without_a_source_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bot 'alpha': the bot has no source of rows"):
        rows_of(a_bot(None), tmp_path)


def test_a_relative_path_is_taken_from_the_workspace_and_an_absolute_one_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("x,y\n1,2\n")
    monkeypatch.chdir("/")
    for location in ("data/rows.csv", str(tmp_path / "data" / "rows.csv")):
        bot = a_bot(SourceConfig("csv", location))
        assert len(rows_of(bot, tmp_path).read_new(None, max_rows=5).frame) == 1


def test_a_callable_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no 'nothing'"):
        open_source(a_bot(SourceConfig("callable", "json:nothing")), tmp_path)
    with pytest.raises(ConfigError, match="cannot be imported"):
        open_source(a_bot(SourceConfig("callable", "no_such_module:read")), tmp_path)
    with pytest.raises(SourceError, match="json:__name__ is a str, which cannot be called"):
        open_source(a_bot(SourceConfig("callable", "json:__name__")), tmp_path)


def test_a_callable_may_lie_in_the_workspace_and_the_python_path_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "menace_test_workspace_rows"
    monkeypatch.setitem(sys.modules, name, sys)
    monkeypatch.delitem(sys.modules, name)
    (tmp_path / f"{name}.py").write_text(
        "import pandas as pd\n"
        "def rows(start_row, max_rows):\n"
        "    return pd.DataFrame({'x': [1, 2], 'y': [0, 1]})[start_row:start_row + max_rows]\n",
        encoding="utf-8",
    )
    (tmp_path / "json.py").write_text("raise RuntimeError('hides an installed module')\n")
    before = list(sys.path)
    stream = rows_of(a_bot(SourceConfig("callable", f"{name}:rows")), tmp_path)
    assert len(stream.read_new(None, max_rows=9).frame) == 2
    with pytest.raises(ConfigError, match="cannot be imported"):
        open_source(a_bot(SourceConfig("callable", "menace_test_no_module:rows")), tmp_path)
    monkeypatch.delitem(sys.modules, "json")
    assert open_source(a_bot(SourceConfig("callable", "json:loads")), tmp_path)
    assert sys.path == before


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1, 2], "returned a list, not a pandas.DataFrame"),
        (pd.DataFrame({"y": range(9)}), "returned 9 rows where at most 5 were asked for"),
        (pd.DataFrame([[1, 2]], columns=["y", "y"]), "returned the column 'y' more than once"),
    ],
)
def test_a_callable_that_breaks_its_word_is_refused_by_name(answer: Any, message: str) -> None:
    with pytest.raises(SourceError, match=f"rows {message}"):
        CallableSource(lambda start, rows: answer, "rows").read(None, 5)


def test_what_a_callable_raises_passes_through() -> None:
    def read(start: int, rows: int) -> pd.DataFrame:
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        CallableSource(read, "rows").read(None, 5)


def test_importing_the_sources_loads_no_heavy_library() -> None:
    program = (
        "import sys, menace.data_sources\n"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'sqlalchemy'} & set(sys.modules)\n"
        "print(sorted(heavy))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
