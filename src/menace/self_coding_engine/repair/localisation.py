"""Where the fault is likely to be: lines that failing tests run and passing ones do not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import libcst as cst

from menace.self_coding_engine.repair.code_map import CodeMap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from menace.self_coding_engine.proposal import TestReport

UNSEEN = 0.35
"""Suspicion of lines that run before any test: constants of the module, defaults of parameters."""

LEAST = 0.25
"""Suspicion of a line that a failing test runs, however many passing ones do, too."""


def ochiai(report: TestReport) -> dict[int, float]:
    r"""Suspicion of each line that a failing test ran.

    :math:`s = f / \sqrt{F (f + p)}` with *f* of *F* failing and *p* passing tests that ran the
    line (Abreu et al. 2006), no less than 0.25: what all tests run may well be wrong.

    >>> from menace.self_coding_engine.proposal import CaseReport, TestReport
    >>> cases = (CaseReport("a", True), CaseReport("b", False))
    >>> lines = {"a": frozenset({1, 2}), "b": frozenset({1, 3})}
    >>> ochiai(TestReport(cases, True, lines=lines))
    {1: 0.7071067811865475, 3: 1.0}
    """
    failing = {case.name for case in report.cases if not case.passed}
    failed: dict[int, int] = {}
    passed: dict[int, int] = {}
    for name, lines in report.lines.items():
        counts = failed if name in failing else passed
        for line in lines:
            counts[line] = counts.get(line, 0) + 1
    if not failed:
        return {}
    total = max(len(failing), 1)
    return {
        line: max(LEAST, count / math.sqrt(total * (count + passed.get(line, 0))))
        for line, count in sorted(failed.items())
    }


def suspicion(text: str, report: TestReport) -> Mapping[int, float] | None:
    """Suspicion by line, spread over statements of several lines; ``None`` where nothing is known.

    Raises
    ------
    libcst.ParserSyntaxError
        If the text is no Python.
    """
    seen = ochiai(report)
    if not seen:
        return None
    code = CodeMap(text)
    found = dict(seen)
    for statement in code.statements:
        node = statement.site.node
        last = statement.last
        if isinstance(node, cst.BaseCompoundStatement):
            last = max(statement.first, code.of(node.body).line - 1)
        lines = range(statement.first, last + 1)
        early = isinstance(node, cst.FunctionDef) or statement.owner is None
        best = max([seen.get(line, 0.0) for line in lines], default=0.0)
        if best <= 0 and early:
            best = UNSEEN
        if best > 0:
            for line in lines:
                found[line] = max(found.get(line, 0.0), best)
    return found
