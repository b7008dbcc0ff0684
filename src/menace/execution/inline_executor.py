"""Runs jobs in the calling process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class InlineExecutor:
    """Calls the function where it is called: no start-up, no copies, no second core."""

    def run(self, function: Callable[[Any], Any], job: Any) -> Any:
        """Return ``function(job)``; exceptions pass through."""
        return function(job)

    def close(self) -> None:
        """Do nothing: there are no workers."""
