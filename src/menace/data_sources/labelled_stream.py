"""The labelled rows of a source: the door through which the loop sees data.

A row whose target is missing has no label yet. Rows are given out up to the first such row, and
from there on at a later look: labels keep the order of time. A row is given up, and passed over,
when at least ``label_wait_rows`` later rows have a label. Only the presence of later labels is
looked at for this, never a value, and nothing behind the position is ever given out.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from menace.data_sources.columns import stack, without_blanks
from menace.data_sources.label_checks import clean_labels, label_fault, time_fault
from menace.errors import ConfigError, DataError, MenaceError, SourceError
from menace.interfaces import DataSource, LabelledBatch
from menace.records import SourcePosition

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd

    from menace.records import BotConfig

MARK_ROWS = 2000
"""A mark is given at every multiple of so many source rows, however large the ticks are."""

LOOK_AHEAD_ROWS = 200_000
"""Rows (or 20 × ``label_wait_rows``, if more) looked at behind a missing label for later ones."""

_START = SourcePosition(0, {})


@runtime_checkable
class BoundedSource(DataSource, Protocol):
    """A source that finds the end of what was read by more than the number of rows.

    A query has no row numbers: rows may have been deleted before the position, or have arrived
    since at its very time.
    """

    def read_before(
        self, position: SourcePosition | None, end: SourcePosition, max_rows: int
    ) -> tuple[pd.DataFrame, SourcePosition]:
        """Read the next rows after ``position`` that were read before ``end`` was reached."""
        ...


class _Plan(NamedTuple):
    """So many source rows may be taken; ``waiting_row`` then holds back later labelled ones."""

    rows: int
    waiting_row: int | None


class _Chunk(NamedTuple):
    """Labelled rows of one read, and the source row of each, shape ``(rows,)``."""

    frame: pd.DataFrame
    rows: np.ndarray
    start: SourcePosition


class LabelledStream:
    """Labelled rows of a bot; implements :class:`menace.interfaces.LabelledRows`.

    Memory and time depend on the rows that are read, not on those before them (a packed CSV file
    excepted, which is unpacked from its start).

    Parameters
    ----------
    bot
        Names the target, the time column, the dropped columns, and how long labels are waited for.
    source
        Yields the rows.
    name
        What the messages call the source; by default the source's own ``name``, or its location.

    Raises
    ------
    ConfigError
        If the bot drops its own target.
    """

    def __init__(self, bot: BotConfig, source: DataSource, *, name: str | None = None) -> None:
        if bot.target in bot.drop:
            raise ConfigError(
                f"the target {bot.target!r} is among the dropped columns.",
                bot=bot.name,
                remedy="take it out of drop: the target is never given to a model anyway",
            )
        self._bot = bot
        self._source = source
        location = bot.source.location if bot.source else "the source"
        self._name = name or str(getattr(source, "name", location))

    def read_new(
        self, position: SourcePosition | None, *, max_rows: int, last_at: str | float | None = None
    ) -> LabelledBatch:
        """Read what has become labelled after ``position``.

        The frame holds the features, the target (``int64``, ``float64`` or ``str``, without missing
        values) and the time column, this one also when it is among the dropped columns.

        Parameters
        ----------
        position
            Where the last batch ended; ``None`` for the start.
        max_rows
            Most rows to return, ≥ 1.
        last_at
            Newest time before ``position``.

        Returns
        -------
        LabelledBatch
            ``waiting_row`` is also set when so many rows without a label follow that the look ahead
            ended (:data:`LOOK_AHEAD_ROWS`); a larger ``label_wait_rows`` looks further.

        Raises
        ------
        DataError
            Naming source and row (counted from 0; for CSV the line too), for a missing target or
            time column (at the start for a missing dropped column too), a target that is NaN,
            infinite, or text among numbers, a missing time or one that goes backwards. No position
            has advanced then.
        SourceError
            If the source cannot be read.
        """
        if max_rows < 1:
            raise DataError(
                f"{max_rows} rows were asked for.", bot=self._bot.name, remedy="ask for 1 or more"
            )
        with self._named():
            chunks, end, marks, waiting = self._labelled_prefix(position, max_rows)
            begin = position or _START
            taken = sum(len(chunk.frame) for chunk in chunks)
            frame = self._checked(chunks, last_at)
            given_up = end.row - begin.row - taken
            return LabelledBatch(frame, end, tuple(marks), waiting, given_up)

    def read_window(
        self, start: SourcePosition | None, end: SourcePosition, *, rows: int
    ) -> pd.DataFrame:
        """Read the newest ``rows`` labelled rows before ``end``.

        Parameters
        ----------
        start
            Where the scan begins: a mark at least ``rows`` labelled rows before ``end``, or
            ``None`` for the start of the source. Time grows with the distance, memory does not.
        end
            A position that :meth:`read_new` gave; no row at or after it is read.
        rows
            Size of the window, ≥ 1.

        Raises
        ------
        DataError
            As :meth:`read_new`, save for time going backwards.
        SourceError
            If the source cannot be read.
        """
        if rows < 1:
            raise DataError(
                f"a window of {rows} rows was asked for.",
                bot=self._bot.name,
                remedy="ask for 1 or more",
            )
        with self._named():
            window: deque[_Chunk] = deque()
            held = 0
            for chunk in self._chunks_before(start or _START, end):
                window.append(chunk)
                held += len(chunk.frame)
                while len(window) > 1 and held - len(window[0].frame) >= rows:
                    held -= len(window.popleft().frame)
            frame = self._checked(list(window), None, times=False)
            return frame.tail(rows).reset_index(drop=True)

    def _chunks_before(self, start: SourcePosition, end: SourcePosition) -> Iterator[_Chunk]:
        position = start
        bounded = self._source if isinstance(self._source, BoundedSource) else None
        while bounded is not None or position.row < end.row:
            if bounded is not None:
                frame, after = bounded.read_before(position, end, MARK_ROWS)
            else:
                size = min(MARK_ROWS, end.row - position.row)
                frame, after = self._source.read(position, size)
            yield self._labelled(frame, position)
            if len(frame) == 0:
                return
            position = after

    def _labelled_prefix(
        self, begin: SourcePosition | None, max_rows: int
    ) -> tuple[list[_Chunk], SourcePosition, list[SourcePosition], int | None]:
        """Take rows while all are labelled; behind a missing label, take what a plan allows."""
        chunks: list[_Chunk] = []
        marks: list[SourcePosition] = []
        position, taken = begin or _START, 0
        while taken < max_rows:
            size = min(max_rows - taken, MARK_ROWS - position.row % MARK_ROWS)
            frame, after = self._source.read(position, size)
            chunk = self._labelled(frame, position)
            if begin is None and len(frame.columns):
                self._check_columns(frame, [("dropped", name) for name in self._bot.drop])
            if len(chunk.frame) < len(frame):
                plan = self._plan(position, max_rows - taken)
                position = self._take(position, plan.rows, chunks, marks)
                return chunks, position, marks, plan.waiting_row
            chunks.append(chunk)
            _note_mark(marks, after, len(frame))
            position, taken = after, taken + len(frame)
            if len(frame) < size:
                break
        return chunks, position, marks, None

    def _take(
        self,
        position: SourcePosition,
        rows: int,
        chunks: list[_Chunk],
        marks: list[SourcePosition],
    ) -> SourcePosition:
        """Read exactly ``rows`` source rows and keep the labelled ones."""
        stop = position.row + rows
        while position.row < stop:
            size = min(stop - position.row, MARK_ROWS - position.row % MARK_ROWS)
            frame, after = self._source.read(position, size)
            if len(frame) == 0:
                raise SourceError(
                    f"{self._name} lost rows while it was read: row {position.row} is gone.",
                    remedy="append to the source, or replace it as a whole; then try again",
                )
            chunks.append(self._labelled(frame, position))
            _note_mark(marks, after, len(frame))
            position = after
        return position

    def _plan(self, position: SourcePosition, max_rows: int) -> _Plan:
        """Find out how far rows may be taken, from the presence of labels alone."""
        import numpy as np

        wait = self._bot.label_wait_rows
        limit = max(LOOK_AHEAD_ROWS, 20 * wait)
        masks: list[np.ndarray] = []
        begin, labelled, seen = position.row, 0, 0
        limited = False
        while labelled < max_rows + wait:
            frame, position = self._source.read(position, MARK_ROWS)
            if len(frame) == 0:
                break
            masks.append(self._present(frame))
            labelled += int(masks[-1].sum())
            seen += len(frame)
            limited = seen - labelled >= limit
            if limited or len(frame) < MARK_ROWS:
                break
        mask = np.concatenate(masks) if masks else np.zeros(0, dtype=bool)
        upto = np.cumsum(mask)
        following = labelled - upto
        stops = np.flatnonzero(~mask & (following < wait))
        first_stop = int(stops[0]) if len(stops) else len(mask)
        full = int(np.searchsorted(upto, max_rows)) + 1 if labelled >= max_rows else len(mask)
        if full <= first_stop:
            return _Plan(full, None)
        held = first_stop < len(mask) and (limited or following[first_stop] > 0)
        return _Plan(first_stop, begin + first_stop if held else None)

    def _labelled(self, frame: pd.DataFrame, start: SourcePosition) -> _Chunk:
        """Keep the labelled rows and the columns that the loop may see."""
        import numpy as np

        rows = np.arange(start.row, start.row + len(frame))
        if len(frame.columns) == 0:
            return _Chunk(frame, rows, start)
        mask = self._present(frame)
        hidden = [name for name in self._bot.drop if name != self._bot.time]
        # A dropped column that has left the source since is one that no model saw anyway.
        seen = frame.loc[mask].drop(columns=hidden, errors="ignore")
        return _Chunk(seen, rows[mask], start)

    def _present(self, frame: pd.DataFrame) -> np.ndarray:
        bot = self._bot
        wanted = [("target", bot.target)]
        wanted += [("time", bot.time)] if bot.time is not None else []
        self._check_columns(frame, wanted)
        target = frame[bot.target]
        if target.dtype.kind == "O":
            target = without_blanks(target)
        mask: np.ndarray = target.notna().to_numpy(dtype=bool)
        return mask

    def _check_columns(self, frame: pd.DataFrame, wanted: list[tuple[str, str]]) -> None:
        for role, name in wanted:
            if name not in frame.columns:
                raise DataError(
                    f"{self._name} has no column {name!r}, which is the {role} column; "
                    f"its columns: {', '.join(str(known) for known in frame.columns)}.",
                    remedy=f"correct the name of the {role} column, or the source",
                )

    def _checked(
        self, chunks: list[_Chunk], last_at: str | float | None, *, times: bool = True
    ) -> pd.DataFrame:
        """Put chunks together and check every label, and every time if ``times``."""
        import numpy as np
        import pandas as pd

        filled = [chunk for chunk in chunks if len(chunk.frame)] or chunks[-1:]
        if not filled:
            return pd.DataFrame()
        frame = stack([chunk.frame for chunk in filled])
        if len(frame) == 0:
            return frame
        rows = np.concatenate([chunk.rows for chunk in filled])
        fault = label_fault(frame[self._bot.target], self._bot)
        if fault is None and times and self._bot.time is not None:
            fault = time_fault(frame[self._bot.time], self._bot.time, last_at)
        if fault is not None:
            where = self._place(int(rows[fault.at]), chunks)
            raise DataError(f"{self._name}: {where} {fault.problem}.", remedy=fault.remedy)
        frame[self._bot.target] = clean_labels(frame[self._bot.target], self._bot)
        return frame

    def _place(self, row: int, chunks: list[_Chunk]) -> str:
        """Name a source row, with its line where the adapter counts lines."""
        start = max((c.start for c in chunks if c.start.row <= row), key=lambda start: start.row)
        _, after = self._source.read(start, row - start.row + 1)
        line = after.mark.get("line")
        return f"row {row} (line {line})" if line else f"row {row}"

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Let every error that passes name the bot."""
        try:
            yield
        except MenaceError as error:
            error.bot = error.bot or self._bot.name
            raise


def _note_mark(marks: list[SourcePosition], after: SourcePosition, rows: int) -> None:
    if rows and after.row % MARK_ROWS == 0:
        marks.append(after)
