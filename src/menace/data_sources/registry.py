"""Picks the backend of a bot's source: a short name, a dotted path, loaded when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.config import load_dotted
from menace.data_sources.labelled_stream import LabelledStream
from menace.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from menace.interfaces import DataSource
    from menace.records import BotConfig

BACKENDS = {
    "callable": "menace.data_sources.callable_source:CallableSource",
    "csv": "menace.data_sources.csv_source:CsvSource",
    "parquet": "menace.data_sources.parquet_source:ParquetSource",
    "sql": "menace.data_sources.sql_source:SqlSource",
}
"""Kind of a source → the class that reads it; each is made by ``from_bot(bot, folder)``."""


def open_source(bot: BotConfig, folder: Path) -> DataSource:
    """Open the source of a bot. Nothing is read before the first ``read``.

    Parameters
    ----------
    bot
        The bot; its ``source.kind`` picks the backend.
    folder
        The workspace; a relative path in the source is taken from here.

    Raises
    ------
    ConfigError
        If the bot has no source, or one of an unknown kind; the known kinds are listed.
    MissingDependencyError
        If the backend needs a package that is not installed; the install line is named.
    """
    if bot.source is None:
        raise ConfigError(
            "the bot has no source of rows.",
            bot=bot.name,
            remedy="give it one (kind csv, parquet, sql or callable), or report outcomes instead",
        )
    path = BACKENDS.get(bot.source.kind)
    if path is None:
        raise ConfigError(
            f"{bot.source.kind!r} is not a kind of source.",
            bot=bot.name,
            remedy=f"known kinds: {', '.join(sorted(BACKENDS))}",
        )
    source: DataSource = load_dotted(path).from_bot(bot, folder)
    return source


def rows_of(bot: BotConfig, folder: Path) -> LabelledStream:
    """Open the labelled rows of a bot: what the loop reads through.

    Parameters
    ----------
    bot
        The bot.
    folder
        The workspace; a relative path in the source is taken from here.

    Raises
    ------
    ConfigError
        If the bot has no source, one of an unknown kind, or drops its own target.
    MissingDependencyError
        If the backend needs a package that is not installed.
    """
    return LabelledStream(bot, open_source(bot, folder))
