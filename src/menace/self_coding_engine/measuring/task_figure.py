"""The figure that a task is judged by: the user's, the model's loss, or the time of the tests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.errors import CodingError
from menace.patches import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from menace.self_coding_engine.proposal import Workbench

MEASURED, LOSS, TEST_TIME = "measured figure", "loss", "CPU time of the tests"


@dataclass(frozen=True, slots=True)
class TaskFigure:
    """What texts of a task are compared by.

    Attributes
    ----------
    name
        For people.
    claim
        What a better text is good for.
    measure
        Figure of a text, lower is better; infinite where the text cannot be measured, ``None``
        where there is no budget left.
    present
        That of the present text.
    """

    name: str
    claim: Claim
    measure: Callable[[str], float | None]
    present: float


def task_figure(workbench: Workbench, source: str, *, timed: bool = True) -> TaskFigure | None:
    """Find out what there is to compare by.

    Parameters
    ----------
    timed
        Whether the CPU time of the tests will do where there is nothing else: a rough figure,
        good enough to choose what the speed gate is to look at.

    Returns
    -------
    TaskFigure or None
        ``None`` where there is nothing.

    Raises
    ------
    CodingError
        If the present text cannot be measured though there is a command for it.
    """
    present = workbench.measure(source)
    if present is not None:
        return TaskFigure(MEASURED, Claim.IMPROVES, _forgiving(workbench.measure), present)
    present = workbench.validate(source)
    if present is not None:
        return TaskFigure(LOSS, Claim.IMPROVES, _forgiving(workbench.validate), present)
    if not timed:
        return None

    def test_seconds(text: str) -> float | None:
        report = workbench.run_tests(text)
        if report is None:
            return None
        return report.cpu_seconds if report.passed else math.inf

    present = test_seconds(source)
    if present is None or not math.isfinite(present):
        return None
    return TaskFigure(TEST_TIME, Claim.SPEEDS, test_seconds, present)


def _forgiving(measure: Callable[[str], float | None]) -> Callable[[str], float | None]:
    """Let a new text that breaks the measure be a bad one, which ends no search."""

    def forgiven(text: str) -> float | None:
        try:
            return measure(text)
        except CodingError:
            return math.inf

    return forgiven


def successive_halving(
    texts: Sequence[str], measure: Callable[[str], float | None], *, rounds: int = 3
) -> int | None:
    """Choose one of several texts: each round measures twice as often, and keeps the better half.

    Parameters
    ----------
    rounds
        At most; the last one may leave several, of which the best so far is taken.

    Returns
    -------
    int or None
        The place of the text with the lowest median; ``None`` where none could be measured.

    References
    ----------
    Karnin, Koren, Somekh, Almost optimal exploration in multi-armed bandits, ICML 2013, sec. 3.

    Examples
    --------
    >>> figures = {"a": 3.0, "b": 1.0, "c": 2.0}
    >>> successive_halving(["a", "b", "c"], figures.get)
    1
    """
    import statistics

    found: dict[int, list[float]] = {place: [] for place in range(len(texts))}
    left = list(found)
    for number in range(rounds):
        for _ in range(2**number):
            for place in left:
                figure = measure(texts[place])
                if figure is None:
                    return _best(found, left)
                found[place].append(figure)
        left.sort(key=lambda place: statistics.median(found[place]))
        left = [place for place in left if math.isfinite(found[place][0])]
        left = left[: math.ceil(len(left) / 2)]
        if len(left) <= 1:
            break
    return _best(found, left)


def _best(found: dict[int, list[float]], left: Sequence[int]) -> int | None:
    import statistics

    measured = {
        place: statistics.median(found[place])
        for place in left
        if found[place] and math.isfinite(found[place][0])
    }
    return min(measured, key=lambda place: measured[place]) if measured else None
