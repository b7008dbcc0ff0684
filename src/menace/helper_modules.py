"""Modules of a repository as they were at a commit, each set of them apart from all others.

A helper may import other files of its repository. What it gets are their texts at its own commit,
loaded as modules that ``sys.modules`` does not know under their names: two models that were trained
with different commits are served in one process, each with its own code. Whatever the repository
does not have is imported as usual.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib.abc
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import ModuleType


class RepositoryModules:
    """Loads texts as modules, and resolves what they import among themselves.

    Parameters
    ----------
    paths
        All Python files that there are, relative to the repository, with ``/``.
    read
        Reads the text of one of them.
    label
        Names repository and commit; in names of modules and in tracebacks.
    """

    def __init__(self, paths: Collection[str], read: Callable[[str], str], *, label: str) -> None:
        self._paths = frozenset(paths)
        self._folders = frozenset(
            "/".join(path.split("/")[:depth])
            for path in paths
            for depth in range(1, path.count("/") + 1)
        )
        self._read = read
        self._label = label
        self._unique = hashlib.sha256(label.encode("utf-8")).hexdigest()[:16]
        self._modules: dict[str, ModuleType] = {}
        self._texts: dict[str, str] = {}

    @property
    def sha256(self) -> str:
        """Of all texts that were loaded, with their names."""
        digest = hashlib.sha256()
        for path, text in sorted(self._texts.items()):
            digest.update(f"{path}\0{len(text)}\0{text}".encode())
        return digest.hexdigest()

    def load(self, path: str) -> ModuleType:
        """Load a file, and what it imports of the others.

        Whatever its code raises passes through.
        """
        return self._module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))

    def place(self, path: str) -> str:
        """Name a file as its tracebacks do."""
        return f"{path} of {self._label}"

    def _module(self, name: str) -> ModuleType:
        if name in self._modules:
            return self._modules[name]
        if "." in name:
            self._module(name.rpartition(".")[0])
            if name in self._modules:  # its package has imported it
                return self._modules[name]
        path = self._path_of(name)
        loader = _TextLoader("" if path is None else self._text(path), self.place(path or name))
        own = f"menace_helper_{self._unique}.{name}"
        is_package = path is None or path.endswith("__init__.py")
        spec = importlib.util.spec_from_loader(own, loader, is_package=is_package)
        if spec is None:
            raise ImportError(f"{name} cannot be loaded from {self._label}")
        module = importlib.util.module_from_spec(spec)
        namespace: dict[str, Any] = {**vars(builtins), "__import__": self._import}
        vars(module)["__builtins__"] = namespace
        self._modules[name] = module
        # Dataclasses and the like look their own module up while it is being loaded.
        sys.modules[own] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del self._modules[name], sys.modules[own]
            raise
        package, _, last = name.rpartition(".")
        if package:
            setattr(self._modules[package], last, module)
        return module

    def _text(self, path: str) -> str:
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _path_of(self, name: str) -> str | None:
        """Find the file of a module; ``None`` for a folder without one."""
        path = name.replace(".", "/")
        return next((p for p in (f"{path}.py", f"{path}/__init__.py") if p in self._paths), None)

    def _knows(self, name: str) -> bool:
        return self._path_of(name) is not None or name.replace(".", "/") in self._folders

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the interpreter names it so
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Do what ``import`` does, with the repository before everything else."""
        wanted = name
        if level:
            package = str((globals or {}).get("__package__", ""))
            prefix = f"menace_helper_{self._unique}."
            full = importlib.util.resolve_name("." * level + name, package)
            wanted = full.removeprefix(prefix)
        if not self._knows(wanted):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self._module(wanted)
        for attribute in fromlist or ():
            if not hasattr(module, attribute) and self._knows(f"{wanted}.{attribute}"):
                self._module(f"{wanted}.{attribute}")
        return module if fromlist else self._modules[wanted.partition(".")[0]]


class _TextLoader(importlib.abc.InspectLoader):
    """Loads a module from text that lies in no file."""

    def __init__(self, source: str, place: str) -> None:
        self._source, self._place = source, place

    def get_source(self, fullname: str) -> str:
        return self._source

    def get_filename(self, fullname: str) -> str:
        return self._place

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self._source, self._place)
