"""Proposes repairs where tests fail: one or two small edits, found by running them."""

from __future__ import annotations

import ast
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import libcst as cst

from menace.patches import Claim
from menace.self_coding_engine.proposal import Proposal
from menace.self_coding_engine.repair.operators import OPERATORS
from menace.self_coding_engine.repair.search import RepairSearch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from menace.self_coding_engine.proposal import CodingTask, Workbench
    from menace.self_coding_engine.repair.choosing import Choice, Patched
    from menace.self_coding_engine.testing import TestServer

MOST_SECONDS = 60.0
"""Of one search; what is not found by then is rarely found later."""

MOST_LITERALS, LONGEST_LITERAL = 24, 20
"""Of the failing tests' files, so many values may be tried, of so many characters at most."""

MOST_PROPOSALS = 3
"""Of one search: the choice, and what else passes, in case that a gate refuses it."""


@runtime_checkable
class ServedWorkbench(Protocol):
    """A workbench that lets a proposer try thousands of texts at the tests."""

    @property
    def test_server(self) -> TestServer | None:
        """The server of the task; ``None`` where nothing can run safely."""
        ...


class RepairProposer:
    """Searches for small edits that make failing tests pass, without a language model.

    It has nothing to say where no test fails, where nothing can run, or where what passes the tests
    does not stand out from what else does (see :mod:`menace.self_coding_engine.repair.choosing`).
    """

    name = "repair"

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield repairs, the likeliest first."""
        if task.report is None or not task.report.failing:
            return
        if not isinstance(workbench, ServedWorkbench) or workbench.test_server is None:
            return
        search = RepairSearch(
            workbench.test_server,
            task.source,
            seconds=min(MOST_SECONDS, workbench.seconds_left()),
            prose=task.description,
            shown=_literals(task.root, task.report.failing),
            seed=task.seed,
        )
        try:
            found = search.run()
        except cst.ParserSyntaxError:
            return
        if found.status != "repaired" or found.choice is None:
            return
        chosen = found.choice.patch
        others = [patch for patch in found.patches if patch.source != chosen.source]
        for patch in [chosen, *others][:MOST_PROPOSALS]:
            sure = found.choice.share if patch is chosen else 1.0 - found.choice.share
            yield _proposal(task, patch, found.choice, sure, found.candidates)


def _literals(root: Path, failing: Sequence[str]) -> list[str]:
    """Read the values that the files of failing tests name, the most frequent first."""
    counts: Counter[str] = Counter()
    for name in dict.fromkeys(test.partition("::")[0] for test in failing):
        try:
            tree = ast.parse((root / name).read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError):
            continue  # no file of its own, or none that can be read: then nothing is known of it
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and type(node.value) in {int, float, str}:
                counts[repr(node.value)] += 1
    short = (text for text, _ in counts.most_common() if len(text) <= LONGEST_LITERAL)
    return list(itertools.islice(short, MOST_LITERALS))


def _proposal(
    task: CodingTask, patch: Patched, choice: Choice, prior: float, candidates: int
) -> Proposal:
    steps = [
        f"line {edit.line}: it {OPERATORS[edit.operator].what} "
        f"({edit.replacement.strip() or 'nothing'})"
        for edit in patch.edits
    ]
    return Proposal(
        proposer=RepairProposer.name,
        operator=patch.operator,
        claim=Claim.REPAIRS,
        target=task.target,
        source=patch.source,
        explanation="; ".join(steps).replace("\n", " "),
        parameters={
            "edits": [
                {"operator": edit.operator, "line": edit.line, "replacement": edit.replacement}
                for edit in patch.edits
            ],
            "share": round(choice.share, 4),
            "behaviours": choice.groups,
            "inputs": choice.inputs,
            "candidates": candidates,
        },
        prior=min(1.0, max(0.0, prior)),
    )
