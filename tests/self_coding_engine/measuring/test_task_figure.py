"""What a task is judged by, and how one of several texts is chosen."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from menace.errors import CodingError
from menace.patches import Claim
from menace.self_coding_engine.measuring.task_figure import (
    LOSS,
    MEASURED,
    TEST_TIME,
    successive_halving,
    task_figure,
)
from menace.self_coding_engine.proposal import CaseReport, TestReport


class Workbench:
    """Knows figures of texts; a text that is not known breaks the measure."""

    def __init__(
        self,
        *,
        measured: dict[str, float] | None = None,
        losses: dict[str, float] | None = None,
        test_seconds: dict[str, float] | None = None,
    ) -> None:
        self._measured, self._losses, self._test_seconds = measured, losses, test_seconds

    def seconds_left(self) -> float:
        """There is always time."""
        return 100.0

    def run_tests(self, source: str, *, lines: bool = False) -> TestReport | None:
        """Pass for the texts that have a time."""
        if self._test_seconds is None:
            return None
        passed = source in self._test_seconds
        return TestReport(
            (CaseReport("one", passed),), True, cpu_seconds=self._test_seconds.get(source, 0.0)
        )

    def measure(self, source: str) -> float | None:
        """Look the figure up."""
        if self._measured is not None and source not in self._measured:
            raise CodingError("the measure broke.")
        return None if self._measured is None else self._measured[source]

    def validate(self, source: str) -> float | None:
        """Look the loss up."""
        return None if self._losses is None else self._losses.get(source)


def test_the_users_measure_goes_first() -> None:
    figure = task_figure(Workbench(measured={"a": 2.0}, losses={"a": 1.0}), "a")
    assert figure is not None
    assert (figure.name, figure.claim, figure.present) == (MEASURED, Claim.IMPROVES, 2.0)


def test_a_text_that_breaks_the_measure_is_a_bad_one() -> None:
    figure = task_figure(Workbench(measured={"a": 2.0}), "a")
    assert figure is not None
    assert figure.measure("b") == math.inf


def test_then_comes_the_loss_and_then_the_time_of_the_tests() -> None:
    loss = task_figure(Workbench(losses={"a": 1.0}, test_seconds={"a": 3.0}), "a")
    time = task_figure(Workbench(test_seconds={"a": 3.0}), "a")
    assert loss is not None
    assert loss.name == LOSS
    assert time is not None
    assert (time.name, time.claim, time.present) == (TEST_TIME, Claim.SPEEDS, 3.0)
    assert time.measure("b") == math.inf


def test_where_time_does_not_count_there_may_be_nothing() -> None:
    assert task_figure(Workbench(test_seconds={"a": 3.0}), "a", timed=False) is None
    assert task_figure(Workbench(), "a") is None


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12, unique=True))
def test_halving_finds_the_best_where_there_is_no_noise(figures: list[int]) -> None:
    known = {str(place): float(figure) for place, figure in enumerate(figures)}
    texts = list(known)
    assert successive_halving(texts, known.get, rounds=8) == figures.index(min(figures))


def test_halving_leaves_out_what_cannot_be_measured() -> None:
    figures = {"a": math.inf, "b": 3.0, "c": math.inf}
    assert successive_halving(list(figures), figures.get) == 1
    assert successive_halving(["a", "c"], figures.get) is None


def test_halving_measures_the_promising_ones_more_often() -> None:
    asked: list[str] = []

    def measure(text: str) -> float:
        asked.append(text)
        return float(text)

    successive_halving(["4", "3", "2", "1"], measure)
    assert [asked.count(text) for text in "4321"] == [1, 1, 3, 3]
