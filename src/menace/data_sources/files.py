"""Paths of file sources, and what is said when a file cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from menace.records import BotConfig, SourceConfig


def source_of(bot: BotConfig) -> SourceConfig:
    """Give the bot's source. Raises ``ConfigError`` if it has none."""
    if bot.source is None:
        raise ConfigError("the bot has no source of rows.", bot=bot.name, remedy="give it a source")
    return bot.source


def source_path(bot: BotConfig, folder: Path) -> Path:
    """Give the path of a file source; a relative one is taken from ``folder``."""
    return folder / Path(source_of(bot).location).expanduser()


def unreadable(path: Path, error: OSError) -> SourceError:
    """Make the error for a file that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return SourceError(
            f"there is no file {path}.", remedy="check the path, or put the file there"
        )
    reason = error.strerror or str(error)
    return SourceError(
        f"{path} cannot be read: {reason}.", remedy="make it a file that this user may read"
    )
