"""Why there is nothing to learn from, and what somebody can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from menace.records import BotConfig


def why_no_data(bot_name: str, bot: BotConfig | None, *, initialised: bool) -> str:
    """Say in a sentence, with the command that mends it, why a bot has no data.

    Parameters
    ----------
    bot_name, bot
        Its name, and its configuration if there is such a bot.
    initialised
        Whether there is a workspace.
    """
    if bot is not None and bot.source is None:
        return (
            f"bot {bot_name!r} only reports outcomes; a bot that menace improves has a "
            "source: menace bot add OTHER_NAME --source FILE --target COLUMN"
        )
    if bot is not None and bot.source is not None:
        return (
            f"bot {bot_name!r} has no labelled rows yet; they are awaited in {bot.source.location}"
        )
    first = "" if initialised else "menace init && "
    return (
        f"bot {bot_name!r} has no data; add some with: "
        f"{first}menace bot add {bot_name} --source FILE --target COLUMN"
    )
