"""Records of a growing CSV file, one by one, with the byte at which each ends.

A record may span lines (a quoted field may hold line ends), so the place after ``n`` records is
only known by reading them. The bookmark keeps that place, and a fingerprint of the bytes before it,
which tells a file that has grown from one that was written anew.
"""

from __future__ import annotations

import csv
import hashlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from menace.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is taken for a file that is no CSV, before it fills the memory."""

FINGERPRINT_BYTES = 256
BOM = b"\xef\xbb\xbf"


class Place(NamedTuple):
    """A place between two records.

    Attributes
    ----------
    offset
        Bytes before it (of the unpacked text, for a packed file).
    line
        Lines before it, the header's included.
    """

    offset: int = 0
    line: int = 0


class Record(NamedTuple):
    """One record, the places before and after it, and whether a line end follows it."""

    fields: list[str]
    before: Place
    after: Place
    terminated: bool


def fingerprint_before(stream: BinaryIO, offset: int) -> str:
    """Tell whether the same bytes still stand before ``offset``; leaves the stream there."""
    begin = max(0, offset - FINGERPRINT_BYTES)
    stream.seek(begin)
    return hashlib.sha256(stream.read(offset - begin)).hexdigest()[:16]


class RecordReader:
    """Reads records from a place on.

    Parameters
    ----------
    stream
        The file, positioned at ``place``.
    place
        Where the stream stands.
    name
        The file's name, for messages.
    """

    def __init__(self, stream: BinaryIO, place: Place, name: str) -> None:
        self._stream = stream
        self._place = place
        self._name = name
        self._terminated = True
        self._exhausted = False

    def records(self) -> Iterator[Record]:
        """Yield the records to the end of the file; blank lines are passed over.

        A quoted field that is still open at the end of the file ends the iteration without its
        record: it is half-written.

        Raises
        ------
        SourceError
            If the bytes are not UTF-8 or the quoting is broken; file and line are named.
        """
        parser = csv.reader(self._lines(), strict=True)
        while True:
            before = self._place
            try:
                fields = next(parser)
            except StopIteration:
                return
            except csv.Error as error:
                if self._exhausted:
                    return
                raise SourceError(
                    f"{self._name}: the record that begins in line {before.line + 1} is not CSV: "
                    f"{error}.",
                    remedy="mend the quotes of that record (a quote within quotes is doubled)",
                ) from error
            if fields:
                yield Record(fields, before, self._place, self._terminated)

    def _lines(self) -> Iterator[str]:
        while raw := self._stream.readline(LONGEST_LINE_BYTES):
            first = self._place.offset == 0
            self._terminated = raw.endswith(b"\n")
            if not self._terminated and len(raw) == LONGEST_LINE_BYTES:
                raise SourceError(
                    f"{self._name}: line {self._place.line + 1} is longer than "
                    f"{LONGEST_LINE_BYTES} bytes.",
                    remedy="give a CSV file with one record per line",
                )
            self._place = Place(self._place.offset + len(raw), self._place.line + self._terminated)
            text = self._decoded(raw.removeprefix(BOM) if first else raw)
            if text is None:
                break
            yield text
        self._exhausted = True

    def _decoded(self, raw: bytes) -> str | None:
        """Decode a line; ``None`` if it breaks off within a character at the end of the file."""
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            if not self._terminated and error.reason == "unexpected end of data":
                return None
            line = self._place.line + (not self._terminated)
            raise SourceError(
                f"{self._name}: line {line} is not UTF-8 text: {error.reason} "
                f"(byte {error.start + 1} of the line).",
                remedy="write the file as UTF-8 (iconv -f LATIN1 -t UTF-8)",
            ) from error
