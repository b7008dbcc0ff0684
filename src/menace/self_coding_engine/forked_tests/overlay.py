"""Lets imports see another text in place of one file, however they come to it."""

from __future__ import annotations

import linecache
import os
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType

_get_code = SourceFileLoader.get_code
_get_data = SourceFileLoader.get_data


def lay_over(path: str, source: str) -> None:
    """Serve ``source`` for the file at ``path`` to everything that imports it in this process.

    It is the loader that is changed, not the finder: imports by name from any entry of ``sys.path``
    and by path (``spec_from_file_location``) both end there. Tracebacks show the new text.
    """
    path = os.path.realpath(path)
    ending = f"{os.sep}{Path(path).name}"

    def is_target(name: str) -> bool:
        return f"{os.sep}{name}".endswith(ending) and os.path.realpath(name) == path

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        origin = self.get_filename(fullname)
        if is_target(origin):
            return compile(source, origin, "exec", dont_inherit=True)
        return _get_code(self, fullname)

    def get_data(self: SourceFileLoader, name: str) -> bytes:
        return source.encode() if is_target(name) else _get_data(self, name)

    loader: Any = SourceFileLoader
    loader.get_code = get_code
    loader.get_data = get_data
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
