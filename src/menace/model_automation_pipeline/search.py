"""Searches around the champion's configuration, on rows that lie before the gate's.

The rows before the hold-out are split once more in time order: candidates are fitted on the earlier
three quarters and scored on the rest. The hold-out plays no part, so that the gate judges the
winner on rows the search never saw.

Classifiers are told apart by their log loss whatever the bot's metric is: over a few hundred rows
an error rate is too coarse, and the best of many trials would be the luckiest.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from menace.model_automation_pipeline.evaluation import compare, row_losses
from menace.model_automation_pipeline.families import (
    DEFAULTS,
    LIGHTGBM,
    LINEAR,
    Candidate,
    Rows,
    fit,
    fit_seconds,
    raw_scores,
)
from menace.model_automation_pipeline.features import FeatureEncoder
from menace.model_automation_pipeline.lightgbm_model import LightGBMModel
from menace.records import Metric, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import pandas as pd

    from menace.model_automation_pipeline.budget import CpuBudget
    from menace.model_automation_pipeline.families import Model
    from menace.model_automation_pipeline.target import Target
    from menace.records import BotConfig, Json

    FloatArray = npt.NDArray[np.float64]

VALIDATION_SHARE = 0.25
SEARCH_SHARE = 0.65
"""Share of the budget after which no more is searched; the rest is for the final fits."""

MAX_ROUNDS = 400
PATIENCE_ROUNDS = 30
REPORT_ROUNDS = 10
SWITCH_Z = 1.5
"""A tuned configuration replaces the one refitted only with so many standard errors of gain on the
validation rows, and only if it is no worse in the bot's metric: the best of many trials owes part
of its lead to luck."""

TRIAL_SECONDS = 8e-3
TRIAL_GROWTH_SECONDS = 8e-5
"""Counted CPU-seconds of one trial beside its fit, and by how much each makes the next one dearer:
the sampler weighs all that were tried."""

_RATE, _LEAVES, _LEAF_ROWS, _L2 = (0.01, 0.3), (4, 255), (3, 100), (1e-3, 30.0)
_STRENGTH = (1e-4, 1e3)


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
        Mean validation losses of the start and of the best trial; log losses for classifiers.
    """

    candidate: Candidate
    trials: int
    pruned: int
    validation: tuple[int, int]
    start_loss: float
    best_loss: float

    def to_json(self) -> Json:
        """Plain JSON."""
        return {
            "trials": self.trials,
            "pruned": self.pruned,
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
        Stops the search at ``SEARCH_SHARE``, or earlier where the final fits of the best
        configuration need more than the rest; inside boosting as well.
    max_trials
        Stop after so many trials.
    """
    cut = len(earlier) - max(2, round(len(earlier) * VALIDATION_SHARE))
    encoder = FeatureEncoder.fit(
        earlier.iloc[:cut], target=bot.target, drop=bot.drop, time=bot.time
    )
    smooth = target if target.task is Task.REGRESSION else replace(target, metric=Metric.LOG_LOSS)
    tuner = _Tuner(
        train=Rows.of(earlier.iloc[:cut], encoder, smooth, budget),
        validation=Rows.of(earlier.iloc[cut:], encoder, smooth, budget),
        metric=target.metric,
        seed=seed,
        budget=budget,
        window_rows=len(earlier) + bot.holdout_rows,
    )
    started = tuner.evaluate(start)
    study = _study(start, seed)
    best, trials, pruned = started, 0, 0
    while (max_trials is None or trials < max_trials) and tuner.may_go_on(best.candidate):
        trial = study.ask()
        trials += 1
        budget.add(TRIAL_SECONDS + trials * TRIAL_GROWTH_SECONDS)
        tried = tuner.try_out(_suggested(trial, start), trial)
        if tried is None:
            pruned += 1
            study.tell(trial, state=import_optuna().trial.TrialState.PRUNED)
            continue
        study.tell(trial, tried.loss)
        if tried.loss < best.loss:
            best = tried
    clearly = best is not started and compare(started.losses, best.losses).z >= SWITCH_Z
    switch = clearly and best.metric_loss <= started.metric_loss
    return SearchResult(
        candidate=best.candidate if switch else start,
        trials=trials,
        pruned=pruned,
        validation=(cut, len(earlier)),
        start_loss=started.loss,
        best_loss=best.loss,
    )


@dataclass(frozen=True, slots=True)
class _Tried:
    candidate: Candidate
    losses: FloatArray
    metric_loss: float

    @property
    def loss(self) -> float:
        return float(self.losses.mean())


class _Tuner:
    """Fits and scores one configuration after another on the same split."""

    def __init__(
        self,
        *,
        train: Rows,
        validation: Rows,
        metric: Metric,
        seed: int,
        budget: CpuBudget,
        window_rows: int,
    ) -> None:
        self._train = train
        self._validation = validation
        self._metric = metric
        self._seed = seed
        self._budget = budget
        self._window_rows = window_rows

    def may_go_on(self, best: Candidate) -> bool:
        """Whether another trial leaves enough for the final fits of the best configuration."""
        budget, train = self._budget, self._train
        final = 2.0 * fit_seconds(best, train, size=self._window_rows)
        return not self._at_limit() and budget.left_seconds > final

    def _at_limit(self) -> bool:
        return self._budget.used_seconds >= SEARCH_SHARE * self._budget.seconds

    def evaluate(self, candidate: Candidate) -> _Tried:
        """Fit a configuration as it is and score it."""
        model = fit(
            candidate,
            self._train,
            seed=self._seed,
            budget=self._budget,
            after_round=lambda _done, _loss: self._at_limit(),
        )
        return self._tried(candidate, model)

    def try_out(self, candidate: Candidate, trial: Any) -> _Tried | None:
        """Fit a configuration with as many rounds as serve it; ``None`` if it was given up."""
        watch = _Watch(trial, self._at_limit)
        model = fit(
            candidate,
            self._train,
            seed=self._seed,
            budget=self._budget,
            validation=self._validation if candidate.family == LIGHTGBM else None,
            after_round=watch.after_round,
        )
        if watch.given_up:
            return None
        if isinstance(model, LightGBMModel):
            model.keep(watch.best_round)
            rounds = {**candidate.params, "rounds": watch.best_round}
            candidate = replace(candidate, params=rounds)
        tried = self._tried(candidate, model)
        return tried if np.isfinite(tried.loss) else None

    def _tried(self, candidate: Candidate, model: Model) -> _Tried:
        rows = self._validation
        raw = raw_scores(model, rows, self._budget)
        losses = row_losses(rows.target.metric, rows.truth, raw)
        return _Tried(candidate, losses, float(row_losses(self._metric, rows.truth, raw).mean()))


class _Watch:
    """Follows the validation loss of one fit: best round, early stopping, pruning, deadline."""

    def __init__(self, trial: Any, at_limit: Callable[[], bool]) -> None:
        self._trial = trial
        self._at_limit = at_limit
        self._best_loss = float("inf")
        self.best_round = 1
        self.given_up = False

    def after_round(self, done: int, loss: float) -> bool:
        """Note a round; True stops the fit."""
        if loss < self._best_loss:
            self._best_loss, self.best_round = loss, done
        if done % REPORT_ROUNDS == 0:
            self._trial.report(self._best_loss, done)
            self.given_up = self._trial.should_prune()
        if self._at_limit():
            self.given_up = True
        return self.given_up or done - self.best_round >= PATIENCE_ROUNDS


def _study(start: Candidate, seed: int) -> Any:
    """Make a study in memory that begins with both families' known configurations."""
    optuna = import_optuna()
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2 * REPORT_ROUNDS),
    )
    other = LINEAR if start.family == LIGHTGBM else LIGHTGBM
    for family, params in ((start.family, start.params), (other, DEFAULTS[other])):
        study.enqueue_trial({"family": family, **_searched(family, params)})
    return study


def _searched(family: str, params: Mapping[str, float]) -> dict[str, float]:
    """Bring a configuration into the space that is searched."""
    if family == LINEAR:
        return {"strength": _clipped(params["strength"], _STRENGTH)}
    return {
        "learning_rate": _clipped(params["learning_rate"], _RATE),
        "num_leaves": int(_clipped(params["num_leaves"], _LEAVES)),
        "min_data_in_leaf": int(_clipped(params["min_data_in_leaf"], _LEAF_ROWS)),
        "lambda_l2": _clipped(params.get("lambda_l2", 0.0), _L2),
        "feature_fraction": _clipped(params.get("feature_fraction", 1.0), (0.5, 1.0)),
    }


def _suggested(trial: Any, start: Candidate) -> Candidate:
    """Ask for a configuration around the start: a third to thrice its values, within bounds."""
    family = trial.suggest_categorical("family", [LIGHTGBM, LINEAR])
    if family == LINEAR:
        return Candidate(
            LINEAR, {"strength": trial.suggest_float("strength", *_STRENGTH, log=True)}
        )
    known = start.params if start.family == LIGHTGBM else DEFAULTS[LIGHTGBM]
    centre = _searched(LIGHTGBM, known)
    rate = _around(centre["learning_rate"], _RATE)
    leaves = _around(centre["num_leaves"], _LEAVES)
    leaf_rows = _around(centre["min_data_in_leaf"], _LEAF_ROWS)
    return Candidate(
        LIGHTGBM,
        {
            "rounds": MAX_ROUNDS,
            "learning_rate": trial.suggest_float("learning_rate", *rate, log=True),
            "num_leaves": trial.suggest_int("num_leaves", *map(int, leaves), log=True),
            "min_data_in_leaf": trial.suggest_int(
                "min_data_in_leaf", *map(int, leaf_rows), log=True
            ),
            "lambda_l2": trial.suggest_float("lambda_l2", *_L2, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.5, 1.0),
        },
    )


def _around(centre: float, bounds: tuple[float, float]) -> tuple[float, float]:
    return max(bounds[0], centre / 3.0), min(bounds[1], centre * 3.0)


def _clipped(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
