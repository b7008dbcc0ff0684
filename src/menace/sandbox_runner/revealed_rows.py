"""Rows that are revealed bit by bit: the door through which a sandboxed loop sees a history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.errors import DataError
from menace.interfaces import LabelledBatch
from menace.records import SourcePosition

if TYPE_CHECKING:
    import pandas as pd


class RevealedRows:
    """Labelled rows in memory; implements :class:`menace.interfaces.LabelledRows`.

    Whatever the loop asks for, it gets nothing of what has not been revealed.

    Parameters
    ----------
    rows
        The whole history, labelled, in time order.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows
        self._revealed = 0

    def reveal(self, rows: int) -> None:
        """Reveal so many rows in all.

        Raises
        ------
        DataError
            If there are not so many, or some of them would be hidden again.
        """
        if not self._revealed <= rows <= len(self._rows):
            raise DataError(
                f"{rows} rows cannot be revealed: {self._revealed} of {len(self._rows)} are.",
                remedy="reveal more rows each time, up to as many as there are",
            )
        self._revealed = rows

    def read_new(
        self, position: SourcePosition | None, *, max_rows: int, last_at: str | float | None = None
    ) -> LabelledBatch:
        """Read what was revealed after ``position``, at most ``max_rows`` rows."""
        del last_at  # the order of time was checked where the history was read
        begin = position.row if position else 0
        end = max(begin, min(begin + max_rows, self._revealed))
        return LabelledBatch(self._slice(begin, end), SourcePosition(end, {}))

    def read_window(
        self, start: SourcePosition | None, end: SourcePosition, *, rows: int
    ) -> pd.DataFrame:
        """Read the newest ``rows`` rows before ``end``."""
        del start  # nothing is scanned
        last = min(end.row, self._revealed)
        return self._slice(max(0, last - rows), last)

    def _slice(self, begin: int, end: int) -> pd.DataFrame:
        return self._rows.iloc[begin:end].reset_index(drop=True)
