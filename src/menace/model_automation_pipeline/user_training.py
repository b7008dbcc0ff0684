"""Has the user's code make one challenger, judges it, and packages it: the unit of work of a cycle.

The steps are those of :mod:`menace.model_automation_pipeline.training`, and so are hold-out and
gate; what differs is who fits and who predicts.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from menace.errors import DataError, PackageError, PipelineError
from menace.model_automation_pipeline.evaluation import PairedComparison, compare
from menace.model_automation_pipeline.package import MANIFEST_FILE, sealed
from menace.model_automation_pipeline.promotion import GateVerdict, gate
from menace.model_automation_pipeline.target import Target, target_column
from menace.model_automation_pipeline.training import (
    MIN_ROWS,
    TrainingJob,
    TrainingOutcome,
    split_holdout,
)
from menace.model_automation_pipeline.user_code import (
    Request,
    as_predictions,
    constant_predictions,
    given_rows,
    losses_of,
)
from menace.model_automation_pipeline.user_model import UserModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from menace.model_automation_pipeline.user_code import Predictions, Trained, UserCode
    from menace.records import Json, Metric

    FloatArray = npt.NDArray[np.float64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UserJob:
    """A training by the user's code.

    Attributes
    ----------
    code
        Trains and predicts.
    job
        Rows, champion, budget and seed.
    refit
        Train once more on the whole window after the model was judged; otherwise the model that was
        judged is what the package holds, and training costs half.
    """

    code: UserCode
    job: TrainingJob
    refit: bool = True


def train_user_challenger(user_job: UserJob) -> TrainingOutcome:
    """Train a challenger before the hold-out, compare it with the champion there, package it.

    A champion that was trained on the hold-out itself is compared on the rows that are newer than
    its own window. Where there are too few of them, the challenger stands in for it: both come from
    the same code, so that nothing is known to tell them apart.

    Raises
    ------
    DataError
        If the window has fewer than 20 rows, or the target cannot be used.
    PipelineError
        If the user's code gives something else than it should.
    Exception
        Whatever the user's functions raise.
    """
    job = user_job.job
    if len(job.window) < MIN_ROWS:
        raise DataError(
            f"the training window has {len(job.window)} rows; at least {MIN_ROWS} are needed.",
            bot=job.bot.name,
            remedy="wait until more labelled rows have arrived",
        )
    training = _UserTraining(user_job)
    try:
        return training.outcome()
    except PipelineError as error:
        error.cpu_seconds += training.cpu_seconds
        raise


@dataclass(frozen=True, slots=True)
class _Judgement:
    champion_losses: FloatArray
    challenger_losses: FloatArray
    comparison: PairedComparison
    verdict: GateVerdict


class _UserTraining:
    """The steps of one training."""

    def __init__(self, user_job: UserJob) -> None:
        self._job, self._code, self._refit = user_job.job, user_job.code, user_job.refit
        self._bot, window = self._job.bot, self._job.window
        # A loss function of the user's own takes any target, so that none is refused here.
        self._target = None if self._code.loss is not None else Target.detect(window, self._bot)
        self._metric: Metric | None = None if self._target is None else self._target.metric
        self._champion = self._loaded_champion()
        champion_row = None if self._champion is None else self._champion.last_row
        self._holdout, self._stand_in = split_holdout(self._job, champion_row)
        self._earlier, self._newest = window.iloc[: -self._holdout], window.iloc[-self._holdout :]
        self._budget_seconds = self._job.energy * self._bot.seconds_per_energy
        self.cpu_seconds = 0.0

    def outcome(self) -> TrainingOutcome:
        """Train, judge, train again on all rows if that is wanted, and package."""
        trained = self._train(self._earlier)
        judged = self._judge(trained)
        if self._refit:
            trained = self._train(self._job.window)
        files = sealed(trained.files, self._facts(trained, judged))
        return TrainingOutcome(
            files=files,
            manifest=json.loads(files[MANIFEST_FILE]),
            verdict=judged.verdict,
            comparison=judged.comparison,
            champion_losses=judged.champion_losses,
            challenger_losses=judged.challenger_losses,
            cpu_seconds=self.cpu_seconds,
            # What happens inside cannot be counted: the budget is charged, which repeats.
            counted_seconds=self._budget_seconds,
            reference_fit_seconds=0.0,
        )

    def _loaded_champion(self) -> UserModel | None:
        """Load the champion; one that is damaged or predicts something else is passed over."""
        if self._job.champion is None:
            return None
        try:
            champion = UserModel.load(self._code, self._bot, self._job.champion)
        except PackageError as error:
            _warn_passed_over(error)
            return None
        return champion if champion.manifest.get("target") == self._bot.target else None

    def _train(self, rows: pd.DataFrame) -> Trained:
        """Train on rows, with the share of the budget that they are of all rows trained on."""
        in_all = len(self._earlier) + (len(self._job.window) if self._refit else 0)
        seconds = self._budget_seconds * len(rows) / in_all
        request = Request(self._bot, self._job.energy, seconds, self._job.seed)
        trained = self._code.train(given_rows(rows, self._bot, with_target=True), request)
        self.cpu_seconds += trained.cpu_seconds
        if not trained.files:
            raise PipelineError(
                "the training left no file.",
                bot=self._bot.name,
                remedy="give the model as bytes, or as files in the folder artifact",
            )
        return trained

    def _judge(self, trained: Trained) -> _Judgement:
        """Compare challenger and champion, or the best constant, row by row on the hold-out."""
        truth = target_column(self._newest, self._bot.target, bot=self._bot.name)
        seen = given_rows(self._newest, self._bot, with_target=False)
        predicted = self._code.predict(trained.files, seen, self._bot)
        self.cpu_seconds += predicted.cpu_seconds
        values = as_predictions(predicted.values, len(seen), bot=self._bot.name)
        challenger = self._losses(truth, values)
        champion = challenger if self._stand_in else self._champion_losses()
        first = champion is None
        if champion is None:
            known = target_column(self._earlier, self._bot.target, bot=self._bot.name)
            constant = constant_predictions(values, known, metric=self._metric)
            champion = self._losses(truth, constant)
        comparison = compare(champion, challenger)
        verdict = gate(
            comparison,
            economics=self._bot.economics,
            settlement_rows=self._bot.settlement_rows,
            z=self._job.gate_z,
            first=first,
        )
        return _Judgement(champion, challenger, comparison, verdict)

    def _champion_losses(self) -> FloatArray | None:
        """Score the champion; ``None`` if there is none, or none that can be scored."""
        if self._champion is None:
            return None
        try:
            _, losses, seconds = self._champion.judged(self._newest, metric=self._metric)
        except PackageError as error:
            # A new model is what mends this, so it must not be what prevents one.
            _warn_passed_over(error)
            return None
        self.cpu_seconds += seconds
        return losses

    def _losses(self, truth: pd.Series[Any], given: Predictions) -> FloatArray:
        return losses_of(
            truth, given, metric=self._metric, loss=self._code.loss, bot=self._bot.name
        )

    def _facts(self, trained: Trained, judged: _Judgement) -> Json:
        job, target = self._job, self._target
        rows = len(job.window) if self._refit else len(self._earlier)
        last_row = job.row if self._refit else job.row - self._holdout
        return {
            "family": self._code.kind,
            "params": {},
            "task": None if target is None else target.task.value,
            "metric": None if target is None else target.metric.value,
            "target": self._bot.target,
            "labels": [] if target is None else list(target.labels),
            "user_metrics": trained.metrics,
            "seed": job.seed,
            "energy": job.energy,
            "training": {"first_row": last_row - rows, "last_row": last_row, "rows": rows},
            "holdout": {
                "first_row": job.row - self._holdout,
                "last_row": job.row,
                "rows": self._holdout,
                "stand_in": self._stand_in,
            },
            "metrics": judged.comparison.to_json(),
            "gate": judged.verdict.to_json(),
            "search": None,
        }


def _warn_passed_over(error: PackageError) -> None:
    logger.warning("the challenger is judged as a first model: %s", error)
