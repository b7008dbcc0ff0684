"""Ask a person before an engine is made; the question and its answer are in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.errors import ApprovalError
from menace.records import ApprovalState

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.interfaces import Clock, ScalingRecords
    from menace.records import Json

EXPANSION = "expansion"
REFUSAL_HOLDS_SECONDS = 86_400.0
"""After a refusal nobody is asked again for a day."""


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
        return True
