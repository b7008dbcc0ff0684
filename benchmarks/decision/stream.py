"""Reading a stream into the arrays that the protocol's models are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from menace.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from benchmarks.decision.spec import StreamSpec

WINDOW_BATCHES = 5
"""A model is trained on so many of the newest batches."""

LEAST_BATCHES = 12
"""Fewer leave nothing to calibrate on or nothing to score."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream cut into batches; the remainder is dropped.

    Attributes
    ----------
    features
        Numbers as they are, text as codes by order of first appearance in the whole file (missing
        text is −1), columns in file order, shape ``(batches · batch_rows, columns)``.
    labels
        Codes of the sorted classes, shape ``(batches · batch_rows,)``.
    """

    name: str
    features: NDArray[np.float32]
    labels: NDArray[np.int32]
    batch_rows: int

    @property
    def batches(self) -> int:
        """Number of batches."""
        return len(self.labels) // self.batch_rows

    def shuffled(self, seed: int) -> Stream:
        """Put the rows in random order: the same stream without its drift."""
        order = np.random.default_rng(seed).permutation(len(self.labels))
        return Stream(self.name, self.features[order], self.labels[order], self.batch_rows)


def read_stream(spec: StreamSpec, folder: Path) -> Stream:
    """Read and encode a stream.

    Raises
    ------
    DataError
        If the file is missing or is no CSV, a column is missing, a label is missing, there is only
        one class, or there are too few rows; the message names file, column and row.
    ConfigError
        If target and dropped columns leave no feature.
    """
    path = folder / spec.file
    frame = _read_csv(path, spec)
    missing = [column for column in (spec.target, *spec.drop) if column not in frame.columns]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(map(repr, missing))}.",
            remedy=f"its columns are {', '.join(map(str, frame.columns))}; mend the spec",
        )
    features = frame.drop(columns=[spec.target, *spec.drop])
    if features.shape[1] == 0:
        raise ConfigError(
            f"stream {spec.name!r}: nothing but target and dropped columns in {path}.",
            remedy="drop fewer columns",
        )
    batches = len(frame) // spec.batch_rows
    if batches < LEAST_BATCHES:
        raise DataError(
            f"{path} has {len(frame)} rows, which make {batches} batches of {spec.batch_rows}; "
            f"{LEAST_BATCHES} are needed.",
            remedy="lower batch_rows in the spec, or give a longer stream",
        )
    labels = _labels(path, frame[spec.target])
    encoded = np.column_stack([_numbers(features.iloc[:, k]) for k in range(features.shape[1])])
    # Cut after encoding: codes follow the whole file, as the protocol has it.
    rows = batches * spec.batch_rows
    return Stream(spec.name, encoded[:rows].astype(np.float32), labels[:rows], spec.batch_rows)


def _read_csv(path: Path, spec: StreamSpec) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise DataError(
            f"stream {spec.name!r}: there is no file {path}.",
            remedy="check --data and the spec's file",
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"stream {spec.name!r}: {path} cannot be read as CSV: {error}.",
            remedy="give a CSV file with a header, UTF-8, plain or compressed by its suffix",
        ) from error


def _labels(path: Path, column: pd.Series) -> NDArray[np.int32]:
    import pandas as pd

    codes, classes = pd.factorize(column, sort=True)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0)) + 1
        raise DataError(
            f"{path}: the target {column.name!r} is missing in row {row}.",
            remedy="remove rows without a label",
        )
    if len(classes) < 2:
        raise DataError(
            f"{path}: the target {column.name!r} has one class only.",
            remedy="name a column with two classes or more",
        )
    return np.asarray(codes, dtype=np.int32)


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(pd.factorize(column)[0], dtype=np.float64)
