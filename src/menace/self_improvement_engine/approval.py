"""Ask a person before an engine is made; the question and its answer are in the store."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from menace.errors import ApprovalError, StoreError
from menace.records import ApprovalState

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.interfaces import Clock, ScalingRecords
    from menace.records import Json

logger = logging.getLogger(__name__)

EXPANSION = "expansion"
REFUSAL_HOLDS_SECONDS = 86_400.0
"""After a refusal nobody is asked again for a day."""


@runtime_checkable
class Returnable(Protocol):
    """An approval whose yes can be given back when nothing came of it."""

    def give_back(self) -> None:
        """Let the last yes be good for another engine."""
        ...


class PersonalApproval:
    """An ``approval_callback`` that says yes once a person has granted the expansion.

    The first call leaves a question; calls say no until it is granted, by whichever process. A
    grant is good for one engine: the call that says yes uses it up. It does not run out, since
    energy, trend and budget are looked at anew before it is asked for.

    Parameters
    ----------
    store
        Keeps questions and answers.
    clock
        Tells the time.
    inputs
        What the person should know, such as how many engines there are.
    """

    def __init__(
        self,
        store: ScalingRecords,
        clock: Clock,
        *,
        inputs: Callable[[], Json] = dict,
    ) -> None:
        self._store, self._clock, self._inputs = store, clock, inputs
        self._used: int | None = None

    def __call__(self) -> bool:
        """Whether the next engine has been granted; asks if nobody has been asked."""
        now = self._clock.now()
        newest = self._store.approvals(last=1, subject=EXPANSION)
        refused = bool(newest) and newest[0].state is ApprovalState.REFUSED
        if refused and now - newest[0].changed_at < REFUSAL_HOLDS_SECONDS:
            return False
        question = self._store.ask_approval(EXPANSION, at=now, inputs=self._inputs())
        if question.state is not ApprovalState.GRANTED:
            return False
        try:
            self._store.move_approval(
                question.approval_id,
                expected=ApprovalState.GRANTED,
                state=ApprovalState.USED,
                at=now,
            )
        except ApprovalError:  # another process has used it
            return False
        self._used = question.approval_id
        return True

    def give_back(self) -> None:
        """Let the grant that the last yes used up be good for another engine."""
        used, self._used = self._used, None
        if used is None:
            return
        try:
            self._store.move_approval(
                used,
                expected=ApprovalState.USED,
                state=ApprovalState.GRANTED,
                at=self._clock.now(),
            )
        except StoreError as error:  # another process has asked anew: one open question at a time
            logger.warning("grant %d is used up, though no engine was made: %s", used, error)
