from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from menace.errors import DataError
from menace.model_automation_pipeline.target import MAX_CLASSES, Target
from menace.records import BotConfig, Metric, Task


def detect(values: Any, **settings: Any) -> Target:
    return Target.detect(pd.DataFrame({"y": values}), BotConfig("a", None, "y", **settings))


@pytest.mark.parametrize(
    ("values", "task", "labels"),
    [
        ([0, 1, 1], Task.BINARY, ("0", "1")),
        ([0.0, 1.0], Task.BINARY, ("0", "1")),
        ([True, False], Task.BINARY, ("False", "True")),
        (["no", "yes"], Task.BINARY, ("no", "yes")),
        ([3, 1, 2] * 10, Task.MULTICLASS, ("1", "2", "3")),
        ([3, 1, 2] * 9, Task.REGRESSION, ()),
        (["c", "b", "a"], Task.MULTICLASS, ("a", "b", "c")),
        (list(range(20)) * 10, Task.MULTICLASS, tuple(sorted(map(str, range(20))))),
        (list(range(20)), Task.REGRESSION, ()),
        (list(range(21)) * 100, Task.REGRESSION, ()),
        ([0.5, 1.5], Task.REGRESSION, ()),
    ],
)
def test_the_window_shows_the_task(values: Any, task: Task, labels: tuple[str, ...]) -> None:
    target = detect(values)
    assert (target.task, target.labels) == (task, labels)


def test_the_settings_stand_above_what_the_window_shows() -> None:
    target = detect([0, 1, 2], task=Task.REGRESSION, metric=Metric.SQUARED_ERROR)
    assert (target.task, target.metric) == (Task.REGRESSION, Metric.SQUARED_ERROR)
    assert detect([0.5, 1.5, 0.5], task=Task.BINARY).labels == ("0.5", "1.5")


def test_classes_are_scored_by_errors_and_quantities_by_distance_unless_told() -> None:
    assert detect([0, 1]).metric is Metric.ERROR_RATE
    assert detect([0.5, 1.5]).metric is Metric.ABSOLUTE_ERROR
    assert detect([0, 1], metric=Metric.LOG_LOSS).metric is Metric.LOG_LOSS


def test_a_metric_of_classes_makes_few_whole_numbers_classes_on_few_rows() -> None:
    assert detect([0, 1, 2], metric=Metric.LOG_LOSS).task is Task.MULTICLASS
    assert detect(list(range(21)), metric=Metric.ABSOLUTE_ERROR).task is Task.REGRESSION


def test_a_third_class_makes_a_binary_bot_multiclass() -> None:
    assert detect(["a", "b", "c"], task=Task.BINARY).task is Task.MULTICLASS


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        (["a", "a"], {}, "only one class, 'a'"),
        ([1.5, 1.5], {}, "only one value, '1.5'"),
        ([0, None, 1], {}, "'y' is missing in row 1"),
        ([0.5, float("inf")], {}, "'y' is 'inf' in row 1"),
        ([0.5, 1e300], {}, "in row 1"),
        (["a", "b"], {"task": Task.REGRESSION}, "'y' is 'a' in row 0"),
        ([f"c{i}" for i in range(MAX_CLASSES + 1)], {}, f"{MAX_CLASSES + 1} classes"),
        ([0, 1], {"metric": Metric.SQUARED_ERROR}, "'squared_error' does not fit"),
        ([0.5, 1.5], {"metric": Metric.ERROR_RATE}, "'error_rate' does not fit"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused_with_its_column_and_row(
    values: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        detect(values, **settings)
    assert caught.value.bot == "a"
    assert caught.value.remedy


def test_a_missing_target_column_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(DataError, match=r"'y' is missing\..*the source has: x"):
        Target.detect(pd.DataFrame({"x": [1]}), BotConfig("a", None, "y"))


def test_truth_is_encoded_by_label_and_unknown_labels_are_minus_one() -> None:
    target = detect(["b", "a"])
    assert target.encode(pd.DataFrame({"y": ["a", "b", "new"]})).tolist() == [0.0, 1.0, -1.0]


def test_whole_numbers_are_the_same_label_with_and_without_a_point() -> None:
    target = detect([0, 1])
    assert target.encode(pd.DataFrame({"y": [1.0, 0.0]})).tolist() == [1.0, 0.0]


def test_a_missing_truth_is_refused_with_its_row() -> None:
    with pytest.raises(DataError, match="missing in row 1 of 2"):
        detect(["a", "b"]).encode(pd.DataFrame({"y": ["a", None]}))
    with pytest.raises(DataError, match="in row 0 of 1"):
        detect([0.5, 1.5]).encode(pd.DataFrame({"y": [np.nan]}))
