"""Runs a Python command line that would not import ``sitecustomize`` with the guard all the same.

In place of ``python -I -c CODE`` and the like: ``python -I guarded.py -c CODE``.
"""

from __future__ import annotations

import runpy
import sys

_GUARD = "/run/menace/inside/site/sitecustomize.py"


def _main() -> None:
    runpy.run_path(_GUARD)
    del sys.argv[0]
    first = sys.argv[0]
    if first == "-c":
        code = sys.argv.pop(1)
        program = {"__name__": "__main__", "__builtins__": __builtins__}
        exec(compile(code, "<string>", "exec"), program)  # noqa: S102 - inside the sandbox
    elif first == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _main()
