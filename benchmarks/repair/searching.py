"""One search in one sandbox, within a budget that starting the sandbox is part of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from libcst import ParserSyntaxError

from benchmarks.repair.programs import NO_TESTS, Attempt
from menace.self_coding_engine.repair.search import RepairSearch
from menace.self_coding_engine.testing import TestServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from menace.self_coding_engine.sandbox import Sandbox

TEST_SECONDS = 0.5
"""CPU time of a test of the faulty program: these hang more often than they compute."""

SPARE_SECONDS = 0.3
"""Of the budget, for ending the sandbox."""


def search(
    sandbox: Sandbox,
    source: str,
    *,
    folder: Path,
    target: str,
    seconds: float,
    tests: str = "",
    cases: Sequence[tuple[str, str]] | None = None,
    visible: Callable[[Sequence[str]], Sequence[str]] | None = None,
    shown: Sequence[str] = (),
) -> Attempt:
    """Search for a repair of one file.

    Parameters
    ----------
    tests, cases
        A pytest command, or assert scripts.
    visible
        Picks the names of the tests that may be seen; all by default.
    shown
        Literals of the visible tests.
    """
    started = time.monotonic()
    with TestServer(
        sandbox,
        folder=folder,
        target=target,
        tests=tests,
        cases=cases,
        test_seconds=TEST_SECONDS,
        start_seconds=seconds / 3,
    ) as server:
        names = server.tests if visible is None else visible(server.tests)
        if not names:
            return Attempt(NO_TESTS, None, "", 0, time.monotonic() - started)
        left = seconds - SPARE_SECONDS - (time.monotonic() - started)
        repair = RepairSearch(server, source, seconds=left, shown=shown, tests=names)
        try:
            found = repair.run()
        except ParserSyntaxError:
            return Attempt("unparsed", None, "", 0, time.monotonic() - started)
        fast = server.fast
    choice = found.choice
    facts: dict[str, object] = {"patches": len(found.patches), "visible": len(names), "fast": fast}
    if choice is not None:
        facts |= {
            "share": round(choice.share, 3),
            "groups": choice.groups,
            "inputs": choice.inputs,
            "cost": round(choice.patch.cost, 2),
            "edits": len(choice.patch.edits),
            "mass": round(choice.mass, 5),
            "evidence": round(found.evidence, 2),
        }
    proposed = found.status == "repaired" and choice is not None
    return Attempt(
        found.status,
        choice.patch.source if proposed and choice else None,
        choice.patch.operator if choice else "",
        found.candidates,
        time.monotonic() - started,
        choice.patch.source if choice else None,
        facts,
    )
