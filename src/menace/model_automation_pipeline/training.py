"""Trains and evaluates one challenger: the unit of work that an executor runs anywhere."""

from __future__ import annotations

import importlib
import json
import logging
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from menace.errors import DataError, HelperCodeError
from menace.model_automation_pipeline.budget import CpuBudget
from menace.model_automation_pipeline.changed_modules import reverted
from menace.model_automation_pipeline.evaluation import PairedComparison, compare, row_losses
from menace.model_automation_pipeline.families import (
    Candidate,
    ConstantModel,
    Model,
    Rows,
    default_candidate,
    encode_seconds,
    fit_seconds,
    raw_scores,
)
from menace.model_automation_pipeline.features import FeatureEncoder
from menace.model_automation_pipeline.fitting import fit_within, made_affordable
from menace.model_automation_pipeline.helped_rows import HelpedRows, same_code
from menace.model_automation_pipeline.leave_one_out import affordable
from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm
from menace.model_automation_pipeline.package import (
    MANIFEST_FILE,
    Predictor,
    load_predictor,
    pack,
)
from menace.model_automation_pipeline.promotion import GateVerdict, gate
from menace.model_automation_pipeline.search import SearchResult, import_optuna, search
from menace.model_automation_pipeline.target import Target
from menace.model_automation_pipeline.windows import WindowComparison, compare_windows
from menace.records import Task
from menace.self_improvement_policy.recipes import EITHER, HISTORY, RECENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from menace.helper_code import HelperCode
    from menace.records import BotConfig, Json, SearchTrial

    FloatArray = npt.NDArray[np.float64]

logger = logging.getLogger(__name__)

MIN_ROWS = 20
"""Labelled rows below which nothing is trained."""

MIN_UNSEEN_ROWS = 20
"""Rows newer than the champion's window below which it cannot be judged on them."""

HOLDOUT_SHARE = 0.2
"""Least share of a window that is held out, as long as it is below ``holdout_rows``."""

OVERSPENT_SHARE = 1.05
"""Share of the budget at which even the final fit ends, with fewer rounds."""

JOB_SECONDS = 8e-3
"""Counted CPU-seconds of what a training does beside encoding, fitting and scoring."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """All that a training needs: plain data, so that it can be sent to another process.

    Attributes
    ----------
    bot
        The bot's configuration.
    window
        The newest labelled rows, in time order.
    row
        Labelled rows seen in all: the window's last row is number ``row − 1``.
    champion
        The champion's package; ``None`` for a bot's first model.
    energy
        Budget, 1..100; above 1 there is a search.
    seed
        Of everything random.
    gate_z
        See :func:`~menace.model_automation_pipeline.promotion.gate`.
    max_trials
        The search ends after so many trials; the budget is then held against counted seconds.
    trials
        What earlier searches of the bot tried, oldest first: the search goes on from there.
    trends
        ROI trends of the bot's modules: what changes those that rise is tried first.
    counted_budget
        Hold the budget against counted instead of measured CPU-seconds: the run can be repeated.
    older
        Rows of history before the window, in time order; ``None`` where they are not wanted.
    window_choice
        With ``older``: ``history`` learns from them as well, ``either`` where that proves better.
    helpers, commit
        Where feature helpers lie, and the commit whose helper extends the rows; ``None``: none.
    thin_to, context
        With a helper: rows that ``older`` is thinned to after it was extended, and the rows before
        all others.
    """

    bot: BotConfig
    window: pd.DataFrame
    row: int
    champion: dict[str, bytes] | None = None
    energy: int = 1
    seed: int = 0
    gate_z: float = 1.0
    max_trials: int | None = None
    counted_budget: bool = False
    trials: tuple[SearchTrial, ...] = ()
    trends: Mapping[str, float] = field(default_factory=dict)
    older: pd.DataFrame | None = None
    window_choice: str = RECENT
    helpers: HelperCode | None = None
    commit: str | None = None
    thin_to: int | None = None
    context: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What a training came to.

    Attributes
    ----------
    files, manifest
        The challenger's package, fitted on the whole window, and its manifest.
    verdict, comparison
        What the gate says, and the paired figures it stands on.
    champion_losses, challenger_losses
        Losses on the hold-out rows, shape (rows,), in time order.
    cpu_seconds
        Measured, of this process and its children, without the import of libraries.
    counted_seconds
        The same work at the published rates.
    reference_fit_seconds
        Counted seconds of one fit of the default configuration on this window.
    search
        What the search found; ``None`` where there was none.
    variants
        Changed module → package of the challenger without that change, where that was cheap.
    window, windows
        What the challenger was made from, ``recent`` or ``history``, and the comparison of both
        where there was one.
    """

    files: dict[str, bytes]
    manifest: Json
    verdict: GateVerdict
    comparison: PairedComparison
    champion_losses: FloatArray
    challenger_losses: FloatArray
    cpu_seconds: float
    counted_seconds: float
    reference_fit_seconds: float
    search: SearchResult | None = None
    variants: dict[str, dict[str, bytes]] = field(default_factory=dict)
    window: str = RECENT
    windows: WindowComparison | None = None


def train_challenger(job: TrainingJob) -> TrainingOutcome:
    """Train a challenger, compare it with the champion, refit it on the whole window, package it.

    The newest rows of the window are held out, in time order. The champion's configuration (or the
    default) and, with energy above 1, the best one found around it, is fitted on the rows before
    them; champion and challenger are compared row by row on the hold-out; the configuration is then
    fitted once more on all rows, and that model is what the package holds.

    A champion may have been trained on part of the hold-out itself. It is therefore compared on the
    rows that are newer than its own window; where there are fewer than ``MIN_UNSEEN_ROWS`` of them,
    its configuration, fitted on the same earlier rows as the challenger, stands in for it.

    The budget of ``energy × seconds_per_energy`` CPU-seconds is held inside boosting: a fit that
    would overspend it ends with fewer rounds. Imports of libraries are not counted.

    Raises
    ------
    DataError
        If the window has fewer than ``MIN_ROWS`` rows, or its target or columns cannot be used.
    PackageError
        If the champion's package cannot be loaded.
    """
    _import_libraries(job)
    if len(job.window) < MIN_ROWS:
        raise DataError(
            f"the training window has {len(job.window)} rows; at least {MIN_ROWS} are needed.",
            bot=job.bot.name,
            remedy="wait until more labelled rows have arrived",
        )
    # Sums taken by several threads differ in their last digit from run to run.
    with importlib.import_module("threadpoolctl").threadpool_limits(1):
        return _trained(job)


def _trained(job: TrainingJob) -> TrainingOutcome:
    counted = job.counted_budget or job.max_trials is not None
    budget = CpuBudget(job.energy * job.bot.seconds_per_energy, counted=counted)
    budget.add(JOB_SECONDS)
    training = _Training(job, budget)
    compared = training.choose_window()
    found = training.search() if job.energy > 1 else None
    chosen = training.start if found is None else found.candidate
    judged = training.judge(chosen)
    files = training.package(judged, found)
    variants = training.variants(chosen, judged)
    return TrainingOutcome(
        files=files,
        manifest=json.loads(files[MANIFEST_FILE]),
        verdict=judged.verdict,
        comparison=judged.comparison,
        champion_losses=judged.champion_losses,
        challenger_losses=judged.challenger_losses,
        cpu_seconds=budget.measured_seconds,
        counted_seconds=budget.counted_seconds,
        reference_fit_seconds=training.reference_fit_seconds,
        search=found,
        variants=variants,
        window=training.window_choice,
        windows=compared,
    )


def split_holdout(job: TrainingJob, champion_row: int | None) -> tuple[int, bool]:
    """Say how many of the newest rows are held out, and whether a stand-in is compared on them.

    ``holdout_rows``, but in a window that is not yet full no more than the larger of
    ``HOLDOUT_SHARE`` and ``holdout_rows / window_rows`` of it, and no more than there are rows that
    the champion was not trained on, unless these are too few to judge it.

    Parameters
    ----------
    champion_row
        Labelled rows seen when the champion was trained; ``None`` if there is none.

    Returns
    -------
    rows
        2 .. half the window.
    stand_in
        True where the champion was trained on (nearly) all of them.
    """
    bot, size = job.bot, len(job.window)
    share = max(HOLDOUT_SHARE, bot.holdout_rows / bot.window_rows)
    rows = min(bot.holdout_rows, math.ceil(size * share), size // 2)
    rows = max(rows, 2)
    if champion_row is None:
        return rows, False
    unseen = job.row - champion_row
    if unseen < MIN_UNSEEN_ROWS:
        return rows, unseen < rows
    return min(rows, unseen), False


@dataclass(frozen=True, slots=True)
class _Judgement:
    champion_losses: FloatArray
    challenger_losses: FloatArray
    comparison: PairedComparison
    verdict: GateVerdict
    chosen: Candidate
    fitted: Candidate


class _Training:
    """The steps of one training, on one job and one budget."""

    def __init__(self, job: TrainingJob, budget: CpuBudget) -> None:
        helped = HelpedRows.of(job, budget)
        self._code = helped.facts
        self._raw = job
        self._job = job = replace(job, window=helped.window, older=helped.older)
        self._budget = budget
        self._target = Target.detect(job.window, job.bot)
        self._champion = self._comparable_champion()
        self._champions_window = self._window_of_champion()
        trained_row = None
        if self._champion is not None:
            trained_row = int(self._champion.manifest["training"]["last_row"])
        self._holdout, self._stand_in = split_holdout(job, trained_row)
        self._window = job.window
        self.window_choice = RECENT
        """What is learned from."""
        self._earlier = job.window.iloc[: -self._holdout]
        self._newest = job.window.iloc[-self._holdout :]
        self.start = default_candidate() if self._champion is None else self._champion.candidate
        """The configuration to refit."""
        self.reference_fit_seconds = 0.0
        """Counted for the default configuration, once the whole window has been encoded."""
        self._whole: Rows | None = None

    def choose_window(self) -> WindowComparison | None:
        """Take the rows before the window in, where they are wanted or prove to be of use."""
        import pandas as pd

        older, compared = self._job.older, None
        if older is None:
            return None
        if self._job.window_choice == EITHER:
            compared = compare_windows(self._earlier, older, losses=self._losses_after_fit)
        if self._job.window_choice == HISTORY or (compared and compared.chosen == HISTORY):
            self.window_choice = HISTORY
            self._window = pd.concat([older, self._window], ignore_index=True)
            self._earlier = pd.concat([older, self._earlier], ignore_index=True)
        return compared

    def search(self) -> SearchResult:
        """Look for a better configuration on the rows before the hold-out.

        Trials that were scored on rows which lie in today's hold-out are left out: it grows back
        over them after a rollback, and they would tell what the gate is about to judge on.
        """
        end = self._job.row - self._holdout
        return search(
            self.start,
            self._earlier,
            bot=self._job.bot,
            target=self._target,
            seed=self._job.seed,
            budget=self._budget,
            window_rows=len(self._window),
            row=end,
            known=[trial for trial in self._job.trials if trial.row <= end],
            trends=self._job.trends,
            max_trials=self._job.max_trials,
        )

    def judge(self, chosen: Candidate) -> _Judgement:
        """Fit a configuration before the hold-out and compare it with the champion there."""
        encoder = self._encoder(self._earlier)
        train, test = self._rows(self._earlier, encoder), self._rows(self._newest, encoder)
        affordable, model, fitted = self._fit_within_share(chosen, train)
        challenger = self._losses(model, test)
        if self._champion is None:
            champion = self._losses(ConstantModel.fit(train.truth, self._target), test)
        elif not self._stand_in:
            champion = self._champion_losses(self._champion)
        elif chosen is self.start and not self._new_code:
            champion = challenger
        else:
            champion = self._stand_in_losses()
        comparison = compare(champion, challenger)
        verdict = gate(
            comparison,
            economics=self._job.bot.economics,
            settlement_rows=self._job.bot.settlement_rows,
            z=self._job.gate_z,
            first=self._champion is None,
        )
        return _Judgement(champion, challenger, comparison, verdict, affordable, fitted)

    def package(self, judged: _Judgement, found: SearchResult | None) -> dict[str, bytes]:
        """Fit a configuration on the whole window, with as many rounds as were judged."""
        job, fitted = self._job, judged.fitted
        encoder = self._encoder(self._window)
        rows = self._whole = self._rows(self._window, encoder)
        self.reference_fit_seconds = fit_seconds(default_candidate(), rows)
        model = self._fit(fitted, rows)
        facts: Json = {
            "seed": job.seed,
            "energy": job.energy,
            "best_iteration": fitted.params.get("rounds"),
            "training": {
                "first_row": job.row - len(job.window),
                "last_row": job.row,
                "rows": len(self._window),
            },
            "holdout": {
                "first_row": job.row - self._holdout,
                "last_row": job.row,
                "rows": self._holdout,
                "stand_in": self._stand_in,
            },
            "metrics": judged.comparison.to_json(),
            "gate": judged.verdict.to_json(),
            "search": None if found is None else found.to_json(),
        }
        if self.window_choice != RECENT:
            facts["training"]["window"] = self.window_choice
        return pack(
            model=model,
            candidate=judged.chosen,
            encoder=encoder,
            target=self._target,
            facts=facts | self._code,
        )

    def variants(self, chosen: Candidate, judged: _Judgement) -> dict[str, dict[str, bytes]]:
        """Fit a promoted configuration once more without each of its changes, if that is cheap."""
        if self._champion is None or self._whole is None or not judged.verdict.promote:
            return {}
        rows, budget = self._whole, self._budget
        without = reverted(self.start, judged.fitted) if chosen != self.start else {}
        cheap = affordable(
            lambda module: fit_seconds(without[module], rows),
            list(without),
            used=budget.used_seconds,
            left=budget.left_seconds,
        )
        return {
            module: pack(
                model=self._fit(without[module], rows),
                candidate=without[module],
                encoder=rows.encoder,
                target=self._target,
                facts={"without": module, **self._code},
            )
            for module in cheap
        }

    def _comparable_champion(self) -> Predictor | None:
        """Load the champion; one that predicts something else is passed over."""
        if self._job.champion is None:
            return None
        try:
            champion = load_predictor(self._job.champion, self._job.helpers)
        except HelperCodeError as error:
            _warn_passed_over(error)
            return None
        numeric = Task.REGRESSION in {champion.target.task, self._target.task}
        same_kind = not numeric or champion.target.task is self._target.task
        return champion if same_kind and champion.target.name == self._target.name else None

    def _window_of_champion(self) -> pd.DataFrame:
        """Extend the window by the code that the champion was trained with."""
        champion = self._champion
        if champion is None or not self._new_code:
            return self._job.window
        try:
            return champion.extended(self._raw.window, self._raw.context)
        except HelperCodeError as error:
            _warn_passed_over(error)
            self._champion = None
            return self._job.window

    @property
    def _new_code(self) -> bool:
        """Whether the champion was trained with other helper code."""
        if self._champion is None:
            return False
        return not same_code(self._champion.manifest, self._code)

    def _champion_losses(self, champion: Predictor) -> FloatArray:
        target = replace(champion.target, metric=self._target.metric)
        newest = self._champions_window.iloc[-self._holdout :]
        return self._losses(champion.model, Rows.of(newest, champion.encoder, target, self._budget))

    def _stand_in_losses(self) -> FloatArray:
        """Fit the champion's configuration on the same earlier rows, with its own helper code."""
        if not self._new_code:
            earlier, newest = self._earlier, self._newest
        else:
            earlier = self._champions_window.iloc[: -self._holdout]
            newest = self._champions_window.iloc[-self._holdout :]
        encoder = self._encoder(earlier)
        model = self._fit(self.start, self._rows(earlier, encoder))
        return self._losses(model, self._rows(newest, encoder))

    def _losses_after_fit(self, train: pd.DataFrame, test: pd.DataFrame) -> FloatArray:
        """Fit the configuration to refit, within a quarter of what is left, and score it."""
        encoder, budget = self._encoder(train), self._budget
        model, _ = fit_within(
            self.start,
            self._rows(train, encoder),
            seed=self._job.seed,
            budget=budget,
            limit_seconds=budget.used_seconds + max(budget.left_seconds, 0.0) / 4,
        )
        return self._losses(model, self._rows(test, encoder))

    def _fit(self, candidate: Candidate, rows: Rows) -> Model:
        """Fit as long as it takes, up to the edge of what the budget may be overspent by."""
        model, _ = fit_within(
            candidate,
            rows,
            seed=self._job.seed,
            budget=self._budget,
            limit_seconds=OVERSPENT_SHARE * self._budget.seconds,
        )
        return model

    def _fit_within_share(
        self, candidate: Candidate, rows: Rows
    ) -> tuple[Candidate, Model, Candidate]:
        """Fit within what is left, keeping enough for the final fit, which is of more rows.

        A blend that would take longer loses members, for good: the first of what is returned.
        """
        budget = self._budget
        share = len(rows) / (len(rows) + len(self._window))
        allowed = share * max(budget.left_seconds, 0.0)
        if candidate.members:
            candidate = made_affordable(candidate, rows, allowed)
        limit = budget.used_seconds + allowed
        fitted = fit_within(
            candidate, rows, seed=self._job.seed, budget=budget, limit_seconds=limit
        )
        return candidate, *fitted

    def _encoder(self, frame: pd.DataFrame) -> FeatureEncoder:
        bot = self._job.bot
        encoder = FeatureEncoder.fit(frame, target=bot.target, drop=bot.drop, time=bot.time)
        self._budget.add(encode_seconds(encoder, len(frame)))
        return encoder

    def _rows(self, frame: pd.DataFrame, encoder: FeatureEncoder) -> Rows:
        return Rows.of(frame, encoder, self._target, self._budget)

    def _losses(self, model: Model | ConstantModel, rows: Rows) -> FloatArray:
        raw = raw_scores(model, rows, self._budget)
        return row_losses(rows.target.metric, rows.truth, raw)


def _warn_passed_over(error: HelperCodeError) -> None:
    # A new model is what mends this, so it must not be what prevents one.
    logger.warning("the challenger is judged as a first model: %s", error)


def _import_libraries(job: TrainingJob) -> None:
    """Import what this job will need, before its CPU time is counted."""
    import_lightgbm()
    linear = any(name.endswith("model.skops") for name in job.champion or ())
    if job.energy > 1:
        import_optuna()
    if job.energy > 1 or linear:
        importlib.import_module("sklearn.linear_model")
        importlib.import_module("skops.io")
