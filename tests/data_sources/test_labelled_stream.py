"""Labels, times and marks of a bot's rows, whatever the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.data_sources import LabelledStream
from menace.data_sources.callable_source import CallableSource
from menace.errors import ConfigError, DataError
from menace.records import BotConfig, Metric, SourcePosition, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.interfaces import LabelledBatch


def a_bot(**changes: Any) -> BotConfig:
    values: dict[str, Any] = {"target": "y", "time": None, "label_wait_rows": 5, **changes}
    return BotConfig(name="alpha", source=None, **values)


def stream_of(frame: pd.DataFrame, **changes: Any) -> LabelledStream:
    return LabelledStream(a_bot(**changes), slices_of(frame))


def slices_of(frame: pd.DataFrame) -> CallableSource:
    return CallableSource(lambda start, rows: frame.iloc[start : start + rows], "rows", target="y")


def numbered(labels: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"row": range(len(labels)), "y": labels})


def all_batches(stream: LabelledStream, max_rows: int) -> list[LabelledBatch]:
    batches = [stream.read_new(None, max_rows=max_rows)]
    while len(batches[-1].frame):
        batches.append(stream.read_new(batches[-1].position, max_rows=max_rows))
    return batches[:-1]


def allowed_rows(labelled: list[bool], wait: int) -> tuple[list[int], int | None, int]:
    """The rule, written down plainly: rows given out, the row that holds back, rows given up."""
    given: list[int] = []
    given_up = 0
    for row, arrived in enumerate(labelled):
        if arrived:
            given.append(row)
            continue
        later = sum(labelled[row + 1 :])
        if later < wait:
            return given, (row if later else None), given_up
        given_up += 1
    return given, None, given_up


@settings(max_examples=100)
@given(
    labelled=st.lists(st.booleans(), max_size=40),
    wait=st.integers(1, 8),
    max_rows=st.integers(1, 50),
)
def test_rows_come_by_the_rule_in_ticks_of_any_size(
    labelled: list[bool], wait: int, max_rows: int
) -> None:
    frame = numbered([1.5 if arrived else np.nan for arrived in labelled])
    batches = all_batches(stream_of(frame, label_wait_rows=wait), max_rows)
    rows = [row for batch in batches for row in batch.frame["row"]]
    expected, waiting, given_up = allowed_rows(labelled, wait)
    assert rows == expected
    assert sum(batch.given_up for batch in batches) == given_up
    end = batches[-1].position if batches else None
    last = stream_of(frame, label_wait_rows=wait).read_new(end, max_rows=max_rows)
    assert (len(last.frame), last.waiting_row) == (0, waiting)


@settings(max_examples=60)
@given(
    labelled=st.lists(st.booleans(), min_size=1, max_size=40),
    rows=st.integers(1, 20),
    cut=st.integers(1, 40),
)
def test_a_window_is_the_tail_before_its_end(labelled: list[bool], rows: int, cut: int) -> None:
    frame = numbered([1 if arrived else None for arrived in labelled])
    end = min(cut, len(labelled))
    window = stream_of(frame).read_window(None, SourcePosition(end, {}), rows=rows)
    expected = [row for row in range(end) if labelled[row]][-rows:]
    assert list(window["row"]) == expected if expected else len(window) == 0


def test_marks_come_every_two_thousand_rows_whatever_the_tick() -> None:
    stream = stream_of(numbered([1] * 9000))
    by_ticks = [mark for b in all_batches(stream, 168) for mark in b.marks]
    at_once = stream.read_new(None, max_rows=100_000).marks
    assert [mark.row for mark in by_ticks] == [mark.row for mark in at_once]
    assert [mark.row for mark in at_once] == [2000, 4000, 6000, 8000]


def test_marks_come_where_rows_are_given_up_too() -> None:
    labels = [None if k % 7 == 0 else 1 for k in range(5000)]
    assert [m.row for m in stream_of(numbered(labels)).read_new(None, max_rows=9999).marks] == [
        2000,
        4000,
    ]


def test_a_window_from_a_mark_reads_only_from_there_to_its_end() -> None:
    asked: list[tuple[int, int]] = []

    def read(start: int, rows: int) -> pd.DataFrame:
        asked.append((start, start + rows))
        return pd.DataFrame({"row": range(start, start + rows), "y": 1})

    stream = LabelledStream(a_bot(), CallableSource(read, "endless", target="y"))
    window = stream.read_window(
        SourcePosition(4_000_000, {}), SourcePosition(4_005_500, {}), rows=5000
    )
    assert (len(window), window["row"].iloc[-1]) == (5000, 4_005_499)
    assert (min(asked)[0], max(asked)[1]) == (4_000_000, 4_005_500)


def test_a_long_tail_without_labels_is_looked_at_only_so_far() -> None:
    asked: list[int] = []

    def read(start: int, rows: int) -> pd.DataFrame:
        asked.append(start)
        return pd.DataFrame({"row": range(start, start + rows), "y": [np.nan] * rows})

    batch = LabelledStream(a_bot(), CallableSource(read, "endless", target="y")).read_new(
        None, max_rows=100
    )
    assert (len(batch.frame), batch.position.row, batch.waiting_row) == (0, 0, 0)
    assert max(asked) < 210_000


def test_whole_numbers_stay_whole_beside_missing_labels() -> None:
    batch = stream_of(numbered([1.0, 0.0, np.nan, 1.0])).read_new(None, max_rows=10)
    assert batch.frame["y"].dtype == "int64"
    batch = stream_of(numbered([True, False, None])).read_new(None, max_rows=10)
    assert batch.frame["y"].tolist() == [1, 0]
    batch = stream_of(numbered([1, 0.5])).read_new(None, max_rows=10)
    assert batch.frame["y"].dtype == "float64"


def test_an_empty_text_is_a_label_that_has_not_arrived() -> None:
    batch = stream_of(numbered([1, 0, "", 1])).read_new(None, max_rows=10)
    assert (batch.frame["y"].tolist(), batch.waiting_row) == ([1, 0], 2)
    batch = stream_of(numbered(["a", "b", "  ", "a"])).read_new(None, max_rows=10)
    assert (batch.frame["y"].tolist(), batch.waiting_row) == (["a", "b"], 2)


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "-Infinity"])
def test_a_target_written_as_not_a_number_is_refused(word: str) -> None:
    with pytest.raises(DataError, match=f"rows: row 2 has {word} as its target 'y'.*Remedy"):
        stream_of(numbered(["a", "b", word])).read_new(None, max_rows=10)


def test_a_regression_wants_numbers_and_reads_them_from_text() -> None:
    texts = numbered(["1.5", "2"])
    for changes in ({"task": Task.REGRESSION}, {"metric": Metric.SQUARED_ERROR}):
        assert stream_of(texts, **changes).read_new(None, max_rows=9).frame["y"].tolist() == [
            1.5,
            2,
        ]
        with pytest.raises(DataError, match="row 1 has the text 'two' as its target 'y', which is"):
            stream_of(numbered(["1.5", "two"]), **changes).read_new(None, max_rows=9)


def test_a_target_of_times_is_refused() -> None:
    times = numbered(list(pd.date_range("2024-01-01", periods=3)))
    with pytest.raises(DataError, match="row 0 has the time 2024-01-01 00:00:00 as its target"):
        stream_of(times).read_new(None, max_rows=9)


def test_an_error_behind_the_rows_that_are_read_does_not_show_yet() -> None:
    frame = numbered([1.0, 2.0, np.inf])
    assert len(stream_of(frame).read_new(None, max_rows=2).frame) == 2


def test_dropping_the_target_is_refused() -> None:
    with pytest.raises(ConfigError, match="target 'y' is among the dropped columns"):
        stream_of(numbered([1]), drop=("y",))


def test_dropped_columns_are_gone_but_the_time_column_stays() -> None:
    frame = numbered([1, 2]).assign(at=[1, 2], leak=0)
    batch = stream_of(frame, time="at", drop=("at", "leak")).read_new(None, max_rows=9)
    assert list(batch.frame.columns) == ["row", "y", "at"]


def test_a_dropped_column_must_be_there_at_the_start_and_may_leave_later() -> None:
    frame = numbered([1, 2, 3, 4])
    stream = stream_of(frame, drop=("leak",))
    with pytest.raises(DataError, match="no column 'leak', which is the dropped column"):
        stream.read_new(None, max_rows=2)
    with pytest.raises(DataError, match="'leak'"):
        stream_of(numbered([None, 1]), drop=("leak",)).read_new(None, max_rows=2)
    seen = stream_of(frame.assign(leak=0), drop=("leak",)).read_new(None, max_rows=2)
    later = stream.read_new(seen.position, max_rows=2)
    assert list(later.frame.columns) == list(seen.frame.columns) == ["row", "y"]
    window = stream.read_window(None, later.position, rows=4)
    assert list(window["row"]) == [0, 1, 2, 3]


TIMES = {
    "text": ["2024-01-01", "2024-01-01T10:00", "2024-01-01 10:00:00", "2024-01-02T00:00:00.5"],
    "zones": ["2024-01-01T10:00+02:00", "2024-01-01T09:00Z", "2024-01-01T10:00Z", "2024-01-02"],
    "times": list(pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-03"])),
    "dates": [pd.Timestamp(f"2024-01-0{day}").date() for day in (1, 1, 2, 3)],
    "numbers": [1, 1, 2.5, 3],
    "large numbers": [1_700_000_000_000_000_000 + k for k in (1, 1, 2, 3)],
}


@pytest.mark.parametrize("times", TIMES.values(), ids=list(TIMES))
def test_times_in_order_pass_and_the_newest_of_one_tick_binds_the_next(times: list[Any]) -> None:
    frame = numbered([1, 2, 3, 4]).assign(at=times)
    stream = stream_of(frame, time="at")
    first = stream.read_new(None, max_rows=3)
    last = first.frame["at"].iloc[-1]
    for last_at in (str(last), float(last) if isinstance(last, int | float) else str(last)):
        rest = stream.read_new(first.position, max_rows=3, last_at=last_at)
        assert list(rest.frame["row"]) == [3]
    with pytest.raises(DataError, match=r"row 0 has the time .* in the column 'at', earlier than"):
        stream.read_new(None, max_rows=3, last_at=str(last))


@pytest.mark.parametrize("times", TIMES.values(), ids=list(TIMES))
def test_times_out_of_order_are_refused(times: list[Any]) -> None:
    frame = numbered([1, 2, 3, 4]).assign(at=[times[0], times[3], times[2], times[3]])
    with pytest.raises(DataError, match=r"rows: row 2 has the time .* in the column 'at', earlier"):
        stream_of(frame, time="at").read_new(None, max_rows=9)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2024-01-01", "soon"], "row 1 has 'soon' as its time in the column 'at'"),
        (["2024-01-01", None], "row 1 has no time in the column 'at'"),
    ],
)
def test_a_time_that_is_none_is_refused(times: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        stream_of(numbered([1, 2]).assign(at=times), time="at").read_new(None, max_rows=9)


@pytest.mark.parametrize(("times", "last_at"), [([1, 2], "2024-01-01"), (["2024-01-01"] * 2, 5.0)])
def test_a_time_of_another_kind_than_before_is_refused(times: list[Any], last_at: Any) -> None:
    with pytest.raises(DataError, match=r"row 0 .* cannot be compared with the"):
        stream_of(numbered([1, 2]).assign(at=times), time="at").read_new(
            None, max_rows=9, last_at=last_at
        )


def test_a_column_that_turns_to_text_is_text_in_the_whole_window() -> None:
    values: list[Any] = [*range(3000), *(["x"] * 10)]
    frame = numbered([1] * 3010).assign(mixed=pd.Series(values, dtype="object"))
    stream = stream_of(frame)
    end = SourcePosition(3010, {})
    window = stream.read_window(None, end, rows=3010)
    assert window["mixed"].dtype == "str"
    assert window["mixed"].iloc[1500] == "1500"
    chunk = stream.read_window(None, SourcePosition(1000, {}), rows=10)
    assert chunk["mixed"].dtype == "int64"


def test_a_source_without_rows_gives_an_empty_batch() -> None:
    def nothing(start: int, rows: int) -> pd.DataFrame:
        return pd.DataFrame()

    read: Callable[[int, int], pd.DataFrame] = nothing
    stream = LabelledStream(a_bot(), CallableSource(read, "nothing", target="y"))
    batch = stream.read_new(None, max_rows=5)
    assert (len(batch.frame), batch.position.row, batch.marks) == (0, 0, ())
    assert len(stream.read_window(None, batch.position, rows=5)) == 0
