"""The built-in pipeline: reads a bot's window, has a challenger trained, and answers for it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from menace.errors import UnknownBotError
from menace.model_automation_pipeline import predictor_cache
from menace.model_automation_pipeline.recent_rows import RecentRows
from menace.model_automation_pipeline.window_pipeline import REMEDY, WindowPipeline
from menace.self_improvement_policy.recipes import EITHER, HISTORY, RECENT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from menace.helper_code import HelperCode
    from menace.interfaces import Services
    from menace.model_automation_pipeline.package import Predictor
    from menace.model_automation_pipeline.training import TrainingJob, TrainingOutcome


class ModelAutomationPipeline(WindowPipeline):
    """Makes a better model of a bot: window, features, search, evaluation, gate, package.

    Safe to share between threads and bots.

    Parameters
    ----------
    services
        What it runs on. Without them it asks the workspace around the current folder, when it is
        first used.
    max_trials
        End each search after so many trials and hold its budget against counted CPU-seconds, so
        that the same data give the same model on any machine. By default the budget is held against
        measured CPU-seconds, unless the workspace's meter is ``counted``.
    cache
        Where loaded models are kept; by default one cache for the whole process.
    helpers
        The feature helper in the bot's own repository: rows are extended by its columns before a
        training, and a model is always scored with the helper as it was when it was trained.
    """

    def __init__(
        self,
        services: Services | None = None,
        *,
        max_trials: int | None = None,
        cache: predictor_cache.PredictorCache | None = None,
        helpers: HelperCode | None = None,
    ) -> None:
        super().__init__(services)
        self._helpers = helpers
        self._recent = RecentRows()
        self._max_trials = max_trials
        self._cache = predictor_cache.SHARED if cache is None else cache

    @property
    def windows(self) -> tuple[str, ...]:
        """All choices: the window, all history, or whichever proves better."""
        return (RECENT, HISTORY, EITHER)

    @property
    def helpers(self) -> HelperCode | None:
        """Where the bot's feature helper lies; ``None``: its rows are not extended."""
        return self._helpers

    def helped_by(self, helpers: HelperCode) -> Self:
        """Return a pipeline that extends rows by the columns of a feature helper."""
        helped = copy.copy(self)
        helped._helpers, helped._recent = helpers, RecentRows()
        return helped

    def score(
        self,
        bot_name: str,
        version: int,
        rows: pd.DataFrame,
        *,
        context: pd.DataFrame | None = None,
    ) -> tuple[list[str] | list[float], np.ndarray]:
        """Predict labelled rows with one of the bot's models and score them.

        Parameters
        ----------
        context
            The labelled rows before them, for features that look back; by default the rows are
            taken to follow the newest ones that the bot has taken in.

        Returns
        -------
        predictions
            Labels as text, or numbers; one for each row.
        losses
            Shape (rows,), in units of the bot's metric, or of the champion's while the bot's is
            not fixed: also of a model that was made when its target was taken for
            something else, so that losses of two models can always be compared.

        Raises
        ------
        UnknownBotError, UnknownVersionError
            If there is no such model.
        DataError
            If the target's column or a value in it is missing or wrong.
        PackageError
            If the package is damaged, or its helper code is missing or fails.
        """
        predictor = self.predictor(bot_name, version)
        context = self._context(bot_name, predictor, context)
        return predictor.score(rows, metric=self._metric(bot_name), context=context)

    def predictor(self, bot_name: str, version: int) -> Predictor:
        """Load one of the bot's models; the ones used last are kept.

        Raises
        ------
        UnknownBotError, UnknownVersionError
            If there is no such model.
        PackageError
            If the package is damaged.
        """
        services = self._resolved()
        if services is None:
            raise UnknownBotError(
                "there is no workspace here.", bot=bot_name, remedy=f"menace init, then {REMEDY}"
            )
        model = services.store.model(bot_name, version)

        def load() -> Predictor:
            from menace.model_automation_pipeline.package import load_predictor

            files = services.artifacts.get(model.artifact, model.sha256)
            return load_predictor(files, self._helpers)

        return self._cache.get(model.sha256, load)

    def predict(
        self,
        bot_name: str,
        version: int,
        rows: pd.DataFrame,
        *,
        context: pd.DataFrame | None = None,
    ) -> list[str] | list[float]:
        """Predict rows with one of the bot's models: labels as text, or numbers.

        Parameters
        ----------
        context
            As for :meth:`score`.

        Raises
        ------
        UnknownBotError, UnknownVersionError
            If there is no such model.
        PackageError
            If the package is damaged.
        """
        predictor = self.predictor(bot_name, version)
        return predictor.predict(rows, context=self._context(bot_name, predictor, context))

    def _context(
        self, bot_name: str, predictor: Predictor, given: pd.DataFrame | None
    ) -> pd.DataFrame | None:
        services = self._resolved()
        if given is not None or not predictor.context_rows or services is None:
            return given
        bot = services.store.bot(bot_name)
        return self._recent.before(
            services, bot, services.store.snapshot(bot_name), predictor.context_rows
        )

    def _context_rows(self, bot_name: str, version: int) -> int:
        return self.predictor(bot_name, version).context_rows

    def _train(self, services: Services, job: TrainingJob) -> TrainingOutcome:
        from menace.model_automation_pipeline.training import train_challenger

        outcome: TrainingOutcome = services.executor.run(
            train_challenger, replace(job, max_trials=self._max_trials)
        )
        return outcome
