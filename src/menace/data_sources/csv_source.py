"""Rows of a CSV file that grows: only what is new is read.

The rules, for a file in UTF-8 with commas, a header, and RFC 4180 quotes:

* A record is visible when its line end is written. A last record without one is visible when it has
  all its fields **and** the file has not grown since an earlier read came to its end: so a static
  file is read to its last row (at the second look), and a line that is being written is left alone.
  Should such a record go on after all, its rest is passed over, with a warning in the log.
* A file that was written anew (its bytes before the position differ, or its header does) is gone
  through from its start, once, to find the place by counting rows; reading goes on with the columns
  it has now. One that holds fewer rows than were read already is an error.
* A packed file (``.csv.gz``) is unpacked from its start at every read: memory stays constant, time
  grows with the file. Unpack a large one that keeps growing.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from menace.data_sources.columns import (
    HEAD_ROWS,
    feature_from_strings,
    head_text,
    target_from_strings,
)
from menace.data_sources.csv_records import Place, Record, RecordReader, fingerprint_before
from menace.data_sources.files import source_path, unreadable
from menace.errors import SourceError
from menace.records import SourcePosition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from menace.records import BotConfig

_LOG = logging.getLogger(__name__)


class _Header(NamedTuple):
    names: list[str]
    fingerprint: str
    after: Place


class _Start(NamedTuple):
    """Where a read begins, and what is known there.

    Attributes
    ----------
    text
        Columns known to hold text.
    size
        Size of the file when a read last came to its end.
    still
        Whether a last record without a line end may be read.
    open_at
        Offset and line at which the last record begins, if it was read without a line end.
    """

    row: int
    place: Place
    text: tuple[str, ...]
    size: int | None
    still: bool
    open_at: list[int] | None = None


class CsvSource:
    """A CSV file, plain or packed with gzip, that may grow between two reads.

    Parameters
    ----------
    path
        The file.
    target
        Name of the label's column: there, only an empty field is missing, and ``nan`` is kept as
        text for the caller to refuse. ``None`` if there is no such column.
    """

    def __init__(self, path: Path, *, target: str | None = None) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._target = target
        self._packed = self.path.suffix == ".gz"

    @classmethod
    def from_bot(cls, bot: BotConfig, folder: Path) -> CsvSource:
        """Make the source of a bot; a relative location is taken from ``folder``."""
        return cls(source_path(bot, folder), target=bot.target)

    def read(
        self, position: SourcePosition | None, max_rows: int
    ) -> tuple[pd.DataFrame, SourcePosition]:
        """Read the next rows; see :class:`menace.interfaces.DataSource`.

        The position's mark holds the byte offset, the number of lines before it, fingerprints of
        the header and of the bytes before the place, and the size of the file when a read last
        came to its end.

        Raises
        ------
        SourceError
            If the file is missing, is not readable as CSV, or holds fewer rows than ``position``.
        """
        import pandas as pd

        with self._opened() as (stream, size):
            header = self._header(stream)
            if header is None:
                self._refuse_shrunk(position, 0)
                return pd.DataFrame(), SourcePosition(0, {"size": size})
            start = self._resume(stream, header, position, size)
            if start is None:
                return self._frame(header, [], ()), cast("SourcePosition", position)
            records = self._next_records(stream, header, start, max_rows)
            after, open_at = start.place, start.open_at
            if records:
                after, before = records[-1].after, records[-1].before
                open_at = None if records[-1].terminated else [before.offset, before.line]
            fingerprint = fingerprint_before(stream, after.offset)
        frame = self._frame(header, records, start.text)
        text = head_text(start.text, frame, start.row)
        mark = {
            "offset": after.offset,
            "line": after.line,
            "header": header.fingerprint,
            "before": fingerprint,
            "open_at": open_at,
            "size": size if len(records) < max_rows else start.size,
            "text": text,
        }
        return frame, SourcePosition(start.row + len(records), mark)

    @contextmanager
    def _opened(self) -> Iterator[tuple[BinaryIO, int]]:
        """Open the file; errors while it is read name it."""
        try:
            size = self.path.stat().st_size
            opener = gzip.open if self._packed else open
            with opener(self.path, "rb") as stream:
                yield cast("BinaryIO", stream), size
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(
                f"{self.name} is not a whole gzip file: {error}.",
                remedy="write the packed file elsewhere and rename it into place when it is whole",
            ) from error
        except OSError as error:
            raise unreadable(self.path, error) from error

    def _header(self, stream: BinaryIO) -> _Header | None:
        """Read the header; ``None`` if the file has no whole line yet."""
        record = next(RecordReader(stream, Place(), self.name).records(), None)
        if record is None or not (record.terminated or self._packed):
            return None
        names = [name.strip() or f"column_{k + 1}" for k, name in enumerate(record.fields)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SourceError(
                f"{self.name}: the header has the column {twice[0]!r} more than once.",
                remedy="give every column a name of its own",
            )
        fingerprint = hashlib.sha256("\x1f".join(names).encode()).hexdigest()[:16]
        return _Header(names, fingerprint, record.after)

    def _resume(
        self, stream: BinaryIO, header: _Header, position: SourcePosition | None, size: int
    ) -> _Start | None:
        """Find the place of ``position``; ``None`` if it lies in a line that is being written."""
        if position is None or (position.row == 0 and "offset" not in position.mark):
            looked = position.mark.get("size") if position else None
            stream.seek(header.after.offset)
            return _Start(0, header.after, (), looked, self._packed or looked == size)
        mark = position.mark
        place = self._same_place(stream, header, position)
        if place is None:
            return self._counted(stream, header, position)
        text = tuple(mark.get("text", ()))
        looked = mark.get("size")
        start = _Start(position.row, place, text, looked, self._packed or looked == size)
        if mark.get("open_at") is None:
            return start
        return self._without_open(stream, start._replace(open_at=mark["open_at"]), size)

    def _same_place(
        self, stream: BinaryIO, header: _Header, position: SourcePosition
    ) -> Place | None:
        """Go to the marked byte, if the header and the bytes before it are what they were."""
        mark = position.mark
        offset = mark.get("offset")
        if not isinstance(offset, int) or mark.get("header") != header.fingerprint:
            return None
        if fingerprint_before(stream, offset) != mark.get("before"):
            return None
        return Place(offset, int(mark.get("line", 0)))

    def _without_open(self, stream: BinaryIO, start: _Start, size: int) -> _Start | None:
        """Pass over a last record that was read without its line end, whatever became of it.

        It is read again from its own start, for a quoted field may go on over lines. ``None`` if it
        has grown and still has no end.
        """
        offset, line = cast("list[int]", start.open_at)
        if size == start.place.offset and not self._packed:
            return start
        stream.seek(offset)
        record = next(RecordReader(stream, Place(offset, line), self.name).records(), None)
        if record is not None and record.after.offset == start.place.offset:
            return start
        if record is None or not record.terminated:
            return None
        stream.seek(start.place.offset)
        appended = stream.read(record.after.offset - start.place.offset)
        if appended not in {b"\n", b"\r\n"}:
            _LOG.warning(
                "%s: row %d (line %d) went on after it had been read; the rest is passed over",
                self.name,
                start.row - 1,
                record.after.line,
            )
        return start._replace(place=record.after, open_at=None)

    def _counted(self, stream: BinaryIO, header: _Header, position: SourcePosition) -> _Start:
        """Find the place by counting rows from the start, in constant memory."""
        _LOG.info("%s was written anew: looking for row %d", self.name, position.row)
        stream.seek(header.after.offset)
        head: list[Record] = []
        seen, place = 0, header.after
        for record in RecordReader(stream, header.after, self.name).records():
            if seen == position.row or (not record.terminated and self._ragged(header, record)):
                break
            self._check_fields(header, record, seen)
            if seen < HEAD_ROWS:
                head.append(record)
            seen, place = seen + 1, record.after
        self._refuse_shrunk(position, seen)
        stream.seek(place.offset)
        text = head_text((), self._frame(header, head, ()), 0)
        return _Start(position.row, place, tuple(text), None, self._packed)

    def _next_records(
        self, stream: BinaryIO, header: _Header, start: _Start, max_rows: int
    ) -> list[Record]:
        records: list[Record] = []
        if max_rows < 1:
            return records
        for record in RecordReader(stream, start.place, self.name).records():
            if not record.terminated and (not start.still or self._ragged(header, record)):
                break
            self._check_fields(header, record, start.row + len(records))
            records.append(record)
            if len(records) == max_rows:
                break
        return records

    def _ragged(self, header: _Header, record: Record) -> bool:
        return len(record.fields) != len(header.names)

    def _check_fields(self, header: _Header, record: Record, row: int) -> None:
        if self._ragged(header, record):
            raise SourceError(
                f"{self.name}: row {row} (line {record.after.line}) has {len(record.fields)} "
                f"fields, the header has {len(header.names)}.",
                remedy="mend that line, or quote fields that hold a comma",
            )

    def _frame(self, header: _Header, records: list[Record], text: Iterable[str]) -> pd.DataFrame:
        import pandas as pd

        known = set(text)
        columns = {}
        for k, name in enumerate(header.names):
            typed = target_from_strings if name == self._target else feature_from_strings
            columns[name] = typed([record.fields[k] for record in records], text=name in known)
        return pd.DataFrame(columns, columns=header.names)

    def _refuse_shrunk(self, position: SourcePosition | None, rows: int) -> None:
        if position is not None and rows < position.row:
            offset = position.mark.get("offset")
            place = f"row {position.row}" + (f", byte {offset}" if offset is not None else "")
            raise SourceError(
                f"{self.name} holds {rows} rows now, fewer than were read already "
                f"(position: {place}).",
                remedy="put the earlier rows back, or register the new data as another bot",
            )
