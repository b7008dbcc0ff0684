"""Patches to helper code: those that were tried, what was found out, and where they stand."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from menace.errors import PatchStateError, StoreError
from menace.patches import Claim, GateReport, Patch, PatchStatus
from menace.storage.documents import from_text, to_text
from menace.storage.observations import check_last
from menace.storage.outbox import add_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

    from menace.records import Json
    from menace.storage.sql_store import Database

KEPT = 1000
"""Patches of a bot that never came into the code and are kept all the same: the newest so many."""

_FIELDS = (
    "target",
    "proposer",
    "operator",
    "claim",
    "status",
    "at",
    "explanation",
    "diff",
    "parameters",
    "seed",
    "cycle_id",
    "parent_id",
    "base_commit",
    "commit_id",
    "revert_commit",
    "gates",
    "deltas",
    "cpu_seconds",
    "approved_by",
    "decided_at",
)
# What was proposed stays as it was; what is found out about it comes later.
_CHANGEABLE = (
    "status",
    "cycle_id",
    "parent_id",
    "base_commit",
    "commit",
    "revert_commit",
    "gates",
    "deltas",
    "cpu_seconds",
    "approved_by",
    "decided_at",
)
_DECISIONS = (PatchStatus.REJECTED, PatchStatus.KEPT, PatchStatus.REVERTED)

_ADD = (
    "INSERT INTO patches (bot_id, target, proposer, operator, claim, status, at, explanation, diff,"
    " parameters, seed, cycle_id, parent_id, base_commit, commit_id, revert_commit, gates, deltas,"
    " cpu_seconds, approved_by, decided_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING patch_id"
)
_CHANGE = (
    "UPDATE patches SET target = ?, proposer = ?, operator = ?, claim = ?, status = ?, at = ?,"
    " explanation = ?, diff = ?, parameters = ?, seed = ?, cycle_id = ?, parent_id = ?,"
    " base_commit = ?, commit_id = ?, revert_commit = ?, gates = ?, deltas = ?, cpu_seconds = ?,"
    " approved_by = ?, decided_at = ? WHERE patch_id = ? AND status = ?"
)
_COLUMNS = (
    "SELECT b.name, p.target, p.proposer, p.operator, p.claim, p.status, p.at, p.explanation,"
    " p.diff, p.parameters, p.seed, p.cycle_id, p.parent_id, p.base_commit, p.commit_id,"
    " p.revert_commit, p.gates, p.deltas, p.cpu_seconds, p.approved_by, p.decided_at, p.patch_id"
    " FROM patches p JOIN bots b ON b.bot_id = p.bot_id "
)
_ONE = _COLUMNS + "WHERE p.patch_id = ?"
# As many places as there are states; a shorter choice repeats one of its own.
_IN_STATES = "p.status IN (?, ?, ?, ?, ?, ?, ?, ?) ORDER BY p.patch_id DESC LIMIT ?"
_LAST = _COLUMNS + "WHERE " + _IN_STATES
_LAST_OF_BOT = _COLUMNS + "WHERE p.bot_id = ? AND " + _IN_STATES
# The condition is that of the index patches_outside_the_code, word for word.
_FORGET = (
    "DELETE FROM patches WHERE bot_id = ? AND status IN ('proposed', 'rejected') AND patch_id <="
    " (SELECT patch_id FROM patches WHERE bot_id = ? AND status IN ('proposed', 'rejected')"
    " ORDER BY patch_id DESC LIMIT 1 OFFSET ?)"
    " AND NOT EXISTS (SELECT 1 FROM patches child WHERE child.parent_id = patches.patch_id)"
)


class SQLPatchHistory:
    """The :class:`menace.interfaces.PatchHistory` on a SQL database; a part of the store."""

    _database: Database

    def _bot_id(self, cursor: DBAPICursor, name: str) -> int:
        raise NotImplementedError

    def add_patch(self, patch: Patch) -> Patch:
        """Append a patch, with a ``patch.STATUS`` event; returns it with its number.

        Of those that never came into the code, the bot's oldest are forgotten.
        """
        values = _values(patch)
        with self._database.write() as cursor:
            bot_id = self._bot_id(cursor, patch.bot)
            cursor.execute(_ADD, (bot_id, *values))
            (patch_id,) = cursor.fetchone() or (0,)
            added = _read(cursor, patch_id)
            _note(cursor, bot_id, added, patch.at)
        return added

    def move_patch(
        self,
        patch_id: int,
        *,
        expected: PatchStatus,
        status: PatchStatus,
        at: float,
        **changes: Any,
    ) -> Patch:
        """Move a patch from ``expected`` to ``status``, with its event.

        Where that decides about it (rejected, kept, reverted), ``at`` becomes its ``decided_at``
        unless ``changes`` say otherwise.
        """
        unknown = sorted(set(changes) - set(_CHANGEABLE))
        if unknown:
            raise StoreError(
                f"a patch has no field {unknown[0]!r} that could be changed.",
                remedy=f"fields that can: {', '.join(_CHANGEABLE)}",
            )
        if status in _DECISIONS:
            changes = {"decided_at": at} | changes
        with self._database.write() as cursor:
            before = _read(cursor, patch_id)
            if before.status is not expected:
                raise PatchStateError(
                    f"patch {patch_id} is {before.status}, not {expected}.",
                    bot=before.bot,
                    remedy=f"menace patches {before.bot}: another process may have moved it",
                )
            after = dataclasses.replace(before, **changes, status=PatchStatus(status))
            cursor.execute(_CHANGE, (*_values(after), patch_id, expected.value))
            after = _read(cursor, patch_id)
            _note(cursor, self._bot_id(cursor, before.bot), after, at)
        return after

    def patch(self, patch_id: int) -> Patch:
        """Read one patch."""
        with self._database.read() as cursor:
            return _read(cursor, patch_id)

    def patches(
        self,
        bot: str | None = None,
        *,
        last: int,
        statuses: Sequence[PatchStatus] | None = None,
    ) -> list[Patch]:
        """Read the ``last`` patches (of one bot) in these states, oldest first."""
        wanted = [PatchStatus(status).value for status in statuses or PatchStatus]
        places = (wanted + [wanted[0]] * len(PatchStatus))[: len(PatchStatus)]
        with self._database.read() as cursor:
            bot_id = None if bot is None else self._bot_id(cursor, bot)
            if statuses is not None and not statuses:
                return []
            if bot_id is None:
                cursor.execute(_LAST, (*places, check_last(last)))
            else:
                cursor.execute(_LAST_OF_BOT, (bot_id, *places, check_last(last)))
            return [_patch(row) for row in reversed(cursor.fetchall())]


def _read(cursor: DBAPICursor, patch_id: int) -> Patch:
    cursor.execute(_ONE, (patch_id,))
    row = cursor.fetchone()
    if row is None:
        raise PatchStateError(
            f"there is no patch {patch_id}.", remedy="menace patches BOT lists a bot's patches"
        )
    return _patch(row)


def _values(patch: Patch) -> tuple[Any, ...]:
    """Turn a patch into the values of its columns, in the order of ``_FIELDS``."""
    for name in ("at", "cpu_seconds", "decided_at"):
        figure = getattr(patch, name)
        if figure is not None and not math.isfinite(figure):
            raise StoreError(
                f"a patch's {name} is {figure}.", bot=patch.bot, remedy="give a finite number"
            )
    documents = {
        "parameters": patch.parameters,
        "gates": [dataclasses.asdict(gate) for gate in patch.gates],
        "deltas": patch.deltas,
    }
    plain: dict[str, Any] = {
        name: to_text(document, what=f"a patch's {name}", bot=patch.bot)
        for name, document in documents.items()
    }
    plain["claim"], plain["status"] = Claim(patch.claim).value, PatchStatus(patch.status).value
    plain["commit_id"] = patch.commit  # COMMIT is a word of SQL's own.
    return tuple(plain[name] if name in plain else getattr(patch, name) for name in _FIELDS)


def _patch(row: Sequence[Any]) -> Patch:
    bot, *columns, patch_id = row
    values = dict(zip(_FIELDS, columns, strict=True))
    values["commit"] = values.pop("commit_id")
    values["claim"], values["status"] = Claim(values["claim"]), PatchStatus(values["status"])
    values |= {name: from_text(values[name]) for name in ("parameters", "deltas")}
    values["gates"] = tuple(GateReport(**gate) for gate in json.loads(values["gates"]))
    return Patch(bot=bot, patch_id=patch_id, **values)


def _note(cursor: DBAPICursor, bot_id: int, patch: Patch, at: float) -> None:
    """Write the event of a patch's new state, and forget the oldest that came to nothing."""
    payload: Json = {
        "patch_id": patch.patch_id,
        "target": patch.target,
        "proposer": patch.proposer,
        "claim": patch.claim.value,
    }
    for name in ("cycle_id", "commit", "revert_commit", "approved_by"):
        if getattr(patch, name) is not None:
            payload[name] = getattr(patch, name)
    if patch.status is PatchStatus.REJECTED and patch.gates:
        payload["gate"], payload["reason"] = patch.gates[-1].name, patch.gates[-1].reason
    add_event(cursor, bot_id, f"patch.{patch.status.value}", at, payload)
    if patch.status in (PatchStatus.PROPOSED, PatchStatus.REJECTED):
        cursor.execute(_FORGET, (bot_id, bot_id, KEPT))
