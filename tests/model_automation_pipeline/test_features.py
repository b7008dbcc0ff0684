from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.errors import DataError, PackageError
from menace.model_automation_pipeline.features import MAX_CATEGORIES, FeatureEncoder


def encoder_of(column: Any, **options: Any) -> FeatureEncoder:
    frame = pd.DataFrame({"a": column, "y": 0})
    return FeatureEncoder.fit(frame, target="y", **options)


def encoded(encoder: FeatureEncoder, column: Any) -> list[list[float]]:
    result: list[list[float]] = encoder.encode(pd.DataFrame({"a": column})).tolist()
    return result


def same(left: list[list[float]], right: list[list[float]]) -> bool:
    return bool(np.array_equal(np.array(left), np.array(right), equal_nan=True))


NAN = float("nan")


def test_text_becomes_codes_in_the_order_of_first_appearance() -> None:
    encoder = encoder_of(["b", "a", None, "b", "c"])
    assert encoded(encoder, ["a", "b", "c"]) == [[1.0], [0.0], [2.0]]


def test_unseen_and_missing_categories_are_minus_one() -> None:
    encoder = encoder_of(["b", "a"])
    assert encoded(encoder, ["new", None, "b"]) == [[-1.0], [-1.0], [0.0]]


def test_truth_values_are_categories_also_beside_missing_ones() -> None:
    encoder = encoder_of([True, None, False])
    assert encoder.columns[0].kind == "category"
    assert encoded(encoder, [False, True]) == [[1.0], [0.0]]


def test_a_categorical_column_is_encoded_by_its_values() -> None:
    encoder = encoder_of(pd.Categorical(["x", "y", "x"], categories=["y", "x", "unused"]))
    assert encoded(encoder, ["x", "y", "unused"]) == [[0.0], [1.0], [-1.0]]


def test_numbers_that_arrive_as_text_or_decimals_are_numbers() -> None:
    encoder = encoder_of([1, "2.5", Decimal("3")])
    assert encoder.columns[0].kind == "number"
    assert encoded(encoder, ["7", Decimal("0.5"), 1]) == [[7.0], [0.5], [1.0]]


def test_a_number_that_turns_to_text_at_serving_is_missing() -> None:
    encoder = encoder_of([1.0, 2.0])
    assert same(encoded(encoder, ["huge", "4", None]), [[NAN], [4.0], [NAN]])


def test_a_number_that_turns_to_dates_at_serving_is_missing() -> None:
    encoder = encoder_of([1.0, 2.0])
    assert same(encoded(encoder, pd.date_range("2024-01-01", periods=2)), [[NAN], [NAN]])
    assert same(encoded(encoder, [dt.date(2024, 1, 1), 3]), [[NAN], [3.0]])


def test_infinite_numbers_are_missing_and_huge_ones_keep_their_order() -> None:
    encoder = encoder_of([1.0, 2.0])
    row = encoded(encoder, [float("inf"), 1e300, 1e30])
    assert np.isnan(row[0][0])
    assert np.isfinite(row[1][0])
    assert row[1][0] > row[2][0]


def test_a_column_that_is_missing_at_serving_is_missing_in_every_row() -> None:
    window = pd.DataFrame(
        {"n": [1, 2], "c": ["a", "b"], "t": ["2024-01-01", "2024-01-02"], "y": [0, 1]}
    )
    encoder = FeatureEncoder.fit(window, target="y")
    matrix = encoder.encode(pd.DataFrame({"unknown": [1, 2, 3]}))
    assert matrix.shape == (3, 4)
    assert same(matrix.tolist(), [[NAN, -1.0, NAN, NAN]] * 3)


def test_an_all_missing_column_is_a_number_that_may_come_later() -> None:
    encoder = encoder_of([None, None])
    assert encoded(encoder, [5.0]) == [[5.0]]


def test_a_time_becomes_hour_and_weekday() -> None:
    encoder = encoder_of(["2024-03-01T06:30:00", "2024-03-02 18:00"])
    assert encoder.columns[0].parts == ("hour", "weekday")
    assert encoded(encoder, ["2024-03-03T12:15:00"]) == [[12.25, 6.0]]


def test_a_time_is_read_as_the_clock_on_the_wall_showed_it() -> None:
    encoder = encoder_of(["2024-03-01T06:30:00+05:00", "2024-03-02T08:00:00Z"])
    assert encoded(encoder, ["2024-03-01T06:30:00+05:00"]) == [[6.5, 4.0]]
    aware = pd.to_datetime(pd.Series(["2024-03-01T06:30:00"])).dt.tz_localize("Asia/Tokyo")
    assert encoded(encoder, aware) == [[6.5, 4.0]]


def test_the_season_is_used_only_when_the_window_spans_a_year() -> None:
    short = encoder_of(pd.date_range("2024-01-01", periods=60, freq="D"))
    long = encoder_of(pd.date_range("2024-01-01", periods=400, freq="D"))
    assert short.columns[0].parts == ("hour", "weekday")
    assert long.columns[0].parts == ("hour", "weekday", "month", "day_of_year")
    assert encoded(long, [dt.date(2025, 2, 1)]) == [[0.0, 5.0, 2.0, 32.0]]


def test_a_time_column_that_turns_to_other_values_is_missing() -> None:
    encoder = encoder_of(["2024-03-01", "2024-03-02"])
    assert same(encoded(encoder, ["soon", None]), [[NAN, NAN], [NAN, NAN]])
    assert same(encoded(encoder, [1.0, 2.0]), [[NAN, NAN], [NAN, NAN]])


def test_the_ordering_column_is_left_out_as_a_number_and_used_as_a_date() -> None:
    window = pd.DataFrame({"t": [1, 2], "d": ["2024-01-01", "2024-01-02"], "x": [1, 2], "y": 0})
    assert [c.name for c in FeatureEncoder.fit(window, target="y", time="t").columns] == ["d", "x"]
    assert "d" in [c.name for c in FeatureEncoder.fit(window, target="y", time="d").columns]


def test_of_many_categories_the_commonest_keep_a_code() -> None:
    values = [f"once{i}" for i in range(MAX_CATEGORIES + 50)] + ["often"] * 3
    encoder = encoder_of(values)
    assert len(encoder.columns[0].categories) == MAX_CATEGORIES
    assert encoded(encoder, ["often"])[0][0] >= 0
    assert encoded(encoder, [f"once{MAX_CATEGORIES + 49}"]) == [[-1.0]]


def test_unhashable_values_are_categories_by_their_text() -> None:
    encoder = encoder_of([[1], [2], [1]])
    assert encoded(encoder, [[2], [3]]) == [[1.0], [-1.0]]


def test_the_target_and_dropped_columns_are_never_features() -> None:
    window = pd.DataFrame({"a": [1, 2], "leak": [0, 1], "y": [0, 1]})
    encoder = FeatureEncoder.fit(window, target="y", drop=("leak",))
    assert [column.name for column in encoder.columns] == ["a"]


def test_a_repeated_column_name_is_refused_by_name() -> None:
    window = pd.DataFrame([[1, 2, 0]], columns=["a", "a", "y"])
    with pytest.raises(DataError, match="'a' occurs more than once"):
        FeatureEncoder.fit(window, target="y")


def test_a_window_without_features_is_refused() -> None:
    with pytest.raises(DataError, match="no column is left"):
        FeatureEncoder.fit(pd.DataFrame({"y": [0, 1]}), target="y")


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.datetimes(),
    st.decimals(allow_nan=False),
)


@settings(max_examples=40)
@given(learned=st.lists(VALUES, min_size=1, max_size=8), served=st.lists(VALUES, max_size=8))
def test_any_column_is_encoded_whatever_it_turns_to(learned: list[Any], served: list[Any]) -> None:
    encoder = encoder_of(pd.Series(learned, dtype=object))
    matrix = encoder.encode(pd.DataFrame({"a": pd.Series(served, dtype=object)}))
    assert matrix.shape == (len(served), encoder.width)
    assert matrix.dtype == np.float32
    assert not np.isinf(matrix).any()


@settings(max_examples=40)
@given(learned=st.lists(VALUES, min_size=1, max_size=8))
def test_an_encoder_survives_json(learned: list[Any]) -> None:
    encoder = encoder_of(pd.Series(learned, dtype=object))
    document = json.loads(json.dumps(encoder.to_json()))
    assert FeatureEncoder.from_json(document) == encoder


@pytest.mark.parametrize("document", [None, [{}], ["a"], [{"name": "a", "kind": "picture"}]])
def test_a_foreign_document_is_refused(document: Any) -> None:
    with pytest.raises(PackageError):
        FeatureEncoder.from_json(document)
