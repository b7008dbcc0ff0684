"""Values go out of the sandbox as plain JSON, and come back as they were."""

from __future__ import annotations

import datetime as dt
import json
import math
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.self_coding_engine.driven_calls.encoding import decode, describe, encode
from menace.self_coding_engine.driven_calls.unencodable import UnencodableError

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.timedeltas()
    | st.uuids()
)
keys = st.integers() | st.text() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(deque)
        | st.sets(keys)
        | st.frozensets(keys)
        | st.dictionaries(keys, inner)
    ),
    max_leaves=12,
)


def there_and_back(value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value))))


@given(values)
def test_plain_values_come_back_with_their_types(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)
    # What holds a set may list it in another order.
    if not isinstance(value, set | frozenset | dict | list | tuple | deque):
        assert repr(back) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        Counter("abca"),
        OrderedDict([("b", 1), ("a", 2)]),
        defaultdict(list, {1: [2]}),
        range(3, 9, 2),
        bytearray(b"ab"),
        Decimal("1.10"),
        Fraction(1, 3),
        dt.datetime(2024, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Vienna"), fold=1),
        np.float32(1.5),
        np.int64(3),
        np.datetime64("2024-01-02"),
        pd.Timestamp("2024-01-02 03:04:05.678"),
        pd.Timestamp("2024-06-02", tz="Europe/Vienna"),
        pd.Timedelta("3s"),
        pd.NaT,
        pd.NA,
    ],
    ids=repr,
)
def test_further_values_come_back_with_their_types(value: Any) -> None:
    back = there_and_back(value)
    assert type(back) is type(value)
    assert back is value or back == value


def test_what_is_not_finite_comes_back() -> None:
    nan, infinite = there_and_back([math.nan, -math.inf])
    assert math.isnan(nan)
    assert infinite == -math.inf


@pytest.mark.parametrize("dtype", ["int8", "uint32", "float32", "float64", "bool", "U5", "M8[ns]"])
def test_arrays_come_back(dtype: str) -> None:
    array = np.arange(6).astype("M8[s]" if dtype.startswith("M8") else "int64").astype(dtype)
    back = there_and_back(array.reshape(2, 3))
    np.testing.assert_array_equal(back, array.reshape(2, 3))
    assert back.dtype == array.dtype


def test_arrays_of_objects_come_back() -> None:
    array = np.array([{"a": 1}, [2], None], dtype=object)
    assert there_and_back(array).tolist() == array.tolist()


def test_frames_come_back_with_types_and_labels() -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, 2, 3],
            "real": [1.5, math.nan, 2.0],
            "text": ["x", None, "z"],
            "day": pd.date_range("2024-01-01", periods=3),
            "zoned": pd.date_range("2024-01-01", periods=3, tz="Europe/Vienna"),
            "kind": pd.Categorical(["u", "v", "u"], ordered=True),
            "may": pd.array([1, None, 3], dtype="Int64"),
            "long": pd.to_timedelta([1, 2, None], unit="s"),
            "list": [[1], {2}, None],
        },
        index=pd.Index([5, 6, 9], name="row"),
    )
    pd.testing.assert_frame_equal(there_and_back(frame), frame)
    for name in frame.columns:
        pd.testing.assert_series_equal(there_and_back(frame[name]), frame[name])
    pd.testing.assert_index_equal(there_and_back(frame.index), frame.index)
    pd.testing.assert_frame_equal(there_and_back(pd.DataFrame()), pd.DataFrame())


class Point(NamedTuple):
    x: int


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: 0,
        Point(1),
        defaultdict(lambda: 3),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])),
    ],
    ids=["object", "function", "named tuple", "default", "columns", "levels"],
)
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises(UnencodableError):
        encode([value])


def test_what_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(UnencodableError):
        encode(circle)


def test_results_are_described_also_where_they_cannot_be_rebuilt() -> None:
    assert describe(x * x for x in range(3)) == {"!": "iterator", "v": [0, 1, 4]}
    assert describe([Point(1)]) == {"!": "list", "v": [{"!": "Point", "v": [1]}]}
    with pytest.raises(UnencodableError):
        decode({"!": "iterator", "v": [0]})


def test_sets_are_described_in_one_order_only() -> None:
    assert encode({"b", "a", "c"}) == encode({"c", "b", "a"})
