"""Runs one command within limits and ends all it started. A program of its own.

Started by :class:`menace.supervision.supervisor_process.SupervisorProcess`, without ``site``. One
line of JSON on standard input says what to run; the input then stays open as long as somebody waits
for the command, and its end, whatever the cause (a time-out, Ctrl-C, the death of the other
process), is the end of the command. One JSON object on standard output says how it went.

Being the reaper of whatever the command leaves behind (Linux), it knows the CPU time of all of it,
and can end processes that have left the command's group.
"""

from __future__ import annotations

import subprocess

from menace.supervision.supervision import (
    Capture,
    Supervision,
    prepare_child,
    read_order,
    tell,
)

TYPE_CHECKING = False  # as type checkers know it: see supervision.py
if TYPE_CHECKING:
    from typing import Any


class CommandSupervision(Supervision):
    """A command with what it prints on both streams kept together: the end of it.

    Parameters
    ----------
    order
        Also holds ``command``, ``cwd`` and ``output_limit_bytes``.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        super().__init__(order)
        self._output = Capture(order["output_limit_bytes"], keep_end=True)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the command."""
        # The command comes from the settings of the one who started this; no shell sees it.
        command = subprocess.Popen(  # noqa: S603
            self.order["command"],
            cwd=self.order["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=self._output.writing,
            stderr=self._output.writing,
            start_new_session=True,
            preexec_fn=prepare_child,  # noqa: PLW1509
        )
        self._output.listen(self)
        return command

    def report(self, code: int) -> dict[str, Any]:
        """Add the output."""
        return {
            **super().report(code),
            "output": self._output.kept.decode("utf-8", "replace"),
            "output_bytes": self._output.total_bytes,
        }


def main() -> None:
    """Run the order that comes in."""
    tell(CommandSupervision(read_order()).run())
