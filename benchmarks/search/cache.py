"""Cells that were measured are kept, so that a run that was stopped goes on with the next one."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.search.systems import SYSTEMS
from menace.errors import MenaceError

if TYPE_CHECKING:
    from menace.records import Json

_HERE = Path(__file__).parent
_PIPELINE = _HERE.parents[1] / "src" / "menace" / "model_automation_pipeline"
_LIBRARIES = ("flaml", "lightgbm", "numpy", "optuna", "pandas", "scikit-learn", "xgboost-cpu")


class CellError(MenaceError):
    """A cell's process has failed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured at once.

    Attributes
    ----------
    system, table
        Their short names.
    seconds
        The budget, CPU-seconds.
    seed
        Of the system, and of the shuffle where the table has no order.
    rows
        Keep so many of the table's rows only.
    """

    system: str
    table: str
    seconds: float
    seed: int
    rows: int | None = None


def measured(cell: Cell, *, folder: Path, cache: Path) -> Json:
    """Take a cell from the cache, or measure it in a process of its own.

    Raises
    ------
    CellError
        If that process fails; the message ends with what it said.
    """
    path = cache / f"{cell.system}-{cell.table}-{cell.seconds:g}-{cell.seed}-{_key(cell)}.json"
    if path.is_file():
        known: Json = json.loads(path.read_text(encoding="utf-8"))
        return known
    result = _run(cell, folder)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(result) + "\n", encoding="utf-8")
    unfinished.replace(path)
    return result


def _run(cell: Cell, folder: Path) -> Json:
    command = [sys.executable, "-m", "benchmarks.search.cell", cell.system, cell.table]
    command += [f"{cell.seconds:g}", str(cell.seed), "--data", str(folder)]
    if cell.rows is not None:
        command += ["--rows", str(cell.rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise CellError(
            f"{cell.system} on {cell.table} ended with {done.returncode} and said: {last[0]}",
            remedy=f"run it alone: {' '.join(command[1:])}",
        )
    result: Json = json.loads(done.stdout.splitlines()[-1])
    return result


def _key(cell: Cell) -> str:
    """Hash what a cell's result depends on: code, libraries, rows."""
    module = SYSTEMS[cell.system].partition(":")[0].rpartition(".")[2]
    files = [_HERE / "tables.py", _HERE / f"{module}.py"]
    if cell.system == "menace":
        files += sorted(_PIPELINE.glob("*.py"))
    digest = hashlib.sha256(repr((cell.rows, _versions())).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _versions() -> list[str]:
    return [importlib.metadata.version(name) for name in _LIBRARIES]
