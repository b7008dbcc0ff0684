"""A repository with a helper and its tests, and proposers that say what they are told to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from menace.patches import Claim
from menace.self_coding_engine.proposal import Proposal
from self_coding_engine.git_repositories import make_repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from menace.self_coding_engine.proposal import CodingTask, Workbench

PRICES = '''\
"""What a ride costs."""


def price(minutes, member):
    """Price of a ride, USD: members ride half an hour for nothing."""
    free = 30 if member else 0
    paid = max(0, minutes - free)
    return round(1.0 + 0.2 * paid, 2) if paid > 0 else 0.0
'''
WRONG = PRICES.replace("30 if member", "20 if member")
SAME = PRICES.replace("paid = max(0, minutes - free)", "paid = max(minutes - free, 0)")
TESTS = """\
import pytest
from helpers.prices import price


@pytest.mark.parametrize(
    ("minutes", "member", "usd"),
    [(30, True, 0.0), (31, True, 1.2), (25, True, 0.0), (90, True, 13.0), (29, True, 0.0)],
)
def test_members_ride_half_an_hour_for_nothing(minutes, member, usd):
    assert price(minutes, member) == usd


@pytest.mark.parametrize(("minutes", "usd"), [(0, 0.0), (1, 1.2), (30, 7.0), (31, 7.2)])
def test_others_pay_from_the_first_minute(minutes, usd):
    assert price(minutes, False) == usd
"""
CONFTEST = (
    "import sys\nfrom pathlib import Path\n\nsys.path.insert(0, str(Path(__file__).parents[1]))\n"
)


def coded(folder: Path, prices: str = PRICES, tests: str = TESTS) -> Path:
    """Make a repository with ``helpers/prices.py`` and its tests."""
    return make_repository(
        folder, helpers__prices=prices, tests__conftest=CONFTEST, tests__test_prices=tests
    )


@dataclass
class Scripted:
    """Proposes these texts, in order, and notes what it was asked."""

    texts: list[str]
    claim: Claim = Claim.REPAIRS
    name: str = "scripted"
    asked: list[CodingTask] = field(default_factory=list)

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield the texts."""
        del workbench
        self.asked.append(task)
        for number, text in enumerate(self.texts):
            yield Proposal(
                proposer=self.name,
                operator=f"text {number}",
                claim=self.claim,
                target=task.target,
                source=text,
                explanation=f"put text {number} in its place",
            )


@dataclass
class Reader:
    """Proposes nothing, but tries a text that means to tell what it can read."""

    text: str
    name: str = "reader"
    said: str = ""

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Keep what the tests said of the text."""
        del task
        report = workbench.run_tests(self.text)
        if report is not None:
            self.said = report.reason + "".join(case.message for case in report.cases)
        return iter(())
