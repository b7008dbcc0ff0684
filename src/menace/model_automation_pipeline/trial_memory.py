"""What the trials of earlier cycles are worth today.

Losses of different times do not compare: the rows have changed, and so has the start that a loss
was measured beside. Each trial is therefore known by its *ratio*, loss over the start's loss on the
same rows. The best of the old ones are tried again on today's rows, and the others' ratios are
multiplied by the median of what these came to::

    ratio_j today ≈ ratio_j then · median over the retried i of (ratio_i today / ratio_i then)

The sampler is told of the old ones first. Optuna's TPE gives the 25 newest of the trials full
weight and older ones less the older they are, so that what was long ago counts little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from menace.model_automation_pipeline.families import DEFAULTS, Candidate
from menace.model_automation_pipeline.search_space import distance, memory_price

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from menace.model_automation_pipeline.search_space import SearchSpace
    from menace.records import Metric, SearchTrial

RETRIED = 4
"""Old configurations that are tried again on today's rows at most."""

NEAR = 0.1
"""Configurations nearer to each other than this are the same for whoever has little time."""


@dataclass(frozen=True, slots=True)
class OldTrial:
    """A configuration that was tried once, and its loss over that of the start then.

    The ratio is priced by :func:`~menace.model_automation_pipeline.search_space.memory_price`.
    """

    candidate: Candidate
    ratio: float


def usable(trials: Iterable[SearchTrial], space: SearchSpace, *, metric: Metric) -> list[OldTrial]:
    """Take the trials that mean something for this metric and space, in their order."""
    old = []
    for trial in trials:
        needed = DEFAULTS.get(trial.family)
        if needed is None or trial.metric != metric or not 0.0 < trial.ratio < np.inf:
            continue
        if set(needed) <= {*trial.params, "rounds"}:
            candidate = space.bounded(Candidate(trial.family, trial.params))
            old.append(OldTrial(candidate, trial.ratio * memory_price(candidate)))
    return old


def affordable_again(trials: Sequence[SearchTrial]) -> int:
    """Say how many old configurations are tried again: a third of what the last search tried.

    Otherwise a search that has time for two trials would try the same two for ever.

    >>> from menace.records import Metric, SearchTrial
    >>> trial = SearchTrial("linear", {"strength": 1.0}, 0.9, Metric.LOG_LOSS, row=9)
    >>> [affordable_again([trial] * count) for count in (0, 2, 7, 90)]
    [1, 1, 2, 4]
    """
    newest = trials[-1] if trials else None
    of_the_last = [
        trial
        for trial in trials
        if newest is not None and (trial.row, trial.cycle_id) == (newest.row, newest.cycle_id)
    ]
    return min(max(len(of_the_last) // 3, 1), RETRIED)


def incumbents(old: Sequence[OldTrial], *, most: int = RETRIED) -> list[Candidate]:
    """Choose the best old ones that differ from one another: those that are to be tried again.

    Of a configuration that was tried more than once, the newest ratio counts.

    Examples
    --------
    >>> old = [OldTrial(Candidate("linear", {"strength": s}), r)
    ...        for s, r in [(1.0, 0.9), (1.01, 0.8), (9.0, 0.7), (1.0, 1.2)]]
    >>> [candidate.params["strength"] for candidate in incumbents(old)]
    [9.0, 1.0]
    """
    newest: list[OldTrial] = []
    for trial in reversed(old):
        if all(distance(trial.candidate, other.candidate) > NEAR for other in newest):
            newest.append(trial)
    newest.sort(key=lambda trial: trial.ratio)
    return [trial.candidate for trial in newest[:most]]


def carried_over(
    old: Sequence[OldTrial], again: Sequence[tuple[Candidate, float]]
) -> list[OldTrial]:
    """Say what the old ratios are today.

    Parameters
    ----------
    old
        All usable old trials, oldest first.
    again
        What has been tried today, with today's ratios.

    Returns
    -------
    list
        The old trials that were not tried again, oldest first, at today's ratios.

    Examples
    --------
    The one tried again came out twice as high as it once did, so the other is taken for twice as
    high, too.

    >>> old = [OldTrial(Candidate("linear", {"strength": s}), r) for s, r in [(1, 0.8), (9, 0.7)]]
    >>> [trial.ratio for trial in carried_over(old, [(old[0].candidate, 1.6)])]
    [1.4]
    """
    rest, changes = [], []
    for trial in old:
        today = [ratio for candidate, ratio in again if distance(candidate, trial.candidate) <= 0.0]
        if today:
            changes.append(today[-1] / trial.ratio)
        else:
            rest.append(trial)
    change = float(np.median(changes)) if changes else 1.0
    return [OldTrial(trial.candidate, trial.ratio * change) for trial in rest]
