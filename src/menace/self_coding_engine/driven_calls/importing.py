"""Import a file of a checkout as a fresh module, under the name that its importers use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


class ImportPlace(NamedTuple):
    """How a target is imported.

    Attributes
    ----------
    first, last
        Folders that stand in front of what is installed, and behind it.
    name
        The target's dotted name.
    """

    first: tuple[str, ...]
    last: tuple[str, ...]
    name: str


def import_place(folder: Path, target: str) -> ImportPlace:
    """Say how a target is imported, as far as its place tells.

    A target in packages is named from the nearest folder above them without an ``__init__.py``,
    which comes first. One in folders that are no packages is named from the checkout's own folder,
    and the folder it lies in comes last: what lies there must not hide an installed module.
    """
    path = folder / target
    parts, parent = [path.stem], path.parent
    while parent != folder and (parent / "__init__.py").exists():
        parts.insert(0, parent.name)
        parent = parent.parent
    source = folder / "src"
    own = [folder, source] if source.is_dir() else [folder]
    between = parent.relative_to(folder).parts
    if between and parent != source and all(part.isidentifier() for part in between):
        return ImportPlace(_texts(own), _texts([parent]), ".".join([*between, *parts]))
    return ImportPlace(_texts([parent, *own]), (), ".".join(parts))


def find_imports_in(folder: Path, target: str) -> None:
    """Let this process import what the checkout holds."""
    place = import_place(folder, target)
    sys.path[:0] = [root for root in place.first if root not in sys.path]
    sys.path += [root for root in place.last if root not in sys.path]


def _texts(folders: list[Path]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(str, folders)))


def load_afresh(folder: Path, target: str) -> ModuleType:
    """Run the target as a fresh module, which takes the place of an earlier one.

    Raises
    ------
    ImportError
        If it is no Python file; and whatever the file raises.
    """
    name = import_place(folder, target).name
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
