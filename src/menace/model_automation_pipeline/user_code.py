"""Code of the user's own as a pipeline sees it: what it is asked and gives, how it is scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from menace.errors import PipelineError
from menace.model_automation_pipeline.evaluation import row_losses
from menace.model_automation_pipeline.features import value_text
from menace.model_automation_pipeline.target import METRICS, numbers
from menace.records import Metric, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    from menace.records import BotConfig, Json

    FloatArray = npt.NDArray[np.float64]
    Predictions = pd.Series[Any] | pd.DataFrame

_QUANTITIES = METRICS[Task.REGRESSION]


class LossFunction(Protocol):
    """Scores each row: ``loss(truth, predictions)``."""

    def __call__(self, truth: pd.Series[Any], predictions: Any, /) -> Any:
        """Losses ≥ 0 of shape ``(rows,)``, smaller for better predictions."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a training is asked for.

    Attributes
    ----------
    bot
        The bot's configuration.
    energy
        Budget of the cycle, 1..100.
    seconds
        CPU-seconds that this training should take: its share of ``energy × seconds_per_energy``.
    seed
        Of everything random, 0 .. 2³¹ − 1.
    """

    bot: BotConfig
    energy: int
    seconds: float
    seed: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training gave.

    Attributes
    ----------
    files
        The artifact: plain file name → content.
    cpu_seconds
        What it used, with all processes it started.
    metrics
        Figures of its own, kept in the manifest and in the cycle's record.
    """

    files: dict[str, bytes]
    cpu_seconds: float
    metrics: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions in the order of the rows, and the CPU-seconds they took.

    ``values`` are labels or numbers, or a frame with a column of probabilities for each class.
    """

    values: Any
    cpu_seconds: float


class UserCode(Protocol):
    """Trains and predicts; plain data, so that it can be sent to another process."""

    @property
    def kind(self) -> str:
        """What the manifest calls its models: ``callable`` or ``command``."""
        ...

    @property
    def loss(self) -> LossFunction | None:
        """Scores rows in place of the bot's metric, if given."""
        ...

    @property
    def functions(self) -> tuple[object, ...]:
        """Functions that it holds, or dotted paths, or ``None``: a worker needs them all."""
        ...

    def train(self, rows: pd.DataFrame, request: Request) -> Trained:
        """Make a model of labelled rows."""
        ...

    def predict(self, files: Mapping[str, bytes], rows: pd.DataFrame, bot: BotConfig) -> Predicted:
        """Predict rows that have no target with a model that :meth:`train` made."""
        ...


def given_rows(rows: pd.DataFrame, bot: BotConfig, *, with_target: bool) -> pd.DataFrame:
    """Leave out what the user's code may not see: dropped columns, and the target it predicts."""
    hidden = {*bot.drop} if with_target else {*bot.drop, bot.target}
    seen = [name for name in rows.columns if str(name) not in hidden]
    return rows[seen].reset_index(drop=True)


def as_predictions(given: object, rows: int, *, bot: str) -> Predictions:
    """Read what the user's code predicted.

    Parameters
    ----------
    given
        A sequence, array or series of labels or numbers, or a frame of probabilities with a column
        for each class.
    rows
        How many are wanted.

    Raises
    ------
    PipelineError
        If it is of another shape.

    Examples
    --------
    >>> as_predictions([1.5, 2.5], 2, bot="alpha").tolist()
    [1.5, 2.5]
    """
    import pandas as pd

    remedy = "predict one value for each row, or a frame with a column for each class"
    if isinstance(given, pd.DataFrame):
        made: Predictions = given.reset_index(drop=True)
    else:
        column = given.to_numpy() if isinstance(given, pd.Series) else given
        try:
            made = pd.Series(column)
        except (TypeError, ValueError) as error:
            raise PipelineError(
                f"its predictions are a {type(given).__name__}: {error}.", bot=bot, remedy=remedy
            ) from error
    if len(made) != rows:
        raise PipelineError(
            f"{len(made)} predictions were given for {rows} rows.", bot=bot, remedy=remedy
        )
    return made


def named_predictions(given: Predictions, metric: Metric | None) -> list[str] | list[float]:
    """Write predictions as outcomes hold them: labels as text, or numbers.

    Parameters
    ----------
    metric
        Says whether they are labels or numbers; ``None``: numbers where they can be read as such.
    """
    import pandas as pd

    series = _most_probable(given) if isinstance(given, pd.DataFrame) else given
    figures = pd.to_numeric(series, errors="coerce")
    if metric in _QUANTITIES or (metric is None and bool(figures.notna().all())):
        return [float(value) for value in figures]
    return [value_text(value) for value in series.tolist()]


def losses_of(
    truth: pd.Series[Any],
    given: Predictions,
    *,
    metric: Metric | None,
    loss: LossFunction | None,
    bot: str,
) -> FloatArray:
    """Score each row by the user's own loss function, or else by a metric.

    A label stands for its class with probability 1, so that log losses can be told of labels too.
    A missing prediction has no finite loss.

    Raises
    ------
    PipelineError
        If the loss function gives something else than a number for each row.
    DataError
        If a metric of quantities meets what is no number.
    """
    import pandas as pd

    truth = truth.reset_index(drop=True)
    if isinstance(given, pd.Series):
        given = _comparable(given, truth)
    if loss is not None:
        return _own_losses(loss(truth, given), len(truth), bot)
    if metric is None:
        raise PipelineError("there is neither a metric nor a loss function.", bot=bot)
    if metric in _QUANTITIES:
        if isinstance(given, pd.DataFrame):
            raise PipelineError(
                "it predicts probabilities where numbers are wanted.",
                bot=bot,
                remedy="predict one number for each row, or set the metric to 'error_rate'",
            )
        figures = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        return row_losses(metric, numbers(truth, str(truth.name), bot=bot), figures)
    texts = [value_text(value) for value in truth.tolist()]
    if isinstance(given, pd.DataFrame):
        codes = {value_text(name): code for code, name in enumerate(given.columns)}
        chances = given.to_numpy(dtype=float, na_value=np.nan)
        return row_losses(metric, np.array([codes.get(t, -1) for t in texts], dtype=float), chances)
    right = [value_text(value) == t for value, t in zip(given.tolist(), texts, strict=True)]
    sure = np.column_stack([right, np.logical_not(right)]).astype(float)
    losses = row_losses(metric, np.zeros(len(sure)), sure)
    return np.where(given.isna().to_numpy(), np.nan, losses)


def constant_predictions(
    like: Predictions, truth: pd.Series[Any], *, metric: Metric | None
) -> Predictions:
    """Predict what a bot's first model has to beat: the same for every row.

    Parameters
    ----------
    like
        Predictions of the form that is wanted, and as many.
    truth
        What is known: its mean for ``squared_error``, its median for other quantities, its most
        common label, or the share of each class.
    """
    import pandas as pd

    if isinstance(like, pd.DataFrame):
        shares = truth.map(value_text).value_counts(normalize=True)
        row = [float(shares.get(value_text(name), 0.0)) for name in like.columns]
        return pd.DataFrame([row] * len(like), columns=like.columns)
    value: object
    if metric in _QUANTITIES or (metric is None and truth.dtype.kind in "iuf"):
        value = float(truth.mean() if metric is Metric.SQUARED_ERROR else truth.median())
    else:
        value = truth.mode().iloc[0]
    return pd.Series([value] * len(like))


def _most_probable(chances: pd.DataFrame) -> pd.Series[Any]:
    import pandas as pd

    columns = np.array([value_text(name) for name in chances.columns], dtype=object)
    return pd.Series(columns[chances.to_numpy(dtype=float, na_value=np.nan).argmax(axis=1)])


def _comparable(given: pd.Series[Any], truth: pd.Series[Any]) -> pd.Series[Any]:
    """Read text as numbers where the truth is made of numbers: a file knows text only."""
    import pandas as pd

    if truth.dtype.kind not in "iuf" or given.dtype.kind in "iufb":
        return given
    figures = pd.to_numeric(given, errors="coerce")
    return figures if bool((figures.notna() | given.isna()).all()) else given


def _own_losses(given: object, rows: int, bot: str) -> FloatArray:
    try:
        losses = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PipelineError(
            f"the loss function returned a {type(given).__name__}: {error}.",
            bot=bot,
            remedy="return a loss for each row",
        ) from error
    if losses.shape != (rows,) or bool((losses < 0.0).any()):
        what = f"shape {losses.shape}" if losses.shape != (rows,) else "a negative loss"
        raise PipelineError(
            f"the loss function returned {what} for {rows} rows.",
            bot=bot,
            remedy="return one loss ≥ 0 for each row, not their mean",
        )
    return losses
