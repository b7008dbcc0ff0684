"""What every model would have lost: the model of every tick, on every later tick.

Built with the very pipeline, seeds and gate that the live loop uses, so that strategies differ
in nothing but when they run a cycle. Unlike the loop it may look ahead; nothing of it reaches the
loop.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from menace.model_automation_pipeline.evaluation import compare
from menace.model_automation_pipeline.package import load_predictor
from menace.model_automation_pipeline.promotion import gate
from menace.model_automation_pipeline.training import (
    MIN_UNSEEN_ROWS,
    TrainingJob,
    train_challenger,
)
from menace.model_automation_pipeline.training_seed import training_seed
from menace.sandbox_runner.loss_table import LossTable

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from menace.interfaces import Executor
    from menace.records import BotConfig

    RowLosses = NDArray[np.float64] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ReferenceJob:
    """One tick's challenger, and the later rows to score it on."""

    training: TrainingJob
    later: pd.DataFrame


@dataclass(frozen=True, slots=True)
class ReferenceModel:
    """What a tick's challenger lost.

    Attributes
    ----------
    later
        Per-row losses on all later rows, shape ``(rows,)``; as truth values where all are 0 or 1.
    holdout
        Per-row losses on the hold-out, before the final refit, shape ``(holdout_rows,)``.
    counted_seconds
        CPU-seconds of the whole cycle, counted.
    """

    later: RowLosses
    holdout: NDArray[np.float64]
    counted_seconds: float


def train_reference(job: ReferenceJob) -> ReferenceModel:
    """Train one tick's challenger and score it; runs in a worker."""
    outcome = train_challenger(job.training)
    later = np.zeros(0)
    if len(job.later):
        later = load_predictor(outcome.files).losses(job.later)
    binary = bool(np.isin(later, (0.0, 1.0)).all())
    return ReferenceModel(
        later.astype(np.bool_) if binary else later,
        outcome.challenger_losses,
        outcome.counted_seconds,
    )


@dataclass(frozen=True, slots=True)
class Reference:
    """The models of all ticks from ``first − 1`` on, in units of loss, before any price."""

    models: tuple[ReferenceModel, ...]
    first: int
    ticks: int
    tick_rows: int

    @property
    def binary(self) -> bool:
        """Whether every loss is 0 or 1."""
        return all(model.later.dtype == np.bool_ for model in self.models)

    def row_losses(self, model: int, tick: int) -> RowLosses:
        """Losses of a model on a later tick's rows, shape ``(tick_rows,)``."""
        begin = (tick - model - 1) * self.tick_rows
        return self._model(model).later[begin : begin + self.tick_rows]

    def table(self, bot: BotConfig, *, gate_z: float) -> LossTable:
        """Price the losses and cycles with a bot's economics.

        The gate compares a champion with a challenger on the rows of the challenger's hold-out that
        the champion was not trained on. The live loop makes the hold-out as short as those rows and
        trains on the rest, so that where ``holdout_rows`` is longer than the champion's age a
        verdict here rests on a challenger that saw a little less.
        """
        loss_usd = np.zeros((self.ticks, self.ticks))
        cycle_usd = np.zeros(self.ticks)
        accepted = np.zeros((self.ticks, self.ticks), dtype=np.bool_)
        for tick in range(self.first - 1, self.ticks):
            model = self._model(tick)
            cycle_usd[tick] = model.counted_seconds * bot.economics.cpu_second_usd
            by_tick = model.later.reshape(-1, self.tick_rows)
            loss_usd[tick, tick + 1 :] = by_tick.sum(axis=1) * bot.economics.loss_usd
            for later in range(tick + 1, self.ticks):
                accepted[tick, later] = self._accepts(tick, later, bot, gate_z)
        return LossTable(
            loss_usd, cycle_usd, accepted, self.first, promotion_usd=bot.economics.promotion_usd
        )

    def _accepts(self, champion: int, tick: int, bot: BotConfig, gate_z: float) -> bool:
        """Say whether the gate lets the challenger of ``tick`` replace a champion."""
        challenger = self._model(tick).holdout
        unseen = (tick - champion) * self.tick_rows
        if unseen < MIN_UNSEEN_ROWS:
            # Its configuration, fitted anew, stands in for it: the challenger's own.
            serving, compared = challenger, challenger
        else:
            rows = min(unseen, len(challenger))
            later = self._model(champion).later[unseen - rows : unseen]
            serving, compared = later.astype(np.float64), challenger[-rows:]
        return gate(
            compare(serving, compared),
            economics=bot.economics,
            settlement_rows=bot.settlement_rows,
            z=gate_z,
        ).promote

    def _model(self, tick: int) -> ReferenceModel:
        return self.models[tick - self.first + 1]


def reference_fit_seconds(rows: pd.DataFrame, bot: BotConfig) -> float:
    """Count the CPU-seconds of one fit of the default configuration on a full window."""
    return train_challenger(_job(rows, bot, bot.window_rows, gate_z=0.0)).reference_fit_seconds


def build_reference(
    rows: pd.DataFrame,
    bot: BotConfig,
    *,
    first: int,
    executor: Executor,
    gate_z: float,
    done: Callable[[], None] = lambda: None,
    parallel: int = 1,
) -> Reference:
    """Train the challenger of every tick.

    Parameters
    ----------
    rows
        The whole stream, ``ticks × tick_rows`` rows.
    bot
        Its configuration; the prices do not matter here.
    first
        The first tick that counts; its model is trained at the end of the tick before.
    executor
        Where to train.
    gate_z
        The gate's benefit of the doubt.
    done
        Called after each model; what it raises ends the building.
    parallel
        Trainings at the same time.
    """
    ticks = len(rows) // bot.tick_rows

    def made(tick: int) -> ReferenceModel:
        end = (tick + 1) * bot.tick_rows
        job = ReferenceJob(_job(rows, bot, end, gate_z=gate_z), rows.iloc[end:])
        model: ReferenceModel = executor.run(train_reference, job)
        done()
        return model

    wanted = range(first - 1, ticks)
    if parallel == 1:
        return Reference(tuple(map(made, wanted)), first, ticks, bot.tick_rows)
    with ThreadPoolExecutor(parallel) as pool:
        return Reference(tuple(pool.map(made, wanted)), first, ticks, bot.tick_rows)


def _job(rows: pd.DataFrame, bot: BotConfig, end: int, *, gate_z: float) -> TrainingJob:
    """Describe the training that the loop would do when ``end`` rows are visible."""
    return TrainingJob(
        bot=bot,
        window=rows.iloc[max(0, end - bot.window_rows) : end].reset_index(drop=True),
        row=end,
        seed=training_seed(bot.seed, end),
        gate_z=gate_z,
        counted_budget=True,
    )
