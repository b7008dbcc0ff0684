"""What several tests need: a stream with drift, and a clock that is told."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "x,y,colour,label\n"


@dataclasses.dataclass
class TestClock:
    """A clock that moves a second each time it is asked."""

    __test__ = False
    at: float = 1_700_000_000.0

    def now(self) -> float:
        """POSIX seconds."""
        self.at += 1.0
        return self.at


class DriftingStream:
    """A CSV file that grows; every ``drift_every`` rows the rule behind the labels turns."""

    def __init__(self, path: Path, *, seed: int = 1, drift_every: int = 400) -> None:
        self.path, self._drift_every, self._rows = path, drift_every, 0
        self._rng = np.random.default_rng(seed)
        path.write_text(HEADER, encoding="utf-8")

    def grow(self, rows: int, *, turned: bool | None = None) -> None:
        """Append labelled rows; ``turned`` says which rule holds, in place of their number."""
        lines = []
        for _ in range(rows):
            x, y = self._rng.normal(size=2)
            colour = self._rng.choice(["red", "green", "blue"])
            other = (self._rows // self._drift_every) % 2 if turned is None else turned
            score = x + (0.5 if colour == "red" else 0.0) if other else y - x
            label = int(score + 0.3 * self._rng.normal() > 0)
            lines.append(f"{x:.5f},{y:.5f},{colour},{label}\n")
            self._rows += 1
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
