"""Fits and scores one configuration after another on the same split, and looks at the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from menace.model_automation_pipeline.blend_model import BlendModel, blend_weights
from menace.model_automation_pipeline.evaluation import row_losses
from menace.model_automation_pipeline.families import (
    LIGHTGBM,
    Candidate,
    Model,
    Rows,
    blended,
    fit,
    raw_scores,
)
from menace.model_automation_pipeline.lightgbm_model import LightGBMModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from menace.model_automation_pipeline.budget import CpuBudget
    from menace.records import Metric

    FloatArray = npt.NDArray[np.float64]

SEARCH_SHARE = 0.9
"""Share of the budget after which no more is searched, however cheap the final fits are."""

FINAL_FITS = 2.6
"""Fits on all rows of the window that are kept in reserve: one to judge, one to serve, and what an
estimate may be wrong by."""

THIN_TRIAL_SHARE = 0.04
THIN_ROWS = 4000
"""Where a trial takes more than this share of the budget, the first ones are made on fewer rows,
but on no fewer than so many."""

THIN_SHARE = 0.4
"""Share of the budget that trials on fewer rows may take."""

GIVE_UP = 2.0
GIVE_UP_SHARE = 0.03
"""A fit that has taken so many times as long as its rival's, and this share of the budget, and is
not better yet, is given up."""

NO_MATCH = 1.03
"""A configuration whose loss on the newest fold is so many times its rival's is not tried on older
ones."""

ROUNDS_GROWTH = 1.0
"""Rounds grow with this power of the rows, where more are fitted than were tried on."""

BEGIN = 3
"""So many of the best are averaged before weights are chosen."""

REPORT_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to fit and later rows to score."""

    train: Rows
    validation: Rows


@dataclass(frozen=True, slots=True)
class Tried:
    """A configuration, what it says of the validation rows, and what its fit took.

    Attributes
    ----------
    candidate
        The configuration, with rounds for the window that is fitted in the end.
    raw, losses
        For each fold it was tried on, newest first: what it says of the validation rows, and its
        loss in each of them.
    metric_loss
        Mean loss in the bot's metric.
    seconds
        CPU-seconds of the newest fold's fit by the budget's clock, up to the best round.
    given_up
        Whether it was stopped for its cost.
    """

    candidate: Candidate
    raw: tuple[FloatArray, ...]
    losses: tuple[FloatArray, ...]
    metric_loss: float
    seconds: float
    given_up: bool = False

    @property
    def loss(self) -> float:
        """Mean loss on all validation rows that it was tried on."""
        return float(self.all_losses.mean())

    @property
    def all_losses(self) -> FloatArray:
        """Losses of all folds, newest first."""
        return np.concatenate(self.losses)

    def ratio(self, other: Tried) -> float:
        """Mean over the folds that both were tried on of this loss over the other one's."""
        pairs = zip(self.losses, other.losses, strict=False)
        return float(np.mean([one.mean() / max(two.mean(), 1e-12) for one, two in pairs]))


class Tuner:
    """Tries configurations on folds of one window.

    Parameters
    ----------
    folds
        Newest first, with a loss that is smooth.
    metric
        The bot's own.
    seed
        Of all fits.
    budget
        Its clock is looked at after each round.
    window_rows
        Rows of the fit that will serve.
    typical_seconds
        What one trial is expected to take on the newest fold.
    """

    def __init__(
        self,
        *,
        folds: Sequence[Fold],
        metric: Metric,
        seed: int,
        budget: CpuBudget,
        window_rows: int,
        typical_seconds: float,
    ) -> None:
        self._all = self.folds = tuple(folds)
        self._metric = metric
        self._seed = seed
        self._budget = budget
        self._window_rows = window_rows
        size = len(folds[0].train)
        rows = max(round(size * THIN_TRIAL_SHARE * budget.seconds / typical_seconds), THIN_ROWS)
        if rows * 1.5 < size:
            self.folds = (_thinned(folds[0], rows),)

    @property
    def thin(self) -> bool:
        """Whether only some of the rows are tried on."""
        return len(self.folds[0].train) < len(self._all[0].train)

    def take_all_rows(self) -> None:
        """Try on all rows from now on."""
        self.folds = self._all

    def at_limit(self, reserve_seconds: float = 0.0) -> bool:
        """Whether the search, or its part on fewer rows, must end to leave such a reserve."""
        share = THIN_SHARE if self.thin else SEARCH_SHARE
        seconds = self._budget.seconds
        return self._budget.used_seconds >= min(share * seconds, seconds - reserve_seconds)

    def final_seconds(self, fitted_seconds: float) -> float:
        """Say what the final fits take of what took so long to fit on the newest fold."""
        return FINAL_FITS * self._window_rows / len(self.folds[0].train) * fitted_seconds

    def fits_in(self, tried: Tried) -> bool:
        """Whether the final fits of a configuration can still be paid."""
        return self.final_seconds(tried.seconds) <= self._budget.left_seconds

    def evaluate(self, candidate: Candidate) -> Tried:
        """Fit a configuration as it is, rounds and all, and score it."""
        raws, seconds = [], []
        for fold in self.folds:
            begun = self._budget.used_seconds
            models = []
            for weight, part in candidate.parts():
                rounds = part.params.get("rounds", 1.0) / self._rounds_growth(fold)
                model = fit(
                    _with_rounds(part, rounds),
                    fold.train,
                    seed=self._seed,
                    budget=self._budget,
                    after_round=lambda _done, _loss: self.at_limit(),
                )
                models.append((part.family, weight, model))
            seconds.append(self._budget.used_seconds - begun)
            whole = models[0][2] if len(models) == 1 else BlendModel(tuple(models))
            raws.append(raw_scores(whole, fold.validation, self._budget))
        return self._scored(candidate, raws, seconds[0])

    def try_out(self, candidate: Candidate, rival: Tried) -> Tried | None:
        """Fit a configuration with as many rounds as serve it; ``None`` if it says nonsense.

        Older folds are not tried where the newest shows that it is no match for its rival.
        """
        raws: list[FloatArray] = []
        rounds: list[float] = []
        newest_seconds, given_up = 0.0, False
        for fold, rivals in zip(self.folds, rival.losses, strict=False):
            begun = self._budget.used_seconds
            patience = max(GIVE_UP * rival.seconds, GIVE_UP_SHARE * self._budget.seconds)
            watch = _Watch(candidate, patience, float(rivals.mean()))
            model = self._fit_watched(candidate, fold, watch)
            seconds = self._budget.used_seconds - begun
            if isinstance(model, LightGBMModel):
                seconds *= watch.best_round / max(model.rounds, 1)
                model.keep(watch.best_round)
                rounds.append(watch.best_round * self._rounds_growth(fold))
            raws.append(raw_scores(model, fold.validation, self._budget))
            if len(raws) == 1:
                newest_seconds, given_up = seconds, watch.given_up
                losses = _losses(raws[0], fold.validation)
                if given_up or losses.mean() > NO_MATCH * rivals.mean() or self.at_limit():
                    break
        if rounds:
            candidate = _with_rounds(candidate, float(np.mean(rounds)))
        tried = self._scored(candidate, raws, newest_seconds, given_up=given_up)
        return tried if math.isfinite(tried.loss) else None

    def blend(self, pool: Sequence[Tried], *, most: int) -> Tried:
        """Blend some of these, ``most`` at most; all of them were tried on all folds."""

        def loss(raw: FloatArray) -> float:
            return float(row_losses(metric, truth, raw).mean())

        truth = np.concatenate([fold.validation.truth for fold in self.folds])
        metric = self.folds[0].validation.target.metric
        weights = blend_weights(
            [np.concatenate(one.raw) for one in pool], loss, most=most, begin=BEGIN
        )
        parts = [
            (weight * inner, part)
            for position, weight in weights.items()
            for inner, part in pool[position].candidate.parts()
        ]
        raws = [
            np.asarray(sum(weight * pool[at].raw[number] for at, weight in weights.items()))
            for number in range(len(self.folds))
        ]
        return self._scored(blended(parts), raws, sum(pool[at].seconds for at in weights))

    def _fit_watched(self, candidate: Candidate, fold: Fold, watch: _Watch) -> Model:
        begun = self._budget.used_seconds

        def after_round(done: int, loss: float) -> bool:
            spent = self._budget.used_seconds - begun
            reserve = 0.0 if self.thin else self.final_seconds(spent)
            return watch.is_over(done, loss, spent) or self.at_limit(reserve)

        return fit(
            candidate,
            fold.train,
            seed=self._seed,
            budget=self._budget,
            validation=fold.validation if candidate.family == LIGHTGBM else None,
            after_round=after_round,
        )

    def _rounds_growth(self, fold: Fold) -> float:
        return float((self._window_rows / len(fold.train)) ** ROUNDS_GROWTH)

    def _scored(
        self,
        candidate: Candidate,
        raws: Sequence[FloatArray],
        seconds: float,
        *,
        given_up: bool = False,
    ) -> Tried:
        pairs = list(zip(raws, (fold.validation for fold in self.folds), strict=False))
        losses = tuple(_losses(raw, rows) for raw, rows in pairs)
        own = [row_losses(self._metric, rows.truth, raw) for raw, rows in pairs]
        metric_loss = float(np.concatenate(own).mean())
        return Tried(candidate, tuple(raws), losses, metric_loss, seconds, given_up)


class _Watch:
    """Follows the validation loss of one fit."""

    def __init__(self, candidate: Candidate, most_seconds: float, rival_loss: float) -> None:
        self._most_seconds, self._rival_loss = most_seconds, rival_loss
        # A slow learner's loss may stand still for longer.
        self._patience = min(max(20, round(2.5 / candidate.params.get("learning_rate", 0.1))), 100)
        self._best_loss = float("inf")
        self.best_round = 1
        self.given_up = False

    def is_over(self, done: int, loss: float, spent_seconds: float) -> bool:
        """Note a round; True if more of them are not worth their time."""
        if loss < self._best_loss:
            self._best_loss, self.best_round = loss, done
        if done % REPORT_ROUNDS == 0 and spent_seconds > self._most_seconds:
            self.given_up = self._best_loss > self._rival_loss
        return self.given_up or done - self.best_round >= self._patience


def _losses(raw: FloatArray, rows: Rows) -> FloatArray:
    return row_losses(rows.target.metric, rows.truth, raw)


def _thinned(fold: Fold, rows: int) -> Fold:
    kept = min(len(fold.validation), rows)
    return Fold(
        fold.train.taken(_evenly(len(fold.train), rows)),
        fold.validation.taken(_evenly(len(fold.validation), kept)),
    )


def _with_rounds(candidate: Candidate, rounds: float) -> Candidate:
    if candidate.family != LIGHTGBM:
        return candidate
    return replace(candidate, params={**candidate.params, "rounds": max(1, round(rounds))})


def _evenly(size: int, count: int) -> npt.NDArray[np.intp]:
    """Positions of ``count`` rows of ``size``, evenly spaced, the last one among them."""
    return np.linspace(0, size - 1, count).round().astype(np.intp)
