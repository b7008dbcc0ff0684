"""Judges features by how well the bot's model does with them on later rows.

The newest rows are cut into folds in time order. For each of them the usual configuration is fitted
on the bot's window before it and scored on its rows, once with some features and once with others:
differences are paired row by row. No model ever sees a row that is later than those it predicts.

Neighbouring rows of a stream are alike, so that a standard error which takes them as independent is
too small. It is therefore also taken over the means of ``BLOCKS`` blocks of neighbouring rows, and
the larger of the two counts (batch means; Law and Kelton, Simulation Modeling and Analysis, ch. 9).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from menace.errors import DataError
from menace.model_automation_pipeline.evaluation import PairedComparison, compare, row_losses
from menace.model_automation_pipeline.families import default_candidate
from menace.model_automation_pipeline.features import FeatureEncoder
from menace.model_automation_pipeline.lightgbm_model import (
    binning_seconds,
    count_bins,
    fit_lightgbm,
    tree_seconds,
    trees_per_round,
)
from menace.model_automation_pipeline.target import Target
from menace.records import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from menace.records import BotConfig

    FloatArray = npt.NDArray[np.float64]
    FloatMatrix = npt.NDArray[np.float32]

LEAST_FOLDS, MOST_FOLDS = 12, 48
FOLDS_PER_WINDOW = 5
"""A model is taken to be refitted when a fifth of its window is new, or a tick has passed."""

LEAST_ROWS = 100
"""With fewer rows nothing is judged."""

BLOCKS = 100


@dataclass(frozen=True, slots=True)
class ForwardLosses:
    """Losses of the rows of some folds, in time order.

    Attributes
    ----------
    losses
        In units of the bot's metric.
    sharp
        In place of an error rate, the probability of error ``1 − p`` of the true class, which
        shows small differences that whole errors hide; otherwise the same as ``losses``.
    """

    losses: FloatArray
    sharp: FloatArray

    @property
    def mean(self) -> float:
        """Mean loss, in units of the bot's metric."""
        return float(self.losses.mean())


class ForwardValidation:
    """Says how well the bot's model does with features: mean loss on later rows.

    Parameters
    ----------
    folds
        Into which the rows to be predicted are cut, ≥ 1: so many fits each time. By default each
        fold is as long as a model is in force, as far as ``LEAST_FOLDS`` and ``MOST_FOLDS`` allow.
    seed
        Of the fits.
    """

    def __init__(self, *, folds: int | None = None, seed: int = 0) -> None:
        self._folds, self._seed = folds, seed

    def __call__(self, rows: pd.DataFrame, bot: BotConfig, features: pd.DataFrame | None) -> float:
        """Mean loss; see :meth:`validate`."""
        return self.validate(rows, bot, features)

    def validate(self, rows: pd.DataFrame, bot: BotConfig, features: pd.DataFrame | None) -> float:
        """Mean loss by forward validation, in units of the bot's metric.

        Parameters
        ----------
        rows
            Labelled rows, oldest first.
        features
            Columns for them, as a feature helper returns them; ``None``: those of the source alone.

        Raises
        ------
        DataError
            If there are too few rows, or the target cannot be used.
        """
        return self.on(rows, bot).losses(features).mean

    def on(self, rows: pd.DataFrame, bot: BotConfig) -> ForwardFolds:
        """Prepare rows for many judgements.

        Raises
        ------
        DataError
            If there are too few rows, or the target cannot be used.
        """
        return ForwardFolds(rows, bot, folds=self._folds, seed=self._seed)


class ForwardFolds:
    """The folds of some rows, encoded once for all features that are judged on them.

    Made by :meth:`ForwardValidation.on`.
    """

    def __init__(self, rows: pd.DataFrame, bot: BotConfig, *, folds: int | None, seed: int) -> None:
        if len(rows) < LEAST_ROWS:
            raise DataError(
                f"{len(rows)} rows are too few to judge features on.",
                bot=bot.name,
                remedy=f"wait for {LEAST_ROWS} labelled rows",
            )
        self._rows = rows.reset_index(drop=True)
        self._bot, self._seed = bot, seed
        self._target = Target.detect(self._rows, bot)
        self._truth = self._target.encode(self._rows, bot=bot.name)
        first = min(bot.window_rows, len(rows) // 2)
        self._first, self._size = first, len(rows)
        in_force = max(bot.tick_rows, bot.window_rows // FOLDS_PER_WINDOW)
        usual = min(max((len(rows) - first) // in_force, LEAST_FOLDS), MOST_FOLDS)
        folds = usual if folds is None else folds
        edges = np.linspace(first, len(rows), folds + 1).round().astype(int)
        self._spans = [
            _Span(max(0, int(start) - bot.window_rows), int(start), int(end))
            for start, end in itertools.pairwise(edges)
        ]
        self._encoded: dict[int, _Encoded] = {}

    @property
    def count(self) -> int:
        """Folds."""
        return len(self._spans)

    @property
    def judged_rows(self) -> int:
        """Rows in all folds together."""
        return self._size - self._first

    @property
    def window_rows(self) -> int:
        """Rows that each fit learns from, at most."""
        return self._first

    @property
    def greatest_loss(self) -> float:
        """The most that a row can lose: 1 for an error rate."""
        return 1.0 if self._target.metric is Metric.ERROR_RATE else math.inf

    @property
    def expected_seconds(self) -> float:
        """CPU-seconds that one judgement in all folds is expected to take."""
        base, params = self._base(self.count - 1).train, default_candidate().params
        bins, trees = count_bins(base), params["rounds"] * trees_per_round(self._target)
        return sum(
            binning_seconds(span.start - span.first, base.shape[1], bins)
            + trees * tree_seconds(span.start - span.first, bins, params)
            for span in self._spans
        )

    def losses(
        self, features: pd.DataFrame | None = None, *, folds: Sequence[int] | None = None
    ) -> ForwardLosses:
        """Fit and score with features, by default in all folds.

        Parameters
        ----------
        features
            A row for each of the rows; a column with the name of one of the source's replaces it.
        folds
            Numbers of folds, in order; 0 is the oldest.

        Raises
        ------
        DataError
            If there is not one row of features for each row.
        """
        if features is not None and len(features) != len(self._rows):
            raise DataError(
                f"there are {len(features)} rows of features for {len(self._rows)} rows.",
                bot=self._bot.name,
                remedy="give one row of features for each row",
            )
        numbers = range(self.count) if folds is None else folds
        parts = [self._fold_losses(number, features) for number in numbers]
        return ForwardLosses(
            np.concatenate([part.losses for part in parts]),
            np.concatenate([part.sharp for part in parts]),
        )

    def compare(self, before: ForwardLosses, after: ForwardLosses) -> PairedComparison:
        """Say what ``after`` gains over ``before``, in units of the metric."""
        return compare_neighbours(before.losses, after.losses)

    def compare_sharply(self, before: ForwardLosses, after: ForwardLosses) -> PairedComparison:
        """Say what ``after`` gains over ``before``, in units of the sharp loss."""
        return compare_neighbours(before.sharp, after.sharp)

    def _fold_losses(self, number: int, features: pd.DataFrame | None) -> ForwardLosses:
        span, base = self._spans[number], self._base(number)
        train, test = base.train, base.test
        if features is not None and features.shape[1]:
            own = _encoded(features.reset_index(drop=True), span, self._bot)
            kept = [k for k, name in enumerate(base.names) if name not in features.columns]
            train = np.hstack([train[:, kept], own.train])
            test = np.hstack([test[:, kept], own.test])
        target = self._target
        model = fit_lightgbm(
            train,
            self._truth[span.first : span.start],
            target,
            default_candidate().params,
            seed=self._seed,
        )
        raw, truth = model.raw(test), self._truth[span.start : span.end]
        losses = row_losses(target.metric, truth, raw)
        if target.metric is not Metric.ERROR_RATE:
            return ForwardLosses(losses, losses)
        return ForwardLosses(losses, 1.0 - raw[np.arange(len(raw)), truth.astype(np.intp)])

    def _base(self, number: int) -> _Encoded:
        if number not in self._encoded:
            self._encoded[number] = _encoded(self._rows, self._spans[number], self._bot)
        return self._encoded[number]


@dataclass(frozen=True, slots=True)
class _Span:
    """A fold's rows: it learns from ``first`` … ``start`` and is scored on ``start`` … ``end``."""

    first: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The matrices of a fold, and for each of their columns the source's column."""

    train: FloatMatrix
    test: FloatMatrix
    names: list[str]


def _encoded(frame: pd.DataFrame, span: _Span, bot: BotConfig) -> _Encoded:
    train = frame.iloc[span.first : span.start]
    encoder = FeatureEncoder.fit(train, target=bot.target, drop=bot.drop, time=bot.time)
    names = [column.name for column in encoder.columns for _ in range(column.width)]
    return _Encoded(encoder.encode(train), encoder.encode(frame.iloc[span.start : span.end]), names)


def compare_neighbours(before: FloatArray, after: FloatArray) -> PairedComparison:
    """Compare paired losses of rows in time order, of which neighbours are alike.

    Examples
    --------
    >>> runs = np.repeat([1.0, 0.0, 0.0, 0.0], 100)
    >>> round(compare(runs, np.zeros(400)).standard_error, 3)
    0.022
    >>> round(compare_neighbours(runs, np.zeros(400)).standard_error, 3)
    0.044
    """
    found = compare(before, after)
    blocks = min(BLOCKS, found.rows)
    if not found.finite or blocks < 2:
        return found
    means = np.array([part.mean() for part in np.array_split(before - after, blocks)])
    error = max(found.standard_error, float(means.std(ddof=1)) / math.sqrt(blocks))
    z = found.mean_gain / error if error else found.z
    return replace(found, standard_error=error, z=z, p=0.5 * math.erfc(z / math.sqrt(2.0)))
