"""Model versions: challenger, champion, archive, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from menace.errors import CycleConflictError, StoreError, UnknownVersionError
from menace.records import CycleState, ModelStatus, ModelVersion
from menace.storage.cycles import change_cycle, fail_under_way, read_cycle
from menace.storage.documents import from_text, to_text
from menace.storage.outbox import add_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

    from menace.records import Json

_COLUMNS = (
    "SELECT version, sha256, artifact, status, row, created_at, promoted_row, cycle_id, manifest"
    " FROM models "
)
_ONE = _COLUMNS + "WHERE bot_id = ? AND version = ?"
_OF_CYCLE = _COLUMNS + "WHERE bot_id = ? AND cycle_id = ?"
_LAST = (
    _COLUMNS + "WHERE bot_id = ? AND (? = 0 OR promoted_row IS NOT NULL)"
    " ORDER BY version DESC LIMIT ?"
)
_CHAMPION = "SELECT version, replaced_version FROM models WHERE bot_id = ? AND status = 'champion'"


def add_model(
    cursor: DBAPICursor,
    bot_id: int,
    bot: str,
    *,
    sha256: str,
    artifact: str,
    row: int,
    at: float,
    cycle_id: int | None,
    manifest: Json,
) -> ModelVersion:
    """Add a challenger, or return the one that the cycle has made already."""
    if cycle_id is not None:
        _check_cycle(cursor, bot, cycle_id)
        cursor.execute(_OF_CYCLE, (bot_id, cycle_id))
        made = cursor.fetchone()
        if made is not None:
            return _model(bot, made)
    text = to_text(manifest, what="the model's manifest", bot=bot)
    cursor.execute(
        "INSERT INTO models (bot_id, version, sha256, artifact, status, row, created_at, cycle_id,"
        " manifest) VALUES (?, (SELECT coalesce(max(version), 0) + 1 FROM models WHERE bot_id = ?),"
        " ?, ?, 'challenger', ?, ?, ?, ?) RETURNING version",
        (bot_id, bot_id, sha256, artifact, row, at, cycle_id, text),
    )
    (version,) = cursor.fetchone() or (0,)
    return read_model(cursor, bot_id, bot, version)


def promote(
    cursor: DBAPICursor,
    bot_id: int,
    bot: str,
    version: int,
    *,
    row: int,
    at: float,
    cycle_id: int | None,
) -> ModelVersion:
    """Make ``version`` the champion, moving the cycle to ``promoted`` if there is one."""
    read_model(cursor, bot_id, bot, version)
    replaced, before = _champion(cursor, bot_id)
    if cycle_id is not None:
        _check_cycle(cursor, bot, cycle_id)
        change_cycle(
            cursor,
            cycle_id,
            expected=CycleState.EVALUATED,
            state=CycleState.PROMOTED,
            at=at,
            # Not what the cycle was decided against: a rollback may have come in between.
            changes={"replaced_version": before if replaced == version else replaced},
        )
    if replaced == version:
        return read_model(cursor, bot_id, bot, version)
    _crown(cursor, bot_id, version, row)
    cursor.execute(
        "UPDATE models SET replaced_version = ? WHERE bot_id = ? AND version = ?",
        (replaced, bot_id, version),
    )
    payload = {"version": version, "replaced_version": replaced, "cycle_id": cycle_id}
    add_event(cursor, bot_id, "model.promoted", at, payload)
    return read_model(cursor, bot_id, bot, version)


def roll_back(
    cursor: DBAPICursor,
    bot_id: int,
    bot: str,
    *,
    to: int | None,
    row: int,
    at: float,
    cycle_id: int | None,
) -> ModelVersion:
    """Make a former champion serve again, moving the cycle to ``rolled_back`` if there is one."""
    present, before = _champion(cursor, bot_id)
    target = before if to is None else to
    if target is None:
        raise UnknownVersionError(
            "no former champion to go back to.", bot=bot, remedy=f"menace history {bot}"
        )
    model = read_model(cursor, bot_id, bot, target)
    if model.promoted_row is None or model.status is ModelStatus.CHAMPION:
        why = "serves already" if target == present else "never served"
        raise UnknownVersionError(
            f"version {target} is no former champion: it {why}.",
            bot=bot,
            remedy=f"choose one that served before: menace history {bot}",
        )
    if cycle_id is not None:
        _check_cycle(cursor, bot, cycle_id)
        change_cycle(
            cursor,
            cycle_id,
            expected=CycleState.PROMOTED,
            state=CycleState.ROLLED_BACK,
            at=at,
            changes={},
        )
    fail_under_way(cursor, bot_id, at=at, error="rolled back by hand while it was under way")
    # The way back is not a way forward: what the target once replaced stays as it was, so that
    # rolling back again goes further back instead of returning to the model just left.
    _crown(cursor, bot_id, target, row)
    payload = {"version": target, "replaced_version": present, "cycle_id": cycle_id}
    add_event(cursor, bot_id, "model.rolled_back", at, payload)
    return read_model(cursor, bot_id, bot, target)


def reject(cursor: DBAPICursor, bot_id: int, bot: str, version: int) -> None:
    """Mark a challenger as rejected; doing it twice changes nothing."""
    model = read_model(cursor, bot_id, bot, version)
    if model.status not in {ModelStatus.CHALLENGER, ModelStatus.REJECTED}:
        raise StoreError(
            f"version {version} is {model.status.value}, so it cannot be rejected.",
            bot=bot,
            remedy=f"menace rollback {bot} makes a former champion serve again",
        )
    cursor.execute(
        "UPDATE models SET status = 'rejected' WHERE bot_id = ? AND version = ?",
        (bot_id, version),
    )


def read_model(cursor: DBAPICursor, bot_id: int, bot: str, version: int) -> ModelVersion:
    """Read one version."""
    cursor.execute(_ONE, (bot_id, version))
    row = cursor.fetchone()
    if row is None:
        raise UnknownVersionError(
            f"there is no version {version}.", bot=bot, remedy=f"menace history {bot}"
        )
    return _model(bot, row)


def last_models(
    cursor: DBAPICursor, bot_id: int, bot: str, last: int, *, served_only: bool
) -> list[ModelVersion]:
    """Read the newest versions, oldest first."""
    cursor.execute(_LAST, (bot_id, int(served_only), last))
    return [_model(bot, row) for row in reversed(cursor.fetchall())]


def _champion(cursor: DBAPICursor, bot_id: int) -> tuple[int | None, int | None]:
    """Find the present champion and the one that it replaced."""
    cursor.execute(_CHAMPION, (bot_id,))
    version, replaced = cursor.fetchone() or (None, None)
    return version, replaced


def _crown(cursor: DBAPICursor, bot_id: int, version: int, row: int) -> None:
    """Archive the champion first: the schema allows one at a time."""
    cursor.execute(
        "UPDATE models SET status = 'archived' WHERE bot_id = ? AND status = 'champion'",
        (bot_id,),
    )
    cursor.execute(
        "UPDATE models SET status = 'champion', promoted_row = ? WHERE bot_id = ? AND version = ?",
        (row, bot_id, version),
    )


def _check_cycle(cursor: DBAPICursor, bot: str, cycle_id: int) -> None:
    cycle = read_cycle(cursor, cycle_id)
    if cycle.bot != bot:
        raise CycleConflictError(
            f"cycle {cycle_id} is of bot {cycle.bot!r}.",
            bot=bot,
            cycle_id=cycle_id,
            remedy="give a cycle of this bot",
        )


def _model(bot: str, row: Sequence[Any]) -> ModelVersion:
    values = list(row)
    values[3], values[-1] = ModelStatus(values[3]), from_text(values[-1])
    return ModelVersion(bot, *values)
