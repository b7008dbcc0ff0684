"""Model packages in a folder, under names that are made from what is in them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import PackageError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ARTIFACT = re.compile(r"(?P<bot>[A-Za-z0-9][A-Za-z0-9._-]*)/[0-9a-f]{16}")
_PARTIAL_PREFIX = ".partial-"


class FolderArtifactStore:
    """Keeps each package as ``ROOT/BOT/SHA/…``, where SHA begins its checksum.

    A package appears whole or not at all, and survives a power cut once :meth:`put` has returned:
    its files are written to a folder of another name, forced to the disk, and renamed. A killed
    process may leave such a ``.partial-…`` folder; nothing reads it. Safe to share between threads
    and processes.

    Parameters
    ----------
    root
        The folder; made when the first package comes.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

    def put(self, bot: str, files: Mapping[str, bytes]) -> tuple[str, str]:
        """Store a package; returns ``(artifact, sha256)``. The same files give the same pair.

        Parameters
        ----------
        bot
            Whose package it is.
        files
            Plain file name → content.

        Raises
        ------
        PackageError
            If there are no files, or a name is not a plain file name.
        StoreError
            If the folder cannot be written or the disk is full; nothing is left behind.
        """
        _check_names(bot, files)
        sha256 = checksum(files)
        artifact = f"{bot}/{sha256[:16]}"
        target = self._root / artifact
        try:
            if self._is_whole(target, sha256):
                return artifact, sha256
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=_PARTIAL_PREFIX, dir=target.parent))
            try:
                _write_files(partial, files)
                self._move_in(partial, target, sha256)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise StoreError(
                f"the model package {target} cannot be written: {error.strerror or error}.",
                bot=bot,
                remedy=f"make {self._root} writable and free some space; nothing was half-written",
            ) from error
        return artifact, sha256

    def get(self, artifact: str, sha256: str) -> dict[str, bytes]:
        """Read a package and check it; returns plain file name → content.

        Raises
        ------
        PackageError
            If it is missing or its content is not what was stored.
        """
        match = _ARTIFACT.fullmatch(artifact)
        if match is None:
            raise PackageError(
                f"{artifact!r} names no package of {self._root}.",
                remedy="give a name that put() returned, such as BOT/0123456789abcdef",
            )
        bot, folder = match["bot"], self._root / artifact
        try:
            files = _read_files(folder)
        except OSError as error:
            raise _damaged(bot, folder, f"cannot be read: {error.strerror or error}") from error
        if checksum(files) != sha256:
            raise _damaged(bot, folder, "does not match its checksum")
        return files

    @staticmethod
    def _is_whole(folder: Path, sha256: str) -> bool:
        return folder.is_dir() and checksum(_read_files(folder)) == sha256

    def _move_in(self, partial: Path, target: Path, sha256: str) -> None:
        if target.exists() and not self._is_whole(target, sha256):
            # Damaged since it was stored; these are the very files that it should hold.
            shutil.rmtree(target)
        try:
            partial.rename(target)
        except OSError:
            # Another process may have stored the same files in this moment.
            if not self._is_whole(target, sha256):
                raise
        _force_to_disk(target.parent)


def checksum(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents, in the order of names, each with its length before it.

    Examples
    --------
    >>> checksum({"a": b"1", "b": b"2"}) == checksum({"b": b"2", "a": b"1"})
    True
    >>> checksum({"a": b"12"}) == checksum({"a": b"1", "b": b"2"})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode("utf-8"), files[name]):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()


def _check_names(bot: str, files: Mapping[str, bytes]) -> None:
    if not files:
        raise PackageError("a package without files.", bot=bot, remedy="give at least one file")
    for name in (bot, *files):
        if not _PLAIN_NAME.fullmatch(name):
            raise PackageError(
                f"{name!r} is not a plain name.",
                bot=bot,
                remedy="use letters, digits, '-', '_' and '.', a letter or digit first",
            )


def _read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    # mkdtemp's folders are for their maker alone; a server of another user may read packages.
    folder.chmod(0o755)
    for name, content in files.items():
        with (folder / name).open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    _force_to_disk(folder)


def _force_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(bot: str, folder: Path, why: str) -> PackageError:
    return PackageError(
        f"the model package {folder} {why}.",
        bot=bot,
        remedy=f"restore the folder from a backup, or serve another version: menace rollback {bot}",
    )
