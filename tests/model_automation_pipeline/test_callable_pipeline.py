from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.config import validated_bot
from menace.errors import ConfigError, PackageError, PipelineError
from menace.execution.process_pool import ProcessPool
from menace.model_automation_pipeline import (
    CallablePipeline,
    CommandPipeline,
    ModelAutomationPipeline,
    Pipeline,
    StagedPipeline,
)
from menace.model_automation_pipeline.user_code import losses_of
from menace.records import AutomationResult, CycleState, Metric, ModelStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from menace.workspace import Workspace
    from support import DriftingStream

    OpenWorkspace = Callable[..., Workspace]
    Describe = Callable[..., dict[str, Any]]

BURN = "import time\nwhile time.process_time() < {seconds}: pass"


def train(rows: pd.DataFrame, /, *, energy: int, seed: int, seconds: float) -> bytes:
    """Remember the share of ones by the signs of two columns and a colour."""
    del energy, seed, seconds
    keys = [rows["x"] > 0, rows["y"] > rows["x"], rows["colour"]]
    shares = rows["label"].groupby(keys).mean()
    return json.dumps({str(key): float(share) for key, share in shares.items()}).encode()


def shares_of(artifact: bytes, rows: pd.DataFrame) -> list[float]:
    table = json.loads(artifact)
    keys = zip(rows["x"] > 0, rows["y"] > rows["x"], rows["colour"], strict=True)
    return [table.get(str(key), 0.5) for key in keys]


def predict(artifact: bytes, rows: pd.DataFrame, /) -> list[int]:
    return [int(share > 0.5) for share in shares_of(artifact, rows)]


def chances(artifact: bytes, rows: pd.DataFrame, /) -> pd.DataFrame:
    ones = 0.1 + 0.8 * np.array(shares_of(artifact, rows))
    return pd.DataFrame({0: 1.0 - ones, 1: ones})


def ones(_artifact: object, rows: pd.DataFrame, /) -> list[int]:
    return [1] * len(rows)


@pytest.fixture
def workspace(open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream) -> Workspace:
    """Give a workspace with a bot whose source has 400 rows, and drifts afterwards."""
    opened = open_workspace()
    stream.grow(400)
    opened.add_bot(alpha(stream))
    return opened


def cycle(workspace: Workspace, pipeline: Pipeline, energy: int = 1) -> AutomationResult:
    return workspace.engine("alpha", pipeline=pipeline).run_cycle(energy)


def test_pipelines_of_all_kinds_are_imported_from_the_package_and_are_staged() -> None:
    for pipeline in (
        ModelAutomationPipeline(),
        CallablePipeline(train=train, predict=predict),
        CommandPipeline(["true"]),
    ):
        assert isinstance(pipeline, Pipeline)
        assert isinstance(pipeline, StagedPipeline)


def test_a_bot_of_functions_is_promoted_archived_settled_and_rolled_back(
    workspace: Workspace, stream: DriftingStream
) -> None:
    pipeline = CallablePipeline(train=train, predict=predict)
    first = cycle(workspace, pipeline)
    assert (first.status, first.metrics["family"]) == ("promoted", "callable")
    stream.grow(300)
    second = cycle(workspace, pipeline)
    assert second.status == "promoted"
    assert second.metrics["challenger_loss"] < second.metrics["champion_loss"] - 0.2
    assert workspace.store.model("alpha", 1).status is ModelStatus.ARCHIVED

    before = workspace.store.snapshot("alpha").loop.labelled_rows
    stream.grow(200, turned=True)
    engine = workspace.engine("alpha", pipeline=pipeline)
    engine.tick()
    rows = pd.read_csv(stream.path).iloc[before : before + 200]
    losses = {v: pipeline.bound_to(workspace.services).score("alpha", v, rows)[1] for v in (1, 2)}
    entry = next(e for e in workspace.store.ledger("alpha") if e.cycle_id == second.cycle_id)
    assert (entry.rows, entry.gain_usd) == (200, (losses[1] - losses[2]).sum())
    assert entry.gain_usd > 40
    assert engine.roll_back(to=1).version == 1
    assert workspace.store.snapshot("alpha").champion_version == 1


def test_the_functions_see_what_they_may_and_the_budget_is_shared_by_rows(
    workspace: Workspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace.add_bot(alpha(stream, name="beta", drop=("y",), seconds_per_energy=0.5))
    calls: list[dict[str, Any]] = []
    seen: list[list[str]] = []

    def noting(rows: pd.DataFrame, /, *, energy: int, seed: int, seconds: float) -> bytes:
        calls.append({"energy": energy, "seed": seed, "seconds": seconds, "rows": len(rows)})
        seen.append([*rows.columns])
        return b"model"

    def always(artifact: bytes, rows: pd.DataFrame, /) -> list[str]:
        assert artifact == b"model"
        assert rows.index.tolist() == list(range(len(rows)))
        seen.append([*rows.columns])
        return ["1"] * len(rows)

    pipeline = CallablePipeline(train=noting, predict=always)
    workspace.engine("beta", pipeline=pipeline).run_cycle(energy=10)
    assert [call["rows"] for call in calls] == [200, 300]
    assert [call["seconds"] for call in calls] == pytest.approx([2.0, 3.0])
    assert {call["energy"] for call in calls} == {10}
    assert len({call["seed"] for call in calls}) == 1
    assert seen == [["x", "colour", "label"], ["x", "colour"], ["x", "colour", "label"]]


def test_without_a_refit_the_model_that_was_judged_serves(workspace: Workspace) -> None:
    trained_on: list[int] = []

    def noting(rows: pd.DataFrame, /, *, energy: int, seed: int, seconds: float) -> bytes:
        trained_on.append(len(rows))
        return train(rows, energy=energy, seed=seed, seconds=seconds)

    result = cycle(workspace, CallablePipeline(train=noting, predict=predict, refit=False))
    assert trained_on == [200]
    assert result.package is not None
    assert result.package.manifest["training"] == {"first_row": 100, "last_row": 300, "rows": 200}


def test_counted_cpu_charges_the_budget(workspace: Workspace) -> None:
    result = cycle(workspace, CallablePipeline(train=train, predict=predict), energy=7)
    assert (result.cpu_seconds, result.cost_usd) == (7.0, 70.0)


def test_a_model_of_several_files_comes_back_as_it_was_given(workspace: Workspace) -> None:
    files = {"weights.bin": b"\0\1", "words.json": b"{}"}
    got: list[Mapping[str, bytes]] = []

    def two_files(_rows: pd.DataFrame, /, **_asked: float) -> Mapping[str, bytes]:
        return files

    def noting(artifact: Mapping[str, bytes], rows: pd.DataFrame, /) -> list[int]:
        got.append(artifact)
        return [0] * len(rows)

    pipeline = CallablePipeline(train=two_files, predict=noting)
    assert cycle(workspace, pipeline).status == "promoted"
    bound = pipeline.bound_to(workspace.services)
    assert bound.predict("alpha", 1, pd.DataFrame({"x": [1.0]})) == ["0"]
    assert got == [files, files]


def test_a_loss_of_ones_own_takes_any_target(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream, tmp_path: Path
) -> None:
    texts = [f"{'north' if k % 2 else 'south'} wind of {k} knots" for k in range(300)]
    path = tmp_path / "texts.csv"
    pd.DataFrame({"k": range(300), "said": texts}).to_csv(path, index=False)
    workspace = open_workspace()

    def words_missed(truth: pd.Series[Any], predictions: Any, /) -> list[float]:
        return [
            float(len(set(right.split()) - set(guess.split())))
            for right, guess in zip(truth, predictions, strict=True)
        ]

    def best_guess(_artifact: bytes, rows: pd.DataFrame, /) -> list[str]:
        return [f"{'north' if k % 2 else 'south'} wind of many knots" for k in rows["k"]]

    pipeline = CallablePipeline(
        train=lambda _rows, **_asked: b"-", predict=best_guess, loss=words_missed
    )
    named = {**alpha(stream, target="said"), "source": {"kind": "csv", "location": str(path)}}
    workspace.store.add_bot(validated_bot(named))
    result = cycle(workspace, pipeline)
    assert result.status == "promoted"
    assert result.metrics["challenger_loss"] == 1.0
    assert result.metrics["champion_loss"] >= 1.0
    assert workspace.store.bot("alpha").metric is None


class Unsendable:
    """A function object that no other process can be given."""

    def __call__(self, _artifact: bytes, rows: pd.DataFrame, /) -> list[int]:
        return ones(_artifact, rows)

    def __reduce__(self) -> str:
        raise RuntimeError("it stays here")


def test_an_object_that_cannot_be_sent_is_called_in_this_process(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream))
    result = cycle(workspace, CallablePipeline(train=train, predict=Unsendable()))
    assert result.status in {"promoted", "rejected"}


def test_probabilities_are_scored_by_log_loss(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    stream.grow(300)
    workspace.add_bot(alpha(stream, metric="log_loss"))
    result = cycle(workspace, CallablePipeline(train=train, predict=chances))
    assert 0 < result.metrics["challenger_loss"] < result.metrics["champion_loss"] < 0.75


@pytest.mark.parametrize(
    ("functions", "why"),
    [
        ({"train": lambda _rows, **_asked: "text"}, "returned a str"),
        ({"train": lambda _rows, **_asked: {}}, "left no file"),
        ({"train": lambda _rows, **_asked: {"../out": b""}, "predict": ones}, "not a plain name"),
        ({"train": lambda _rows, **_asked: {"manifest.json": b""}, "predict": ones}, "own file"),
        ({"predict": lambda _artifact, _rows: [1, 0]}, "2 predictions were given for 100 rows"),
        ({"predict": lambda _artifact, rows: 1 / 0}, "ZeroDivisionError"),
        ({"loss": lambda truth, _predictions: 0.1}, "shape () for 100 rows"),
        ({"loss": lambda truth, _predictions: truth * 0.0 - 1.0}, "a negative loss"),
        ({"loss": lambda truth, _predictions: ["much"] * 100}, "returned a list"),
    ],
)
def test_what_the_code_gets_wrong_fails_the_cycle_and_the_champion_keeps_serving(
    workspace: Workspace, functions: dict[str, Any], why: str
) -> None:
    cycle(workspace, CallablePipeline(train=train, predict=predict))
    wrong = CallablePipeline(**{"train": train, "predict": predict, **functions})
    result = cycle(workspace, wrong)
    assert result.status == "failed"
    assert why in str(result.error)
    assert workspace.store.snapshot("alpha").champion_version == 1


def test_a_prediction_that_is_missing_is_rejected_by_the_gate(
    workspace: Workspace, stream: DriftingStream
) -> None:
    cycle(workspace, CallablePipeline(train=train, predict=predict))
    stream.grow(100)

    def with_a_hole(artifact: bytes, rows: pd.DataFrame, /) -> list[int | None]:
        holes = 1 if artifact == b"{}" else 0
        return [*[None] * holes, *predict(artifact, rows)[holes:]]

    holed = CallablePipeline(train=lambda _rows, **_asked: b"{}", predict=with_a_hole)
    result = cycle(workspace, holed)
    assert result.status == "rejected"
    assert "not finite" in result.message


def test_an_old_model_that_new_code_cannot_read_does_not_stop_the_bot(
    workspace: Workspace, stream: DriftingStream
) -> None:
    pipeline = CallablePipeline(train=train, predict=predict)
    cycle(workspace, pipeline)

    def renewed(rows: pd.DataFrame, /, *, energy: int, seed: int, seconds: float) -> bytes:
        return b"new:" + train(rows, energy=energy, seed=seed, seconds=seconds)

    def renewed_predict(artifact: bytes, rows: pd.DataFrame, /) -> list[int]:
        if not artifact.startswith(b"new:"):
            raise ValueError("an old model")
        return predict(artifact[4:], rows)

    changed = CallablePipeline(train=renewed, predict=renewed_predict)
    with pytest.raises(PackageError, match=r"ValueError: an old model.*menace rollback alpha"):
        changed.bound_to(workspace.services).score("alpha", 1, pd.read_csv(stream.path))
    stream.grow(100)
    result = cycle(workspace, changed)
    assert result.status == "promoted"
    stream.grow(100)
    workspace.engine("alpha", pipeline=changed).tick()
    assert workspace.store.samples("alpha", "loss", last=1)[0].version == 2


def test_functions_take_a_bot_over_from_the_built_in_pipeline(
    workspace: Workspace, stream: DriftingStream
) -> None:
    workspace.engine("alpha").run_cycle()
    stream.grow(300)
    result = cycle(workspace, CallablePipeline(train=train, predict=predict))
    assert result.status == "promoted"
    assert result.package is not None
    assert not result.package.manifest["holdout"]["stand_in"]
    assert result.metrics["champion_loss"] > result.metrics["challenger_loss"]
    stream.grow(200)
    workspace.engine("alpha", pipeline=CallablePipeline(train=train, predict=predict)).tick()
    assert workspace.store.ledger("alpha")[-1].rows == 200


def test_cpu_time_of_processes_that_the_function_starts_is_counted(
    workspace: Workspace,
) -> None:
    def starting(rows: pd.DataFrame, /, *, energy: int, seed: int, seconds: float) -> bytes:
        subprocess.run([sys.executable, "-S", "-c", BURN.format(seconds=0.3)], check=True)
        return train(rows, energy=energy, seed=seed, seconds=seconds)

    result = cycle(workspace, CallablePipeline(train=starting, predict=predict))
    assert 0.6 <= result.metrics["measured_cpu_seconds"] < 3.0


def test_functions_that_lie_in_the_workspace_run_in_a_worker(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    pool = ProcessPool(1)
    workspace = open_workspace(executor=pool)
    (workspace.folder / "in_worker_model.py").write_text(
        "import os\n"
        "def train(rows, *, energy, seed, seconds):\n"
        "    return str(os.getpid()).encode()\n"
        "def predict(artifact, rows):\n"
        "    return [0] * len(rows)\n"
    )
    table = {
        "kind": "callable",
        "train": "in_worker_model:train",
        "predict": "in_worker_model:predict",
    }
    workspace.settings.pipelines["mine"] = table
    stream.grow(300)
    workspace.add_bot(alpha(stream, pipeline="mine"))
    result = workspace.engine("alpha").run_cycle()
    assert result.status == "promoted"
    model = workspace.store.model("alpha", 1)
    files = workspace.services.artifacts.get(model.artifact, model.sha256)
    assert int(files["artifact"]) != os.getpid()


def test_a_pipeline_that_deploys_by_itself_is_named_and_keeps_working(
    open_workspace: OpenWorkspace, alpha: Describe, stream: DriftingStream
) -> None:
    workspace = open_workspace()
    (workspace.folder / "nightly_job.py").write_text(
        "from menace.records import AutomationResult\n"
        "class NightlyJob:\n"
        "    def run(self, bot_name, energy=1):\n"
        "        return AutomationResult(status='promoted', roi=0.4, cost_usd=3.2)\n"
    )
    workspace.settings.pipelines["nightly"] = {"kind": "object", "make": "nightly_job:NightlyJob"}
    stream.grow(300)
    workspace.add_bot(alpha(stream, pipeline="nightly"))
    result = workspace.engine("alpha").run_cycle()
    assert (result.status, result.cost_usd) == ("promoted", 3.2)
    [entry] = workspace.store.ledger("alpha")
    assert entry.roi_delta == 0.4
    [done] = workspace.store.cycles("alpha", last=9)
    assert (done.state, done.version) == (CycleState.SETTLED, None)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (None, "describes no pipeline"),
        ({}, "not a kind of pipeline"),
        ({"kind": "magic"}, "known kinds: callable, command, object"),
        ({"kind": "callable", "train": "json:dumps"}, "predict"),
        ({"kind": "callable", "train": "json:dumps", "predict": "json:nothing"}, "has no"),
        ({"kind": "callable", "train": "json:dumps", "predict": "os:sep"}, "cannot be called"),
        ({"kind": "command", "command": "train.sh"}, "command"),
        ({"kind": "command", "command": []}, "no list of arguments"),
        ({"kind": "command", "command": ["x"], "time_limit_seconds": 0}, "> 0"),
        ({"kind": "command", "command": ["x"], "shell": True}, "unknown setting 'shell'"),
        ({"kind": "object"}, "one more setting, make"),
    ],
)
def test_a_wrong_table_is_named_when_the_bot_is_added(
    open_workspace: OpenWorkspace,
    alpha: Describe,
    stream: DriftingStream,
    table: dict[str, Any] | None,
    why: str,
) -> None:
    workspace = open_workspace()
    stream.grow(50)
    if table is not None:
        workspace.settings.pipelines["mine"] = table
    with pytest.raises(ConfigError) as refused:
        workspace.add_bot(alpha(stream, pipeline="mine"))
    assert why in str(refused.value)
    assert workspace.store.bots() == []


labels = st.sampled_from(["red", "green", "3", "0.5"])


@given(st.lists(st.tuples(labels, labels), min_size=1))
def test_labels_and_sure_probabilities_are_scored_alike(pairs: list[tuple[str, str]]) -> None:
    truth = pd.Series([right for right, _ in pairs], name="y")
    guess = pd.Series([guessed for _, guessed in pairs])
    names = sorted({*truth, *guess})
    sure = pd.DataFrame({name: (guess == name).astype(float) for name in names})
    wrong = [float(right != guessed) for right, guessed in pairs]
    for metric, worst in ((Metric.ERROR_RATE, 1.0), (Metric.LOG_LOSS, -math.log(1e-6))):
        for told in (guess, sure):
            losses = losses_of(truth, told, metric=metric, loss=None, bot="alpha")
            assert losses == pytest.approx(np.array(wrong) * worst)


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1), st.booleans())
def test_numbers_that_came_as_text_are_compared_as_numbers(
    pairs: list[tuple[int, int]], as_quantity: bool
) -> None:
    truth = pd.Series([float(right) for right, _ in pairs], name="y")
    guess = pd.Series([f"{guessed}.0" for _, guessed in pairs])
    metric = Metric.ABSOLUTE_ERROR if as_quantity else Metric.ERROR_RATE
    losses = losses_of(truth, guess, metric=metric, loss=None, bot="alpha")
    wanted = [abs(r - g) if as_quantity else float(r != g) for r, g in pairs]
    assert losses.tolist() == wanted


def test_probabilities_of_a_quantity_are_refused() -> None:
    truth, told = pd.Series([1.0], name="y"), pd.DataFrame({"a": [1.0]})
    with pytest.raises(PipelineError, match="where numbers are wanted"):
        losses_of(truth, told, metric=Metric.SQUARED_ERROR, loss=None, bot="alpha")
