from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from menace.errors import DataError, PackageError
from menace.execution.process_pool import ProcessPool
from menace.model_automation_pipeline.evaluation import compare
from menace.model_automation_pipeline.package import load_predictor
from menace.model_automation_pipeline.training import TrainingJob, train_challenger
from menace.records import BotConfig, Economics, Metric, SearchTrial, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.model_automation_pipeline.search import SearchResult

    MakeRows = Callable[..., pd.DataFrame]


def bot(**settings: Any) -> BotConfig:
    values = {"window_rows": 400, "holdout_rows": 100, **settings}
    return BotConfig("a", None, "y", **values)


def job(window: pd.DataFrame, row: int | None = None, **options: Any) -> TrainingJob:
    settings = options.pop("bot", bot())
    return TrainingJob(settings, window, len(window) if row is None else row, **options)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("energy", [1, 3])
def test_a_first_challenger_of_every_task_beats_the_constant(
    rows: MakeRows, task: str, energy: int
) -> None:
    outcome = train_challenger(job(rows(400, task), energy=energy, max_trials=4))
    assert outcome.verdict.promote
    assert outcome.verdict.warning is None
    assert outcome.comparison.mean_gain > 0
    assert outcome.manifest["task"] == task
    later = rows(200, task, seed=1)
    losses = load_predictor(outcome.files).losses(later)
    assert losses.mean() < outcome.comparison.champion_loss


def test_a_first_model_that_learns_nothing_serves_with_a_warning() -> None:
    rng = np.random.default_rng(3)
    noise = pd.DataFrame({"x": rng.normal(size=300), "y": (rng.random(300) < 0.1).astype(int)})
    outcome = train_challenger(job(noise, gate_z=-2.0))
    assert outcome.verdict.promote
    assert outcome.verdict.warning is not None


@pytest.mark.parametrize("metric", [Metric.ERROR_RATE, Metric.LOG_LOSS])
def test_the_outcome_holds_the_losses_that_were_compared(rows: MakeRows, metric: Metric) -> None:
    outcome = train_challenger(job(rows(400), bot=bot(metric=metric)))
    assert outcome.champion_losses.shape == outcome.challenger_losses.shape == (100,)
    assert compare(outcome.champion_losses, outcome.challenger_losses) == outcome.comparison


def test_a_real_champion_is_replaced_when_the_stream_has_moved_on(
    bikes: pd.DataFrame, bike_bot: BotConfig
) -> None:
    first = train_challenger(TrainingJob(bike_bot, bikes.iloc[:840], 840))
    second = train_challenger(TrainingJob(bike_bot, bikes.iloc[1008:1848], 1848, first.files))
    assert second.verdict.promote
    champion = load_predictor(first.files)
    np.testing.assert_array_equal(
        second.champion_losses, champion.losses(bikes.iloc[1848 - 168 : 1848])
    )
    assert second.comparison.challenger_loss < second.comparison.champion_loss


def test_an_expensive_promotion_needs_a_gain_that_pays_for_it(rows: MakeRows) -> None:
    champion = train_challenger(job(rows(400))).files
    dear = bot(economics=Economics(loss_usd=0.01, promotion_usd=100.0))
    again = rows(400, seed=1)
    options: dict[str, Any] = {"champion": champion, "gate_z": 3.0}
    assert train_challenger(job(again, 800, **options)).verdict.promote
    verdict = train_challenger(job(again, 800, bot=dear, **options)).verdict
    assert not verdict.promote
    assert verdict.minimum_gain_per_row == pytest.approx(10.0)


def test_the_champion_is_judged_only_on_rows_it_was_not_trained_on(rows: MakeRows) -> None:
    stream = rows(460)
    champion = train_challenger(job(stream.iloc[:400])).files
    outcome = train_challenger(job(stream.iloc[60:], 460, champion=champion))
    assert outcome.manifest["holdout"] == {
        "first_row": 400,
        "last_row": 460,
        "rows": 60,
        "stand_in": False,
    }


def test_its_configuration_stands_in_for_a_champion_that_knows_the_hold_out(
    rows: MakeRows,
) -> None:
    stream = rows(405)
    champion = train_challenger(job(stream.iloc[:400])).files
    outcome = train_challenger(job(stream.iloc[5:], 405, champion=champion))
    assert outcome.manifest["holdout"]["stand_in"] is True
    assert outcome.comparison.mean_gain == 0.0
    assert len(outcome.champion_losses) == 100


@pytest.mark.parametrize(("size", "holdout"), [(20, 5), (100, 25), (399, 100), (400, 100)])
def test_a_short_window_holds_out_its_share(rows: MakeRows, size: int, holdout: int) -> None:
    outcome = train_challenger(job(rows(size)))
    assert outcome.manifest["holdout"]["rows"] == holdout
    assert len(outcome.challenger_losses) == holdout


def test_the_manifest_tells_where_the_model_comes_from(rows: MakeRows) -> None:
    manifest = train_challenger(job(rows(400), 1000, seed=7)).manifest
    assert manifest["training"] == {"first_row": 600, "last_row": 1000, "rows": 400}
    assert manifest["seed"] == 7
    assert manifest["metrics"]["rows"] == 100
    assert manifest["best_iteration"] == manifest["params"]["rounds"] == 60
    assert set(manifest["libraries"]) == {"lightgbm", "numpy", "scikit-learn", "skops"}


@pytest.mark.parametrize("energy", [1, 4])
def test_the_same_seed_and_data_give_the_same_package(rows: MakeRows, energy: int) -> None:
    settings = bot(seconds_per_energy=0.1)
    options: dict[str, Any] = {"energy": energy, "seed": 5, "counted_budget": True, "bot": settings}
    once, twice = (train_challenger(job(rows(400), **dict(options))) for _ in range(2))
    assert once.files == twice.files
    assert once.counted_seconds == twice.counted_seconds


def test_another_process_makes_the_same_package(rows: MakeRows) -> None:
    work = job(rows(400), energy=3, seed=5, max_trials=5)
    pool = ProcessPool(workers=1)
    try:
        elsewhere = pool.run(train_challenger, work)
    finally:
        pool.close()
    assert elsewhere.files == train_challenger(work).files


def test_another_seed_searches_elsewhere(bikes: pd.DataFrame, bike_bot: BotConfig) -> None:
    options: dict[str, Any] = {"energy": 3, "max_trials": 8}
    found = [
        train_challenger(TrainingJob(bike_bot, bikes.iloc[:840], 840, seed=seed, **options)).search
        for seed in (1, 2)
    ]
    assert found[0] != found[1]


def test_nothing_after_the_window_reaches_the_model(
    bikes: pd.DataFrame, bike_bot: BotConfig
) -> None:
    poisoned = bikes.copy()
    poisoned.iloc[840:, :] = poisoned.iloc[840:, :].sample(frac=1.0, random_state=1).to_numpy()
    poisoned.loc[poisoned.index >= 840, "busy"] = 1 - poisoned.loc[poisoned.index >= 840, "busy"]
    made = [
        train_challenger(
            TrainingJob(bike_bot, stream.iloc[:840], 840, energy=2, max_trials=4)
        ).files
        for stream in (bikes, poisoned)
    ]
    assert made[0] == made[1]


def test_the_search_never_sees_the_hold_out(rows: MakeRows) -> None:
    window = rows(400)
    poisoned = window.copy()
    poisoned.loc[poisoned.index >= 300, ["size", "weight"]] = 1e6
    found = [
        train_challenger(job(frame, energy=3, max_trials=8)).search for frame in (window, poisoned)
    ]
    assert found[0] is not None
    assert found[0] == found[1]
    first, last = found[0].validation
    assert 0 < first < last == 300


def test_a_trial_scored_on_rows_of_todays_hold_out_is_not_believed(rows: MakeRows) -> None:
    def searched(*trials: SearchTrial) -> SearchResult | None:
        return train_challenger(job(rows(400), energy=3, max_trials=4, trials=trials)).search

    alone = searched()
    assert alone is not None
    metric = alone.finished[0].metric
    tried = SearchTrial("linear", {"strength": 0.5}, 0.2, metric, row=300)
    assert searched(replace(tried, row=301)) == alone
    assert searched(tried) != alone
    assert {trial.row for trial in alone.finished} == {300}


def test_a_model_is_judged_without_knowing_the_hold_outs_features(rows: MakeRows) -> None:
    window = rows(400)
    renamed = window.copy()
    renamed.loc[renamed.index >= 300, "colour"] = "violet"
    outcome = train_challenger(job(renamed))
    assert "violet" in str(outcome.manifest["features"])
    assert (
        outcome.comparison.challenger_loss
        > train_challenger(job(window)).comparison.challenger_loss
    )


def test_the_search_starts_from_the_champions_configuration(rows: MakeRows) -> None:
    champion = train_challenger(job(rows(400)))
    outcome = train_challenger(
        job(rows(400, seed=1), 800, champion=champion.files, energy=2, max_trials=0)
    )
    assert outcome.manifest["params"] == champion.manifest["params"]
    assert outcome.search is not None
    assert outcome.search.trials == 0


def test_a_linear_world_is_given_a_linear_model() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(240, 6))
    frame = pd.DataFrame(x, columns=list("abcdef"))
    frame["y"] = x @ np.arange(1.0, 7.0) + 0.1 * rng.normal(size=240)
    outcome = train_challenger(job(frame, energy=3, max_trials=6))
    members = outcome.manifest.get("members", [outcome.manifest])
    assert {member["family"] for member in members} == {"linear"}
    assert {name.rpartition(".")[2] for name in outcome.files} == {"json", "skops"}
    again = train_challenger(job(frame, 480, champion=outcome.files))
    assert again.manifest["params"] == outcome.manifest["params"]


@pytest.mark.parametrize("energy", [2, 4])
def test_a_search_keeps_its_cpu_budget(bikes: pd.DataFrame, energy: int) -> None:
    settings = BotConfig("b", None, "busy", drop=("cnt", "dteday"), seconds_per_energy=0.4)
    train_challenger(job(bikes.iloc[:400], bot=replace(settings, window_rows=400), energy=2))
    outcome = train_challenger(job(bikes.iloc[:3000], bot=settings, energy=energy))
    budget = 0.4 * energy
    assert outcome.search is not None
    assert outcome.search.trials > 0
    assert outcome.cpu_seconds < 1.5 * budget


def test_a_fit_that_would_overspend_ends_with_fewer_rounds(bikes: pd.DataFrame) -> None:
    settings = BotConfig("b", None, "busy", drop=("cnt", "dteday"), seconds_per_energy=0.1)
    settings = replace(settings, window_rows=15000)
    outcome = train_challenger(job(bikes.iloc[:15000], bot=settings, counted_budget=True))
    assert 1 < outcome.manifest["best_iteration"] < 60
    assert outcome.manifest["params"]["rounds"] == 60
    assert outcome.counted_seconds < 1.2 * 0.1


def test_counted_seconds_grow_with_the_work_and_hold_two_fits(bikes: pd.DataFrame) -> None:
    settings = BotConfig("b", None, "busy", drop=("cnt", "dteday"), seconds_per_energy=100.0)
    counted = []
    for size in (840, 5000, 15000):
        settings = replace(settings, window_rows=size)
        outcome = train_challenger(job(bikes.iloc[:size], bot=settings))
        counted.append(outcome.counted_seconds)
        assert 0.3 < outcome.reference_fit_seconds / outcome.counted_seconds < 0.6
    assert counted == sorted(counted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": 1}, "only one class"),
        ({"y": np.nan}, "missing in row 0"),
        ({"y": "text", "size": 0}, "only one class"),
    ],
)
def test_a_window_that_cannot_be_learned_from_is_refused(
    rows: MakeRows, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        train_challenger(job(rows(100).assign(**change)))
    assert caught.value.bot == "a"


def test_infinite_and_missing_numbers_of_a_regression_are_refused_by_row(rows: MakeRows) -> None:
    for wrong in (np.inf, np.nan):
        window = rows(100, "regression")
        window.loc[42, "y"] = wrong
        with pytest.raises(DataError, match="row 42"):
            train_challenger(job(window, bot=bot(task=Task.REGRESSION)))


def test_too_short_a_window_is_refused(rows: MakeRows) -> None:
    with pytest.raises(DataError, match="has 19 rows; at least 20"):
        train_challenger(job(rows(19)))


def test_a_damaged_champion_is_not_passed_over(rows: MakeRows) -> None:
    champion = dict(train_challenger(job(rows(100))).files)
    champion["model.txt"] = champion["model.txt"][:-10]
    with pytest.raises(PackageError, match="SHA-256"):
        train_challenger(job(rows(100, seed=1), 200, champion=champion))


def test_a_champion_of_another_task_gives_way_to_a_first_model(rows: MakeRows) -> None:
    champion = train_challenger(job(rows(200, "regression"))).files
    outcome = train_challenger(job(rows(200), 400, champion=champion))
    assert outcome.verdict.promote
    assert outcome.manifest["task"] == "binary"


def test_a_class_that_appears_only_lately_is_learned_by_the_final_model(rows: MakeRows) -> None:
    window = rows(400, "multiclass")
    window.loc[window.index >= 320, "y"] = "new"
    champion = train_challenger(job(rows(400, "multiclass", seed=1))).files
    for options in ({}, {"champion": champion}):
        outcome = train_challenger(job(window, 800, **options))
        assert "new" in outcome.manifest["labels"]
        assert outcome.comparison.finite


def test_a_part_of_the_window_with_one_class_is_survived(rows: MakeRows) -> None:
    window = rows(400).assign(y=0)
    window.loc[window.index >= 350, "y"] = 1
    outcome = train_challenger(job(window, energy=2, max_trials=4))
    assert outcome.manifest["labels"] == ["0", "1"]
