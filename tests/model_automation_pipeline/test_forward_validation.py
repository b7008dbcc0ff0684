"""Features are judged on rows that are later than those a model learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from menace.errors import DataError
from menace.model_automation_pipeline.forward_validation import (
    LEAST_FOLDS,
    ForwardValidation,
    compare_neighbours,
)
from menace.records import BotConfig, Metric, Task

if TYPE_CHECKING:
    from collections.abc import Callable

BOT = BotConfig("alpha", None, "y", window_rows=200, tick_rows=40)


def test_a_feature_that_tells_the_label_takes_the_loss_away(
    rows: Callable[..., pd.DataFrame],
) -> None:
    table = rows(600, noise=1.0)
    judge = ForwardValidation(folds=4)
    told = table[["y"]].rename(columns={"y": "told"})
    assert judge(table, BOT, None) > 0.1
    assert judge(table, BOT, told) < 0.01
    assert judge.validate(table, BOT, told) == judge(table, BOT, told)


def test_a_column_of_the_source_can_be_hidden(rows: Callable[..., pd.DataFrame]) -> None:
    table = rows(600).drop(columns=["day", "colour"])
    judge = ForwardValidation(folds=4)
    blind = pd.DataFrame({"size": np.nan, "weight": np.nan}, index=table.index)
    assert judge(table, BOT, blind) > 0.4


def test_later_rows_change_nothing_about_earlier_folds(rows: Callable[..., pd.DataFrame]) -> None:
    table = rows(600)
    turned = table.copy()
    turned.loc[500:, "y"] = 1 - turned.loc[500:, "y"]
    judge = ForwardValidation(folds=4)
    first = judge.on(table, BOT).losses(folds=[0, 1, 2])
    again = judge.on(turned, BOT).losses(folds=[0, 1, 2])
    np.testing.assert_array_equal(first.losses, again.losses)


def test_each_row_after_the_first_window_is_scored_once(rows: Callable[..., pd.DataFrame]) -> None:
    table = rows(700)
    folds = ForwardValidation().on(table, BOT)
    assert folds.count == LEAST_FOLDS
    assert folds.judged_rows == len(folds.losses().losses) == 500
    assert folds.expected_seconds > 0


@pytest.mark.parametrize(
    ("task", "metric"),
    [("regression", Metric.SQUARED_ERROR), ("multiclass", Metric.LOG_LOSS), ("binary", None)],
)
def test_every_task_is_judged_in_its_own_metric(
    rows: Callable[..., pd.DataFrame], task: str, metric: Metric | None
) -> None:
    bot = BotConfig("alpha", None, "y", task=Task(task), metric=metric, window_rows=200)
    losses = ForwardValidation(folds=2).on(rows(400, task), bot).losses(folds=[1])
    assert np.isfinite(losses.sharp).all()
    assert losses.sharp.min() >= 0
    assert np.array_equal(losses.sharp, losses.losses) == (metric is not None)


def test_what_cannot_be_judged_is_refused(rows: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(DataError, match="99 rows are too few"):
        ForwardValidation().on(rows(99), BOT)
    table = rows(200)
    with pytest.raises(DataError, match="199 rows of features for 200"):
        ForwardValidation(folds=2)(table, BOT, table[["size"]].iloc[1:])


def test_noise_that_comes_in_runs_is_not_taken_for_many_rows() -> None:
    rng = np.random.default_rng(0)
    runs = np.repeat(rng.normal(size=200), 50)
    alone = compare_neighbours(rng.normal(size=10_000), np.zeros(10_000))
    together = compare_neighbours(runs, np.zeros(10_000))
    assert together.standard_error > 5 * alone.standard_error


def test_equal_losses_have_no_gain_and_no_error() -> None:
    same = compare_neighbours(np.ones(50), np.ones(50))
    assert (same.mean_gain, same.standard_error, same.z) == (0.0, 0.0, 0.0)
