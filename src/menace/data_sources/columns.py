"""Column types that do not depend on where a chunk of rows begins and ends.

A column is a number (``int64`` or ``float64``), a time (``datetime64``) or text (``str``). One that
held text within the first :data:`HEAD_ROWS` rows of a source stays text, so that a code such as
``"007"`` does not turn into a number because a chunk happens to hold digits only. Adapters keep the
names of these columns in their bookmarks.

The target alone may be of mixed type: text among numbers is kept as it was written, for
:mod:`menace.data_sources.label_checks` to name its row.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import pandas as pd

HEAD_ROWS = 1000
"""Rows at the start of a source whose text makes a column a text column for good."""

MISSING = frozenset(
    (
        *("", "NA", "N/A", "n/a", "<NA>", "#N/A", "NULL", "null", "None", "none"),
        *("NaN", "nan", "NAN", "-NaN", "-nan"),
    )
)
"""Words that stand for a missing value in a feature column of a text file."""

NOT_FINITE = frozenset(
    sign + word for sign in ("", "+", "-") for word in ("nan", "inf", "infinity")
)
"""Words, in lower case, that a float parser would take for NaN or an infinity."""


_INT64_LIMIT = 2**63


def feature_from_strings(values: Sequence[str], *, text: bool) -> Any:
    """Type a feature column of a text file, as an array of ``int64``, ``float64`` or ``str``.

    Parameters
    ----------
    values
        One string per row, as written.
    text
        Whether the column is known to hold text.
    """
    if not text:
        numbers = _numbers(values, MISSING)
        if numbers is not None:
            return numbers
    return _texts([None if value.strip() in MISSING else value for value in values])


def target_from_strings(values: Sequence[str], *, text: bool) -> Any:
    """Type the target of a text file: only an empty field is a missing label.

    Numbers if all labels are; text if the column is known as text or fewer than half of its labels
    are numbers; otherwise objects, with numbers as ``float`` and the rest as written.
    """
    import numpy as np

    if not text:
        numbers = _numbers(values, frozenset([""]))
        if numbers is not None and bool(np.isfinite(numbers[~np.isnan(numbers)]).all()):
            return numbers
    present = [value.strip() or None for value in values]
    parsed = [None if value is None else _finite(value) for value in present]
    labels = sum(value is not None for value in present)
    if text or 2 * sum(number is not None for number in parsed) < labels:
        return _texts(present)
    mixed = np.empty(len(present), dtype=object)
    mixed[:] = [v if n is None else n for v, n in zip(present, parsed, strict=True)]
    return mixed


def tidy_frame(
    frame: pd.DataFrame, *, text: Collection[str], target: str | None = None
) -> pd.DataFrame:
    """Type the columns of a frame whose values came with types of their own.

    Booleans and decimals become numbers, dates become times, an object that is none of these
    becomes its text. The column ``target`` may stay mixed.

    Parameters
    ----------
    frame
        Any frame with text column names.
    text
        Columns known to hold text.
    target
        Name of the target column.
    """
    import pandas as pd

    columns = {}
    for name in frame.columns:
        column = frame[name]
        if name == target and column.dtype.kind == "O":
            column = without_blanks(column)
        columns[name] = _tidy_column(column, text=name in text, mixed_allowed=name == target)
    return pd.DataFrame(columns, columns=list(frame.columns)).reset_index(drop=True)


def without_blanks(labels: pd.Series[Any]) -> pd.Series[Any]:
    """Give labels as objects, ``None`` for those that are null, empty or nothing but blanks."""
    import pandas as pd

    values = [
        None if _is_null(value) or (isinstance(value, str) and not value.strip()) else value
        for value in labels.tolist()
    ]
    return pd.Series(values, index=labels.index, dtype="object")


def stack(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put chunks under each other; a column that is text in one chunk becomes text in all."""
    import pandas as pd

    if len(frames) == 1:
        return frames[0].reset_index(drop=True)
    text = {name for frame in frames for name in text_columns(frame)}
    if any(text & set(frame.columns) - set(text_columns(frame)) for frame in frames):
        frames = [tidy_frame(frame, text=text) for frame in frames]
    return pd.concat(frames, ignore_index=True)


def text_columns(frame: pd.DataFrame) -> list[str]:
    """Names of the columns that are typed as text, in the order of the frame."""
    return [str(n) for n, dtype in zip(frame.columns, frame.dtypes, strict=True) if dtype == "str"]


def head_text(known: Iterable[str], frame: pd.DataFrame, first_row: int) -> list[str]:
    """Names of the text columns to remember after ``frame``, which began at ``first_row``."""
    found = set(known)
    if first_row < HEAD_ROWS:
        found.update(text_columns(frame))
    return sorted(found)


def as_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Write values as text, whole numbers without a decimal point; missing ones stay missing."""
    import pandas as pd

    return pd.Series(
        [None if _is_null(value) else _written(value) for value in column.tolist()], dtype="str"
    )


def _tidy_column(column: pd.Series[Any], *, text: bool, mixed_allowed: bool) -> pd.Series[Any]:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column.reset_index(drop=True)
    if column.dtype == "str":
        return column.reset_index(drop=True)
    if pd.api.types.is_timedelta64_dtype(column.dtype):
        column = column.dt.total_seconds()
    if column.dtype in ("int64", "float64") and not text:
        return column.reset_index(drop=True)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return as_text(column) if text else _as_number(column)
    return _tidy_objects(column.astype("object"), text=text, mixed_allowed=mixed_allowed)


def _tidy_objects(column: pd.Series[Any], *, text: bool, mixed_allowed: bool) -> pd.Series[Any]:
    import datetime as dt
    from decimal import Decimal

    import numpy as np
    import pandas as pd

    values = [None if _is_null(value) else value for value in column.tolist()]
    present = [value for value in values if value is not None]
    if not present:
        return pd.Series(values, dtype="str" if text else "float64")
    if text or all(isinstance(value, str) for value in present):
        return as_text(column)
    if all(isinstance(value, int | float | Decimal | np.number | np.bool_) for value in present):
        return _as_number(pd.Series(values, dtype="object"))
    if all(isinstance(value, dt.date | np.datetime64) for value in present):
        return _as_times(values)
    return pd.Series(values, dtype="object") if mixed_allowed else as_text(column)


def _as_number(column: pd.Series[Any]) -> pd.Series[Any]:
    import numpy as np
    import pandas as pd

    values = [None if _is_null(value) else value for value in column.tolist()]
    if all(isinstance(value, int) and abs(value) < _INT64_LIMIT for value in values):
        return pd.Series(values, dtype="int64")
    floats = [np.nan if value is None else float(value) for value in values]
    return pd.Series(floats, dtype="float64")


def _as_times(values: list[Any]) -> pd.Series[Any]:
    import pandas as pd

    zoned = any(getattr(value, "tzinfo", None) is not None for value in values)
    return pd.to_datetime(pd.Series(values, dtype="object"), utc=zoned)


def _numbers(values: Sequence[str], missing: frozenset[str]) -> Any:
    """Parse all strings as numbers, or as missing; ``None`` if one is neither."""
    import numpy as np
    import pandas as pd

    raw = np.empty(len(values), dtype=object)
    raw[:] = values
    parsed = pd.to_numeric(raw, errors="coerce")
    if parsed.dtype == np.int64:
        return parsed
    floats = parsed.astype(np.float64)
    if all(value.strip() in missing for value in raw[np.isnan(floats)]):
        return floats
    return None


def _finite(text: str) -> float | None:
    if "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _texts(values: list[str | None]) -> Any:
    import pandas as pd

    return pd.array(values, dtype="str")


def _is_null(value: Any) -> bool:
    import pandas as pd

    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
