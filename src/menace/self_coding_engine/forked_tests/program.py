"""The fork server's program: one JSON request a line in, one JSON answer a line out.

``python program.py ROOT`` with the folder that holds the package ``menace``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType


def _borrowed_pipes() -> tuple[int, int]:
    """Take stdin and stdout away from all code that will run here."""
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    os.close(null)
    for descriptor in (reading, writing):
        os.set_inheritable(descriptor, False)
    return reading, writing


def _make_way(root: Path) -> None:
    """Let the modules beside this one be imported without those above them.

    The packages above are stood in for by empty ones: what they import has no business here.
    """
    sys.path[:] = [entry for entry in sys.path if Path(entry) != Path(__file__).parent]
    for name in ("menace", "menace.self_coding_engine"):
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package


def _forget() -> None:
    """Leave no name of menace behind: the code under test may be a checkout of this package."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "menace"]:
        del sys.modules[name]


def main() -> None:
    """Serve until the pipe ends."""
    _make_way(Path(sys.argv[1]))
    from menace.self_coding_engine.forked_tests.children import keep_private
    from menace.self_coding_engine.forked_tests.server import ForkServer

    _forget()

    reading, writing = _borrowed_pipes()
    keep_private(reading, writing)
    server = ForkServer()
    with os.fdopen(reading, "rb") as requests, os.fdopen(writing, "wb", buffering=0) as answers:
        for line in requests:
            answers.write(json.dumps(server.answer(json.loads(line))).encode() + b"\n")


if __name__ == "__main__":
    main()
