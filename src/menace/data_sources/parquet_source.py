"""Rows of a Parquet file, or of a folder of Parquet files in the order of their names.

A Parquet file is written as a whole, so it grows by being written anew (elsewhere, then renamed
into place) or by a further part in the folder. The place is a row within a part: parts before it
are not opened again, and row groups before it are passed over by their metadata.
"""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from menace.data_sources.columns import head_text, stack, tidy_frame
from menace.data_sources.files import source_path, unreadable
from menace.errors import MissingDependencyError, SourceError
from menace.records import SourcePosition

if TYPE_CHECKING:
    import pandas as pd

    from menace.records import BotConfig

SUFFIXES = (".parquet", ".pq")
_BATCH_ROWS = 8192


class _Place(NamedTuple):
    """So many rows of a part lie before the place; ``parts`` begin with that part."""

    parts: list[Path]
    row: int


class ParquetSource:
    """A Parquet file, or a folder of parts.

    Parameters
    ----------
    path
        The file or folder. A new part must sort behind the parts that are there.
    target
        Name of the label's column: there, null is a missing label and NaN is kept for the caller to
        refuse. ``None`` if there is no such column.

    Raises
    ------
    MissingDependencyError
        If pyarrow is not installed.
    """

    def __init__(self, path: Path, *, target: str | None = None) -> None:
        try:
            self._arrow: Any = import_module("pyarrow")
            self._parquet: Any = import_module("pyarrow.parquet")
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                "reading Parquet needs the package pyarrow, which is not installed.",
                remedy="pip install 'menace[parquet]'",
            ) from error
        self.path = Path(path)
        self.name = str(path)
        self._target = target

    @classmethod
    def from_bot(cls, bot: BotConfig, folder: Path) -> ParquetSource:
        """Make the source of a bot; a relative location is taken from ``folder``."""
        return cls(source_path(bot, folder), target=bot.target)

    def read(
        self, position: SourcePosition | None, max_rows: int
    ) -> tuple[pd.DataFrame, SourcePosition]:
        """Read the next rows; see :class:`menace.interfaces.DataSource`.

        The position's mark holds the part's name and the row within it.

        Raises
        ------
        SourceError
            If the file is missing, is not Parquet, or holds fewer rows than ``position``.
        """
        import pandas as pd

        parts = self._parts()
        place = self._resume(parts, position)
        first_row = position.row if position else 0
        text = tuple(position.mark.get("text", ())) if position else ()
        frames: list[pd.DataFrame] = []
        taken, part, part_row = 0, None, place.row
        for path in place.parts:
            skip = place.row if path == place.parts[0] else 0
            frame = self._read_part(path, skip, max_rows - taken, text)
            frames.append(frame)
            taken += len(frame)
            part, part_row = path.name, skip + len(frame)
            if taken >= max_rows:
                break
        filled = [frame for frame in frames if len(frame)] or frames[-1:]
        frame = stack(filled) if filled else pd.DataFrame()
        mark = {"part": part, "part_row": part_row, "text": head_text(text, frame, first_row)}
        return frame, SourcePosition(first_row + taken, mark)

    def _parts(self) -> list[Path]:
        try:
            if not self.path.is_dir():
                self.path.stat()
                return [self.path]
            return sorted(
                path
                for path in self.path.iterdir()
                if path.suffix in SUFFIXES and not path.name.startswith((".", "_"))
            )
        except OSError as error:
            raise unreadable(self.path, error) from error

    def _resume(self, parts: list[Path], position: SourcePosition | None) -> _Place:
        """Find the place: by the part's name, or, if that part is gone, by counting rows."""
        if position is None:
            return _Place(parts, 0)
        names = [path.name for path in parts]
        part = position.mark.get("part")
        if part in names:
            index, row = names.index(part), int(position.mark["part_row"])
            rows = self._rows(parts[index])
            if rows < row:
                raise self._shrunk(parts[index], rows, row)
            return _Place(parts[index:], row)
        seen = 0
        for index, path in enumerate(parts):
            rows = self._rows(path)
            if position.row <= seen + rows:
                return _Place(parts[index:], position.row - seen)
            seen += rows
        if position.row > seen:
            raise self._shrunk(self.path, seen, position.row)
        return _Place([], 0)

    def _rows(self, path: Path) -> int:
        with self._opened(path) as file:
            return int(file.metadata.num_rows)

    def _read_part(self, path: Path, skip: int, max_rows: int, text: tuple[str, ...]) -> Any:
        """Read at most ``max_rows`` rows behind the first ``skip`` of a part."""
        pa = self._arrow
        with self._opened(path) as file:
            self._refuse_twins(path, file.schema_arrow.names)
            groups: list[int] = []
            before = 0
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if not groups and before + rows <= skip:
                    before += rows
                else:
                    groups.append(group)
            skip -= before
            batches: list[Any] = []
            wanted = max_rows
            size = max(1, min(_BATCH_ROWS, skip + max_rows))
            try:
                for batch in file.iter_batches(batch_size=size, row_groups=groups):
                    if wanted <= 0:
                        break
                    piece = batch.slice(min(skip, batch.num_rows), wanted)
                    skip -= min(skip, batch.num_rows)
                    wanted -= piece.num_rows
                    batches.append(piece)
            except (pa.ArrowException, OSError) as error:
                raise _damaged(path, error) from error
            table = pa.Table.from_batches(batches, schema=file.schema_arrow)
        return self._typed(table, text)

    def _typed(self, table: Any, text: tuple[str, ...]) -> pd.DataFrame:
        """Convert a table; text columns are known from the schema, whatever the rows hold."""
        types = self._arrow.types
        known = {
            field.name
            for field in table.schema
            if types.is_string(field.type) or types.is_large_string(field.type)
        }
        frame = table.to_pandas(ignore_metadata=True)
        if self._target in frame.columns:
            column = table.column(self._target)
            if types.is_floating(column.type):
                frame[self._target] = _with_nan_as_text(column)
        typed: pd.DataFrame = tidy_frame(frame, text=known.union(text), target=self._target)
        return typed

    def _opened(self, path: Path) -> Any:
        try:
            return self._parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
        except FileNotFoundError as error:
            raise unreadable(path, error) from error
        except (self._arrow.ArrowException, OSError) as error:
            raise _damaged(path, error) from error

    def _refuse_twins(self, path: Path, names: list[str]) -> None:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SourceError(
                f"{path} has the column {twice[0]!r} more than once.",
                remedy="give every column a name of its own",
            )

    def _shrunk(self, path: Path, rows: int, row: int) -> SourceError:
        return SourceError(
            f"{path} holds {rows} rows now, fewer than were read already (position: row {row}).",
            remedy="put the earlier rows back, or register the new data as another bot",
        )


def _with_nan_as_text(column: Any) -> pd.Series[Any]:
    """Keep NaN apart from null, which both become NaN in pandas: NaN is no missing label."""
    import pandas as pd

    values = column.to_pylist()
    if not any(value is not None and math.isnan(value) for value in values):
        return pd.Series(values, dtype="float64")
    return pd.Series(
        ["nan" if value is not None and math.isnan(value) else value for value in values],
        dtype="object",
    )


def _damaged(path: Path, error: Exception) -> SourceError:
    return SourceError(
        f"{path} is not a whole Parquet file: {str(error).splitlines()[0]}",
        remedy="write the file elsewhere and rename it into place when it is whole",
    )
