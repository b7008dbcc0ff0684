"""The spec: which streams are measured, and how each is cut into batches."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from menace.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

FORM = (
    'write a [[streams]] table per stream with name = "…", file = "…", target = "…", '
    "drop = […] and batch_rows = N"
)


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One stream.

    Attributes
    ----------
    name
        What the results call it; unique in the spec.
    file
        CSV file with a header, rows in time order, plain or compressed; lies in the data folder.
    target
        Column with the class label.
    drop
        Columns that no model sees.
    batch_rows
        Rows per batch, ≥ 1.
    """

    name: str
    file: str
    target: str
    drop: tuple[str, ...]
    batch_rows: int


def read_spec(path: Path) -> tuple[StreamSpec, ...]:
    """Read a spec file.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no TOML, or a stream lacks a key, has an unknown one or a
        value of the wrong type; the message names the file, the stream and the key.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the spec {path} cannot be read: {error.strerror}.", remedy="check the path"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}.", remedy=FORM) from error
    tables = document.get("streams")
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f"{path} has no [[streams]] tables.", remedy=FORM)
    streams = tuple(_stream(path, number, table) for number, table in enumerate(tables, 1))
    names = [stream.name for stream in streams]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"{path} has more than one stream named {', '.join(twice)}.",
            remedy="give every stream a name of its own",
        )
    return streams


def _stream(path: Path, number: int, table: Any) -> StreamSpec:
    where = f"{path}: stream {number}"
    if not isinstance(table, dict):
        raise ConfigError(f"{where} is no table.", remedy=FORM)
    if isinstance(table.get("name"), str):
        where = f"{path}: stream {table['name']!r}"
    unknown = sorted(set(table) - set(StreamSpec.__dataclass_fields__))
    if unknown:
        raise ConfigError(f"{where} has unknown keys: {', '.join(unknown)}.", remedy=FORM)
    text: dict[str, str] = {}
    for key in ("name", "file", "target"):
        value = table.get(key)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{where}: {key} is {value!r}, not a text.", remedy=FORM)
        text[key] = value
    drop = table.get("drop", [])
    if not isinstance(drop, list) or not all(isinstance(column, str) for column in drop):
        raise ConfigError(f"{where}: drop is {drop!r}, not a list of column names.", remedy=FORM)
    rows = table.get("batch_rows")
    if type(rows) is not int or rows < 1:
        raise ConfigError(
            f"{where}: batch_rows is {rows!r}, not a whole number of 1 or more.", remedy=FORM
        )
    return StreamSpec(text["name"], text["file"], text["target"], tuple(drop), rows)
