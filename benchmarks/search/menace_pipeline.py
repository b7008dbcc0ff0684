"""The built-in pipeline, as a first cycle with that energy runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from menace.records import BotConfig, Task

if TYPE_CHECKING:
    from benchmarks.search.systems import FloatArray, Predict
    from benchmarks.search.tables import Table


ENERGY = 10


class MenacePipeline:
    """``train_challenger`` on all training rows."""

    def prepare(self) -> None:
        """See :class:`~benchmarks.search.systems.System`."""
        from menace.model_automation_pipeline.training import TrainingJob, train_challenger

        rows = pd.DataFrame({"x": range(40), "y": [0, 1] * 20})
        bot = BotConfig("warm", None, "y")
        train_challenger(TrainingJob(bot, rows, len(rows), energy=2, max_trials=0))

    def fit(self, table: Table, seconds: float, seed: int) -> Predict:
        """See :class:`~benchmarks.search.systems.System`."""
        from menace.model_automation_pipeline.package import load_predictor
        from menace.model_automation_pipeline.training import TrainingJob, train_challenger

        bot = BotConfig(
            table.name,
            None,
            table.target,
            task=table.task,
            metric=table.metric,
            window_rows=len(table.train),
            seconds_per_energy=seconds / ENERGY,
        )
        job = TrainingJob(bot, table.train, len(table.train), energy=ENERGY, seed=seed)
        outcome = train_challenger(job)
        predictor = load_predictor(outcome.files)

        def predict(frame: pd.DataFrame) -> FloatArray:
            if table.task is Task.REGRESSION:
                return np.asarray(predictor.predict(frame), dtype=np.float64)
            return predictor.probabilities(frame)

        return predict
