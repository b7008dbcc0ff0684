"""The gate *mutation score*: whether the tests would notice if the code were broken.

Small single edits (mutants) of the present text are run against its tests. The share that the tests
notice (kill) is the score. Some mutants mean the same as the text and cannot be killed by any test,
so that a score of 1 is rare, and the score errs on the careful side.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from menace.patches import Claim, GateReport
from menace.self_coding_engine.gates.allowed_files import TEST_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping, Sequence
    from pathlib import Path

    from menace.records import Json
    from menace.self_coding_engine.gates.candidate import Candidate
    from menace.self_coding_engine.proposal import TestReport

    RunTests = Callable[[str], TestReport | None]

MOST_MUTANTS = 60
LEAST_MUTANTS = 8
"""With fewer mutants run the score says nothing."""

CONFIDENCE_Z = 1.96

DECIDED_Z, DECIDED_MUTANTS = 2.58, 10
"""The sample ends early, but not before so many mutants, where an interval of 99 % is wholly above
or below the least score: for very good and very weak tests a few mutants tell."""


class MutantText(Protocol):
    """A text with one edit."""

    @property
    def source(self) -> str:
        """The whole text."""
        ...

    @property
    def line(self) -> int:
        """Where the edit is, from 1."""
        ...


@dataclass(frozen=True, slots=True)
class MutationScore:
    """What came of the mutants.

    Attributes
    ----------
    killed, run
        Mutants that the tests noticed, and mutants that were tried.
    possible
        Mutants that there are.
    survivors
        Lines of some that were not noticed.
    """

    killed: int
    run: int
    possible: int
    survivors: tuple[int, ...] = ()

    @property
    def score(self) -> float:
        """Share of mutants that were noticed, 0..1; 0 without any."""
        return self.killed / self.run if self.run else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the score, 95 %, as if mutants were drawn one by one."""
        return wilson(self.killed, self.run)

    def to_json(self) -> Json:
        """Plain JSON."""
        low, high = self.interval
        return {
            "killed": self.killed,
            "run": self.run,
            "possible": self.possible,
            "score": self.score,
            "low": low,
            "high": high,
            "survivors": list(self.survivors),
        }

    @classmethod
    def from_json(cls, data: Json) -> MutationScore:
        """Rebuild from :meth:`to_json`."""
        survivors = tuple(int(line) for line in data["survivors"])
        return cls(int(data["killed"]), int(data["run"]), int(data["possible"]), survivors)


def wilson(successes: int, trials: int, z: float = CONFIDENCE_Z) -> tuple[float, float]:
    r"""Wilson's score interval of a share.

    :math:`\frac{p + z^2/2n \pm z \sqrt{p(1-p)/n + z^2/4n^2}}{1 + z^2/n}` (Wilson, J. Am. Stat.
    Assoc. 22, 1927, 209–212).

    Examples
    --------
    >>> [round(end, 3) for end in wilson(6, 10)]
    [0.313, 0.832]
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if trials == 0:
        return 0.0, 1.0
    share, weight = successes / trials, z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / trials + weight / (4 * trials)) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


def is_decided(killed: int, run: int, least: float) -> bool:
    """Whether a sample says already on which side of the least score the tests are.

    Examples
    --------
    >>> is_decided(10, 10, 0.6), is_decided(7, 10, 0.6), is_decided(1, 10, 0.6)
    (True, False, True)
    """
    low, high = wilson(killed, run, DECIDED_Z)
    return run >= DECIDED_MUTANTS and not low <= least <= high


def mutation_score(
    source: str,
    mutants: Callable[[str], Iterable[MutantText]],
    run_tests: RunTests,
    *,
    passing: frozenset[str],
    least: float | None = None,
    most: int = MOST_MUTANTS,
    seed: int = 0,
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> MutationScore:
    """Try a seeded sample of a text's mutants.

    A mutant is killed if a test in ``passing`` fails on it, or the run has no end.

    Parameters
    ----------
    mutants
        Makes the mutants of a text.
    run_tests
        Runs the tests over a text; ``None`` where there is no time left.
    passing
        Tests that the text itself passes; the others cannot notice anything.
    least
        End early where the score is surely above or below this; ``None``: never.
    most
        Mutants to try, ≥ 1.
    seconds_left
        CPU-seconds of the budget; at 0 no further mutant is tried.
    """
    import numpy as np

    texts = {mutant.source: mutant for mutant in mutants(source) if mutant.source != source}
    found = list(texts.values())
    order = np.random.default_rng(seed).permutation(len(found))[:most]
    killed, run, survivors = 0, 0, []
    for at in order:
        report = run_tests(found[at].source) if seconds_left() > 0.0 else None
        if report is None:
            break
        run += 1
        passed = {case.name for case in report.cases if case.passed}
        if not report.complete or passing - passed:
            killed += 1
        else:
            survivors.append(found[at].line)
        if least is not None and is_decided(killed, run, least):
            break
    return MutationScore(killed, run, len(found), tuple(sorted(set(survivors))[:20]))


class MutationScoreGate:
    """Says whether the tests are good enough to let a patch in without a person.

    It refuses nothing: with a low score the report has ``weak`` in its figures, and the patch waits
    for a person. A score that could not be found, for want of time or of mutants, is low, too.

    Parameters
    ----------
    mutants
        Makes the mutants of a text.
    run_tests
        Runs the tests over a text; ``None`` where there is no time left.
    tests
        Names of the tests that a text passes, as the gate *tests* found.
    least
        Score below which the tests are weak, 0..1.
    known
        Scores of earlier candidates and cycles, as plain JSON, by a digest of the present text and
        of the tests; the gate adds to it.
    most, seconds_left
        As in :func:`mutation_score`.
    """

    name = "mutation score"

    def __init__(
        self,
        mutants: Callable[[str], Iterable[MutantText]],
        run_tests: RunTests,
        *,
        passing: Callable[[str], frozenset[str]],
        tests: Sequence[str] = ("tests",),
        least: float = 0.6,
        known: MutableMapping[str, Any] | None = None,
        most: int = MOST_MUTANTS,
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._mutants, self._run, self._passing = mutants, run_tests, passing
        self._tests, self._least, self._most = tuple(tests), least, most
        self._known = {} if known is None else known
        self._seconds_left = seconds_left

    def judge(self, candidate: Candidate) -> GateReport:
        """Try the mutants; what was found is remembered in ``known``.

        Those of the present text, or, for a repair, of the new one: the tests that fail on the
        present text are the ones that guard what is mended.
        """
        text = candidate.after if candidate.claim is Claim.REPAIRS else candidate.before
        key = digest_with_tests(candidate.root, self._tests, text)
        if key in self._known:
            found = MutationScore.from_json(self._known[key])
        else:
            found = mutation_score(
                text,
                self._mutants,
                self._run,
                passing=self._passing(text),
                least=self._least,
                most=self._most,
                seed=candidate.task.seed,
                seconds_left=self._seconds_left,
            )
            whole = found.run >= min(self._most, found.possible)
            if whole or is_decided(found.killed, found.run, self._least):
                self._known[key] = found.to_json()
        return self._report(found)

    def _report(self, found: MutationScore) -> GateReport:
        figures = {**found.to_json(), "least": self._least}
        if found.run < LEAST_MUTANTS:
            reason = f"only {found.run} mutants could be tried: what the tests notice is unknown"
            return GateReport(self.name, None, reason, {**figures, "weak": True})
        low, high = found.interval
        score = (
            f"the tests notice {found.score:.0%} of {found.run} mutants ({low:.0%} to {high:.0%})"
        )
        if found.score < self._least:
            reason = f"{score}, and {self._least:.0%} is the least"
            return GateReport(self.name, None, reason, {**figures, "weak": True})
        return GateReport(self.name, True, score, {**figures, "weak": False})


def digest_with_tests(root: Path, tests: Sequence[str], source: str) -> str:
    """Digest a text together with the files of its tests.

    Parameters
    ----------
    tests
        Folders and files, relative to ``root``; where none exists, all test files below it.
    """
    digest = hashlib.sha256(source.encode())
    places = [root / test for test in tests if (root / test).exists()]
    files = {file for place in places for file in _files(place)} or {
        file for pattern in TEST_FILES for file in root.rglob(pattern)
    }
    for file in sorted(files):
        digest.update(f"\0{file.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    files = (file for file in place.rglob("*") if "__pycache__" not in file.parts)
    return [file for file in files if file.is_file()]
