"""The CSV file as a growing source: half-written lines, quotes, files written anew."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.data_sources.csv_source import CsvSource
from menace.errors import SourceError
from menace.records import SourcePosition


def everything(source: CsvSource, size: int) -> list[dict[str, object]]:
    """Read to the end in chunks of ``size`` rows; as plain rows."""
    rows: list[dict[str, object]] = []
    position: SourcePosition | None = None
    while True:
        frame, position = source.read(position, size)
        if not len(frame):
            return rows
        rows += [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def test_an_empty_file_has_no_rows_and_no_columns_yet(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"")
    frame, position = CsvSource(path).read(None, 10)
    assert (len(frame), list(frame.columns), position.row) == (0, [], 0)

    path.write_bytes(b"a,b\n1,2\n")
    frame, position = CsvSource(path).read(position, 10)
    assert (list(frame["b"]), position.row) == ([2], 1)


def test_a_header_alone_gives_columns_and_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n")
    frame, position = CsvSource(path).read(None, 10)
    assert (len(frame), list(frame.columns), position.row) == (0, ["a", "b"], 0)


def test_a_byte_order_mark_and_windows_line_ends_are_no_data(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,x\r\n2,y\r\n")
    frame, position = CsvSource(path).read(None, 1)
    rest, _ = CsvSource(path).read(position, 10)
    assert list(frame.columns) == ["a", "b"]
    assert list(frame["b"]) + list(rest["b"]) == ["x", "y"]


def test_a_half_written_last_line_is_left_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    source = CsvSource(path)
    path.write_bytes(b"a,b\n1,10\n2,2")
    frame, position = source.read(None, 10)
    assert list(frame["a"]) == [1]

    path.write_bytes(b"a,b\n1,10\n2,20\n3")
    frame, position = source.read(position, 10)
    assert frame.to_dict("list") == {"a": [2], "b": [20]}
    for _ in range(3):
        frame, position = source.read(position, 10)
        assert (len(frame), position.row) == (0, 2)

    path.write_bytes(b"a,b\n1,10\n2,20\n3,30\n")
    assert source.read(position, 10)[0].to_dict("list") == {"a": [3], "b": [30]}


def test_the_last_row_of_a_static_file_without_line_end_is_read_at_the_second_look(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,10\n2,20")
    frame, position = CsvSource(path).read(None, 10)
    assert list(frame["b"]) == [10]
    frame, position = CsvSource(path).read(position, 10)
    assert list(frame["b"]) == [20]

    path.write_bytes(b"a,b\n1,10\n2,20\n3,30\n")
    frame, position = CsvSource(path).read(position, 10)
    assert (list(frame["b"]), position.row) == ([30], 3)


def test_a_chunk_that_ends_before_the_last_line_is_no_look_at_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,10\n2,20\n3,3")
    _, position = CsvSource(path).read(None, 1)
    frame, position = CsvSource(path).read(position, 10)
    assert list(frame["b"]) == [20]


def test_a_line_that_goes_on_after_it_was_read_does_not_shift_the_rows_behind_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n1,10\n2,2")
    _, position = CsvSource(path).read(None, 10)
    frame, position = CsvSource(path).read(position, 10)
    assert list(frame["b"]) == [2]

    path.write_bytes(b"a,b\n1,10\n2,20")
    frame, position = CsvSource(path).read(position, 10)
    assert len(frame) == 0
    path.write_bytes(b"a,b\n1,10\n2,20\n3,30\n")
    with caplog.at_level(logging.WARNING):
        frame, position = CsvSource(path).read(position, 10)
    assert (list(frame["b"]), position.row) == ([30], 3)
    assert "row 1 (line 3) went on after it had been read" in caplog.text


def test_a_half_written_quoted_field_is_left_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'a,b\n1,x\n2,"two\nlines')
    frame, position = CsvSource(path).read(None, 10)
    assert list(frame["a"]) == [1]
    path.write_bytes(b'a,b\n1,x\n2,"two\nlines\n')
    frame, position = CsvSource(path).read(position, 10)
    assert len(frame) == 0
    path.write_bytes(b'a,b\n1,x\n2,"two\nlines\nand one"\n')
    frame, position = CsvSource(path).read(position, 10)
    assert list(frame["b"]) == ["two\nlines\nand one"]


def test_a_line_that_breaks_off_within_a_character_is_left_until_it_is_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.csv"
    whole = "a,b\n1,x\n2,é\n".encode()
    path.write_bytes(whole[:-2])
    frame, position = CsvSource(path).read(None, 10)
    assert list(frame["b"]) == ["x"]
    path.write_bytes(whole)
    assert list(CsvSource(path).read(position, 10)[0]["b"]) == ["é"]


def test_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\na,b\n\n1,2\n\n\n3,4\n\n")
    assert everything(CsvSource(path), 1) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_a_packed_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,10\n2,20\n3,30"))
    frame, position = CsvSource(path).read(None, 2)
    rest, position = CsvSource(path).read(position, 10)
    assert list(frame["b"]) + list(rest["b"]) == [10, 20, 30]

    path.write_bytes(gzip.compress(b"a,b\n1,10\n2,20\n3,30\n") + gzip.compress(b"4,40\n"))
    more, _ = CsvSource(path).read(position, 10)
    assert list(more["b"]) == [40]


def test_a_torn_packed_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,10\n" * 1000)[:-12])
    with pytest.raises(SourceError, match=r"rows\.csv\.gz is not a whole gzip file"):
        CsvSource(path).read(None, 10**6)
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"rows\.csv\.gz is not a whole gzip file"):
        CsvSource(path).read(None, 10)


def test_a_file_replaced_by_one_with_other_columns_goes_on_at_the_same_row(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"{k},{k}\n" for k in range(10)), encoding="utf-8")
    _, position = CsvSource(path).read(None, 7)
    path.write_text("a,c,b\n" + "".join(f"{k},new,{k}\n" for k in range(12)), encoding="utf-8")

    frame, after = CsvSource(path).read(position, 10)

    assert list(frame.columns) == ["a", "c", "b"]
    assert list(frame["a"]) == [7, 8, 9, 10, 11]
    assert (after.row, after.mark["line"]) == (12, 13)
    assert CsvSource(path).read(after, 10)[1] == after


def test_a_file_written_anew_with_earlier_values_changed_goes_on_at_the_same_row(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n" + "".join(f"{k},\n" for k in range(10)), encoding="utf-8")
    _, position = CsvSource(path).read(None, 7)
    path.write_text("a,y\n" + "".join(f"{k},1\n" for k in range(10)), encoding="utf-8")
    assert list(CsvSource(path).read(position, 10)[0]["a"]) == [7, 8, 9]


def test_a_file_that_shrank_is_refused_with_its_position(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a\n1\n2\n3\n")
    _, position = CsvSource(path).read(None, 10)
    for content, rows in ((b"a\n1\n", 1), (b"", 0), (b"other,header\n1,2\n3,4\n", 2)):
        path.write_bytes(content)
        with pytest.raises(SourceError) as caught:
            CsvSource(path).read(position, 10)
        assert f"{path} holds {rows} rows now" in str(caught.value)
        assert "position: row 3, byte 8" in str(caught.value)
        assert "Remedy: put the earlier rows back" in str(caught.value)


def test_a_position_without_a_mark_is_found_by_counting(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n" + b"".join(b'%d,"x\ny"\n' % k for k in range(20)))
    frame, position = CsvSource(path).read(SourcePosition(15, {}), 2)
    assert list(frame["a"]) == [15, 16]
    assert position.mark["line"] == 1 + 17 * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n4,5\n", r"row 1 \(line 3\) has 1 fields, the header has 2"),
        (b"a,b\n1,2,3\n", r"row 0 \(line 2\) has 3 fields, the header has 2"),
        (b"a,b\n1,\xff\n", r"line 2 is not UTF-8 text: .* \(byte 3 of the line\)"),
        (b'a,b\n1,2\n3,"x"y\n', r"the record that begins in line 3 is not CSV"),
        (b"a,b,a\n1,2,3\n", r"the header has the column 'a' more than once"),
        (b'a,b\n1,"' + b"x\n" * 100_000, r"the record that begins in line 2 is not CSV: field lar"),
    ],
)
def test_what_is_no_csv_is_refused_with_file_line_and_remedy(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        CsvSource(path).read(None, 10)
    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*none\.csv"):
        CsvSource(tmp_path / "none.csv").read(None, 1)
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        CsvSource(tmp_path).read(None, 1)


def test_words_for_missing_values_are_missing_in_features_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b,y\n1,x,NA\nNA,null,none\n3.5,y,\n")
    frame, _ = CsvSource(path, target="y").read(None, 10)
    assert frame["a"].dtype == "float64"
    assert list(frame["a"].isna()) == [False, True, False]
    assert list(frame["b"].isna()) == [False, True, False]
    assert frame["y"].tolist()[:2] == ["NA", "none"]
    assert list(frame["y"].isna()) == [False, False, True]


FIELDS = st.text(alphabet=st.sampled_from('ab1 ,"\n\r\té€'), max_size=6)


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=12),
    size=st.integers(1, 5),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_chunking_gives_the_rows_that_were_written(
    rows: list[tuple[str, str]], size: int, line_end: str
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    # The first row makes both columns text, so that fields come back as they were written.
    written = [("first", "first"), *rows]
    writer.writerows([("a", "b"), *written])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(buffer.getvalue().encode())
        read = everything(CsvSource(path), size)
    shown = [tuple(v if isinstance(v, str) else "" for v in row.values()) for row in read]
    assert shown == [tuple("" if not field.strip() else field for field in row) for row in written]


WHOLE = ("a,b\n" + "".join(f'{k},"line {k}\nof ""é"""\n' for k in range(8))).encode()
VALUES = [f'line {k}\nof "é"' for k in range(8)]


@settings(max_examples=40)
@given(cuts=st.sets(st.integers(1, len(WHOLE) - 1), max_size=5))
def test_a_file_that_grows_between_looks_gives_the_rows_as_they_end_up(cuts: set[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        seen: list[object] = []
        position: SourcePosition | None = None
        for cut in [*sorted(cuts), len(WHOLE)]:
            path.write_bytes(WHOLE[:cut])
            frame, position = CsvSource(path).read(position, 100)
            seen += frame["b"].tolist() if len(frame) else []
    assert seen == VALUES


@settings(max_examples=40)
@given(cut=st.integers(1, len(WHOLE) - 1), size=st.integers(1, 4))
def test_a_writer_that_pauses_within_a_line_shifts_no_other_row(cut: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        seen: list[object] = []
        position: SourcePosition | None = None
        for piece in (WHOLE[:cut], WHOLE):
            path.write_bytes(piece)
            for _ in range(10 // size + 3):
                frame, position = CsvSource(path).read(position, size)
                seen += frame["b"].tolist() if len(frame) else []
    torn = WHOLE[:cut].count(b'"""\n')
    assert len(seen) == len(VALUES)
    assert [v for k, v in enumerate(seen) if k != torn] == VALUES[:torn] + VALUES[torn + 1 :]
