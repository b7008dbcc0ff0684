"""Starts a supervisor: a small process of its own that runs one order and tells how it went."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import MenaceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from menace.records import Json

_ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package ``menace``."""

_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from {module} import main; main()"


class SupervisorProcess:
    """A supervisor at work on one order.

    The supervisor runs as long as its input is open. Its end, whatever the cause (:meth:`end`,
    Ctrl-C, the death of this process), is the end of all that it started.

    Parameters
    ----------
    module
        The supervisor's program: a module of menace with a function ``main`` that imports nothing
        but the standard library and modules of which the same is true, since it starts without
        ``site``.
    order
        What it is to do.
    environment
        Its whole environment.
    pass_fds
        Open file descriptors that it inherits under their numbers.
    """

    def __init__(
        self,
        module: str,
        order: Json,
        *,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> None:
        # This interpreter and a module of menace; what the user named goes through the pipe.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-c", _PROGRAM.format(module=module), str(_ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            pass_fds=pass_fds,
            start_new_session=True,  # so that Ctrl-C in a terminal reaches menace, and it alone
        )
        try:
            if self._process.stdin is None:
                raise MenaceError("the supervisor has no pipes.")
            with suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(order).encode("ascii") + b"\n")
                self._process.stdin.flush()
        except BaseException:
            self._close()
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def report(self) -> Json:
        """Wait for its end; what it tells, or ``{"reason": "lost"}`` if it was killed itself."""
        try:
            answer = self._process.stdout.read() if self._process.stdout else b""
        finally:
            self._close()
        report: Json = json.loads(answer) if answer else {"reason": "lost"}
        return report

    def end(self) -> Json:
        """Have it end everything now, and return its report."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        return self.report()

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()
