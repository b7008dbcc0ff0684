"""Reading the tables that people hand to commands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from menace.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_OPTIONAL = ("loss", "value_usd", "serving_cost_usd", "latency_seconds", "version")
_REQUIRED = ("prediction_id", "prediction", "truth")


def read_table(path: Path, *, as_text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read CSV, JSON lines or Parquet, told apart by the file's name.

    Parameters
    ----------
    path
        The file.
    as_text
        Columns of a CSV that stay the text they are (``007``).

    Raises
    ------
    DataError
        If the file is missing, empty, or not what its name says.
    MissingDependencyError
        If Parquet needs the extra that is not installed.
    """
    import pandas as pd

    if not path.exists():
        raise DataError(f"there is no file {path}.", remedy="check the path")
    if path.is_dir():
        raise DataError(f"{path} is a folder.", remedy="name a file in it")
    try:
        if path.suffix in {".parquet", ".pq"}:
            return pd.read_parquet(path)
        if path.suffix in {".jsonl", ".ndjson"}:
            return pd.read_json(path, lines=True, dtype=False)
        return pd.read_csv(path, dtype=dict.fromkeys(as_text, str))
    except ImportError as error:
        raise MissingDependencyError(
            f"reading {path} needs pyarrow.", remedy="pip install 'menace[parquet]'"
        ) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(
            f"{path} is empty.", remedy="give a file with a header line and rows"
        ) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.",
            remedy="check its rights, and that it is what its name says",
        ) from error
    except ValueError as error:
        told = " ".join(str(error).split()).removesuffix(".")
        raise DataError(
            f"{path} cannot be read: {told}.", remedy="check that it is what its name says"
        ) from error


def outcomes_of(frame: pd.DataFrame, file: Path, bot: str) -> list[dict[str, Any]]:
    """Turn a table's rows into outcomes.

    Raises
    ------
    DataError
        If a column is missing or a time cannot be read; the message names file and column.
    """
    missing = [name for name in _REQUIRED if name not in frame.columns]
    if missing:
        raise DataError(
            f"{file} has no column {missing[0]!r}; it has {', '.join(map(str, frame.columns))}.",
            bot=bot,
            remedy="give the columns prediction_id, prediction and truth",
        )
    wanted = [*_REQUIRED, *(name for name in _OPTIONAL if name in frame.columns)]
    columns = {name: _values(frame[name]) for name in wanted}
    if "at" in frame.columns:
        columns["at"] = _posix_seconds(frame["at"], file, bot)
    names = list(columns)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns.values(), strict=True)
    ]


def _values(column: pd.Series[Any]) -> list[Any]:
    missing = column.isna().tolist()
    return [None if gone else value for gone, value in zip(missing, column, strict=True)]


def _posix_seconds(column: pd.Series[Any], file: Path, bot: str) -> list[float | None]:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return [None if math.isnan(value) else float(value) for value in column]
    times = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
    wrong = times.isna() & column.notna()
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise DataError(
            f"{file}: outcome {row + 1} has {column.iloc[row]!r} in the column 'at', "
            "which is no time.",
            bot=bot,
            remedy="give ISO 8601 times or POSIX seconds",
        )
    return [
        None if gone else time.timestamp()
        for gone, time in zip(times.isna().tolist(), times, strict=True)
    ]
