"""The sandbox of one attempt: it hides the hidden tests, and knows what everything in it used."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.sandbox import Sandbox, SandboxSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.records import Json
    from menace.self_coding_engine.sandbox import SandboxRun
    from menace.self_coding_engine.settings import CodingSettings


class AttemptSandbox(Sandbox):
    """A sandbox like the one it is made from, for all runs of an attempt but the hidden tests'.

    Parameters
    ----------
    sandbox
        One that was proven.
    hide
        Files and folders, relative to whatever folder a run is given, that shall seem empty.
    """

    def __init__(self, sandbox: Sandbox, *, hide: Sequence[str] = ()) -> None:
        super().__init__(sandbox.program)
        self._hide = tuple(Path(place) for place in hide)
        self._ended_seconds = 0.0
        self._sessions: list[SandboxSession] = []

    @property
    def cpu_seconds(self) -> float:
        """What all runs and sessions have used so far, of all processes."""
        return self._ended_seconds + sum(session.cpu_seconds for session in self._sessions)

    def _order(self, command: Sequence[str], *, folder: Path, **parts: Any) -> Json:
        there = [place for place in self._hide if (folder / place).exists()]
        return super()._order(command, folder=folder, **{**parts, "hide": [*parts["hide"], *there]})

    def _note(self, used: SandboxRun | SandboxSession) -> None:
        if isinstance(used, SandboxSession):
            self._sessions.append(used)
        else:  # not kept: its output may be large
            self._ended_seconds += used.cpu_seconds


def hidden_places(tests: str, hidden_tests: str | None) -> tuple[str, ...]:
    """Name the files and folders of hidden tests that the visible ones do not need.

    Examples
    --------
    >>> hidden_places("pytest -q tests", "pytest -q hidden tests/late/test_all.py::test_it")
    ('hidden', 'tests/late/test_all.py')
    >>> hidden_places("pytest tests/early", "pytest tests")
    ()
    """
    if hidden_tests is None:
        return ()
    visible = [PurePosixPath(place) for place in _named(tests)]
    return tuple(
        place
        for place in _named(hidden_tests)
        if not any(one.is_relative_to(PurePosixPath(place)) for one in visible)
    )


def places_of_tests(settings: CodingSettings) -> list[str]:
    """Name the files and folders of all tests."""
    return [*_named(settings.tests), *_named(settings.hidden_tests or "")]


def _named(command: str) -> list[str]:
    """Places that a pytest command names; what merely looks like one does no harm."""
    words = shlex.split(command)[1:]
    places = (word.partition("::")[0] for word in words if not word.startswith("-"))
    plain = (PurePosixPath(place) for place in places)
    return [p.as_posix() for p in plain if not p.is_absolute() and p.parts and ".." not in p.parts]
