"""A file that only grows: one record per line, on disk before the caller goes on.

For what is added to again and again, where writing a whole state file each time would be waste. A
line is a JSON object with a checksum of its own; the first says what the file is::

    {"menace": "module_roi", "version": 1, "sha256": "…"}
    {"cycle": 7, …, "sha256": "…"}

A process that is killed while it appends leaves a torn last line. It was never acknowledged, so it
is passed over by readers and taken away by the next writer. Damage anywhere else is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import StateFileError
from menace.state_file import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from menace.records import Json

    Append = Callable[[Json], None]

CHECKSUM = "sha256"
CHECKSUM_DIGITS = 16


class Journal:
    """An append-only file of records, shared by threads and processes.

    Parameters
    ----------
    path
        The file; it and its folder are made by the first append.
    kind
        What the file holds, such as ``"module_roi"``.
    version
        Version of the records' layout, ≥ 1.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "words.jsonl"
    >>> journal = Journal(path, kind="words", version=1)
    >>> with journal.writing() as (seen, append):
    ...     append({"word": "drift"})
    >>> [record["word"] for record in Journal(path, kind="words", version=1).news()]
    ['drift']
    """

    def __init__(self, path: Path | str, *, kind: str, version: int) -> None:
        self.path = Path(path)
        self._header: Json = {"menace": kind, "version": version}
        self._read_bytes = 0
        self._turn = threading.RLock()

    def news(self) -> list[Json]:
        """Read the records that were added since this object last looked.

        Raises
        ------
        StateFileError
            If the file cannot be read, is foreign, newer, or damaged before its last line.
        """
        with self._turn:
            try:
                with self.path.open("rb") as stream:
                    stream.seek(self._read_bytes)
                    return self._taken(stream.read())
            except FileNotFoundError:
                return []
            except OSError as error:
                raise StateFileError(
                    f"the journal {self.path} cannot be read: {error.strerror or error}.",
                    remedy="make it readable for this user",
                ) from error

    @contextmanager
    def writing(self) -> Iterator[tuple[list[Json], Append]]:
        """Hold the file alone; yields the records that others added, and ``append(record)``.

        Each record is on disk when ``append`` returns.

        Raises
        ------
        StateFileError
            If the file cannot be read or written, or a record is not plain JSON.
        """
        with self._turn:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                stream = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            except OSError as error:
                raise self._unwritable(error) from error
            try:
                fcntl.flock(stream, fcntl.LOCK_EX)
                size = os.fstat(stream).st_size
                if size < self._read_bytes:
                    raise self._changed()
                if size == 0:
                    sync_folder(self.path.parent)  # the file's name, too, must outlive a power cut
                seen = self.news()
                yield seen, partial(self._append, stream)
            except OSError as error:
                raise self._unwritable(error) from error
            finally:
                os.close(stream)

    def _append(self, stream: int, record: Json) -> None:
        lines = b""
        if self._read_bytes == 0:
            lines = _line(self._header, self.path)
        lines += _line(record, self.path)
        os.ftruncate(stream, self._read_bytes)  # whatever a killed writer left half-written
        written = 0
        while written < len(lines):
            written += os.write(stream, lines[written:])
        os.fsync(stream)
        self._read_bytes += len(lines)

    def _taken(self, text: bytes) -> list[Json]:
        """Take in whole lines; a last one that is torn stays for the next look."""
        *lines, rest = text.split(b"\n")
        if self._read_bytes == 0 and not lines and not self._is_begun_header(rest):
            raise self._foreign()
        records: list[Json] = []
        for position, line in enumerate(lines):
            record = _checked(line)
            if record is None:
                if self._read_bytes == 0:
                    raise self._foreign()
                if position == len(lines) - 1:
                    break
                raise StateFileError(
                    f"the journal {self.path} is damaged at byte {self._read_bytes}.",
                    remedy="bring it back from a copy, or move it away to begin a new one",
                )
            if self._read_bytes == 0:
                self._check_header(record)
            else:
                records.append(record)
            self._read_bytes += len(line) + 1
        return records

    def _check_header(self, header: Json) -> None:
        kind, version = self._header["menace"], self._header["version"]
        if header.get("menace") != kind:
            raise self._foreign()
        found = header.get("version")
        if not isinstance(found, int) or found > version:
            raise StateFileError(
                f"the journal {self.path} has version {found}, newer than {version}, the newest "
                "known here.",
                remedy="open it with the version of menace that wrote it, or newer",
            )

    def _is_begun_header(self, text: bytes) -> bool:
        """Whether this is all that a writer left who was killed while making the file."""
        whole = _line(self._header, self.path)
        return whole.startswith(text) or not text.strip(b"\0")

    def _foreign(self) -> StateFileError:
        return StateFileError(
            f"the file {self.path} is no menace {self._header['menace']} journal.",
            remedy="name another file; this one is left as it is",
        )

    def _changed(self) -> StateFileError:
        return StateFileError(
            f"the journal {self.path} was cut short or replaced while it was in use.",
            remedy="bring it back, or start the process anew to begin with what there is",
        )

    def _unwritable(self, error: OSError) -> StateFileError:
        return StateFileError(
            f"the journal {self.path} cannot be written: {error.strerror or error}.",
            remedy="make the folder writable or free some space; what it holds is unchanged",
        )


def _line(record: Json, path: Path) -> bytes:
    if CHECKSUM in record:
        raise StateFileError(f"the record for {path} uses the name {CHECKSUM!r}.")
    try:
        body = json.dumps(record, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StateFileError(f"the record for {path} is not plain JSON: {error}.") from error
    plain = json.loads(body)
    return json.dumps({**plain, CHECKSUM: _checksum(plain)}).encode() + b"\n"


def _checked(line: bytes) -> Json | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    checksum = record.pop(CHECKSUM, None)
    return record if checksum == _checksum(record) else None


def _checksum(record: Json) -> str:
    body = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()[:CHECKSUM_DIGITS]
