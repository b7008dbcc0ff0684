"""Real repositories for tests, made by git as a person would, with a person's settings."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from menace.self_coding_engine.repository import Repository

TARGET = "helpers/days.py"

HELPER = "LIMIT = 1\n\n\ndef first(rows):\n    return rows[:LIMIT]\n"
FASTER = HELPER.replace("LIMIT = 1", "LIMIT = 2")


def git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    """Run git as the user does: with whatever the repository's configuration names."""
    environment = os.environ | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ana",
        "GIT_AUTHOR_EMAIL": "ana@example.org",
        "GIT_COMMITTER_NAME": "Ana",
        "GIT_COMMITTER_EMAIL": "ana@example.org",
    }
    finished = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr.decode()
    return os.fsdecode(finished.stdout).removesuffix("\n")


def make_repository(folder: Path, **files: str | bytes) -> Path:
    """Make a repository with one commit; ``helpers__days`` is the file ``helpers/days.py``."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    for name, text in (files or {"helpers__days": HELPER}).items():
        write(folder, name.replace("__", "/") + ".py", text)
    commit_all(folder, "First")
    return folder


def write(folder: Path, path: str, text: str | bytes) -> Path:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def commit_all(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def status(folder: Path) -> str:
    return git(folder, "status", "--porcelain", "--untracked-files=all")


def patched(
    repository: Repository, source: str = FASTER, path: str = TARGET, **options: Any
) -> str:
    """Commit a new text of a file on HEAD, as a patch."""
    values: dict[str, Any] = {
        "message": "Raise the limit",
        "trailers": {"Menace-Patch": "7"},
        "at": 1_700_000_000.0,
    }
    return repository.commit_patch(repository.head(), path, source, **values | options)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder but git's own."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and ".git" not in file.relative_to(folder).parts
    }
