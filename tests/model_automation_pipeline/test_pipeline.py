from __future__ import annotations

import dataclasses
import math
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from menace.errors import DataError, EnergyError, UnknownBotError, UnknownVersionError
from menace.execution.process_pool import ProcessPool
from menace.interfaces import Pipeline, StagedPipeline
from menace.model_automation_pipeline import AutomationResult, ModelAutomationPipeline
from menace.model_automation_pipeline.predictor_cache import PredictorCache
from menace.records import LoopState, Metric, ModelStatus, Task, Tick

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]


def reveal(workspace: Workspace, bot_name: str = "alpha") -> pd.DataFrame:
    """Let the bot see all rows that its source has by now; return the new ones."""
    store, services = workspace.store, workspace.services
    bot, loop = store.bot(bot_name), store.snapshot(bot_name).loop
    batch = services.rows_of(bot).read_new(loop.position, max_rows=100_000)
    seen = loop.labelled_rows + len(batch.frame)
    loop = LoopState(position=batch.position, labelled_rows=seen)
    store.commit_tick(Tick(bot_name, at=0.0, loop=loop, marks=batch.marks))
    return batch.frame


@pytest.fixture
def workspace(open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream) -> Workspace:
    """Give a workspace whose bot has seen 350 rows."""
    opened = open_workspace()
    stream.grow(350)
    opened.add_bot(alpha(stream))
    reveal(opened)
    return opened


@pytest.fixture
def pipeline(workspace: Workspace) -> ModelAutomationPipeline:
    return ModelAutomationPipeline(workspace.services)


def test_it_is_a_staged_pipeline(pipeline: ModelAutomationPipeline) -> None:
    assert isinstance(pipeline, Pipeline)
    assert isinstance(pipeline, StagedPipeline)


def test_a_run_promotes_the_first_model(
    workspace: Workspace, pipeline: ModelAutomationPipeline
) -> None:
    result = pipeline.run("alpha")
    assert isinstance(result, AutomationResult)
    assert (result.status, result.bot, result.energy) == ("promoted", "alpha", 1)
    assert result.package is not None
    assert workspace.store.snapshot("alpha").champion_version == result.package.version == 1
    model = workspace.store.model("alpha", 1)
    assert (model.status, model.row, model.promoted_row) == (ModelStatus.CHAMPION, 350, 350)
    assert model.sha256 == result.package.sha256
    assert result.metrics["challenger_loss"] < result.metrics["champion_loss"]


def test_an_improvement_is_stored_but_does_not_serve(
    workspace: Workspace, pipeline: ModelAutomationPipeline
) -> None:
    result = pipeline.improve("alpha")
    assert result.status == "accepted"
    assert workspace.store.snapshot("alpha").champion_version is None
    assert workspace.store.model("alpha", 1).status is ModelStatus.CHALLENGER


def test_a_rejected_challenger_leaves_the_champion_serving(
    workspace: Workspace, pipeline: ModelAutomationPipeline, stream: DriftingStream
) -> None:
    pipeline.run("alpha")
    stream.grow(40)
    reveal(workspace)
    settings = dataclasses.replace(workspace.services.settings, gate_z=-50.0)
    demanding = ModelAutomationPipeline(dataclasses.replace(workspace.services, settings=settings))
    result = demanding.run("alpha")
    assert result.status == "rejected"
    assert workspace.store.snapshot("alpha").champion_version == 1
    assert workspace.store.model("alpha", 2).status is ModelStatus.REJECTED


def test_after_a_drift_the_next_challenger_takes_over(
    workspace: Workspace, pipeline: ModelAutomationPipeline, stream: DriftingStream
) -> None:
    pipeline.run("alpha")
    stream.grow(350)
    reveal(workspace)
    result = pipeline.run("alpha", energy=2)
    assert result.status == "promoted"
    assert workspace.store.snapshot("alpha").champion_version == 2
    assert workspace.store.model("alpha", 1).status is ModelStatus.ARCHIVED
    assert result.metrics["search"]["trials"] > 0


@pytest.mark.parametrize("damage", ["missing", "torn"])
def test_a_champion_without_a_sound_package_is_replaced_as_if_there_were_none(
    workspace: Workspace,
    pipeline: ModelAutomationPipeline,
    stream: DriftingStream,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    pipeline.run("alpha")
    package = workspace.folder / "models" / workspace.store.model("alpha", 1).artifact
    if damage == "missing":
        shutil.rmtree(package)
    else:
        (package / "model.txt").write_text("", encoding="utf-8")
    stream.grow(40)
    reveal(workspace)
    result = pipeline.run("alpha")
    assert result.status == "promoted"
    assert workspace.store.snapshot("alpha").champion_version == 2
    assert "judged as a first model" in caplog.text


def test_the_window_is_the_newest_rows_up_to_the_bots_position(
    workspace: Workspace, pipeline: ModelAutomationPipeline, stream: DriftingStream
) -> None:
    stream.grow(200)
    result = pipeline.improve("alpha")
    assert result.package is not None
    assert result.package.manifest["training"] == {"first_row": 50, "last_row": 350, "rows": 300}


def test_the_window_is_filled_however_sparse_the_labels_are(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    """One row in a hundred has a label; the window holds 300."""
    workspace = open_workspace()
    stream.grow(400)
    labelled = stream.path.read_text(encoding="utf-8").splitlines(keepends=True)
    with stream.path.open("w", encoding="utf-8") as file:
        file.write(labelled[0])
        for line in labelled[1:]:
            file.write("0,0,red,\n" * 99 + line)
    workspace.add_bot(alpha(stream, label_wait_rows=5))
    reveal(workspace)
    result = ModelAutomationPipeline(workspace.services).run("alpha")
    assert result.package is not None
    assert result.package.manifest["training"]["rows"] == 300


def test_rows_after_the_position_change_nothing(
    workspace: Workspace, pipeline: ModelAutomationPipeline, stream: DriftingStream
) -> None:
    before = pipeline.improve("alpha")
    with stream.path.open("a", encoding="utf-8") as file:
        file.write("1e9,-1e9,black,1\n" * 200)
    after = pipeline.improve("alpha")
    assert before.package is not None
    assert after.package is not None
    assert before.package.sha256 == after.package.sha256


def test_task_and_metric_are_fixed_by_the_first_training(
    workspace: Workspace, pipeline: ModelAutomationPipeline
) -> None:
    assert workspace.store.bot("alpha").task is None
    pipeline.improve("alpha")
    bot = workspace.store.bot("alpha")
    assert (bot.task, bot.metric) == (Task.BINARY, Metric.ERROR_RATE)


def test_a_task_guessed_from_few_rows_is_guessed_anew_and_its_model_scored_in_the_new_metric(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    """A count that is 0 or 1 in the first rows only."""
    workspace, rng = open_workspace(), np.random.default_rng(0)
    pipeline = ModelAutomationPipeline(workspace.services)

    def grow(rows: int, highest: int) -> None:
        sizes = rng.uniform(0, highest, size=rows)
        with stream.path.open("a", encoding="utf-8") as file:
            file.writelines(f"{size:.3f},0,red,{round(size)}\n" for size in sizes)

    grow(40, 1)
    workspace.add_bot(alpha(stream))
    reveal(workspace)
    first = pipeline.run("alpha")
    assert first.package is not None
    assert first.package.manifest["metric"] == "error_rate"
    assert workspace.store.bot("alpha").task is None
    grow(260, 30)
    rows = reveal(workspace)
    assert set(pipeline.score("alpha", 1, rows)[1]) == {0.0, 1.0}
    second = pipeline.run("alpha")
    assert second.package is not None
    assert second.package.manifest["task"] == "regression"
    assert (second.status, second.package.version) == ("promoted", 2)
    bot = workspace.store.bot("alpha")
    assert (bot.task, bot.metric) == (Task.REGRESSION, Metric.ABSOLUTE_ERROR)
    old, new = (pipeline.score("alpha", version, rows)[1].mean() for version in (1, 2))
    assert old > 10 * new


def test_twenty_rows_of_a_count_are_a_quantity(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    with stream.path.open("a", encoding="utf-8") as file:
        file.writelines(f"{k},0,red,{k % 7}\n" for k in range(20))
    workspace.add_bot(alpha(stream))
    reveal(workspace)
    result = ModelAutomationPipeline(workspace.services).run("alpha")
    assert result.package is not None
    assert result.package.manifest["task"] == "regression"
    assert workspace.store.bot("alpha").task is None


def test_a_named_metric_is_kept(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(200)
    workspace.add_bot(alpha(stream, metric="log_loss"))
    reveal(workspace)
    ModelAutomationPipeline(workspace.services).improve("alpha")
    assert workspace.store.bot("alpha").metric is Metric.LOG_LOSS


def test_costs_and_expected_roi_follow_the_economics(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(350)
    economics = {
        "loss_usd": 2.0,
        "cpu_second_usd": 10.0,
        "promotion_usd": 3.0,
        "serving_usd_per_row": 0.01,
    }
    workspace.add_bot(alpha(stream, economics=economics))
    reveal(workspace)
    result = ModelAutomationPipeline(workspace.services).improve("alpha")
    counted = result.metrics["counted_cpu_seconds"]
    assert result.cpu_seconds == counted > 0
    assert result.cost_usd == pytest.approx(10.0 * counted + 3.0)
    gain = result.metrics["mean_gain"] * 200 * 2.0
    expected = (gain - result.cost_usd) / (200 * 0.01 + result.cost_usd)
    assert result.roi == pytest.approx(expected)
    assert result.metrics["gate"]["minimum_gain_per_row"] == pytest.approx(3.0 / 400)


@pytest.mark.parametrize(("loss_usd", "known"), [(1.0, True), (1e307, False)])
def test_an_expected_roi_is_a_finite_float_or_none(
    open_workspace: OpenWorkspace,
    alpha: Describe,
    stream: DriftingStream,
    loss_usd: float,
    known: bool,
) -> None:
    workspace = open_workspace()
    stream.grow(100)
    workspace.add_bot(alpha(stream, economics={"loss_usd": loss_usd, "cpu_second_usd": 1.0}))
    reveal(workspace)
    roi = ModelAutomationPipeline(workspace.services).improve("alpha").roi
    assert type(roi) is (float if known else type(None))
    assert roi is None or math.isfinite(roi)


def test_a_cycle_that_is_run_again_stores_no_second_model(
    workspace: Workspace, pipeline: ModelAutomationPipeline
) -> None:
    cycle = workspace.store.open_cycle(
        "alpha", energy=1, row=350, at=0.0, decision_id=None, details={}
    )
    results = [pipeline.improve("alpha", cycle_id=cycle.cycle_id) for _ in range(2)]
    assert [result.package and result.package.version for result in results] == [1, 1]
    assert results[0].package == results[1].package
    assert len(workspace.store.models("alpha", last=10)) == 1


def test_the_same_data_and_seed_give_the_same_model_in_another_workspace_and_process(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    stream.grow(300)
    hashes = []
    for name in ("here", "pool"):
        pool = ProcessPool(workers=1) if name == "pool" else None
        workspace = open_workspace(name, **({} if pool is None else {"executor": pool}))
        workspace.add_bot(alpha(stream))
        reveal(workspace)
        result = ModelAutomationPipeline(workspace.services).run("alpha")
        assert result.package is not None
        hashes.append(result.package.sha256)
    assert hashes[0] == hashes[1]


def test_scores_are_predictions_and_losses_of_a_version(
    workspace: Workspace, pipeline: ModelAutomationPipeline, stream: DriftingStream
) -> None:
    pipeline.run("alpha")
    stream.grow(50)
    rows = reveal(workspace)
    predictions, losses = pipeline.score("alpha", 1, rows)
    truth = rows["label"].astype(str).to_numpy()
    np.testing.assert_array_equal(losses, (np.array(predictions) != truth).astype(float))
    assert losses.shape == (50,)
    assert losses.mean() < 0.3


def test_scoring_keeps_a_bounded_number_of_loaded_models(
    workspace: Workspace, stream: DriftingStream
) -> None:
    cache = PredictorCache(size=2)
    pipeline = ModelAutomationPipeline(workspace.services, cache=cache)
    rows = reveal(workspace)
    for _ in range(3):
        stream.grow(50)
        rows = reveal(workspace)
        pipeline.run("alpha")
    for version in (1, 2, 3):
        pipeline.score("alpha", version, rows)
    assert len(cache) == 2
    assert pipeline.predictor("alpha", 3) is pipeline.predictor("alpha", 3)


def test_scoring_what_is_not_there_is_refused(
    workspace: Workspace, pipeline: ModelAutomationPipeline
) -> None:
    rows = reveal(workspace)
    with pytest.raises(UnknownVersionError):
        pipeline.score("alpha", 9, rows)
    with pytest.raises(UnknownBotError):
        pipeline.score("nobody", 1, rows)


@pytest.mark.parametrize("energy", [0, -1, 101, 1.0, True, "1", None])
def test_an_energy_outside_its_range_is_refused(
    pipeline: ModelAutomationPipeline, energy: Any
) -> None:
    with pytest.raises(EnergyError, match=r"1 to 100") as caught:
        pipeline.run("alpha", energy=energy)
    assert caught.value.bot == "alpha"


def test_a_bot_that_is_not_there_has_no_data(pipeline: ModelAutomationPipeline) -> None:
    result = pipeline.run("nobody")
    assert result.status == "no_data"
    assert "menace bot add nobody --source FILE --target COLUMN" in result.message


def test_fewer_than_twenty_rows_are_no_data(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(19)
    workspace.add_bot(alpha(stream))
    pipeline = ModelAutomationPipeline(workspace.services)
    assert pipeline.run("alpha").status == "no_data"
    reveal(workspace)
    result = pipeline.run("alpha")
    assert result.status == "no_data"
    assert "19 labelled rows" in result.message
    stream.grow(1)
    reveal(workspace)
    assert pipeline.run("alpha").status == "promoted"


def test_a_bot_without_a_source_has_no_data(open_workspace: OpenWorkspace) -> None:
    workspace = open_workspace()
    workspace.add_bot({"name": "served", "source": None, "target": "y"})
    assert ModelAutomationPipeline(workspace.services).run("served").status == "no_data"


def test_outside_a_workspace_there_is_no_data_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MENACE_HOME", raising=False)
    pipeline = ModelAutomationPipeline()
    result = pipeline.run("alpha")
    assert result.status == "no_data"
    assert "menace bot add alpha" in result.message
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnknownBotError, match="no workspace"):
        pipeline.predictor("alpha", 1)


def test_the_workspace_around_the_current_folder_is_found_on_first_use(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.folder)
    monkeypatch.delenv("MENACE_HOME", raising=False)
    assert ModelAutomationPipeline().run("alpha").status == "promoted"
    assert workspace.store.snapshot("alpha").champion_version == 1


def test_a_window_that_cannot_be_learned_from_stores_nothing(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    with stream.path.open("a", encoding="utf-8") as file:
        file.write("1.0,2.0,red,1\n" * 100)
    workspace.add_bot(alpha(stream))
    reveal(workspace)
    with pytest.raises(DataError, match="only one class"):
        ModelAutomationPipeline(workspace.services).run("alpha")
    assert workspace.store.models("alpha", last=10) == []
    assert workspace.store.bot("alpha").task is None


def test_importing_the_package_imports_no_heavy_library() -> None:
    program = (
        "import sys; from menace.model_automation_pipeline import ModelAutomationPipeline\n"
        "heavy = {'pandas', 'lightgbm', 'sklearn', 'optuna', 'scipy', 'numpy', 'skops'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_a_name_that_the_package_does_not_have_is_refused() -> None:
    import menace.model_automation_pipeline as package

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        assert package.Nothing


def test_a_search_goes_on_from_the_last_one_and_a_resumed_cycle_from_where_it_began(
    workspace: Workspace,
) -> None:
    store = workspace.store
    pipeline = ModelAutomationPipeline(workspace.services, max_trials=12)
    cycle = store.open_cycle("alpha", energy=3, row=350, at=0.0, decision_id=None, details={})
    first = pipeline.improve("alpha", 3, cycle_id=cycle.cycle_id)
    kept = store.trials("alpha", last=100)
    assert len(kept) == 12
    assert {trial.cycle_id for trial in kept} == {cycle.cycle_id}
    (end,) = {trial.row for trial in kept}
    assert 0 < end < 350  # the hold-out lies after the rows that they were scored on

    resumed = pipeline.improve("alpha", 3, cycle_id=cycle.cycle_id)
    assert resumed.metrics["search"] == first.metrics["search"]
    assert resumed.package == first.package
    assert store.trials("alpha", last=100) == kept

    later = pipeline.improve("alpha", 3)
    assert first.metrics["search"]["carried"] == 0
    assert later.metrics["search"]["carried"] > 0
    assert len(store.trials("alpha", last=100)) == 24
    pipeline.improve("alpha", 1)
    assert len(store.trials("alpha", last=100)) == 24
