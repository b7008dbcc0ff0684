"""What a label and a time must be, and the first row at which they are not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from menace.data_sources.columns import NOT_FINITE
from menace.records import Metric, Task

if TYPE_CHECKING:
    import pandas as pd

    from menace.records import BotConfig


class Fault(NamedTuple):
    """What is wrong with a row.

    Attributes
    ----------
    at
        The row's number within the checked rows, from 0.
    problem
        What is wrong, as the end of a sentence that begins with the row.
    remedy
        What the reader can do about it.
    """

    at: int
    problem: str
    remedy: str


def wants_numbers(bot: BotConfig) -> bool:
    """Tell whether the bot's task or metric needs numeric labels."""
    return bot.task is Task.REGRESSION or bot.metric in {
        Metric.ABSOLUTE_ERROR,
        Metric.SQUARED_ERROR,
    }


def label_fault(labels: pd.Series[Any], bot: BotConfig) -> Fault | None:
    """Find the first label that is no label: NaN, infinite, a time, or text among numbers.

    Parameters
    ----------
    labels
        Labels that have arrived, so without missing values.
    bot
        The bot; its task says whether text is allowed.
    """
    if labels.dtype.kind in "mM":
        return Fault(
            0,
            f"has the time {labels.iloc[0]!s} as its target {bot.target!r}",
            "name a target column that holds numbers or classes",
        )
    if labels.dtype.kind in "iub":
        return None
    values = labels.tolist()
    numbers_only = wants_numbers(bot)
    numeric = sum(not isinstance(value, str) for value in values)
    for index, value in enumerate(values):
        if isinstance(value, str):
            if value.strip().lower() in NOT_FINITE:
                return _not_finite(index, value, bot)
            if (numbers_only and _parsed(value) is None) or numeric:
                return Fault(
                    index,
                    f"has the text {value!r} as its target {bot.target!r}, where a number stands "
                    "in the other rows"
                    if numeric
                    else f"has the text {value!r} as its target {bot.target!r}, which is no number",
                    "correct the label, leave it empty until it is known, or name another target",
                )
        elif isinstance(value, float) and not math.isfinite(value):
            return _not_finite(index, value, bot)
    return None


def clean_labels(labels: pd.Series[Any], bot: BotConfig) -> pd.Series[Any]:
    """Type checked labels: ``int64`` if all are whole numbers, else ``float64``, or ``str``.

    So the classes 0 and 1 are 0 and 1 also where a missing label had made them 0.0 and 1.0.
    """
    import pandas as pd

    if labels.dtype == "str" or any(isinstance(value, str) for value in labels.tolist()):
        if not wants_numbers(bot):
            return labels.astype("str")
        labels = pd.Series([float(value) for value in labels.tolist()], index=labels.index)
    floats = labels.astype("float64")
    whole = bool((floats == floats.round()).all()) and bool((floats.abs() < 2**53).all())
    return floats.astype("int64") if whole and len(floats) else floats


def time_fault(times: pd.Series[Any], column: str, last_at: str | float | None) -> Fault | None:
    """Find the first row without a time, or with one earlier than that of a row before it.

    Parameters
    ----------
    times
        Numbers, times, or text in ISO 8601; equal times may follow each other.
    column
        Name of the column, for the message.
    last_at
        The newest time before these rows, if there were any.
    """
    missing = times.isna().to_numpy()
    if missing.any():
        return Fault(
            int(missing.argmax()),
            f"has no time in the column {column!r}",
            "fill the time in, or leave the row out",
        )
    if len(times) == 0:
        return None
    numeric = times.dtype.kind in "iuf"
    keys = times if numeric else _as_utc(times)
    unread = keys.isna().to_numpy()
    if unread.any():
        first = int(unread.argmax())
        return Fault(
            first,
            f"has {times.iloc[first]!r} as its time in the column {column!r}",
            "write times in ISO 8601 (2024-01-31T12:00:00) or as numbers",
        )
    if last_at is not None:
        fault = _before_last(times, keys, column, last_at)
        if fault is not None:
            return fault
    later = keys.to_numpy()
    back = later[1:] < later[:-1]
    if not back.any():
        return None
    first = int(back.argmax()) + 1
    return _backwards(first, times.iloc[first], times.iloc[first - 1], column)


def _before_last(
    times: pd.Series[Any], keys: pd.Series[Any], column: str, last_at: str | float
) -> Fault | None:
    """Compare the first row with what came before this batch.

    ``last_at`` may have passed through JSON as a float or as text: a float is compared as a float
    on both sides, so that an integer beyond 2**53 is not earlier than its own rounding.
    """
    import pandas as pd

    if keys.dtype.kind in "iuf":
        last = _as_int(last_at) or _parsed(str(last_at))
        if last is None:
            return _other_kind(times, column, last_at)
        first = keys.iloc[0]
        earlier = first < last if isinstance(last, int) else float(first) < last
    else:
        when = _as_utc(pd.Series([str(last_at)]))
        if isinstance(last_at, int | float) or bool(when.isna().iloc[0]):
            return _other_kind(times, column, last_at)
        earlier = bool(keys.iloc[0] < when.iloc[0])
    return _backwards(0, times.iloc[0], last_at, column) if earlier else None


def _as_utc(times: pd.Series[Any]) -> pd.Series[Any]:
    """Read times as UTC, without their zone; what cannot be read is missing."""
    import pandas as pd

    read = pd.to_datetime(times, errors="coerce", format="ISO8601", utc=True)
    return read.dt.tz_localize(None)


def _other_kind(times: pd.Series[Any], column: str, last_at: str | float) -> Fault:
    return Fault(
        0,
        f"has {times.iloc[0]!r} as its time in the column {column!r}, which cannot be compared "
        f"with the {last_at!r} of the rows before it",
        "write all times of the column in one way",
    )


def _backwards(index: int, time: object, before: object, column: str) -> Fault:
    return Fault(
        index,
        f"has the time {time!s} in the column {column!r}, earlier than the {before!s} before it",
        "put the rows in the order of time, or correct that time",
    )


def _not_finite(index: int, value: object, bot: BotConfig) -> Fault:
    return Fault(
        index,
        f"has {value!s} as its target {bot.target!r}",
        "correct the label, or leave it empty until it is known",
    )


def _as_int(value: str | float) -> int | None:
    try:
        return int(value) if isinstance(value, str | int) else None
    except ValueError:
        return None


def _parsed(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
