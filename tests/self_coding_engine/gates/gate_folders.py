"""A small folder with a helper and tests, and candidates for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.patches import Claim
from menace.self_coding_engine.gates import Candidate
from menace.self_coding_engine.proposal import CodingTask, Proposal, TestReport

if TYPE_CHECKING:
    from pathlib import Path

HELPER = '''"""Prices."""

import math


def with_tax(price, rate=0.2):
    """Add the tax."""
    return round(price * (1 + rate), 2)


def total(prices):
    """Add up what is no bargain."""
    added = 0.0
    for price in prices:
        if price > 1:
            added += with_tax(price)
    return added


def root(number):
    """Root, rounded down."""
    return math.isqrt(number)
'''

TESTS = """from helpers.prices import root, total, with_tax


def test_tax():
    assert with_tax(10) == 12.0


def test_total():
    assert total([10, 20, 0.5]) == 36.0


def test_total_of_nothing():
    assert total([]) == 0.0


def test_root():
    assert root(17) == 4
"""


def make_folder(
    folder: Path, *, helper: str = HELPER, tests: str = TESTS, hidden: str | None = None
) -> Path:
    """Write ``helpers/prices.py``, ``tests/test_prices.py`` and, if given, hidden tests."""
    folder.mkdir(exist_ok=True)
    folder = folder.resolve()
    for name, text in {
        "helpers/__init__.py": "",
        "helpers/prices.py": helper,
        "tests/test_prices.py": tests,
        "conftest.py": "",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    if hidden is not None:
        (folder / "hidden").mkdir()
        (folder / "hidden" / "test_hidden.py").write_text(hidden, encoding="utf-8")
    return folder


def candidate(
    root: Path,
    after: str,
    *,
    before: str = HELPER,
    claim: Claim = Claim.IMPROVES,
    target: str = "helpers/prices.py",
    asked: str | None = None,
    report: TestReport | None = None,
) -> Candidate:
    """Propose a text for the helper."""
    task = CodingTask(root, asked or target, before, report=report, seed=1)
    return Candidate(task, Proposal("tester", "by_hand", claim, target, after, "A change."))


def changed(old: str, new: str, *, of: str = HELPER) -> str:
    """Replace a part of a text that is there once."""
    before, found, after = of.partition(old)
    if not found or old in after:
        raise AssertionError(old)
    return before + new + after
