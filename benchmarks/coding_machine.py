"""What a benchmark of self-coding ran on, as plain JSON."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from menace.records import Json


def environment() -> Json:
    """Machine, Python, and the libraries that the figures depend on."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        **{name: version(name) for name in ("libcst", "numpy", "pandas")},
    }
