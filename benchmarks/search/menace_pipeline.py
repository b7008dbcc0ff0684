"""The built-in pipeline, as a first cycle with that energy runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from menace.records import BotConfig, Task

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.search.systems import FloatArray, Predict
    from benchmarks.search.tables import Table


class MenacePipeline:
    """``train_challenger`` on all training rows, at one CPU-second per unit of energy."""

    def prepare(self) -> None:
        """See :class:`~benchmarks.search.systems.System`."""
        from menace.model_automation_pipeline import training

        training.import_libraries(energy=2)

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
            seconds_per_energy=seconds / 100,
        )
        outcome = train_challenger(
            TrainingJob(bot, table.train, len(table.train), energy=100, seed=seed)
        )
        predictor = load_predictor(outcome.files)

        def predict(frame: pd.DataFrame) -> FloatArray:
            if table.task is Task.REGRESSION:
                return np.asarray(predictor.predict(frame), dtype=np.float64)
            return predictor.probabilities(frame)

        return predict
