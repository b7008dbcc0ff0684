"""What a bot predicts: its task, its metric, its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from menace.errors import DataError
from menace.model_automation_pipeline.features import distinct_texts, value_text
from menace.records import Metric, Task

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from menace.records import BotConfig

    FloatVector = npt.NDArray[np.float64]
    CodeVector = npt.NDArray[np.intp]

MAX_DETECTED_CLASSES = 20
"""A target of whole numbers with more distinct values than this is taken as a quantity."""

ROWS_PER_CLASS = 10
"""So is one of three or more values on fewer rows per value: a few rows of a count look alike."""

SURE_ROWS = 200
"""From so many rows on, a task that a window shows is fixed; from fewer it is guessed anew."""

MAX_CLASSES = 200
"""A target with more labels than this in a window is refused."""

METRICS = {
    Task.BINARY: (Metric.ERROR_RATE, Metric.LOG_LOSS),
    Task.MULTICLASS: (Metric.ERROR_RATE, Metric.LOG_LOSS),
    Task.REGRESSION: (Metric.ABSOLUTE_ERROR, Metric.SQUARED_ERROR),
}
"""The metrics of each task; the first is used where the bot names none."""

_LARGEST_TARGET = 3.0e38


@dataclass(frozen=True, slots=True)
class Target:
    """A target column as one training window showed it.

    Attributes
    ----------
    name
        The column.
    task, metric
        What is predicted, and how a row is scored.
    labels
        The classes as text, sorted; empty for a regression. A class that a later row brings is
        unknown to the model: predicting it is impossible, so that such a row counts as wrong.
    """

    name: str
    task: Task
    metric: Metric
    labels: tuple[str, ...] = ()

    @classmethod
    def detect(cls, window: pd.DataFrame, bot: BotConfig) -> Target:
        """Find task, metric and labels in a training window, unless the bot's settings say.

        Text and truth values are classes (two: ``binary``, more: ``multiclass``). So are two
        distinct whole numbers, and up to 20 of them on at least ten rows each, on average, or on
        fewer if the bot's metric is one of classes; other numbers are a regression. A bot that was
        ``binary`` becomes ``multiclass`` when its window shows a third class.

        Raises
        ------
        DataError
            If the column is missing, a value is missing or infinite, a regression's value is not a
            number, there is only one value, there are too many classes, or the metric does not fit.
        """
        series = target_column(window, bot.target, bot=bot.name)
        codes, texts = distinct_texts(series)
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            raise DataError(
                f"the target {bot.target!r} is missing in row {row} of the training window.",
                bot=bot.name,
                remedy="train on labelled rows only",
            )
        task = bot.task or _detected_task(series, texts, bot.metric)
        if task is Task.REGRESSION:
            numbers(series, bot.target, bot=bot.name)
        if len(texts) < 2:
            what = "value" if task is Task.REGRESSION else "class"
            raise DataError(
                f"the target {bot.target!r} has only one {what}, {texts[0]!r}, "
                f"in the {len(series)} rows of the training window.",
                bot=bot.name,
                remedy="wait for more rows, use a longer window, or check the target column",
            )
        if task is not Task.REGRESSION:
            if len(texts) > MAX_CLASSES:
                raise DataError(
                    f"the target {bot.target!r} has {len(texts)} classes in the training window; "
                    f"at most {MAX_CLASSES} can be learned.",
                    bot=bot.name,
                    remedy="group rare classes, or set the task to 'regression' for a quantity",
                )
            task = Task.BINARY if len(texts) == 2 else Task.MULTICLASS
        metric = bot.metric or METRICS[task][0]
        if metric not in METRICS[task]:
            allowed = " or ".join(repr(known.value) for known in METRICS[task])
            raise DataError(
                f"the metric {metric.value!r} does not fit the {task.value} target {bot.target!r}.",
                bot=bot.name,
                remedy=f"set the metric to {allowed}",
            )
        return cls(
            bot.target, task, metric, () if task is Task.REGRESSION else tuple(sorted(texts))
        )

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a regression."""
        return len(self.labels)

    def encode(self, frame: pd.DataFrame, *, bot: str | None = None) -> FloatVector:
        """Read the truth of labelled rows: codes of the labels (−1: unknown), or numbers.

        Raises
        ------
        DataError
            If the column or a value is missing, or a regression's value is not a finite number.
        """
        series = target_column(frame, self.name, bot=bot)
        if self.task is Task.REGRESSION:
            return numbers(series, self.name, bot=bot)
        codes, texts = distinct_texts(series)
        if (codes < 0).any():
            raise DataError(
                f"the target {self.name!r} is missing in row {int(np.argmax(codes < 0))} "
                f"of {len(series)}.",
                bot=bot,
                remedy="score labelled rows only",
            )
        known = {label: code for code, label in enumerate(self.labels)}
        return np.array([known.get(text, -1) for text in texts], dtype=np.float64)[codes]


def target_column(frame: pd.DataFrame, name: str, *, bot: str | None) -> pd.Series[Any]:
    """Return the target's column.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    for position, column in enumerate(frame.columns):
        if str(column) == name:
            return frame.iloc[:, position]
    known = ", ".join(str(column) for column in frame.columns[:20])
    raise DataError(
        f"the target column {name!r} is missing.", bot=bot, remedy=f"the source has: {known}"
    )


def numbers(series: pd.Series[Any], name: str, *, bot: str | None) -> FloatVector:
    """Read a regression's target.

    Raises
    ------
    DataError
        Naming the first row whose value is not a number, missing or infinite.
    """
    import pandas as pd

    values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~(np.abs(values) <= _LARGEST_TARGET)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"the target {name!r} is {value_text(series.iloc[row])!r} in row {row} of "
            f"{len(series)}; a regression needs finite numbers.",
            bot=bot,
            remedy="correct or remove the row, or set the task to 'multiclass'",
        )
    return np.asarray(values, dtype=np.float64)


def _detected_task(series: pd.Series[Any], texts: list[str], metric: Metric | None) -> Task:
    few = Task.BINARY if len(texts) <= 2 else Task.MULTICLASS
    if series.dtype.kind not in "iuf":
        return few
    values = series.to_numpy(dtype=np.float64)
    whole = bool((values == np.floor(values)).all()) and bool(np.isfinite(values).all())
    named = metric in METRICS[Task.MULTICLASS]
    most = (
        MAX_DETECTED_CLASSES if named else min(MAX_DETECTED_CLASSES, len(series) // ROWS_PER_CLASS)
    )
    return few if whole and len(texts) <= max(2, most) else Task.REGRESSION
