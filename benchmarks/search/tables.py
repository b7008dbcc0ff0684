"""The tables that are searched on: where each comes from, and which of its rows are the test's.

A table with an order in time is cut by it: the last quarter is the test, whatever the seed. One
without is shuffled first, by the seed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from menace.errors import DataError
from menace.records import Metric, Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEST_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Table:
    """A table, cut.

    Attributes
    ----------
    name
        Its name.
    train, test
        Rows in the order in which they are to be learned from; the test's come later.
    target
        The column that is predicted; whole numbers from 0 for classes.
    ordered
        Whether the rows have an order in time.
    task
        What is predicted.
    """

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    target: str
    ordered: bool
    task: Task

    @property
    def metric(self) -> Metric:
        """What is compared: log loss, or squared error (of which the root is shown)."""
        return Metric.SQUARED_ERROR if self.task is Task.REGRESSION else Metric.LOG_LOSS

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Leave the target out; text becomes a category of the training rows."""
        columns = {}
        for name in frame.columns:
            if name == self.target:
                continue
            column = frame[name]
            if not pd.api.types.is_numeric_dtype(column):
                known = pd.Index(self.train[name].dropna().unique())
                column = pd.Series(pd.Categorical(column, categories=known), index=frame.index)
            columns[str(name)] = column
        return pd.DataFrame(columns)


@dataclass(frozen=True, slots=True)
class _Source:
    read: Callable[[Path], pd.DataFrame]
    target: str
    task: Task
    ordered: bool = False
    drop: tuple[str, ...] = ()


def load_table(name: str, folder: Path, *, seed: int, rows: int | None = None) -> Table:
    """Read a table and cut it.

    Parameters
    ----------
    name
        One of ``TABLES``.
    folder
        Where the public streams lie; the others come with their packages.
    seed
        Of the shuffle, where there is no order.
    rows
        Keep so many only, the last ones.

    Raises
    ------
    DataError
        If there is no such table, or its file is missing.
    """
    source = TABLES.get(name)
    if source is None:
        raise DataError(f"there is no table {name!r}.", remedy=f"choose from {', '.join(TABLES)}")
    frame = source.read(folder).drop(columns=list(source.drop))
    if not source.ordered:
        order = np.random.default_rng(seed).permutation(len(frame))
        frame = frame.iloc[order]
    if rows is not None:
        frame = frame.iloc[-rows:]
    frame = frame.reset_index(drop=True)
    if source.task is not Task.REGRESSION:
        frame[source.target] = pd.factorize(frame[source.target], sort=True)[0]
    cut = len(frame) - round(TEST_SHARE * len(frame))
    return Table(
        name=name,
        train=frame.iloc[:cut],
        test=frame.iloc[cut:].reset_index(drop=True),
        target=source.target,
        ordered=source.ordered,
        task=source.task,
    )


def _stream(file: str) -> Callable[[Path], pd.DataFrame]:
    def read(folder: Path) -> pd.DataFrame:
        path = folder / file
        if not path.is_file():
            raise DataError(
                f"there is no file {path}.", remedy="give the streams' folder with --data"
            )
        return pd.read_csv(path)

    return read


def _bundled(loader: str, target: str) -> Callable[[Path], pd.DataFrame]:
    """Take a table that scikit-learn brings."""

    def read(_: Path) -> pd.DataFrame:
        loaded: Any = getattr(importlib.import_module("sklearn.datasets"), loader)(as_frame=True)
        frame: pd.DataFrame = loaded.frame.rename(columns={"target": target})
        return frame

    return read


def _river(dataset: str, target: str) -> Callable[[Path], pd.DataFrame]:
    """Take a table that river brings."""

    def read(_: Path) -> pd.DataFrame:
        rows = list(getattr(importlib.import_module("river.datasets"), dataset)())
        frame = pd.DataFrame([features for features, _ in rows])
        return frame.assign(**{target: [truth for _, truth in rows]})

    return read


TABLES: dict[str, _Source] = {
    "bank_marketing": _Source(
        _stream("bank_marketing.csv.gz"), "y", Task.BINARY, ordered=True, drop=("duration",)
    ),
    "hotel_bookings": _Source(
        _stream("hotel_bookings.csv.gz"),
        "is_canceled",
        Task.BINARY,
        ordered=True,
        drop=("arrival_day",),
    ),
    "bike_rentals": _Source(
        _stream("bike_sharing.csv.gz"),
        "cnt",
        Task.REGRESSION,
        ordered=True,
        drop=("busy", "dteday"),
    ),
    "traffic_volume": _Source(
        _stream("metro_traffic.csv.gz"),
        "traffic_volume",
        Task.REGRESSION,
        ordered=True,
        drop=("busy", "date_time"),
    ),
    "digits": _Source(_bundled("load_digits", "digit"), "digit", Task.MULTICLASS),
    "segments": _Source(_river("ImageSegments", "category"), "category", Task.MULTICLASS),
    "elec2": _Source(
        _stream("elec2.csv.gz"), "class_up", Task.BINARY, ordered=True, drop=("date", "nswprice")
    ),
    "bananas": _Source(_river("Bananas", "shape"), "shape", Task.BINARY),
}
"""Known tables: the last two are kept back, to be looked at once."""

COMPARED = tuple(name for name in TABLES if name not in {"elec2", "bananas"})
KEPT_BACK = ("elec2", "bananas")
