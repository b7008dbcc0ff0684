"""Turns a frame of rows into a matrix of float32, in the way one training window showed.

What a column means is learned from the training window alone and kept as plain JSON beside the
model, so that rows are encoded years later as they were on the day of training, whatever has become
of the source meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from menace.errors import DataError, PackageError

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt
    import pandas as pd

    from menace.records import Json

    FloatMatrix = npt.NDArray[np.float32]
    FloatVector = npt.NDArray[np.float64]

MAX_CATEGORIES = 1000
"""Values of one text column that get a code of their own; rarer ones count as unseen."""

YEAR_DAYS = 360
"""A window must span so many days before the season is given to a model: in a shorter one the day
of the year only ever grows, and a model that learned it would extrapolate."""

_DAILY_PARTS = ("hour", "weekday")
_YEARLY_PARTS = ("month", "day_of_year")
_LARGEST = 3.0e38
_ISO = (
    r"^\s*(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?)"
    r"(?:Z|[+-]\d{2}:?\d{2})?\s*$"
)


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of the source becomes one or more columns of the matrix.

    Attributes
    ----------
    name
        The column in the source.
    kind
        ``number``, ``category`` or ``time``.
    categories
        Of a ``category``: the known values as text; the position is the code.
    parts
        Of a ``time``: which of ``hour``, ``weekday``, ``month``, ``day_of_year`` are used.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many columns of the matrix it fills."""
        return len(self.parts) if self.kind == "time" else 1


@dataclass(frozen=True, slots=True)
class FeatureEncoder:
    """Encodes rows as the training window showed them.

    A number is itself; missing, infinite and non-numeric values are NaN. Text, categories and
    truth values become codes 0, 1, … in the order of their first appearance in the window; missing
    and unseen ones are −1. Dates and times become hour of the day (with its fraction) and weekday,
    and month and day of the year where the window spans a year; they are read as the clock on the
    wall showed them, without regard to time zones.

    A column that has disappeared is missing in every row, a new one is ignored: a model goes on
    serving when its source changes its schema.

    Examples
    --------
    >>> import pandas as pd
    >>> window = pd.DataFrame({"size": [1, 2, 3], "colour": ["red", "blue", "red"], "y": [0, 1, 0]})
    >>> encoder = FeatureEncoder.fit(window, target="y")
    >>> encoder.encode(pd.DataFrame({"colour": ["blue", "green"], "size": ["7", "huge"]})).tolist()
    [[7.0, 1.0], [nan, -1.0]]
    """

    columns: tuple[Column, ...]

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        *,
        target: str,
        drop: Collection[str] = (),
        time: str | None = None,
    ) -> FeatureEncoder:
        """Learn the columns of a training window.

        Parameters
        ----------
        frame
            The training rows, in time order. Never rows that are later than what may be learned.
        target, drop
            Columns that no model may see.
        time
            The column that orders the rows. As a number it is left out (a raw clock extrapolates);
            as a date or time its parts are used.

        Raises
        ------
        DataError
            If a column name occurs twice, or no column is left to learn from.
        """
        names = [str(name) for name in frame.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(
                f"the column {twice[0]!r} occurs more than once.",
                remedy="give every column of the source a name of its own",
            )
        hidden = {target, *drop}
        columns: list[Column] = []
        for position, name in enumerate(names):
            if name in hidden:
                continue
            column = _learn_column(name, frame.iloc[:, position])
            if name == time and column.kind == "number":
                continue
            columns.append(column)
        if not columns:
            raise DataError(
                "no column is left to learn from besides the target and the dropped ones.",
                remedy="drop fewer columns, or add features to the source",
            )
        return cls(tuple(columns))

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return sum(column.width for column in self.columns)

    def category_sizes(self) -> tuple[int, ...]:
        """For each column of the matrix, how many codes it has; 0 for a number."""
        sizes: list[int] = []
        for column in self.columns:
            sizes += [len(column.categories)] * column.width
        return tuple(sizes)

    def encode(self, frame: pd.DataFrame) -> FloatMatrix:
        """Encode rows.

        Returns
        -------
        ndarray of float32, shape (rows, width)
        """
        positions = {str(name): position for position, name in enumerate(frame.columns)}
        matrix = np.empty((len(frame), self.width), dtype=np.float32)
        at = 0
        for column in self.columns:
            position = positions.get(column.name)
            if position is None:
                matrix[:, at : at + column.width] = -1.0 if column.kind == "category" else np.nan
            elif column.kind == "number":
                matrix[:, at] = as_numbers(frame.iloc[:, position])
            elif column.kind == "category":
                matrix[:, at] = _codes(frame.iloc[:, position], column.categories)
            else:
                matrix[:, at : at + column.width] = _parts(frame.iloc[:, position], column.parts)
            at += column.width
        return matrix

    def to_json(self) -> list[Json]:
        """Return the columns as plain JSON."""
        return [
            {
                "name": column.name,
                "kind": column.kind,
                **({"categories": list(column.categories)} if column.kind == "category" else {}),
                **({"parts": list(column.parts)} if column.kind == "time" else {}),
            }
            for column in self.columns
        ]

    @classmethod
    def from_json(cls, document: Any) -> FeatureEncoder:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        PackageError
            If it is something else.
        """
        try:
            columns = tuple(
                Column(
                    name=str(item["name"]),
                    kind=str(item["kind"]),
                    categories=tuple(str(value) for value in item.get("categories", ())),
                    parts=tuple(str(part) for part in item.get("parts", ())),
                )
                for item in document
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise PackageError("the manifest's feature columns cannot be read.") from error
        for column in columns:
            known = column.kind in {"number", "category", "time"}
            if not known or not set(column.parts) <= {*_DAILY_PARTS, *_YEARLY_PARTS}:
                raise PackageError(
                    f"the manifest's column {column.name!r} is of an unknown kind {column.kind!r}.",
                    remedy="load the package with the version of menace that made it, or newer",
                )
        return cls(columns)


def as_numbers(series: pd.Series[Any]) -> FloatVector:
    """Read a column as numbers; whatever is not a finite number is NaN.

    Magnitudes beyond the range of float32 are brought to its edge, so that their order survives.
    """
    import pandas as pd

    kind = series.dtype.kind
    if kind in "iufb":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    elif kind in "mMc":
        return np.full(len(series), np.nan)
    else:
        plain = series.astype(object)
        values = pd.to_numeric(plain.where(plain.map(_may_be_number)), errors="coerce").to_numpy(
            dtype=np.float64, na_value=np.nan
        )
    finite = np.where(np.isfinite(values), values, np.nan)
    return np.asarray(np.clip(finite, -_LARGEST, _LARGEST), dtype=np.float64)


def value_text(value: object) -> str:
    """Write a category or a label in the one way in which it is compared.

    A whole number reads the same whether it came as ``3`` or, beside missing values, as ``3.0``.

    >>> value_text(3.0), value_text(3), value_text("3"), value_text(True), value_text(0.5)
    ('3', '3', '3', 'True', '0.5')
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isfinite(number) and number.is_integer() and abs(number) < 2**53:
            return str(int(number))
        return repr(number)
    return str(value)


def distinct_texts(series: pd.Series[Any]) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Give the values of a column numbers by first appearance.

    Returns
    -------
    codes
        For each row the position of its value in ``texts``; −1 where it is missing.
    texts
        The distinct values as :func:`value_text` writes them, in the order of their appearance.
    """
    import pandas as pd

    if series.dtype.kind == "O" and not isinstance(series.dtype, pd.StringDtype):
        series = series.astype(object).map(value_text, na_action="ignore")
    raw_codes, uniques = pd.factorize(series)
    texts: dict[str, int] = {}
    renumbered = np.empty(len(uniques) + 1, dtype=np.intp)
    renumbered[-1] = -1
    for position, value in enumerate(uniques):
        renumbered[position] = texts.setdefault(value_text(value), len(texts))
    return renumbered[raw_codes], list(texts)


def _learn_column(name: str, series: pd.Series[Any]) -> Column:
    import pandas as pd

    kind = series.dtype.kind
    if kind == "M":
        return Column(name, "time", parts=_time_parts(_timestamps(series)))
    if kind == "b":
        return Column(name, "category", categories=tuple(distinct_texts(series)[1]))
    if kind in "iufcm":
        return Column(name, "number")
    present = _distinct(series.dropna())
    if present.empty:
        return Column(name, "number")
    declared = isinstance(series.dtype, pd.CategoricalDtype)
    if not declared and not present.map(lambda value: isinstance(value, bool)).all():
        # Read in chunks, the same column may come as numbers now and as text then.
        if not np.isnan(as_numbers(present)).any():
            return Column(name, "number")
        times = _timestamps(present)
        if not times.isna().any():
            return Column(name, "time", parts=_time_parts(times))
    codes, texts = distinct_texts(series)
    if len(texts) > MAX_CATEGORIES:
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))
        common = np.sort(np.argsort(-counts, kind="stable")[:MAX_CATEGORIES])
        texts = [texts[position] for position in common]
    return Column(name, "category", categories=tuple(texts))


def _distinct(series: pd.Series[Any]) -> pd.Series[Any]:
    """Leave out repeated values; what a text column means shows in each of them once."""
    import pandas as pd

    if isinstance(series.dtype, pd.StringDtype | pd.CategoricalDtype):
        return series.drop_duplicates()
    return series[~series.map(value_text).duplicated()]


def _may_be_number(value: object) -> bool:
    return isinstance(value, str | int | float | Decimal | np.integer | np.floating | np.bool_)


def _codes(series: pd.Series[Any], categories: tuple[str, ...]) -> npt.NDArray[np.float32]:
    known = {text: code for code, text in enumerate(categories)}
    codes, texts = distinct_texts(series)
    renumbered = np.array([*(known.get(text, -1) for text in texts), -1], dtype=np.float32)
    return renumbered[codes]


def _timestamps(series: pd.Series[Any]) -> pd.Series[Any]:
    """Read a column as wall-clock times; whatever is not a date or time is missing."""
    import pandas as pd

    if series.dtype.kind == "M":
        return series.dt.tz_localize(None) if series.dt.tz is not None else series
    if series.dtype.kind != "O":
        return pd.Series(pd.NaT, index=series.index, dtype="datetime64[us]")
    if not isinstance(series.dtype, pd.StringDtype):
        series = series.astype(object).map(_iso_text, na_action="ignore")
    codes, uniques = pd.factorize(series)
    matched = pd.Series(uniques, dtype="str").str.extract(_ISO, expand=False)
    parsed = pd.to_datetime(matched, format="ISO8601", errors="coerce").to_numpy()
    missing = np.array([np.datetime64("NaT")], dtype=parsed.dtype)
    return pd.Series(np.concatenate([parsed, missing])[codes], index=series.index)


def _iso_text(value: object) -> str | None:
    from datetime import date

    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str) else None


def _time_parts(times: pd.Series[Any]) -> tuple[str, ...]:
    times = times.dropna()
    if times.empty or (times.max() - times.min()).days < YEAR_DAYS:
        return _DAILY_PARTS
    return _DAILY_PARTS + _YEARLY_PARTS


def _parts(series: pd.Series[Any], parts: tuple[str, ...]) -> FloatMatrix:
    accessor = _timestamps(series).dt
    matrix = np.empty((len(series), len(parts)), dtype=np.float32)
    for position, part in enumerate(parts):
        if part == "hour":
            values = accessor.hour + accessor.minute / 60.0
        elif part == "weekday":
            values = accessor.day_of_week
        elif part == "month":
            values = accessor.month
        else:
            values = accessor.day_of_year
        matrix[:, position] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return matrix
