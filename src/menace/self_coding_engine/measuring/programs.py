"""How the programs of :mod:`menace.self_coding_engine.driven_calls` are started."""

from __future__ import annotations

from pathlib import Path

import menace

PACKAGE = Path(menace.__file__).parent
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""One thread each: a library's idle threads would blur what a call uses."""


def program(what: str) -> list[str]:
    """Give the command of a program; ``-P`` keeps the checkout's files from its imports."""
    path = PACKAGE / "self_coding_engine" / "driven_calls" / "program.py"
    return ["{python}", "-P", str(path), str(PACKAGE.parent), what]
