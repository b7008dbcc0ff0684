"""What belongs to no bot: decisions about the number of engines, and questions to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from menace.errors import ApprovalError
from menace.records import Approval, ApprovalState, Scaling, ScalingAction
from menace.storage.documents import from_text, to_text
from menace.storage.observations import check_last

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPICursor

    from menace.records import Json
    from menace.storage.sql_store import Database

_ADD = (
    "INSERT INTO scalings (action, reason, at, engine, inputs) VALUES (?, ?, ?, ?, ?)"
    " RETURNING scaling_id"
)
_REPLACE = (
    "UPDATE scalings SET reason = ?, at = ?, inputs = ? WHERE scaling_id = ? AND action = 'wait'"
    " AND scaling_id = (SELECT max(scaling_id) FROM scalings)"
)
_SCALINGS = "SELECT action, reason, at, engine, inputs, scaling_id FROM scalings "
_LAST = _SCALINGS + "ORDER BY scaling_id DESC LIMIT ?"
# The condition of the index scalings_that_moved, word for word.
_LAST_MOVED = _SCALINGS + "WHERE action <> 'wait' ORDER BY scaling_id DESC LIMIT ?"

_ASK = (
    "INSERT INTO approvals (subject, asked_at, state, changed_at, inputs)"
    " VALUES (?, ?, 'pending', ?, ?) ON CONFLICT DO NOTHING RETURNING approval_id"
)
_APPROVALS = (
    "SELECT approval_id, subject, asked_at, state, changed_at, inputs FROM approvals WHERE "
)
_ONE = _APPROVALS + "approval_id = ?"
_OPEN = _APPROVALS + "subject = ? AND state IN ('pending', 'granted')"
_LAST_ASKED = _APPROVALS + "approval_id > 0 ORDER BY approval_id DESC LIMIT ?"
_LAST_ASKED_OF = _APPROVALS + "subject = ? ORDER BY approval_id DESC LIMIT ?"


class SQLScalingRecords:
    """The :class:`menace.interfaces.ScalingRecords` on a SQL database; a part of the store."""

    _database: Database

    def add_scaling(self, scaling: Scaling, *, replacing: int | None = None) -> int:
        """Append what was decided about the number of engines, or renew a wait; returns its id."""
        inputs = to_text(scaling.inputs, what="the scaling's inputs")
        with self._database.write() as cursor:
            if replacing is not None and scaling.action is ScalingAction.WAIT:
                cursor.execute(_REPLACE, (scaling.reason, scaling.at, inputs, replacing))
                if cursor.rowcount == 1:
                    return replacing
            cursor.execute(
                _ADD, (str(scaling.action), scaling.reason, scaling.at, scaling.engine, inputs)
            )
            (scaling_id,) = cursor.fetchone() or (0,)
        return int(scaling_id)

    def scalings(self, *, last: int, moved_only: bool = False) -> list[Scaling]:
        """Read the ``last`` of them (that created or removed an engine), oldest first."""
        with self._database.read() as cursor:
            cursor.execute(_LAST_MOVED if moved_only else _LAST, (check_last(last),))
            rows = cursor.fetchall()
        return [
            Scaling(ScalingAction(action), reason, at, engine, from_text(inputs), scaling_id)
            for action, reason, at, engine, inputs, scaling_id in reversed(rows)
        ]

    def ask_approval(self, subject: str, *, at: float, inputs: Json) -> Approval:
        """Ask a person; returns the subject's question that is pending or granted, if there is."""
        text = to_text(inputs, what="the question's inputs")
        with self._database.write() as cursor:
            cursor.execute(_ASK, (subject, at, at, text))
            added = cursor.fetchone()
            if added is None:
                cursor.execute(_OPEN, (subject,))
                return _approval(cursor.fetchone() or ())
            return _one(cursor, added[0])

    def approvals(self, *, last: int, subject: str | None = None) -> list[Approval]:
        """Read the ``last`` questions, oldest first."""
        with self._database.read() as cursor:
            if subject is None:
                cursor.execute(_LAST_ASKED, (check_last(last),))
            else:
                cursor.execute(_LAST_ASKED_OF, (subject, check_last(last)))
            return [_approval(row) for row in reversed(cursor.fetchall())]

    def move_approval(
        self, approval_id: int, *, expected: ApprovalState, state: ApprovalState, at: float
    ) -> Approval:
        """Move a question from ``expected`` to ``state``."""
        with self._database.write() as cursor:
            before = _one(cursor, approval_id)
            if before.state is not expected:
                raise ApprovalError(
                    f"question {approval_id} is {before.state}, not {expected}.",
                    remedy="menace approvals lists those that are pending",
                )
            cursor.execute(
                "UPDATE approvals SET state = ?, changed_at = ? WHERE approval_id = ?",
                (str(state), at, approval_id),
            )
            return _one(cursor, approval_id)


def _one(cursor: DBAPICursor, approval_id: int) -> Approval:
    cursor.execute(_ONE, (approval_id,))
    row = cursor.fetchone()
    if row is None:
        raise ApprovalError(
            f"there is no question {approval_id}.", remedy="menace approvals lists them"
        )
    return _approval(row)


def _approval(row: Sequence[Any]) -> Approval:
    approval_id, subject, asked_at, state, changed_at, inputs = row
    return Approval(
        approval_id, subject, asked_at, ApprovalState(state), changed_at, from_text(inputs)
    )
