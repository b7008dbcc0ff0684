"""Rows from a Python function of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.config import load_dotted
from menace.data_sources.columns import head_text, tidy_frame
from menace.data_sources.files import source_of
from menace.errors import SourceError
from menace.records import SourcePosition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from menace.records import BotConfig


class CallableSource:
    """A function ``function(start_row, max_rows) -> pandas.DataFrame``.

    It returns the rows ``start_row``, ``start_row + 1``, … (counted from 0), at most ``max_rows``,
    fewer when there are no more yet. It must give the same rows whenever it is asked again; only a
    missing label may have been filled in. What it raises passes through. In a float column, NaN
    means that the label has not arrived.

    Parameters
    ----------
    function
        The function.
    name
        What messages call it.
    target
        Name of the label's column, if there is one.
    """

    def __init__(
        self,
        function: Callable[[int, int], pd.DataFrame],
        name: str,
        *,
        target: str | None = None,
    ) -> None:
        self._function = function
        self.name = name
        self._target = target

    @classmethod
    def from_bot(cls, bot: BotConfig, folder: Path) -> CallableSource:
        """Import the function that the bot's source names as ``package.module:function``.

        While it is imported, ``folder`` stands at the end of the Python path: a module may lie
        there, and hides none that is installed.

        Raises
        ------
        ConfigError
            If it cannot be imported.
        SourceError
            If it cannot be called.
        """
        location = source_of(bot).location
        function = load_dotted(location, folder=folder)
        if not callable(function):
            raise SourceError(
                f"{location} is a {type(function).__name__}, which cannot be called.",
                bot=bot.name,
                remedy="name a function function(start_row, max_rows) -> DataFrame",
            )
        return cls(function, location, target=bot.target)

    def read(
        self, position: SourcePosition | None, max_rows: int
    ) -> tuple[pd.DataFrame, SourcePosition]:
        """Read the next rows; see :class:`menace.interfaces.DataSource`.

        Raises
        ------
        SourceError
            If the function returns something else than a frame of at most ``max_rows`` rows.
        """
        import pandas as pd

        row = position.row if position else 0
        known = tuple(position.mark.get("text", ())) if position else ()
        given: object = self._function(row, max_rows)
        if not isinstance(given, pd.DataFrame):
            raise SourceError(
                f"{self.name} returned a {type(given).__name__}, not a pandas.DataFrame.",
                remedy="return a DataFrame, one without rows when there are none yet",
            )
        if len(given) > max_rows:
            raise SourceError(
                f"{self.name} returned {len(given)} rows where at most {max_rows} were asked for.",
                remedy="return the rows start_row .. start_row + max_rows - 1 only",
            )
        named = given.set_axis([str(name) for name in given.columns], axis="columns")
        if named.columns.has_duplicates:
            twice = named.columns[named.columns.duplicated()][0]
            raise SourceError(
                f"{self.name} returned the column {twice!r} more than once.",
                remedy="give every column a name of its own",
            )
        frame = tidy_frame(named, text=known, target=self._target)
        text = head_text(known, frame, row)
        return frame, SourcePosition(row + len(frame), {"text": text})
