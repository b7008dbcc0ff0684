"""What every kind of source must do, seen through the labelled rows of a bot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from menace.data_sources import open_source, rows_of
from menace.errors import DataError, SourceError
from menace.records import SourceConfig, SourcePosition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from menace.interfaces import LabelledBatch
    from menace.records import BotConfig

    MakeBot = Callable[..., BotConfig]
    Row = dict[str, Any]


def week(start: int, rows: int = 24, *, unlabelled: frozenset[int] = frozenset()) -> list[Row]:
    """Rows ``start`` ..: several of a time, a code of digits only, a gap, words with commas."""
    return [
        {
            "at": f"2024-01-{1 + row // 24:02d}T{row % 24 // 3:02d}:00:00",
            "number": row,
            "measure": None if row % 11 == 3 else row / 4,
            "code": "A1" if row == 0 else f"{row % 7:03d}",
            "words": f'say "{row}",\nplease',
            "leak": row * 2,
            "y": None if row in unlabelled else row % 2,
        }
        for row in range(start, start + rows)
    ]


def drained(
    bot: BotConfig, folder: Path, position: SourcePosition | None = None, *, max_rows: int = 10
) -> list[LabelledBatch]:
    """Read all that has become labelled, tick by tick, each through a stream of its own."""
    batches: list[LabelledBatch] = []
    last_at: str | None = None
    while True:
        batch = rows_of(bot, folder).read_new(position, max_rows=max_rows, last_at=last_at)
        if not len(batch.frame):
            return batches
        batches.append(batch)
        position, last_at = batch.position, str(batch.frame["at"].iloc[-1])


def together(batches: list[LabelledBatch]) -> pd.DataFrame:
    return pd.concat([batch.frame for batch in batches], ignore_index=True)


def test_ticks_add_up_to_the_whole(source: Any, make_bot: MakeBot, tmp_path: Path) -> None:
    bot = make_bot(source.config, drop=("leak",))
    batches: list[LabelledBatch] = []
    for start in range(0, 96, 24):
        source.append(week(start))
        batches += drained(bot, tmp_path, batches[-1].position if batches else None)

    whole = rows_of(bot, tmp_path).read_new(None, max_rows=1000)

    pd.testing.assert_frame_equal(together(batches), whole.frame)
    assert whole.position.row == batches[-1].position.row == 96
    assert list(whole.frame["number"]) == list(range(96))
    assert list(whole.frame.columns) == ["at", "number", "measure", "code", "words", "y"]
    assert whole.frame["words"].iloc[5] == 'say "5",\nplease'
    assert whole.frame["code"].iloc[8] == "001"
    assert whole.frame["measure"].isna().sum() == 9
    assert whole.frame["y"].dtype == "int64"


def test_a_window_is_the_tail_of_what_was_read(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    source.append(week(0, 96, unlabelled=frozenset({40, 77})))
    bot = make_bot(source.config)
    batches = drained(bot, tmp_path)
    read = together(batches)

    stream = rows_of(bot, tmp_path)
    end = batches[-1].position
    for rows in (1, 10, 33, 1000):
        window = stream.read_window(None, end, rows=rows)
        pd.testing.assert_frame_equal(window, read.tail(rows).reset_index(drop=True))
    later = stream.read_window(batches[3].position, end, rows=20)
    pd.testing.assert_frame_equal(later, read.tail(20).reset_index(drop=True))


def test_nothing_after_the_position_is_ever_given_out(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    bot = make_bot(source.config)
    source.append(week(0, 50))
    first = rows_of(bot, tmp_path).read_new(None, max_rows=30)
    window = rows_of(bot, tmp_path).read_window(None, first.position, rows=20)

    changed = [
        row | {"number": -1, "code": "changed", "words": "changed", "y": 1 - row["y"]}
        for row in week(30, 40)
    ]
    source.replace(week(0, 30) + changed)

    again = rows_of(bot, tmp_path).read_new(None, max_rows=30)
    pd.testing.assert_frame_equal(again.frame, first.frame)
    pd.testing.assert_frame_equal(
        rows_of(bot, tmp_path).read_window(None, first.position, rows=20), window
    )
    rest = rows_of(bot, tmp_path).read_new(first.position, max_rows=100)
    assert list(rest.frame["code"].unique()) == ["changed"]
    assert len(rest.frame) == 40


def test_rows_wait_for_the_first_missing_label_and_come_when_it_arrives(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    bot = make_bot(source.config)
    source.append(week(0, 14, unlabelled=frozenset({10})))

    batch = rows_of(bot, tmp_path).read_new(None, max_rows=100)
    assert list(batch.frame["number"]) == list(range(10))
    assert (batch.position.row, batch.waiting_row, batch.given_up) == (10, 10, 0)
    held = rows_of(bot, tmp_path).read_new(batch.position, max_rows=100)
    assert (len(held.frame), held.position.row, held.waiting_row) == (0, 10, 10)

    source.replace(week(0, 14))
    batch = rows_of(bot, tmp_path).read_new(batch.position, max_rows=100)
    assert list(batch.frame["number"]) == [10, 11, 12, 13]
    assert batch.waiting_row is None


def test_a_row_is_given_up_when_enough_later_rows_are_labelled(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    bot = make_bot(source.config)
    source.append(week(0, 16, unlabelled=frozenset({3, 10})))

    batch = rows_of(bot, tmp_path).read_new(None, max_rows=100)
    assert list(batch.frame["number"]) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]
    assert (batch.given_up, batch.waiting_row, batch.position.row) == (2, None, 16)


def test_unlabelled_rows_at_the_end_hold_nothing_back(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    bot = make_bot(source.config)
    source.append(week(0, 12, unlabelled=frozenset(range(6, 12))))

    batch = rows_of(bot, tmp_path).read_new(None, max_rows=100)
    assert (len(batch.frame), batch.position.row, batch.waiting_row) == (6, 6, None)


def test_a_batch_never_holds_more_rows_than_asked_for(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    source.append(week(0, 60, unlabelled=frozenset({2, 3, 4, 5, 30})))
    bot = make_bot(source.config)

    batches = drained(bot, tmp_path, max_rows=7)

    assert max(len(batch.frame) for batch in batches) == 7
    assert list(together(batches)["number"]) == [0, 1, *range(6, 30), *range(31, 60)]
    assert sum(batch.given_up for batch in batches) == 5


def test_a_position_survives_json(source: Any, make_bot: MakeBot, tmp_path: Path) -> None:
    source.append(week(0, 40))
    bot = make_bot(source.config)
    first = rows_of(bot, tmp_path).read_new(None, max_rows=15)
    restored = SourcePosition(*json.loads(json.dumps(first.position)))

    batch = rows_of(bot, tmp_path).read_new(restored, max_rows=5)

    assert restored == first.position
    assert list(batch.frame["number"]) == [15, 16, 17, 18, 19]


def test_looking_twice_at_an_unchanged_source_gives_the_same_position(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    source.append(week(0, 40))
    bot = make_bot(source.config)
    end = rows_of(bot, tmp_path).read_new(None, max_rows=1000).position

    again = rows_of(bot, tmp_path).read_new(end, max_rows=1000)

    assert len(again.frame) == 0
    assert again.position == end


def test_a_code_of_digits_stays_text_in_a_chunk_that_holds_only_digits(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    source.append(week(0, 60))
    adapter = open_source(make_bot(source.config), tmp_path)
    _, position = adapter.read(None, 10)
    chunk, _ = adapter.read(position, 10)

    assert chunk["code"].dtype == "str"
    assert chunk["number"].dtype == "int64"
    assert chunk["measure"].dtype == "float64"


@pytest.mark.parametrize(
    ("changes", "column"),
    [({"target": "z"}, "z"), ({"time": "when"}, "when"), ({"drop": ("leek",)}, "leek")],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(
    source: Any, make_bot: MakeBot, tmp_path: Path, changes: Row, column: str
) -> None:
    source.append(week(0, 5))
    with pytest.raises(DataError) as caught:
        rows_of(make_bot(source.config, **changes), tmp_path).read_new(None, max_rows=10)
    message = str(caught.value)
    assert f"has no column '{column}'" in message
    assert "at, number, measure, code, words, leak, y" in message
    assert "bot 'alpha'" in message
    assert "Remedy:" in message


def test_time_that_goes_backwards_is_refused_with_row_and_times(
    make_bot: MakeBot, tmp_path: Path
) -> None:
    lines = ["at,y", "2024-01-02,1", "2024-01-03T05:00,0", "2024-01-03,1"]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2 \(line 4\) has the time 2024-01-03 .* earlier"):
        rows_of(make_bot(SourceConfig("csv", "rows.csv")), tmp_path).read_new(None, max_rows=10)


def test_time_before_that_of_the_last_tick_is_refused(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    source.append(week(0, 5))
    with pytest.raises(DataError, match=r"row 0 .*has the time 2024-01-01T00:00:00 .*2024-02-01"):
        rows_of(make_bot(source.config), tmp_path).read_new(
            None, max_rows=10, last_at="2024-02-01T00:00:00"
        )


def test_an_infinite_target_is_refused_with_its_row(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    source.append([row | {"y": float("inf") if row["number"] == 7 else 1.5} for row in week(0, 12)])
    with pytest.raises(DataError, match=r"row 7 .*has inf as its target 'y'"):
        rows_of(make_bot(source.config), tmp_path).read_new(None, max_rows=100)
    before = rows_of(make_bot(source.config), tmp_path).read_new(None, max_rows=7)
    assert len(before.frame) == 7


# A Parquet column has one type, so it is not among these.
@pytest.mark.parametrize("source", ["csv", "sqlite", "callable"], indirect=True)
def test_text_among_numeric_targets_is_refused_with_its_row(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    source.append([row | {"y": "many" if row["number"] == 9 else row["y"]} for row in week(0, 12)])
    with pytest.raises(DataError, match=r"row 9 .*the text 'many' as its target 'y'"):
        rows_of(make_bot(source.config), tmp_path).read_new(None, max_rows=100)


def test_classes_may_be_words(source: Any, make_bot: MakeBot, tmp_path: Path) -> None:
    words = ("none", "NA", "many")
    source.append([row | {"y": words[row["number"] % 3]} for row in week(0, 12)])
    frame = rows_of(make_bot(source.config), tmp_path).read_new(None, max_rows=100).frame
    assert set(frame["y"]) == set(words)
    assert frame["y"].dtype == "str"


# Rows of a query may be deleted once they were read, and a callable is trusted.
@pytest.mark.parametrize("source", ["csv", "parquet", "parquet parts"], indirect=True)
def test_a_source_that_shrank_below_the_position_is_refused(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    bot = make_bot(source.config)
    source.append(week(0, 40))
    end = rows_of(bot, tmp_path).read_new(None, max_rows=100).position
    source.replace(week(0, 20))
    with pytest.raises(SourceError, match=r"fewer than were read already .*row 40.*Remedy: put"):
        rows_of(bot, tmp_path).read_new(end, max_rows=100)


def test_rows_are_asked_for_by_a_positive_number(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    source.append(week(0, 5))
    stream = rows_of(make_bot(source.config), tmp_path)
    with pytest.raises(DataError, match="0 rows were asked for"):
        stream.read_new(None, max_rows=0)
    with pytest.raises(DataError, match="window of -1 rows"):
        stream.read_window(None, SourcePosition(5, {}), rows=-1)


def test_the_rows_of_a_time_that_is_number_are_ordered_too(
    source: Any, make_bot: MakeBot, tmp_path: Path
) -> None:
    bot = make_bot(source.config, time="number", drop=("number",))
    source.append(week(0, 30))
    batch = rows_of(bot, tmp_path).read_new(None, max_rows=10)
    after = rows_of(bot, tmp_path).read_new(batch.position, max_rows=10, last_at=9.0)
    assert list(after.frame["number"]) == list(range(10, 20))
    with pytest.raises(DataError, match=r"row 10 .*earlier than the 11.0"):
        rows_of(bot, tmp_path).read_new(batch.position, max_rows=10, last_at=11.0)
