"""A search begins with what changes modules whose returns rise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from menace.config import validated_bot
from menace.model_automation_pipeline.training import TrainingJob, train_challenger

if TYPE_CHECKING:
    from support import DriftingStream

BOT = {"name": "alpha", "source": None, "target": "label", "task": "binary"}


@pytest.mark.parametrize(
    ("trends", "families"),
    [
        ({}, ["lightgbm", "lightgbm", "linear"]),
        ({"family:linear": 9.0}, ["lightgbm", "linear"]),
        ({"family:linear": -9.0}, ["lightgbm", "lightgbm", "lightgbm"]),
        ({"params:trees": 0.5, "family:linear": 0.1}, ["lightgbm", "lightgbm"]),
    ],
)
def test_the_first_trials_change_what_pays_more_than_it_did(
    stream: DriftingStream, trends: dict[str, float], families: list[str]
) -> None:
    import pandas as pd

    stream.grow(300, turned=False)
    window = pd.read_csv(stream.path)
    job = TrainingJob(
        bot=validated_bot({**BOT, "holdout_rows": 60, "window_rows": 300}),
        window=window,
        row=300,
        energy=20,
        max_trials=4,
        trends=trends,
    )
    found = train_challenger(job).search
    assert found is not None
    tried = [trial.family for trial in found.finished]
    # The first is the configuration that the search starts from.
    new = tried[1:]
    assert new[: len(families) - 1] == families[1:], tried
