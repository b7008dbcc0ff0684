"""What a bot's columns are, as far as their values show: what features can be made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from menace.records import BotConfig

    FloatArray = npt.NDArray[np.float64]

SPARSE = 0.9
"""Share of missing values from which on a column says something only where it has one."""

RARE = 0.1
FEW = 12
"""Distinct values up to which a number is a grade or a count rather than a quantity."""

_TIED = 0.5
"""Share of rows with a time of their own below which rows have no order within a time."""


class Kind(StrEnum):
    """What a column holds."""

    QUANTITY = "quantity"
    GRADE = "grade"
    """Few whole numbers."""

    FLAG = "flag"
    """Two numbers."""

    HOUR = "hour"
    WEEKDAY = "weekday"
    MONTH = "month"
    TIME = "time"
    """The text or date that orders the rows."""

    CATEGORY = "category"
    SPARSE = "sparse"
    """Missing nearly everywhere."""

    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class SeenColumn:
    """One column.

    Attributes
    ----------
    name, kind
        What it is.
    distinct
        Values, without missing ones.
    missing
        Share of rows without a value.
    mean
        Of numbers.
    whole
        Whether it holds whole numbers only.
    """

    name: str
    kind: Kind
    distinct: int
    missing: float = 0.0
    mean: float = 0.0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """All columns that features may be made of.

    Attributes
    ----------
    columns
        In the order of the source; no target, nothing dropped but the time.
    ordered
        Whether each row comes after the one before it. Where many rows share a time, their order
        within it says nothing, or what it should not: nothing is made of neighbours then.
    """

    columns: tuple[SeenColumn, ...]
    ordered: bool

    def of(self, *kinds: Kind) -> list[SeenColumn]:
        """List the columns of some kinds."""
        return [column for column in self.columns if column.kind in kinds]


def read_schema(rows: pd.DataFrame, bot: BotConfig, *, hidden: frozenset[str]) -> Schema:
    """Look at rows.

    Parameters
    ----------
    rows
        In time order.
    hidden
        Columns that no feature may be made of.
    """
    seen = tuple(
        _seen(str(name), rows[name], timed=str(name) == bot.time)
        for name in rows.columns
        if str(name) not in hidden
    )
    has_hour = any(column.kind is Kind.HOUR for column in seen)
    tied = bot.time in rows.columns and rows[bot.time].nunique() < _TIED * len(rows)
    return Schema(seen, ordered=has_hour or not tied)


def _seen(name: str, column: pd.Series[Any], *, timed: bool) -> SeenColumn:
    import pandas as pd

    present = column.dropna()
    missing = 1.0 - len(present) / max(1, len(column))
    distinct = int(present.nunique())
    numbers = pd.to_numeric(present, errors="coerce")
    if timed:
        raw = len(present) > 0 and not numbers.isna().any()
        return SeenColumn(name, Kind.CONSTANT if raw else Kind.TIME, distinct, missing)
    if missing >= SPARSE and distinct:
        return SeenColumn(name, Kind.SPARSE, distinct, missing)
    if distinct < 2:
        return SeenColumn(name, Kind.CONSTANT, distinct, missing)
    if numbers.isna().any():
        return SeenColumn(name, Kind.CATEGORY, distinct, missing)
    values = numbers.to_numpy(dtype=np.float64)
    whole = bool((values == np.floor(values)).all())
    kind = _kind_of_numbers(values, distinct, whole=whole)
    return SeenColumn(name, kind, distinct, missing, float(values.mean()), whole)


def _kind_of_numbers(values: FloatArray, distinct: int, *, whole: bool) -> Kind:
    if distinct == 2:
        return Kind.FLAG
    if not whole:
        return Kind.QUANTITY
    low, high, steps = values.min(), values.max(), np.diff(values)
    if low >= 0 and high <= 23 and distinct >= 20 and _cycles(steps, 24, still=0.3) > 0.7:
        return Kind.HOUR
    if distinct == 7 and high - low == 6 and high <= 7 and _cycles(steps, 7, still=1.0) > 0.9:
        return Kind.WEEKDAY
    if low >= 1 and high <= 12 and _cycles(steps, 12, still=1.0) > 0.98:
        return Kind.MONTH
    return Kind.GRADE if distinct <= FEW else Kind.QUANTITY


def _cycles(steps: FloatArray, length: int, *, still: float) -> float:
    """Share of steps that go on by one around a cycle, or stay; 0 where too many stay."""
    stays = steps == 0
    if not len(steps) or stays.mean() > still or stays.all():
        return 0.0
    return float((stays | (np.mod(steps, length) == 1)).mean())
