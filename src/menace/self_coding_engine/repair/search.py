"""Search for edits that make failing tests pass: single ones, then pairs, likeliest first."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from menace.self_coding_engine.repair.choosing import (
    LEAST_CONFIDENCE,
    Choice,
    Patched,
    choose,
    result_type,
)
from menace.self_coding_engine.repair.edits import apply_all
from menace.self_coding_engine.repair.generation import single_edits
from menace.self_coding_engine.repair.inputs import further_inputs
from menace.self_coding_engine.repair.localisation import suspicion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from menace.self_coding_engine.repair.edits import Edit
    from menace.self_coding_engine.testing import Observations, Screened, TestServer

CHUNK = 64
MOST_FIRST = 6
"""Failing tests that every candidate runs; the others follow once these pass."""

MOST_PACED = 300
"""Passing tests that are timed beforehand: the slowest of them says how long one may take."""

LEAST_TEST_SECONDS, PATIENT_TEST_SECONDS = 0.004, 0.25
"""CPU time of a test at first, where those that pass are quicker; and for what was cut off then,
once nothing quicker is left. Most of what is slow never ends."""

SLOW_SHARE = 0.1
"""Of the budget, for what was cut off."""

SINGLE_SHARE, PAIR_SHARE = 0.6, 0.85
"""Of the budget, after which single edits and pairs are given up."""

MOST_PATCHES = 40
"""That are kept and compared."""

ENOUGH_COST = 5.0
"""Edits that cost so much more than one that passes are not tried: e⁻⁵ of its likelihood."""

PAIR_COST = 1.5
"""That a second edit costs beyond its own."""

PROGRESS_BONUS = 3.0
"""For an edit that fixes some of the failing tests."""

MOST_ALIKE = 4
"""Edits of one behaviour that are kept as halves of pairs."""

MOST_STEPS = 8
"""Half-way texts that are taken apart anew for a second edit."""

FIRST_PAIRS, MOST_PAIRS = 3000, 10_000_000
"""That are tried before texts are taken apart anew, and after."""

MORE_CHUNKS = 20
"""Of pairs that are tried once one has passed, for others to compare it with."""

STEP_EDITS = 2000


@dataclass(slots=True)
class Found:
    """How a search ended.

    Attributes
    ----------
    status
        ``repaired``; ``unsure``: there are patches, but none stands out; ``unrepaired``;
        ``passing``: no test fails; ``broken``: the tests cannot be run.
    choice
        What is, or was nearly, proposed.
    patches
        All that pass the visible tests, likeliest first.
    candidates
        Texts that were tried.
    evidence
        See :func:`evidence`.
    """

    status: str
    choice: Choice | None = None
    patches: list[Patched] = field(default_factory=list)
    candidates: int = 0
    seconds: float = 0.0
    evidence: float = 0.0


class RepairSearch:
    """One search over one text.

    Parameters
    ----------
    server
        Runs the tests.
    source
        The faulty text.
    seconds
        On the clock, for all of it.
    prose
        What people say of the code beyond its docstrings.
    shown
        Literals of the tests.
    tests
        Names of those that may be seen; all by default.
    seed
        Of the further inputs.
    """

    def __init__(
        self,
        server: TestServer,
        source: str,
        *,
        seconds: float,
        prose: str = "",
        shown: Sequence[str] = (),
        tests: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self._server = server
        self._source = source
        self._prose = prose
        self._shown = shown
        self._seed = seed
        self._tests = tests
        self._started = time.monotonic()
        self._seconds = seconds
        self._tried: set[str] = {source}
        self._patches: list[Patched] = []
        self._candidates = 0
        self._evidence = 0.0
        self._first: list[str] = []
        self._rest: list[str] = []
        self._test_seconds = LEAST_TEST_SECONDS

    def run(self) -> Found:
        """Search until the budget's share is used or all is tried, and choose.

        Raises
        ------
        libcst.ParserSyntaxError
            If the text is no Python.
        """
        seen = self._server.observe(
            self._source, only=self._tests, seconds=min(20.0, self._seconds / 4)
        )
        names = list(self._server.tests if self._tests is None else self._tests)
        passing = [case.name for case in seen.report.cases if case.passed]
        # A test that did not come to its turn has not passed.
        failing = [name for name in names if name not in passing]
        if not seen.report.cases:
            return self._found("broken")
        if not failing:
            return self._found("passing")
        self._first, self._rest = failing[:MOST_FIRST], failing[MOST_FIRST:] + passing
        self._set_pace()
        edits = single_edits(
            self._source,
            types=seen.types,
            suspicion=suspicion(self._source, seen.report),
            prose=self._prose,
            shown=self._shown,
        )
        looks = self._singles(edits)
        self._evidence = evidence(looks, self._first)
        pairs = _best_pairs(_halves(looks))
        stages: list[Callable[[], None]] = [
            lambda: self._pairs(pairs, FIRST_PAIRS),
            lambda: self._patiently(looks),
            lambda: self._second_steps(looks),
            lambda: self._pairs(pairs, MOST_PAIRS),
        ]
        for stage in stages:
            if not self._patches:
                stage()
        return self._finish(seen)

    def _left(self, share: float = 1.0) -> float:
        return self._started + share * self._seconds - time.monotonic()

    def _set_pace(self) -> None:
        """Learn from the passing tests how long a test may take."""
        passing = [name for name in self._rest if name not in self._first][:MOST_PACED]
        if passing:
            looks = self._server.screen(
                [self._source] * 3, first=passing, test_seconds=2.0, seconds=10.0
            )
            slowest = min((look.slowest_seconds for look in looks), default=0.0)
            self._test_seconds = min(2.0, max(LEAST_TEST_SECONDS, 20 * slowest))

    def _screen(
        self, sources: Sequence[str], share: float, seconds: float = math.inf
    ) -> list[Screened]:
        left = min(self._left(share), seconds)
        if left <= 0 or not sources:
            return []
        self._candidates += len(sources)
        return self._server.screen(
            sources,
            first=self._first,
            rest=self._rest,
            test_seconds=self._test_seconds,
            seconds=left,
        )

    def _passes(self, look: Screened) -> bool:
        return len(look.passed) == len(self._first) + len(self._rest)

    def _singles(self, edits: Sequence[Edit]) -> list[tuple[Edit, Screened]]:
        looks: list[tuple[Edit, Screened]] = []
        for batch in _chunks(edits, CHUNK):
            if self._enough(batch[0].cost):
                break
            sources = [edit.apply(self._source) for edit in batch]
            fresh = [
                (edit, source)
                for edit, source in zip(batch, sources, strict=True)
                if source not in self._tried
            ]
            self._tried.update(source for _, source in fresh)
            found = self._screen([source for _, source in fresh], SINGLE_SHARE)
            for (edit, source), look in zip(fresh, found, strict=False):
                looks.append((edit, look))
                if self._passes(look):
                    self._keep(source, (edit,), edit.cost)
            if self._left(SINGLE_SHARE) <= 0:
                break
        return looks

    def _enough(self, cost: float) -> bool:
        """Whether edits of such a cost would no longer change what is chosen."""
        if not self._patches:
            return False
        best = min(patch.cost for patch in self._patches)
        return cost > best + ENOUGH_COST or len(self._patches) >= 2 * MOST_PATCHES

    def _patiently(self, looks: Sequence[tuple[Edit, Screened]]) -> None:
        """Give texts that were cut off more time, likeliest first."""
        quick = self._test_seconds
        if quick >= PATIENT_TEST_SECONDS:
            return
        slow = [edit for edit, look in looks if look.why == "slow"]
        until = self._left() - SLOW_SHARE * self._seconds
        self._test_seconds = PATIENT_TEST_SECONDS
        for batch in _chunks(slow, CHUNK // 8):
            left = self._left() - until
            texts = [edit.apply(self._source) for edit in batch]
            for edit, text, look in zip(batch, texts, self._screen(texts, 1.0, left), strict=False):
                if self._passes(look):
                    self._keep(text, (edit,), edit.cost)
        self._test_seconds = quick

    def _keep(self, source: str, edits: tuple[Edit, ...], cost: float) -> None:
        self._patches.append(Patched(source, edits, cost))

    def _second_steps(self, looks: Sequence[tuple[Edit, Screened]]) -> None:
        """Take texts that pass some more of the tests apart anew, for an edit of their own."""
        halves = sorted(
            (edit.cost - PROGRESS_BONUS * len(look.passed), index)
            for index, (edit, look) in enumerate(looks)
            if look.passed
        )
        seen: set[str] = set()
        for _, index in halves:
            edit, look = looks[index]
            if look.seen in seen:
                continue
            seen.add(look.seen)
            if len(seen) > MOST_STEPS or self._patches or self._left(PAIR_SHARE) <= 0:
                return
            self._step(edit)

    def _step(self, first: Edit) -> None:
        half = first.apply(self._source)
        left = max(1.0, self._left(PAIR_SHARE))
        seen = self._server.observe(half, only=self._tests, seconds=left / 4)
        where = suspicion(half, seen.report)
        edits = single_edits(
            half, types=seen.types, suspicion=where, prose=self._prose, shown=self._shown
        )
        for batch in _chunks(edits[:STEP_EDITS], CHUNK):
            texts = [(edit, edit.apply(half)) for edit in batch]
            fresh = [(edit, text) for edit, text in texts if text not in self._tried]
            self._tried.update(text for _, text in fresh)
            found = self._screen([text for _, text in fresh], PAIR_SHARE)
            for (edit, text), look in zip(fresh, found, strict=False):
                if self._passes(look):
                    self._keep(text, (first, edit), first.cost + edit.cost + PAIR_COST)
            if self._left(PAIR_SHARE) <= 0:
                return

    def _pairs(self, pairs: Iterator[tuple[Edit, Edit, float]], most: int) -> None:
        """Combine edits that change what the failing tests see, likeliest pairs first."""
        after = 0
        for _ in range(0, most, CHUNK):
            batch = list(itertools.islice((p for p in pairs if not p[0].overlaps(p[1])), CHUNK))
            self._try_pairs([((one, other), cost) for one, other, cost in batch])
            after += bool(self._patches)
            done = len(batch) < CHUNK or after > MORE_CHUNKS
            if done or self._left(PAIR_SHARE) <= 0:
                return

    def _try_pairs(self, batch: Sequence[tuple[tuple[Edit, Edit], float]]) -> None:
        texts = [(edits, cost, apply_all(self._source, edits)) for edits, cost in batch]
        fresh = [row for row in texts if row[2] not in self._tried]
        self._tried.update(text for _, _, text in fresh)
        found = self._screen([text for _, _, text in fresh], PAIR_SHARE)
        for (edits, cost, text), look in zip(fresh, found, strict=False):
            if self._passes(look):
                self._keep(text, edits, cost)

    def _finish(self, seen: Observations) -> Found:
        self._patches.sort(key=lambda patch: patch.cost)
        patches = self._patches[:MOST_PATCHES]
        while patches and not self._confirmed(patches[0]):
            patches.pop(0)
        if not patches:
            return self._found("unrepaired")
        choice = self._choose(patches, seen)
        sure = choice.confidence(self._evidence) >= LEAST_CONFIDENCE
        sure = sure and self._confirmed(choice.patch)
        return self._found("repaired" if sure else "unsure", choice, patches)

    def _confirmed(self, patch: Patched) -> bool:
        """Whether a whole run of the tests, from a fresh process, says so too."""
        left = max(0.5, self._left(0.99))
        report = self._server.run(patch.source, only=self._tests, seconds=left)
        return report.passed

    def _choose(self, patches: Sequence[Patched], seen: Observations) -> Choice:
        inputs = further_inputs(seen.calls, seed=self._seed)
        visible = list(dict.fromkeys((call.function, call.arguments) for call in seen.calls))
        sources = [self._source, *(patch.source for patch in patches)]
        nothing = [[""] * len(inputs) for _ in sources]
        left = self._left(0.97)
        if not inputs or left <= 0.3:
            return choose(patches, nothing, frozenset())
        shown = self._server.probe(
            [patches[0].source], visible[:20], test_seconds=0.3, seconds=0.3 * left
        )[0]
        types = frozenset(result_type(text) for text in shown if text and text[0] != "!")
        outcomes = self._server.probe(
            sources, inputs, test_seconds=self._test_seconds, seconds=0.6 * left
        )
        if any("" in row for row in outcomes):
            # Out of time: compare on what all have answered.
            whole = [k for k in range(len(inputs)) if all(row[k] for row in outcomes)]
            outcomes = [[row[k] for k in whole] for row in outcomes]
        return choose(patches, outcomes, types)

    def _found(
        self, status: str, choice: Choice | None = None, patches: Sequence[Patched] = ()
    ) -> Found:
        seconds = time.monotonic() - self._started
        return Found(status, choice, list(patches), self._candidates, seconds, self._evidence)


def evidence(looks: Sequence[tuple[Edit, Screened]], failing: Sequence[str]) -> float:
    """How much the failing tests demand, in nats.

    For each of them −log of the share of edits, among those that change what is seen, that make it
    pass. A test that wants True of a function that says False is passed by half of them, one that
    wants a list of seven numbers by next to none.
    """
    seen = [look for _, look in looks if look.why not in {"load", "slow"}]
    usual = Counter(look.seen for look in seen).most_common(1)
    changed = [look for look in seen if not usual or look.seen != usual[0][0]]
    total = 0.0
    for name in failing:
        passed = sum(name in look.passed for look in changed)
        total -= math.log((passed + 1) / (len(changed) + 2))
    return total


def _chunks(items: Sequence[Edit], size: int) -> Iterator[Sequence[Edit]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _halves(looks: Sequence[tuple[Edit, Screened]]) -> list[tuple[float, Edit]]:
    """Edits worth combining, likeliest first: few of each behaviour."""
    alike: dict[str, int] = {}
    halves = []
    for edit, look in sorted(looks, key=lambda pair: pair[0].cost):
        if look.why in {"load", "slow"}:
            continue
        count = alike.get(look.seen, 0)
        if count >= MOST_ALIKE and look.seen:
            continue
        alike[look.seen] = count + 1
        halves.append((edit.cost - PROGRESS_BONUS * bool(look.passed), edit))
    halves.sort(key=lambda half: half[0])
    return halves


def _best_pairs(halves: Sequence[tuple[float, Edit]]) -> Iterator[tuple[Edit, Edit, float]]:
    """Yield pairs by rising sum of costs.

    A heap holds, for each edit, its best partner that has not been yielded: n at a time, not n².
    """
    heap = [(halves[i][0] + halves[i + 1][0], i, i + 1) for i in range(len(halves) - 1)]
    heapq.heapify(heap)
    while heap:
        cost, first, second = heapq.heappop(heap)
        yield halves[first][1], halves[second][1], cost + PAIR_COST
        if second + 1 < len(halves):
            following = halves[first][0] + halves[second + 1][0]
            heapq.heappush(heap, (following, first, second + 1))
