"""A patch history for those who work without a store: it lasts as long as its engine."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

from menace.errors import PatchStateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.patches import Patch, PatchStatus


class MemoryPatchHistory:
    """The :class:`menace.interfaces.PatchHistory` in memory, without events. Safe to share."""

    def __init__(self) -> None:
        self._patches: dict[int, Patch] = {}
        self._lock = threading.Lock()

    def add_patch(self, patch: Patch) -> Patch:
        """Append a patch; returns it with its number."""
        with self._lock:
            number = len(self._patches) + 1
            self._patches[number] = dataclasses.replace(patch, patch_id=number)
            return self._patches[number]

    def move_patch(
        self,
        patch_id: int,
        *,
        expected: PatchStatus,
        status: PatchStatus,
        at: float,
        **changes: Any,
    ) -> Patch:
        """Move a patch from ``expected`` to ``status`` and set the fields in ``changes``."""
        with self._lock:
            known = self._found(patch_id)
            if known.status is not expected:
                raise PatchStateError(
                    f"patch {patch_id} is {known.status}, not {expected}.",
                    bot=known.bot,
                    remedy="look at it again",
                )
            moved = dataclasses.replace(known, status=status, decided_at=at, **changes)
            self._patches[patch_id] = moved
            return moved

    def patch(self, patch_id: int) -> Patch:
        """Read one patch."""
        with self._lock:
            return self._found(patch_id)

    def patches(
        self,
        bot: str | None = None,
        *,
        last: int,
        statuses: Sequence[PatchStatus] | None = None,
    ) -> list[Patch]:
        """Read the ``last`` patches (of one bot) in these states, oldest first."""
        with self._lock:
            found = [
                patch
                for patch in self._patches.values()
                if (bot is None or patch.bot == bot)
                and (statuses is None or patch.status in statuses)
            ]
        return found[-last:] if last > 0 else []

    def _found(self, patch_id: int) -> Patch:
        if patch_id not in self._patches:
            raise PatchStateError(f"there is no patch {patch_id}.", remedy="menace patches BOT")
        return self._patches[patch_id]
