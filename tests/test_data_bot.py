"""DataBot over a real SQLite store: what is taken in, what is refused, and what it was worth."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.data_bot import DataBot, WindowSummary, loss_of
from menace.errors import DataError, UnknownBotError, WorkspaceError
from menace.records import BotConfig, CycleState, LedgerEntry, Metric, Outcome, Task
from menace.storage.registry import open_store
from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from menace.interfaces import Store


@dataclass
class StoppedClock:
    """A clock that stands still until it is set."""

    at: float = 1000.0

    def now(self) -> float:
        return self.at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'menace.db'}")
    opened.add_bot(bot_with(Metric.ERROR_RATE))
    yield opened
    opened.close()


@pytest.fixture
def data_bot(store: Store) -> DataBot:
    return DataBot(store, clock=StoppedClock())


def bot_with(metric: Metric | None, task: Task | None = None) -> BotConfig:
    return BotConfig("alpha", source=None, target="busy", metric=metric, task=task)


def outcome(name: str, **changes: Any) -> Outcome:
    return Outcome(name, 10.0, 1.0, 1.0, 0.0)._replace(**changes)


def settle(store: Store, *deltas: float, bot: str = "alpha") -> None:
    for number, delta in enumerate(deltas):
        cycle = store.open_cycle(bot, energy=1, row=0, at=1.0, decision_id=None, details={})
        store.advance_cycle(
            cycle.cycle_id, expected=CycleState.DECIDED, state=CycleState.FAILED, at=2.0
        )
        entry = LedgerEntry(cycle.cycle_id, bot, 3.0 + number, 0.0, 0.0, 0.0, 0, delta)
        assert store.settle(entry, expected=CycleState.FAILED, outcome="failed")


def test_the_same_outcomes_are_stored_once(store: Store, data_bot: DataBot) -> None:
    batch = [outcome("a"), outcome("b", loss=1.0)]
    assert data_bot.observe("alpha", batch) == 2
    assert data_bot.observe("alpha", [*batch, outcome("c")]) == 1
    assert [o.prediction_id for o in store.outcomes("alpha", last=10)] == ["a", "b", "c"]


def test_a_mapping_needs_only_what_cannot_be_known_otherwise(
    store: Store, data_bot: DataBot
) -> None:
    served = {"prediction_id": "a", "prediction": "cat", "truth": "dog"}
    assert data_bot.observe("alpha", [served]) == 1
    assert store.outcomes("alpha", last=1) == [
        Outcome("a", 1000.0, "cat", "dog", 1.0, 0.0, 0.0, None, None)
    ]


def test_every_field_of_a_mapping_is_kept(store: Store, data_bot: DataBot) -> None:
    full = Outcome("a", 7.0, "x", 2.0, 0.25, -1.5, 0.125, 0.5, 3)
    data_bot.observe("alpha", [full._asdict()])
    assert store.outcomes("alpha", last=1) == [full]


def test_numpy_numbers_are_stored_as_plain_ones(store: Store, data_bot: DataBot) -> None:
    values = outcome("a", prediction=np.int64(1), truth=np.float32(0.0), loss=np.float64(1.0))
    data_bot.observe("alpha", [values])
    stored = store.outcomes("alpha", last=1)[0]
    assert [type(part) for part in stored[2:5]] == [float, float, float]


def test_a_repeated_row_counts_once_but_a_contradiction_is_refused(
    store: Store, data_bot: DataBot
) -> None:
    assert data_bot.observe("alpha", [outcome("a"), outcome("a")]) == 1
    with pytest.raises(DataError, match=r"bot 'alpha': outcome 3: prediction_id 'b' came before"):
        data_bot.observe("alpha", [outcome("b"), outcome("c"), outcome("b", loss=1.0)])
    assert [o.prediction_id for o in store.outcomes("alpha", last=10)] == ["a"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"loss": math.nan}, "loss is nan"),
        ({"loss": -0.5}, "loss is -0.5"),
        ({"at": math.inf}, "at is inf"),
        ({"at": "yesterday"}, "at is 'yesterday'"),
        ({"prediction": math.nan}, "prediction is nan"),
        ({"truth": None}, "has no truth"),
        ({"truth": ""}, "has no truth"),
        ({"prediction_id": None}, "has no prediction_id"),
        ({"value_usd": None}, "value_usd is None"),
        ({"latency_seconds": math.nan}, "latency_seconds is nan"),
        ({"version": 1.5}, "version is 1.5"),
        ({"version": 0}, "version is 0"),
        ({"los": 1.0}, "unknown field 'los'.*known fields: prediction_id"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_of_the_batch_is_stored(
    store: Store, data_bot: DataBot, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(DataError, match=f"bot 'alpha': outcome 2: .*{named}"):
        data_bot.observe("alpha", [outcome("a"), {**outcome("b")._asdict(), **wrong}])
    assert store.outcomes("alpha", last=10) == []


def test_an_unknown_bot_is_refused_whatever_is_asked(data_bot: DataBot) -> None:
    with pytest.raises(UnknownBotError):
        data_bot.observe("beta", [])
    with pytest.raises(UnknownBotError):
        data_bot.record_metric("beta", "load", 1.0)
    with pytest.raises(UnknownBotError):
        data_bot.window("beta")
    with pytest.raises(UnknownBotError):
        data_bot.roi("beta")


@pytest.mark.parametrize(
    ("metric", "prediction", "truth", "loss"),
    [
        (Metric.ERROR_RATE, "cat", "cat", 0.0),
        (Metric.ERROR_RATE, "cat", "dog", 1.0),
        (Metric.ERROR_RATE, "1", 1.0, 0.0),
        (Metric.ERROR_RATE, "01", "1.0", 0.0),
        (Metric.ERROR_RATE, "nan", "nan", 0.0),
        (Metric.ABSOLUTE_ERROR, 1.5, -1.0, 2.5),
        (Metric.SQUARED_ERROR, 1.5, "-1", 6.25),
        (Metric.LOG_LOSS, 0.25, 1, math.log(4)),
        (Metric.LOG_LOSS, 0.75, 0, math.log(4)),
        (Metric.LOG_LOSS, 0.0, 1, -math.log(1e-15)),
    ],
)
def test_the_loss_of_a_prediction_follows_the_metric(
    metric: Metric, prediction: str | float, truth: str | float, loss: float
) -> None:
    assert loss_of(bot_with(metric), prediction, truth) == pytest.approx(loss)


@given(
    metric=st.sampled_from(list(Metric)),
    prediction=st.floats(0, 1),
    truth=st.sampled_from([0.0, 1.0]),
)
def test_a_loss_is_never_negative_and_nought_when_right(
    metric: Metric, prediction: float, truth: float
) -> None:
    assert loss_of(bot_with(metric), prediction, truth) >= 0.0
    assert loss_of(bot_with(metric), truth, truth) == pytest.approx(0.0, abs=1e-12)


def test_without_a_metric_classes_and_text_are_counted_as_right_or_wrong() -> None:
    assert loss_of(bot_with(None, Task.MULTICLASS), 2.0, 3.0) == 1.0
    assert loss_of(bot_with(None), "a", "a") == 0.0
    with pytest.raises(DataError, match="no metric"):
        loss_of(bot_with(None), 2.0, 3.0)


@pytest.mark.parametrize(
    ("metric", "prediction", "truth"),
    [
        (Metric.ABSOLUTE_ERROR, "warm", 1.0),
        (Metric.LOG_LOSS, 1.5, 1.0),
        (Metric.LOG_LOSS, 0.5, 2.0),
    ],
)
def test_values_that_do_not_fit_the_metric_are_refused(
    metric: Metric, prediction: str | float, truth: str | float
) -> None:
    with pytest.raises(DataError):
        loss_of(bot_with(metric), prediction, truth)


def test_a_metric_sample_is_kept_with_its_time(store: Store, data_bot: DataBot) -> None:
    data_bot.record_metric("alpha", "load", 0.5)
    data_bot.record_metric("alpha", "load", 0.75, at=2000.0)
    found = [(s.at, s.value) for s in store.samples("alpha", "load", last=5)]
    assert found == [(1000.0, 0.5), (2000.0, 0.75)]


def test_a_metric_without_name_or_finite_value_is_refused(data_bot: DataBot) -> None:
    with pytest.raises(DataError, match="no name"):
        data_bot.record_metric("alpha", "", 1.0)
    with pytest.raises(DataError, match="'load' is nan"):
        data_bot.record_metric("alpha", "load", math.nan)
    with pytest.raises(DataError, match="time is inf"):
        data_bot.record_metric("alpha", "load", 1.0, at=math.inf)


def test_a_window_sums_up_the_newest_rows(data_bot: DataBot) -> None:
    data_bot.observe(
        "alpha",
        [
            outcome("a", loss=9.0, value_usd=9.0),
            outcome("b", at=12.0, loss=1.0, value_usd=3.0, serving_cost_usd=0.5),
            outcome("c", at=11.0, loss=2.0, value_usd=-1.0, latency_seconds=0.25),
            outcome("d", at=13.0, loss=3.0, latency_seconds=0.75),
        ],
    )
    assert data_bot.window("alpha", rows=3) == WindowSummary(
        rows=3,
        mean_loss=2.0,
        error_std=1.0,
        mean_latency_seconds=0.5,
        value_usd=2.0,
        serving_cost_usd=0.5,
        first_at=11.0,
        last_at=13.0,
    )


def test_a_window_over_nothing_is_empty_not_an_error(data_bot: DataBot) -> None:
    assert data_bot.window("alpha") == WindowSummary(0, None, 0.0, None, 0.0, 0.0, None, None)
    with pytest.raises(DataError, match="0 rows"):
        data_bot.window("alpha", rows=0)


def test_roi_is_value_above_serving_cost_per_usd_of_it(data_bot: DataBot) -> None:
    assert data_bot.roi("alpha") == 0.0
    data_bot.observe("alpha", [outcome("a", value_usd=10.0, serving_cost_usd=1.0)])
    data_bot.observe("alpha", [outcome("b", value_usd=2.0, serving_cost_usd=3.0)])
    assert data_bot.roi("alpha") == 2.0
    assert data_bot.roi("alpha", rows=1) == pytest.approx(-1 / 3)
    assert data_bot.roi("alpha", rows=2) == data_bot.roi("alpha")


def test_the_long_term_trend_is_over_the_newest_settled_cycles_of_all_bots(
    store: Store, data_bot: DataBot
) -> None:
    assert data_bot.long_term_roi_trend() == 0.0
    settle(store, 100.0)
    assert data_bot.long_term_roi_trend() == 0.0
    store.add_bot(BotConfig("beta", source=None, target="y"))
    settle(store, 1.0, 3.0)
    settle(store, 3.0, 5.0, bot="beta")
    assert data_bot.long_term_roi_trend(limit=4) == 1.0
    with pytest.raises(DataError, match="limit is 0"):
        data_bot.long_term_roi_trend(limit=0)


def test_a_windfall_is_no_trend_to_a_robust_estimator(store: Store, data_bot: DataBot) -> None:
    settle(store, *([1.0, 2.0, 3.0] * 10), 1e6)
    robust = DataBot(store, robust_trend=True)
    assert data_bot.long_term_roi_trend() > 1e4
    assert abs(robust.long_term_roi_trend()) < 0.2
    assert robust.long_term_roi_trend(limit=15) == data_bot.long_term_roi_trend(limit=15)


def test_outcomes_from_many_threads_are_all_counted(store: Store) -> None:
    data_bot = DataBot(store, clock=StoppedClock())
    new: list[int] = []

    def report(number: int) -> None:
        batch = [outcome(f"{number // 2}-{k}") for k in range(50)]
        new.append(data_bot.observe("alpha", batch))

    threads = [threading.Thread(target=report, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new) == store.snapshot("alpha").totals.outcomes == 200


def test_without_a_store_the_workspace_here_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MENACE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    data_bot = DataBot()
    Workspace.create(tmp_path)
    with Workspace(tmp_path) as workspace:
        workspace.services.store.add_bot(bot_with(Metric.ERROR_RATE))
        assert data_bot.observe("alpha", [outcome("a")]) == 1
        assert workspace.services.store.snapshot("alpha").totals.outcomes == 1


def test_without_store_and_workspace_the_way_to_one_is_named_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MENACE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    data_bot = DataBot()
    assert data_bot.long_term_roi_trend() == 0.0
    with pytest.raises(WorkspaceError, match="menace init"):
        data_bot.observe("alpha", [outcome("a")])
    with pytest.raises(WorkspaceError, match="menace init"):
        data_bot.window("alpha")
    assert list(tmp_path.iterdir()) == []
