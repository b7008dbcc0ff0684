"""What the pipelines of the user's own code share: the loop around it is that of tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from menace.errors import UnknownBotError
from menace.model_automation_pipeline.window_pipeline import REMEDY, WindowPipeline

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from menace.interfaces import Services
    from menace.model_automation_pipeline.training import TrainingJob, TrainingOutcome
    from menace.model_automation_pipeline.user_code import UserCode
    from menace.model_automation_pipeline.user_model import UserModel


class UserCodePipeline(WindowPipeline):
    """Has the user's code train and predict; window, hold-out, gate, archive are menace's.

    Parameters
    ----------
    code
        Trains and predicts.
    refit
        Train once more on the whole window after the model was judged. Without it a cycle costs
        half, and the model that serves knows nothing of the hold-out, the newest rows.
    services
        What it runs on; by default those of the workspace around the current folder.
    """

    def __init__(
        self, code: UserCode, *, refit: bool = True, services: Services | None = None
    ) -> None:
        super().__init__(services)
        self._code = code
        self._refit = refit

    def predictor(self, bot_name: str, version: int) -> UserModel:
        """Load one of the bot's models.

        Raises
        ------
        UnknownBotError, UnknownVersionError
            If there is no such model.
        PackageError
            If the package is damaged.
        """
        from menace.model_automation_pipeline.user_model import UserModel

        services = self._resolved()
        if services is None:
            raise UnknownBotError(
                "there is no workspace here.", bot=bot_name, remedy=f"menace init, then {REMEDY}"
            )
        model = services.store.model(bot_name, version)
        package = services.artifacts.get(model.artifact, model.sha256)
        return UserModel.load(self._code, services.store.bot(bot_name), package)

    def score(
        self, bot_name: str, version: int, rows: pd.DataFrame
    ) -> tuple[list[str] | list[float], np.ndarray]:
        """Predict labelled rows with one of the bot's models and score them.

        Returns
        -------
        predictions
            Labels as text, or numbers; one for each row.
        losses
            Shape (rows,), of the loss function if there is one, else in units of the bot's metric.

        Raises
        ------
        UnknownBotError, UnknownVersionError
            If there is no such model.
        DataError
            If the target's column or a value in it is missing or wrong.
        PackageError
            If the package is damaged, or the user's code fails on this model.
        """
        metric = None if self._code.loss is not None else self._metric(bot_name)
        return self.predictor(bot_name, version).score(rows, metric=metric)

    def predict(self, bot_name: str, version: int, rows: pd.DataFrame) -> list[str] | list[float]:
        """Predict rows with one of the bot's models: labels as text, or numbers.

        Raises
        ------
        UnknownBotError, UnknownVersionError
            If there is no such model.
        PackageError
            If the package is damaged, or the user's code fails on this model.
        """
        return self.predictor(bot_name, version).predict(rows)

    def _train(self, services: Services, job: TrainingJob) -> TrainingOutcome:
        from menace.model_automation_pipeline.user_training import UserJob, train_user_challenger

        user_job = UserJob(self._code, job, self._refit)
        if not _can_be_sent(self._code):
            return train_user_challenger(user_job)
        outcome: TrainingOutcome = services.executor.run(train_user_challenger, user_job)
        return outcome


def _can_be_sent(code: UserCode) -> bool:
    """Whether a worker can import what the code consists of.

    What a script or a notebook defines, and what a function defines, exists in its own process
    only, and is run there.
    """
    return all(
        function is None or isinstance(function, str) or _is_importable(function)
        for function in code.functions
    )


def _is_importable(function: object) -> bool:
    """Whether the function is what its module has under its name, in any process."""
    module = str(getattr(function, "__module__", ""))
    found: object = None if module == "__main__" else sys.modules.get(module)
    for name in str(getattr(function, "__qualname__", "")).split("."):
        found = getattr(found, name, None)
    return found is function
