"""Parquet: nulls, NaN, row groups, parts and damaged files."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from menace.data_sources import rows_of
from menace.data_sources.parquet_source import ParquetSource
from menace.errors import DataError, SourceError
from menace.records import BotConfig, SourceConfig

if TYPE_CHECKING:
    from pathlib import Path


# pyarrow has no types.
pa: Any = import_module("pyarrow")
pq: Any = import_module("pyarrow.parquet")


def write(path: Path, columns: dict[str, Any], **options: Any) -> None:
    pq.write_table(pa.table(columns), path, **options)


def a_bot(location: str) -> BotConfig:
    return BotConfig(name="alpha", source=SourceConfig("parquet", location), target="y")


def test_null_is_a_label_to_come_and_nan_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write(path, {"y": pa.array([1.0, None, 2.0])})
    batch = rows_of(a_bot("rows.parquet"), tmp_path).read_new(None, max_rows=9)
    assert (len(batch.frame), batch.waiting_row) == (1, 1)
    write(path, {"y": pa.array([1.0, float("nan"), 2.0], from_pandas=False)})
    with pytest.raises(DataError, match=r"rows\.parquet: row 1 has nan as its target 'y'"):
        rows_of(a_bot("rows.parquet"), tmp_path).read_new(None, max_rows=9)


def test_types_become_numbers_times_and_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    day = dt.date(2024, 1, 1)
    write(
        path,
        {
            "whole": pa.array([1, None], pa.int32()),
            "flag": pa.array([True, None]),
            "money": pa.array([Decimal("1.50"), Decimal("2.00")]),
            "day": pa.array([day, day]),
            "word": pa.array(["a", "b"]).dictionary_encode(),
            "nothing": pa.array([None, None], pa.string()),
            "y": pa.array([1, 0], pa.int8()),
        },
    )
    frame, _ = ParquetSource(path, target="y").read(None, 9)
    assert {str(name): str(dtype)[:5] for name, dtype in frame.dtypes.items()} == {
        "whole": "float",
        "flag": "float",
        "money": "float",
        "day": "datet",
        "word": "str",
        "nothing": "str",
        "y": "int64",
    }


@pytest.mark.parametrize("group", [1, 3, 7, 100])
def test_any_row_groups_and_chunks_give_the_same_rows(tmp_path: Path, group: int) -> None:
    path = tmp_path / "rows.parquet"
    write(path, {"y": list(range(50))}, row_group_size=group)
    for size in (4, 13, 60):
        seen: list[int] = []
        position = None
        for _ in range(50 // size + 2):
            frame, position = ParquetSource(path).read(position, size)
            seen += frame["y"].tolist()
        assert seen == list(range(50))


def test_parts_before_the_position_are_not_opened_again(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(4):
        write(folder / f"{part}.parquet", {"y": [part * 10 + k for k in range(5)]})
    (folder / "_notes.txt").write_text("no part")
    frame, position = ParquetSource(folder).read(None, 12)
    assert frame["y"].tolist() == [*range(5), *range(10, 15), 20, 21]

    (folder / "0.parquet").write_bytes(b"torn")
    rest, position = ParquetSource(folder).read(position, 100)
    assert rest["y"].tolist() == [22, 23, 24, *range(30, 35)]
    write(folder / "4.parquet", {"y": [40]})
    assert ParquetSource(folder).read(position, 100)[0]["y"].tolist() == [40]


def test_parts_that_were_put_together_go_on_at_the_same_row(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for part in range(3):
        write(folder / f"{part}.parquet", {"y": [part * 5 + k for k in range(5)]})
    _, position = ParquetSource(folder).read(None, 12)
    for path in folder.iterdir():
        path.unlink()
    write(folder / "all.parquet", {"y": list(range(15))})
    assert ParquetSource(folder).read(position, 100)[0]["y"].tolist() == [12, 13, 14]
    write(folder / "all.parquet", {"y": list(range(9))})
    with pytest.raises(SourceError, match="holds 9 rows now, fewer than were read already"):
        ParquetSource(folder).read(position, 100)


def test_an_empty_folder_has_no_rows_yet(tmp_path: Path) -> None:
    frame, position = ParquetSource(tmp_path).read(None, 10)
    assert (len(frame), position.row) == (0, 0)
    write(tmp_path / "0.parquet", {"y": [1]})
    assert ParquetSource(tmp_path).read(position, 10)[0]["y"].tolist() == [1]


def test_a_file_that_is_missing_torn_or_has_twin_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(SourceError, match=r"there is no file .*rows\.parquet"):
        ParquetSource(path).read(None, 1)
    write(path, {"y": list(range(1000))})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"rows\.parquet is not a whole Parquet file"):
        ParquetSource(path).read(None, 1)
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["y", "y"]), path)
    with pytest.raises(SourceError, match="column 'y' more than once"):
        ParquetSource(path).read(None, 1)


def test_without_pyarrow_the_install_line_is_named(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from menace.data_sources import rows_of\n"
        "from menace.errors import MissingDependencyError\n"
        "from menace.records import BotConfig, SourceConfig\n"
        "bot = BotConfig(name='a', source=SourceConfig('parquet', 'x'), target='y')\n"
        "try:\n"
        "    rows_of(bot, Path())\n"
        "except MissingDependencyError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "pip install 'menace[parquet]'" in ran.stdout
