"""Searches around the champion's configuration, on rows that lie before the gate's.

The rows before the hold-out are split once more in time order: candidates are fitted on the earlier
three quarters and scored on the rest. The hold-out plays no part, so that the gate judges the
winner on rows the search never saw. The best few are blended, by weights chosen on the same rows.

Classifiers are told apart by their log loss whatever the bot's metric is: over a few hundred rows
an error rate is too coarse, and the best of many trials would be the luckiest.
"""

from __future__ import annotations

import importlib
import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from menace.model_automation_pipeline.changed_modules import promise
from menace.model_automation_pipeline.evaluation import compare
from menace.model_automation_pipeline.families import Candidate, Rows, fit_seconds
from menace.model_automation_pipeline.features import FeatureEncoder
from menace.model_automation_pipeline.search_space import SearchSpace, distance, memory_price
from menace.model_automation_pipeline.search_tuner import Fold, Tried, Tuner
from menace.model_automation_pipeline.trial_memory import (
    NEAR,
    affordable_again,
    carried_over,
    incumbents,
    usable,
)
from menace.records import Metric, SearchTrial, Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from menace.model_automation_pipeline.budget import CpuBudget
    from menace.model_automation_pipeline.target import Target
    from menace.records import BotConfig, Json

VALIDATION_SHARE = 0.25

MEMBERS = 4
"""Configurations that are blended at most."""

POOL = 16
"""So many of the best are considered for the blend."""

DIFFERENT = 0.5
"""Least distance between those that are considered: alike, they would average nothing out."""

SWITCH_Z = 1.0
"""What was found replaces the start only with so many standard errors of gain on the validation
rows, and only if it is no worse in the bot's metric: the best of many trials owes part of its lead
to luck."""

FOLDS_TRIAL_SHARE = 0.025
FOLDS_ROWS = 400
"""Where a trial takes no more than this share of the budget, and there are so many rows, three
folds are scored instead of one: a single one tells little where the world moves."""

FINAL_SHARE = 0.4
"""Share of the budget that the reserve for a blend's final fits may take."""

TYPICAL_ROUNDS = 150

TRIAL_SECONDS = 8e-3
TRIAL_GROWTH_SECONDS = 8e-5
"""Counted CPU-seconds of one trial beside its fit, and by how much each makes the next one dearer:
the sampler weighs all that were tried."""

_NONSENSE = 1e6


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    candidate
        The configuration to fit: the one it started from, or a clearly better one.
    trials, pruned
        Configurations tried beside the start, and how many of them were given up early.
    validation
        First and last (exclusive) row of the validation rows, counted within the window.
    start_loss, best_loss
        Mean validation losses of the start and of the best that was found; log losses for
        classifiers.
    carried
        Trials of earlier cycles that the sampler was told of.
    finished
        The search's own trials, for the next one.
    """

    candidate: Candidate
    trials: int
    pruned: int
    validation: tuple[int, int]
    start_loss: float
    best_loss: float
    carried: int = 0
    finished: tuple[SearchTrial, ...] = ()

    def to_json(self) -> Json:
        """Plain JSON, without the trials."""
        return {
            "trials": self.trials,
            "pruned": self.pruned,
            "carried": self.carried,
            "validation": list(self.validation),
            "start_loss": _finite(self.start_loss),
            "best_loss": _finite(self.best_loss),
        }


def import_optuna() -> Any:
    """Import Optuna, quiet."""
    optuna = importlib.import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def search(
    start: Candidate,
    earlier: pd.DataFrame,
    *,
    bot: BotConfig,
    target: Target,
    seed: int,
    budget: CpuBudget,
    window_rows: int,
    row: int = 0,
    known: Sequence[SearchTrial] = (),
    trends: Mapping[str, float] | None = None,
    max_trials: int | None = None,
) -> SearchResult:
    """Look for a configuration better than ``start`` until the budget's share is used.

    Parameters
    ----------
    start
        The champion's configuration, or the default.
    earlier
        The window's rows before the hold-out, in time order.
    bot, target
        Whose, and what is predicted.
    seed
        Of sampler and fits.
    budget
        Stops the search where the final fits need the rest; inside boosting as well.
    window_rows
        Rows that the final fit will have.
    row
        Labelled rows seen; noted with the trials.
    known
        Trials of earlier cycles, oldest first.
    trends
        ROI trends of the bot's modules: what changes those that rise is tried first.
    max_trials
        Stop after so many trials.
    """
    splits = _Splits(earlier, bot, target, budget)
    newest = splits.fold(1.0 - VALIDATION_SHARE, 1.0)
    space = SearchSpace.of(newest.train)
    first = space.portfolio()[0]
    typical = replace(first, params={**first.params, "rounds": TYPICAL_ROUNDS})
    typical_seconds = fit_seconds(typical, newest.train)
    folds = [newest]
    if typical_seconds <= FOLDS_TRIAL_SHARE * budget.seconds and len(earlier) >= FOLDS_ROWS:
        edges = [0.5, 2 / 3, 5 / 6, 1.0]
        folds = [splits.fold(*pair) for pair in reversed(list(itertools.pairwise(edges)))]
    tuner = Tuner(
        folds=folds,
        metric=target.metric,
        seed=seed,
        budget=budget,
        window_rows=window_rows,
        typical_seconds=typical_seconds,
    )
    run = _Run(tuner, space, start, trends=trends or {}, budget=budget, max_trials=max_trials)
    run.explore(known, seed)
    candidate = run.settle()
    return SearchResult(
        candidate=candidate,
        trials=run.trials,
        pruned=run.pruned,
        validation=(len(earlier) - sum(len(fold.validation) for fold in folds), len(earlier)),
        start_loss=run.started.loss,
        best_loss=run.best_loss,
        carried=run.carried,
        finished=run.finished(row),
    )


class _Splits:
    """Cuts folds out of the rows before the hold-out; each knows nothing but its training rows."""

    def __init__(
        self, earlier: pd.DataFrame, bot: BotConfig, target: Target, budget: CpuBudget
    ) -> None:
        self._earlier, self._bot, self._budget = earlier, bot, budget
        regression = target.task is Task.REGRESSION
        self._target = target if regression else replace(target, metric=Metric.LOG_LOSS)

    def fold(self, first: float, last: float) -> Fold:
        """Score the rows between two shares of all, and fit what lies before."""
        size, bot = len(self._earlier), self._bot
        end = round(last * size)
        cut = min(round(first * size), end - 2)
        train = self._earlier.iloc[:cut]
        encoder = FeatureEncoder.fit(train, target=bot.target, drop=bot.drop, time=bot.time)
        return Fold(
            Rows.of(train, encoder, self._target, self._budget),
            Rows.of(self._earlier.iloc[cut:end], encoder, self._target, self._budget),
        )


class _Run:
    """What has been tried, what comes next, and what it comes to."""

    def __init__(
        self,
        tuner: Tuner,
        space: SearchSpace,
        start: Candidate,
        *,
        trends: Mapping[str, float],
        budget: CpuBudget,
        max_trials: int | None,
    ) -> None:
        self._tuner, self._space, self._start = tuner, space, start
        self._trends = trends
        self._budget, self._max_trials = budget, max_trials
        self.trials = self.pruned = self.carried = 0
        self.started = self._yardstick = tuner.evaluate(start)
        self.best_loss = self.started.loss
        self._tried: list[Tried] = []
        self._explored: list[tuple[Candidate, float]] = []

    def explore(self, known: Sequence[SearchTrial], seed: int) -> None:
        """Try what has served elsewhere or before, then what the sampler says, while time lasts."""
        study = _study(seed)
        old = usable(known, self._space, metric=self._tuner.folds[0].train.target.metric)
        again = incumbents(old, most=affordable_again(known))
        for candidate in self._begin_with([trial.candidate for trial in old], again):
            if self._may_go_on():
                self._try(candidate)
        if not self._may_go_on():
            return
        today = [(self._space.bounded(one.candidate), self._ratio(one)) for one in self._tried]
        carried = carried_over(old, today)
        self.carried = len(carried)
        for trial in carried:
            study.add_trial(self._space.finished(trial.candidate, trial.ratio))
        for candidate, ratio in today:
            study.add_trial(self._space.finished(candidate, ratio))
        while self._may_go_on():
            trial = study.ask()
            tried = self._try(self._space.suggested(trial))
            study.tell(trial, _NONSENSE if tried is None else self._ratio(tried))

    def settle(self) -> Candidate:
        """Blend the best of what was tried; the start, where that is not clearly better."""
        self._explored = [(tried.candidate, tried.ratio(self._yardstick)) for tried in self._tried]
        if self._tuner.thin:
            self._promote()
        pool = [self.started, *self._best(POOL)]
        for most in range(MEMBERS, 0, -1):
            best = self._tuner.blend(pool, most=most)
            if self._tuner.fits_in(best):
                break
        self.best_loss = best.loss
        clearly = compare(self.started.all_losses, best.all_losses).z >= SWITCH_Z
        return (
            best.candidate
            if clearly and best.metric_loss <= self.started.metric_loss
            else self._start
        )

    def finished(self, row: int) -> tuple[SearchTrial, ...]:
        """Give the trials that were made, for the store."""
        return tuple(
            SearchTrial(
                family=candidate.family,
                params=dict(candidate.params),
                ratio=ratio,
                metric=self._tuner.folds[0].train.target.metric,
                row=row,
            )
            for candidate, ratio in self._explored
        )

    def _begin_with(self, known: list[Candidate], again: list[Candidate]) -> list[Candidate]:
        """List the start and the best old ones, then what is new to this bot."""
        space = self._space
        start = [space.bounded(part) for _, part in self._start.parts()]
        # A start that was tried before need not be tried again, unless it is one of the best.
        queue = [one for one in start if not _near(one, known)]
        new = [one for one in space.portfolio() if not _near(one, known)]
        new.sort(key=lambda one: -promise(start[0], one, self._trends))
        for candidate in [*again, *new]:
            if not _near(candidate, queue):
                queue.append(candidate)
        return queue

    def _try(self, candidate: Candidate) -> Tried | None:
        self.trials += 1
        self._budget.add(TRIAL_SECONDS + self.trials * TRIAL_GROWTH_SECONDS)
        rival = min([self.started, *self._whole()], key=self._ratio)
        tried = self._tuner.try_out(candidate, rival)
        if tried is not None:
            self._tried.append(tried)
            self.pruned += tried.given_up
        return tried

    def _promote(self) -> None:
        """Try the best of those made on fewer rows on all of them."""
        best = self._best(POOL)
        self._tried = []
        self._tuner.take_all_rows()
        self.started = self._yardstick = self._tuner.evaluate(self._start)
        for tried in best:
            if self._may_go_on():
                self._try(self._space.bounded(tried.candidate))

    def _whole(self) -> list[Tried]:
        """Those that were tried on all folds."""
        folds = len(self._tuner.folds)
        return [tried for tried in self._tried if len(tried.losses) == folds]

    def _best(self, count: int) -> list[Tried]:
        """Choose those that differ; with short memories only if the very best has one."""
        chosen: list[Tried] = []
        for tried in sorted(self._whole(), key=self._ratio):
            if chosen and _forgets(tried) and not _forgets(chosen[0]):
                continue
            if not _near(tried.candidate, [one.candidate for one in chosen], DIFFERENT):
                chosen.append(tried)
        return chosen[:count]

    def _may_go_on(self) -> bool:
        if self._max_trials is not None and self.trials >= self._max_trials:
            return False
        if self._tuner.thin:
            return not self._tuner.at_limit()
        seconds, allowed = 0.0, FINAL_SHARE * self._budget.seconds
        for tried in self._best(MEMBERS):
            more = self._tuner.final_seconds(tried.seconds)
            if seconds and seconds + more > allowed:
                break
            seconds += more
        return not self._tuner.at_limit(seconds)

    def _ratio(self, tried: Tried) -> float:
        """Give its loss over the yardstick's, priced by how little it remembers."""
        return tried.ratio(self._yardstick) * memory_price(tried.candidate)


def _forgets(tried: Tried) -> bool:
    return "half_life" in tried.candidate.params


def _near(candidate: Candidate, others: Sequence[Candidate], limit: float = NEAR) -> bool:
    return any(distance(candidate, other) <= limit for other in others)


def _study(seed: int) -> Any:
    optuna = import_optuna()
    return optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
