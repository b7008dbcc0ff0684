"""JSON documents in text columns: there and back, plain JSON only."""

from __future__ import annotations

import dataclasses
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from menace.config import validated_bot
from menace.errors import StoreError
from menace.records import Issue, IssueKind, LoopState, SourcePosition

if TYPE_CHECKING:
    from menace.records import BotConfig, Json

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_LOOP_FIELDS = tuple(field.name for field in dataclasses.fields(LoopState))


def to_text(document: Any, *, what: str, bot: str | None = None) -> str:
    """Encode a document; NaN, infinities and anything that is not plain JSON are refused.

    Raises
    ------
    StoreError
        Naming ``what`` could not be encoded.
    """
    try:
        return _encode(document)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"{what}: not plain JSON: {error}.",
            bot=bot,
            remedy="give finite Python numbers, text, lists and dicts: .item() makes a NumPy "
            "scalar plain, .tolist() an array",
        ) from error


def from_text(text: str) -> Json:
    """Decode a document that :func:`to_text` made."""
    document: Json = json.loads(text)
    return document


def bot_to_text(bot: BotConfig) -> str:
    """Encode a bot's configuration, checked, so that it can be read back.

    Raises
    ------
    ConfigError
        If a field is not what it must be.
    """
    document = dataclasses.asdict(bot)
    validated_bot(document)
    return to_text(document, what="the bot's configuration", bot=bot.name)


@lru_cache(maxsize=1024)
def bot_from_text(text: str) -> BotConfig:
    """Decode a bot's configuration. Cached: it is immutable, and read at every tick."""
    return validated_bot(from_text(text))


def loop_to_text(loop: LoopState, *, bot: str) -> str:
    """Encode a bot's loop state."""
    document = {name: getattr(loop, name) for name in _LOOP_FIELDS}
    document["issues"] = [
        (issue.bot, issue.kind, issue.severity, issue.evidence, issue.row) for issue in loop.issues
    ]
    return to_text(document, what="the loop state", bot=bot)


def loop_from_text(text: str) -> LoopState:
    """Decode a bot's loop state; a field that it lacks has its default."""
    document = json.loads(text)
    position = document.get("position")
    if position is not None:
        document["position"] = SourcePosition(*position)
    document["issues"] = tuple(
        Issue(bot, IssueKind(kind), severity, evidence, row)
        for bot, kind, severity, evidence, row in document.get("issues", ())
    )
    return LoopState(**document)
