"""A pipeline of Python functions of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from menace.config import load_dotted, validated_settings
from menace.errors import ConfigError, PipelineError
from menace.model_automation_pipeline.user_code import LossFunction, Predicted, Trained
from menace.model_automation_pipeline.user_code_pipeline import UserCodePipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    import pandas as pd

    from menace.interfaces import Services
    from menace.model_automation_pipeline.user_code import Request
    from menace.records import BotConfig

ONLY_FILE = "artifact"
"""Name of the file of a model that was given as bytes alone."""


class TrainFunction(Protocol):
    """Makes a model: ``train(rows, energy=…, seed=…, seconds=…)``."""

    def __call__(
        self, rows: pd.DataFrame, /, *, energy: int, seed: int, seconds: float
    ) -> bytes | Mapping[str, bytes]:
        """Return the model as bytes, or as plain file name → bytes."""
        ...


class PredictFunction(Protocol):
    """Predicts rows without their target: ``predict(artifact, rows)``."""

    def __call__(self, artifact: Any, rows: pd.DataFrame, /) -> Any:
        """One label or number for each row, or a frame with a column for each class."""
        ...


@dataclass(frozen=True, slots=True)
class CallableSettings:
    """``kind = "callable"`` in ``menace.toml``.

    Attributes
    ----------
    train, predict
        ``package.module:function``.
    loss
        The same, or left out: the bot's metric.
    refit
        Train once more on the whole window.
    """

    train: str
    predict: str
    loss: str | None = None
    refit: bool = True


@dataclass(frozen=True, slots=True)
class CallableCode:
    """Three functions, or the dotted paths under which a worker finds them.

    Attributes
    ----------
    folder
        Where modules may lie besides the installed ones.
    """

    train_function: TrainFunction | str
    predict_function: PredictFunction | str
    loss_function: LossFunction | str | None = None
    folder: Path | None = None

    @property
    def kind(self) -> str:
        """What the manifest calls its models."""
        return "callable"

    @property
    def loss(self) -> LossFunction | None:
        """Scores rows in place of the bot's metric, if given."""
        if self.loss_function is None:
            return None
        function: LossFunction = _found(self.loss_function, self.folder)
        return function

    @property
    def functions(self) -> tuple[object, ...]:
        """What a worker must be able to import."""
        return (self.train_function, self.predict_function, self.loss_function)

    def train(self, rows: pd.DataFrame, request: Request) -> Trained:
        """Make a model of labelled rows.

        Raises
        ------
        PipelineError
            If the function returns something else than bytes or files of bytes.
        """
        from menace.model_automation_pipeline.budget import process_cpu_seconds

        function = _found(self.train_function, self.folder)
        began = process_cpu_seconds()
        given = function(rows, energy=request.energy, seed=request.seed, seconds=request.seconds)
        used = process_cpu_seconds() - began
        return Trained(_files(given, request.bot.name), used)

    def predict(self, files: Mapping[str, bytes], rows: pd.DataFrame, bot: BotConfig) -> Predicted:
        """Predict rows with a model that :meth:`train` made."""
        del bot
        from menace.model_automation_pipeline.budget import process_cpu_seconds

        function = _found(self.predict_function, self.folder)
        began = process_cpu_seconds()
        artifact = files[ONLY_FILE] if set(files) == {ONLY_FILE} else dict(files)
        values = function(artifact, rows)
        return Predicted(values, process_cpu_seconds() - began)


class CallablePipeline(UserCodePipeline):
    """Makes a bot's models with functions of the user's own.

    Everything around them is what tables have: window, hold-out, gate on paired losses, artifact
    store, archive, rollback, counterfactual settlement, cycles that go on after a kill. A function
    that a worker can import is run in one, another (of the script itself, or a lambda) in the
    calling process. Safe to share between threads and bots if the functions are.

    Parameters
    ----------
    train
        ``train(rows, *, energy, seed, seconds)`` gets labelled rows in time order, without the
        bot's dropped columns, and returns the model as bytes, or as file name → bytes. ``energy``
        is 1..100, ``seconds`` the CPU-seconds that it should take; what it takes is measured, with
        the processes that it starts and waits for, and charged.
    predict
        ``predict(artifact, rows)`` gets what ``train`` returned and rows without their target, and
        returns a label or number for each, or a frame with a column of probabilities for each
        class.
    loss
        ``loss(truth, predictions)`` returns a loss ≥ 0 for each row; by default the bot's metric.
        Losses are priced at the bot's ``loss_usd`` each.
    refit
        Train once more, on the whole window, after the model was judged.
    folder
        Where modules of dotted paths may lie besides the installed ones.
    services
        What it runs on; by default those of the engine, or of the workspace around the current
        folder.

    Examples
    --------
    >>> def train(rows, *, energy, seed, seconds):
    ...     return repr(float(rows["y"].mean())).encode()
    >>> def predict(artifact, rows):
    ...     return [float(artifact)] * len(rows)
    >>> pipeline = CallablePipeline(train=train, predict=predict)
    >>> from menace.interfaces import StagedPipeline
    >>> isinstance(pipeline, StagedPipeline)
    True
    """

    def __init__(
        self,
        *,
        train: TrainFunction | str,
        predict: PredictFunction | str,
        loss: LossFunction | str | None = None,
        refit: bool = True,
        folder: Path | None = None,
        services: Services | None = None,
    ) -> None:
        super().__init__(CallableCode(train, predict, loss, folder), refit=refit, services=services)

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], *, folder: Path, where: str) -> Self:
        """Make the pipeline that a table of ``menace.toml`` describes.

        Raises
        ------
        ConfigError
            If a setting is missing, unknown or wrong, or a function cannot be imported.
        """
        settings: CallableSettings = validated_settings(CallableSettings, values, where=where)
        for path in (settings.train, settings.predict, settings.loss):
            if path is not None:
                _found(path, folder)  # now, and not in the middle of the first cycle
        return cls(
            train=settings.train,
            predict=settings.predict,
            loss=settings.loss,
            refit=settings.refit,
            folder=folder,
        )


def _found(function: Callable[..., Any] | str, folder: Path | None) -> Any:
    found = load_dotted(function, folder=folder) if isinstance(function, str) else function
    if not callable(found):
        raise ConfigError(
            f"{function} is a {type(found).__name__}, which cannot be called.",
            remedy="name a function",
        )
    return found


def _files(given: object, bot: str) -> dict[str, bytes]:
    if isinstance(given, bytes):
        return {ONLY_FILE: given}
    if isinstance(given, Mapping) and all(
        isinstance(name, str) and isinstance(content, bytes) for name, content in given.items()
    ):
        return dict(given)
    raise PipelineError(
        f"the training function returned a {type(given).__name__}.",
        bot=bot,
        remedy="return the model as bytes, or as a dictionary of file name and bytes",
    )
