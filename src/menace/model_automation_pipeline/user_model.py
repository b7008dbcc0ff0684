"""A stored model of the user's own code, ready to predict and to be scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from menace.errors import MenaceError, PackageError
from menace.model_automation_pipeline.package import (
    MANIFEST_FILE,
    Predictor,
    load_predictor,
    read_manifest,
)
from menace.model_automation_pipeline.target import target_column
from menace.model_automation_pipeline.user_code import (
    Predicted,
    as_predictions,
    given_rows,
    losses_of,
    named_predictions,
)
from menace.records import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    import numpy.typing as npt
    import pandas as pd

    from menace.model_automation_pipeline.user_code import UserCode
    from menace.records import BotConfig, Json

    FloatArray = npt.NDArray[np.float64]

USER_FAMILIES = ("callable", "command")
"""What the manifest calls the family of a model that only the user's code can load."""


@dataclass(frozen=True, slots=True)
class UserModel:
    """A model that the user's code made, or the built-in pipeline before it took over.

    Attributes
    ----------
    code
        Loads the model anew for each prediction, from its files.
    bot
        The bot's configuration.
    manifest, files
        The package.
    built_in
        The model itself, where it is one of the built-in pipeline.
    """

    code: UserCode
    bot: BotConfig
    manifest: Json
    files: dict[str, bytes]
    built_in: Predictor | None = None

    @classmethod
    def load(cls, code: UserCode, bot: BotConfig, package: Mapping[str, bytes]) -> UserModel:
        """Load a package.

        Raises
        ------
        PackageError
            If it is damaged, of a newer format or an unknown family.
        """
        manifest = read_manifest(package)
        files = {name: content for name, content in package.items() if name != MANIFEST_FILE}
        built_in = None if manifest.get("family") in USER_FAMILIES else load_predictor(package)
        return cls(code, bot, manifest, files, built_in)

    @property
    def last_row(self) -> int:
        """Labelled rows seen when it was trained: the end of its training window."""
        return int(self.manifest["training"]["last_row"])

    def predicted(self, rows: pd.DataFrame) -> Predicted:
        """Predict rows, with or without their target, and say what that took.

        Raises
        ------
        PackageError
            If the user's code fails on this model.
        """
        with _FailureOfTheModel("the model cannot predict", self.bot.name):
            seen = given_rows(rows, self.bot, with_target=False)
            given = self.code.predict(self.files, seen, self.bot)
            values = as_predictions(given.values, len(rows), bot=self.bot.name)
            return Predicted(values, given.cpu_seconds)

    def predict(self, rows: pd.DataFrame) -> list[str] | list[float]:
        """Predict rows: labels as text, or numbers.

        Raises
        ------
        PackageError
            If the user's code fails on this model.
        """
        if self.built_in is not None:
            return self.built_in.predict(rows)
        # The bot's own is not fixed before its window has enough rows; the model's is.
        made_for = self.manifest.get("metric")
        metric = Metric(made_for) if made_for is not None else self.bot.metric
        return named_predictions(self.predicted(rows).values, metric)

    def score(
        self, rows: pd.DataFrame, *, metric: Metric | None
    ) -> tuple[list[str] | list[float], FloatArray]:
        """Predict and score labelled rows.

        Returns
        -------
        predictions
            One for each row.
        losses
            Shape (rows,), all finite.

        Raises
        ------
        PackageError
            If the user's code fails on this model, or a loss is not finite.
        """
        predictions, losses, _ = self.judged(rows, metric=metric)
        if not np.isfinite(losses).all():
            raise PackageError(
                f"row {int(np.argmax(~np.isfinite(losses)))} of {len(losses)} has no finite loss.",
                bot=self.bot.name,
                remedy="predict every row; the model is passed over until then",
            )
        return predictions, losses

    def judged(
        self, rows: pd.DataFrame, *, metric: Metric | None
    ) -> tuple[list[str] | list[float], FloatArray, float]:
        """Score rows as :meth:`score` does, finite or not; and the CPU-seconds it took."""
        loss = self.code.loss
        if self.built_in is not None and loss is None:
            return *self.built_in.score(rows, metric=metric), 0.0
        if self.built_in is not None:
            named = self.built_in.predict(rows)
            values, seconds = as_predictions(named, len(rows), bot=self.bot.name), 0.0
        else:
            given = self.predicted(rows)
            values, seconds = given.values, given.cpu_seconds
        truth = target_column(rows, self.bot.target, bot=self.bot.name)
        losses = losses_of(truth, values, metric=metric, loss=loss, bot=self.bot.name)
        return named_predictions(values, metric), losses, seconds


class _FailureOfTheModel:
    """Says of whatever the user's code raises that this model is out.

    One model of the archive that new code cannot read any more must not stop the bot: a tick passes
    over it, as it does over one whose files are damaged. No exception is swallowed here.
    """

    def __init__(self, what: str, bot: str) -> None:
        self._what, self._bot = what, bot

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            why = f"{type(error).__name__}: {error}."
            if isinstance(error, MenaceError):
                why = error.message
            raise PackageError(
                f"{self._what}: {why}",
                bot=self._bot,
                remedy="mend the code that predicts, or serve another version: "
                f"menace rollback {self._bot}",
            ) from error
