"""What patching has learned from attempt to attempt, in a state file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from menace.self_coding_engine.proposer_archive import ProposerArchive
from menace.state_file import read_state, write_state

if TYPE_CHECKING:
    from pathlib import Path

KIND, VERSION = "coding", 1
KEPT_SCORES = 100
"""Mutation scores that are remembered, the newest: one per text of a file and of its tests."""


@dataclass(slots=True)
class CodingMemory:
    """Who wins where, and how good tests are.

    Attributes
    ----------
    path
        The file; ``None``: only in memory.
    archive
        Orders the proposers.
    mutation_scores
        Digest of a text and its tests → what the mutants showed, as plain JSON.
    """

    path: Path | None = None
    archive: ProposerArchive = field(default_factory=ProposerArchive)
    mutation_scores: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """Read the file, if there is one.

        Raises
        ------
        StateFileError
            If it is torn, foreign or newer.
        """
        data = None if path is None else read_state(path, kind=KIND, version=VERSION)
        if data is None:
            return cls(path)
        return cls(path, ProposerArchive.from_json(data["archive"]), dict(data["mutation_scores"]))

    def save(self) -> None:
        """Write the file, if there is to be one.

        Raises
        ------
        StateFileError
            If it cannot be written.
        """
        if self.path is None:
            return
        newest = dict(list(self.mutation_scores.items())[-KEPT_SCORES:])
        data = {"archive": self.archive.to_json(), "mutation_scores": newest}
        write_state(self.path, kind=KIND, version=VERSION, data=data)
