"""Import a file of a checkout as a fresh module, under the name that its importers use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def import_roots(folder: Path, target: str) -> tuple[list[str], str]:
    """Folders to import from, and the dotted name of the target below the first of them.

    The nearest folder above the target without an ``__init__.py`` is the first; the checkout's own
    folder and its ``src`` follow.
    """
    path = folder / target
    parts, parent = [path.stem], path.parent
    while parent != folder and (parent / "__init__.py").exists():
        parts.insert(0, parent.name)
        parent = parent.parent
    roots = [str(parent), str(folder)]
    if (folder / "src").is_dir():
        roots.append(str(folder / "src"))
    return list(dict.fromkeys(roots)), ".".join(parts)


def find_imports_in(folder: Path, target: str) -> None:
    """Let this process import what the checkout holds."""
    roots, _ = import_roots(folder, target)
    sys.path[:0] = [root for root in roots if root not in sys.path]


def load_afresh(folder: Path, target: str) -> ModuleType:
    """Run the target as a fresh module, which takes the place of an earlier one.

    Raises
    ------
    ImportError
        If it is no Python file; and whatever the file raises.
    """
    _, name = import_roots(folder, target)
    parent, _, _ = name.rpartition(".")
    if parent:
        importlib.import_module(parent)
    spec = importlib.util.spec_from_file_location(name, folder / target)
    if spec is None or spec.loader is None:
        message = f"{target} is no Python file"
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
