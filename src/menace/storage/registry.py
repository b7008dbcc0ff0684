"""Store backends by the scheme of their URL, loaded when one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.config import load_dotted
from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from menace.interfaces import Store

BACKENDS: Mapping[str, str] = {"sqlite": "menace.storage.sqlite_database:open_sqlite_store"}
"""Scheme → dotted path of a function ``(url, *, folder) -> Store``."""


def open_store(
    url: str, *, folder: Path | None = None, backends: Mapping[str, str] = BACKENDS
) -> Store:
    """Open the store at ``url``; it is made, or upgraded to this version, if need be.

    Parameters
    ----------
    url
        Such as ``sqlite:///menace.db``.
    folder
        What a relative path in the URL is relative to; the current folder if None.
    backends
        Scheme → dotted path of the function that opens such a store.

    Raises
    ------
    ConfigError
        If no backend has that scheme; the message lists those that exist.
    StoreError
        If the backend cannot open it.

    Examples
    --------
    >>> open_store("cassette:///tape")
    Traceback (most recent call last):
        ...
    menace.errors.ConfigError: 'cassette:///tape' names no store that is known here. \
Remedy: known schemes: sqlite; for a file: sqlite:///menace.db
    """
    scheme = url.partition(":")[0].partition("+")[0]
    path = backends.get(scheme)
    if path is None:
        raise ConfigError(
            f"{url!r} names no store that is known here.",
            remedy=f"known schemes: {', '.join(sorted(backends))}; for a file: sqlite:///menace.db",
        )
    store: Store = load_dotted(path)(url, folder=folder)
    return store
