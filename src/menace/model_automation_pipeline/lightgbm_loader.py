"""Imports LightGBM where the system lacks the OpenMP library it needs."""

from __future__ import annotations

import ctypes
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType

OPENMP = "libgomp.so.1"


def import_lightgbm(prefix: Path | None = None) -> ModuleType:
    """Import LightGBM.

    Its wheel needs ``libgomp.so.1`` from the system, which a minimal image lacks. The set-up script
    then leaves a copy in the virtual environment; that one is loaded first, and found by name.

    Parameters
    ----------
    prefix
        The environment whose ``lib`` folder may hold the copy; by default the running one's.

    Raises
    ------
    MissingDependencyError
        If LightGBM or the library is missing; the remedy is the command that installs it.
    """
    try:
        return importlib.import_module("lightgbm")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "LightGBM is not installed.", remedy="pip install lightgbm"
        ) from error
    except OSError as error:
        if OPENMP not in str(error):
            raise
        missing = error
    copy = (prefix or Path(sys.prefix)) / "lib" / OPENMP
    try:
        ctypes.CDLL(str(copy), mode=ctypes.RTLD_GLOBAL)
        return importlib.import_module("lightgbm")
    except OSError as error:
        raise MissingDependencyError(
            f"LightGBM cannot be loaded: {missing}.", remedy="apt-get install libgomp1"
        ) from error
