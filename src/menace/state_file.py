"""Small state in a file: versioned JSON with a checksum, written atomically, a backup beside it.

The one way in which menace keeps state outside the store. A torn, foreign or newer file is refused
by name; it is never silently reset.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from menace.errors import StateFileError

if TYPE_CHECKING:
    from menace.records import Json

BACKUP_SUFFIX = ".bak"
_HEADER = ("menace", "version", "sha256")


def write_state(path: Path, *, kind: str, version: int, data: Json) -> None:
    """Write ``data`` to ``path`` so that a reader sees either the old file or the new one, whole.

    The previous file stays beside it as ``NAME.bak``. Temporary file, fsync, rename, fsync of the
    folder: after the return the data survive a power cut.

    Parameters
    ----------
    path
        The file; its folder is made if it is missing.
    kind
        What the file holds, such as ``"engine"``; a reader asks for the same kind.
    version
        Version of the layout of ``data``, ≥ 1.
    data
        A JSON object; NaN and infinities are refused. Its fields stand beside the header's
        (``menace``: the kind, ``version``, ``sha256``), whose names it may not use.

    Raises
    ------
    StateFileError
        If the folder cannot be written, the disk is full, or ``data`` is not JSON.
    """
    path = Path(path)
    try:
        # There and back, so that the checksum is of what a reader will see: text keys, in order.
        data = json.loads(json.dumps(data, allow_nan=False))
        body = _canonical(data)
    except (TypeError, ValueError) as error:
        raise StateFileError(f"the state for {path} is not plain JSON: {error}.") from error
    header = {"menace": kind, "version": version, "sha256": _checksum(body)}
    if header.keys() & data.keys():
        raise StateFileError(f"the state for {path} uses a name of the header: {list(header)}.")
    text = json.dumps({**header, **data}, indent=1, allow_nan=False) + "\n"
    replace_file(path, text.encode("utf-8"), keep_backup=True)


def replace_file(path: Path, content: bytes, *, keep_backup: bool = False) -> None:
    """Write a whole file so that a reader sees either the old content or the new one.

    Temporary file, fsync, rename, fsync of the folder, which is made if it is missing.

    Parameters
    ----------
    path
        The file.
    content
        All that it shall hold.
    keep_backup
        Whether the previous file stays beside it as ``NAME.bak``.

    Raises
    ------
    StateFileError
        If the folder cannot be written or the disk is full; the old file is unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if keep_backup and path.exists():
            _replace_backup(path)
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def read_state(path: Path, *, kind: str, version: int) -> Json | None:
    """Read what :func:`write_state` wrote.

    Parameters
    ----------
    path
        The file.
    kind
        The kind that is expected.
    version
        The newest layout the caller can read.

    Returns
    -------
    dict or None
        The data; ``None`` if there is no such file.

    Raises
    ------
    StateFileError
        If the file is torn, of another kind, or newer than ``version``. The message names the file
        and the backup beside it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, f"cannot be read ({error})") from error
    try:
        document = json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise _refused(path, f"is torn or not JSON ({error})") from error
    if not isinstance(document, dict) or document.get("menace") != kind:
        raise _refused(path, f"is not a menace {kind} file")
    found = document.get("version")
    if not isinstance(found, int) or found > version:
        raise _refused(path, f"has version {found}, newer than {version}, the newest known here")
    data = {name: value for name, value in document.items() if name not in _HEADER}
    if document.get("sha256") != _checksum(_canonical(data)):
        raise _refused(path, "does not match its checksum")
    return data


def _canonical(data: Json) -> str:
    return json.dumps(data, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8")).hexdigest()


def _replace_backup(path: Path) -> None:
    """Keep the present file as the backup, without a moment at which ``path`` is missing."""
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    staging = path.with_name(f".{path.name}{BACKUP_SUFFIX}")
    staging.unlink(missing_ok=True)
    os.link(path, staging)
    staging.replace(backup)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, why: str) -> StateFileError:
    backup = path.with_name(path.name + BACKUP_SUFFIX)
    if backup.exists():
        remedy = f"look at the file; to go back to the state before it: mv {backup} {path}"
    else:
        remedy = f"there is no backup {backup}; move the file away to start afresh"
    return StateFileError(f"the state file {path} {why}.", remedy=remedy)


def _unwritable(path: Path, error: OSError) -> StateFileError:
    return StateFileError(
        f"the state file {path} cannot be written: {error.strerror or error}.",
        remedy="make the folder writable or free some space; the old file is unchanged",
    )
