from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from menace.model_automation_pipeline.budget import CpuBudget
from menace.model_automation_pipeline.families import (
    BLEND,
    LINEAR,
    Candidate,
    Rows,
    blended,
    default_candidate,
)
from menace.model_automation_pipeline.features import FeatureEncoder
from menace.model_automation_pipeline.search import SearchResult, import_optuna, search
from menace.model_automation_pipeline.search_space import SearchSpace, distance
from menace.model_automation_pipeline.target import Target
from menace.model_automation_pipeline.trial_memory import incumbents, usable
from menace.records import BotConfig, Metric, SearchTrial, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    MakeRows = Callable[..., pd.DataFrame]

BOT = BotConfig("a", None, "y", window_rows=600, holdout_rows=100)


def found(frame: pd.DataFrame, *, seconds: float = 2.0, **options: Any) -> SearchResult:
    """Search with a budget of counted seconds."""
    bot = options.pop("bot", BOT)
    start = options.pop("start", default_candidate())
    return search(
        start,
        frame,
        bot=bot,
        target=Target.detect(frame, bot),
        seed=options.pop("seed", 1),
        budget=CpuBudget(seconds, counted=True),
        window_rows=len(frame) + bot.holdout_rows,
        **options,
    )


def space_of(frame: pd.DataFrame, bot: BotConfig = BOT) -> SearchSpace:
    encoder = FeatureEncoder.fit(frame, target="y")
    target = Target.detect(frame, bot)
    return SearchSpace.of(Rows.of(frame, encoder, target, CpuBudget(1.0, counted=True)))


def test_a_search_finds_what_is_better_than_its_start(rows: MakeRows) -> None:
    result = found(rows(600))
    assert result.trials > 8
    assert result.best_loss < result.start_loss
    assert result.candidate != default_candidate()
    assert result.validation == (300, 600)


def test_a_little_data_is_scored_on_one_fold(rows: MakeRows) -> None:
    assert found(rows(200), max_trials=2).validation == (150, 200)


def test_the_same_search_finds_the_same(rows: MakeRows) -> None:
    assert found(rows(600), seconds=1.0) == found(rows(600), seconds=1.0)


def test_a_search_goes_on_where_the_last_one_stopped(rows: MakeRows) -> None:
    frame = rows(600)
    first = found(frame, max_trials=12)
    assert len(first.finished) == 12
    second = found(frame, max_trials=12, known=first.finished, seed=2)
    assert second.carried >= 12 - 5
    tried = [dict(trial.params, rounds=0.0) for trial in first.finished]
    again = [trial for trial in second.finished if dict(trial.params, rounds=0.0) in tried]
    # The start and the best old ones only; the portfolio is not gone through again.
    assert 1 <= len(again) <= 5


def test_energy_spent_over_cycles_adds_up(rows: MakeRows) -> None:
    frame = rows(600, noise=0.6)
    known: tuple[SearchTrial, ...] = ()
    best = []
    for seed in range(3):
        result = found(frame, max_trials=14, known=known, seed=seed)
        known += result.finished
        best.append(min(trial.ratio for trial in known))
    assert best == sorted(best, reverse=True)
    assert best[-1] < best[0]


def test_trials_that_mean_nothing_here_are_passed_over(rows: MakeRows) -> None:
    good = SearchTrial(LINEAR, {"strength": 2.0}, 0.8, Metric.LOG_LOSS, row=5)
    others = [
        replace(good, family="mystery"),
        replace(good, family=BLEND, params={}),
        replace(good, params={}),
        replace(good, metric=Metric.SQUARED_ERROR),
        replace(good, ratio=float("inf")),
        replace(good, ratio=0.0),
    ]
    old = usable([*others, good], space_of(rows(100)), metric=Metric.LOG_LOSS)
    assert [one.candidate.params for one in old] == [{"strength": 2.0}]
    assert incumbents(old) == [old[0].candidate]


def test_a_blend_is_a_start_like_any_other(rows: MakeRows) -> None:
    start = blended([(1.0, default_candidate()), (1.0, Candidate(LINEAR, {"strength": 1.0}))])
    assert found(rows(600), start=start, max_trials=0).candidate is start
    assert np.isfinite(found(rows(600), start=start, max_trials=6).best_loss)


def test_many_rows_are_first_tried_thinned_and_then_whole(rows: MakeRows) -> None:
    frame = rows(9000)
    result = found(frame, seconds=0.8, bot=replace(BOT, window_rows=9100))
    assert result.validation == (6750, 9000)
    assert result.trials > len(result.finished) > 0


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_a_search_begins_with_lies_within_its_space(rows: MakeRows, task: str) -> None:
    space = space_of(rows(200, task))
    portfolio = space.portfolio()
    study = import_optuna().create_study()
    for candidate in portfolio:
        assert distance(space.bounded(candidate), candidate) == 0.0
        trial = space.finished(candidate, 1.0)
        study.add_trial(trial)
        assert space.suggested(import_optuna().trial.FixedTrial(trial.params)) == candidate
    pairs = [(a, b) for a in portfolio for b in portfolio if a is not b]
    assert all(distance(a, b) > 0.1 for a, b in pairs)


def test_counts_may_be_poissons_and_other_numbers_may_not(rows: MakeRows) -> None:
    squared = replace(BOT, task=Task.REGRESSION, metric=Metric.SQUARED_ERROR)
    frame = rows(100, "regression")
    assert not space_of(frame, squared).counts
    counts = frame.assign(y=np.arange(100.0))
    assert space_of(counts, squared).counts
    assert not space_of(counts, replace(squared, metric=Metric.ABSOLUTE_ERROR)).counts


def test_a_search_with_time_for_two_trials_gets_on_all_the_same(rows: MakeRows) -> None:
    known: tuple[SearchTrial, ...] = ()
    for cycle in range(4):
        made = found(rows(200), max_trials=2, known=known).finished
        known += tuple(replace(trial, cycle_id=cycle) for trial in made)
    tried = {tuple(sorted({**trial.params, "rounds": 0.0}.items())) for trial in known}
    assert len(tried) >= 5
