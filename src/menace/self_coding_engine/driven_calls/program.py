"""The program that the sandbox starts.

``python program.py ROOT WHAT`` with the folder that holds the package ``menace``, and one of
``record``, ``replay`` and ``time``.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path


def _borrowed_pipes() -> tuple[int, int]:
    """Take the standard input and output away from all code that will run here."""
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    os.close(null)
    for stream in (reading, writing):
        os.set_inheritable(stream, False)
    return reading, writing


def _skip_package_imports(root: Path) -> None:
    """Stand in for the packages above, whose own imports are of no use here."""
    for name in ("menace", "menace.self_coding_engine"):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package


def main() -> None:
    """Do what was asked until the input ends."""
    root, what = sys.argv[1:]
    sys.path[:] = [entry for entry in sys.path if Path(entry) != Path(__file__).parent]
    _skip_package_imports(Path(root))
    from menace.self_coding_engine.driven_calls import recording, replaying, timing

    for name in [name for name in sys.modules if name.partition(".")[0] == "menace"]:
        del sys.modules[name]
    serve = {"record": recording.serve, "replay": replaying.serve, "time": timing.serve}[what]
    reading, writing = _borrowed_pipes()
    sys.argv[1:] = []
    with os.fdopen(reading, "r") as orders, os.fdopen(writing, "w") as answers:
        serve(orders, answers)


if __name__ == "__main__":
    main()
