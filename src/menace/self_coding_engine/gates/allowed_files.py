"""The gate *allowed files*: the one file that changes is one that may."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from menace.patches import GateReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.self_coding_engine.gates.candidate import Candidate

TEST_FOLDERS = frozenset({"tests", "test"})
TEST_FILES = ("test_*.py", "*_test.py", "conftest.py", "tests.py")
FIXED_FILES = frozenset({"setup.py", "noxfile.py", "sitecustomize.py", "usercustomize.py"})
"""Python files that run, or decide what runs, without being asked for."""


class AllowedFilesGate:
    """Refuses every file but the user's targets, and of these tests and what steers them.

    Parameters
    ----------
    targets
        The user's patterns, relative to the repository, such as ``helpers/*.py``.
    tests, hidden_tests
        The commands: what they name is a test, whatever it is called.
    """

    name = "allowed files"

    def __init__(
        self, targets: Sequence[str], *, tests: str = "", hidden_tests: str | None = None
    ) -> None:
        self._targets = tuple(targets)
        self._tests = (*_named(tests), *_named(hidden_tests or ""))

    def may_change(self, target: str) -> bool:
        """Whether a path is one of the patterns', and no test."""
        path = PurePosixPath(target)
        return not self._is_test(path) and any(_matches(path, one) for one in self._targets)

    def judge(self, candidate: Candidate) -> GateReport:
        """Look at the path, and at what it leads to in the checkout."""
        trouble = self._trouble(candidate)
        if trouble is None:
            return GateReport(self.name, True, f"{candidate.target} may change")
        return GateReport(self.name, False, trouble, {"target": candidate.target})

    def _trouble(self, candidate: Candidate) -> str | None:
        target, path = candidate.target, PurePosixPath(candidate.target)
        if target != candidate.task.target:
            return f"it changes {target}, and was asked for {candidate.task.target}"
        if path.is_absolute() or ".." in path.parts or path.as_posix() != target or "\\" in target:
            return f"{target!r} is no plain path below the repository"
        if any(part.startswith(".") for part in path.parts):
            return f"{target} is hidden, or in a hidden folder such as .git"
        if path.suffix != ".py" or path.name in FIXED_FILES:
            return f"{target} is no helper file of Python"
        if self._is_test(path):
            return f"{target} is a test, or steers tests"
        if not any(_matches(path, pattern) for pattern in self._targets):
            return f"{target} is none of {', '.join(self._targets)}"
        return _misleading(candidate.root, path)

    def _is_test(self, path: PurePosixPath) -> bool:
        return (
            any(part in TEST_FOLDERS for part in path.parts[:-1])
            or any(path.match(pattern) for pattern in TEST_FILES)
            or any(path.is_relative_to(test) for test in self._tests)
        )


def _named(command: str) -> tuple[str, ...]:
    """Files and folders that a test command names."""
    words = shlex.split(command)
    paths = (word.partition("::")[0] for word in words if not word.startswith("-"))
    plain = (PurePosixPath(path).as_posix() for path in paths)
    return tuple(path for path in plain if path not in {"pytest", "python", ".", ".."})


def _matches(path: PurePosixPath, pattern: str) -> bool:
    """Match all of a path; ``**`` stands for any folders, ``*`` for a part."""
    parts, wanted = list(path.parts), list(PurePosixPath(pattern).parts)
    if not wanted:
        return not parts
    rest = PurePosixPath(*wanted[1:]).as_posix() if wanted[1:] else ""
    if wanted[0] == "**":
        return any(_matches(PurePosixPath(*parts[at:]), rest) for at in range(len(parts)))
    if not parts or not PurePosixPath(parts[0]).match(wanted[0]):
        return False
    if not rest:
        return len(parts) == 1
    return len(parts) > 1 and _matches(PurePosixPath(*parts[1:]), rest)


def _misleading(root: Path, path: PurePosixPath) -> str | None:
    place = root
    for part in path.parts:
        place = place / part
        if place.is_symlink():
            return f"{path} is, or lies below, a symbolic link"
    if not place.is_file():
        return f"{path} is no file of the repository"
    if not place.resolve().is_relative_to(root.resolve()):
        return f"{path} leads out of the repository"
    if place.stat().st_nlink > 1:
        return f"{path} has a second name (a hard link), which would change with it"
    return None
