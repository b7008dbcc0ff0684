from __future__ import annotations

import hashlib
import importlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from menace.errors import DataError, PackageError
from menace.model_automation_pipeline.budget import CpuBudget
from menace.model_automation_pipeline.families import DEFAULTS, Candidate, Rows, fit
from menace.model_automation_pipeline.features import FeatureEncoder
from menace.model_automation_pipeline.package import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    load_predictor,
    pack,
)
from menace.model_automation_pipeline.target import Target
from menace.records import BotConfig, Metric, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from menace.model_automation_pipeline.families import Model

    MakeRows = Callable[..., pd.DataFrame]

TASKS = ("binary", "multiclass", "regression")
FAMILIES = ("lightgbm", "linear")


def made(
    frame: pd.DataFrame, family: str, **settings: Any
) -> tuple[dict[str, bytes], Model, FeatureEncoder]:
    """Fit a family's default and package it."""
    target = Target.detect(frame, BotConfig("a", None, "y", **settings))
    encoder = FeatureEncoder.fit(frame, target="y")
    budget = CpuBudget(1e6, counted=True)
    candidate = Candidate(family, DEFAULTS[family])
    model = fit(candidate, Rows.of(frame, encoder, target, budget), seed=1, budget=budget)
    facts = {"seed": 1}
    files = pack(model=model, candidate=candidate, encoder=encoder, target=target, facts=facts)
    return files, model, encoder


def changed(files: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    """Return a package whose manifest says something else."""
    manifest = {**json.loads(files[MANIFEST_FILE]), **changes}
    return {**files, MANIFEST_FILE: json.dumps(manifest).encode()}


def rehashed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return a package whose manifest was made to fit its changed files."""
    hashes = {n: hashlib.sha256(d).hexdigest() for n, d in files.items() if n != MANIFEST_FILE}
    manifest = {**json.loads(files[MANIFEST_FILE]), "files": hashes}
    return {**files, MANIFEST_FILE: json.dumps(manifest).encode()}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_predictions_survive_the_package(rows: MakeRows, family: str, task: str) -> None:
    frame = rows(300, task)
    files, model, encoder = made(frame, family)
    loaded = load_predictor(files)
    later = rows(100, task, seed=1)
    np.testing.assert_array_equal(
        loaded.model.raw(encoder.encode(later)), model.raw(encoder.encode(later))
    )
    assert loaded.candidate == Candidate(family, DEFAULTS[family])
    assert loaded.target.task is Task(task)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_data_and_seed_give_the_same_bytes(rows: MakeRows, family: str, task: str) -> None:
    assert made(rows(200, task), family)[0] == made(rows(200, task), family)[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_of_each_family_learns(rows: MakeRows, family: str) -> None:
    loaded = load_predictor(made(rows(600), family)[0])
    later = rows(400, seed=1)
    predictions, losses = loaded.score(later)
    assert losses.mean() < 0.15
    assert set(predictions) == {"0", "1"}
    truth = later["y"].astype(str).to_numpy()
    np.testing.assert_array_equal(losses, (np.array(predictions) != truth).astype(float))
    np.testing.assert_array_equal(loaded.losses(later), losses)
    assert loaded.predict(later) == predictions


@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_of_classes_add_up_to_one(rows: MakeRows, family: str) -> None:
    loaded = load_predictor(made(rows(300, "multiclass"), family, metric=Metric.LOG_LOSS)[0])
    probabilities = loaded.probabilities(rows(50, "multiclass", seed=1))
    assert probabilities.shape == (50, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_regression_predicts_numbers_and_has_no_probabilities(
    rows: MakeRows, family: str
) -> None:
    loaded = load_predictor(made(rows(500, "regression"), family)[0])
    later = rows(200, "regression", seed=1)
    predictions, losses = loaded.score(later)
    assert all(isinstance(value, float) for value in predictions)
    np.testing.assert_allclose(losses, np.abs(np.array(predictions) - later["y"]))
    assert losses.mean() < 0.5 * np.abs(later["y"] - later["y"].median()).mean()
    with pytest.raises(PackageError, match="no class probabilities"):
        loaded.probabilities(later)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_serves_on_when_its_source_changes_its_schema(rows: MakeRows, family: str) -> None:
    loaded = load_predictor(made(rows(300), family)[0])
    later = rows(20, seed=1)
    changed_rows = later.drop(columns="colour").assign(
        size=["wide"] * 20, day=[1.5] * 20, extra=["new"] * 20
    )
    assert len(loaded.predict(changed_rows)) == 20
    assert np.isfinite(loaded.losses(changed_rows)).all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", TASKS)
def test_no_rows_have_no_predictions(rows: MakeRows, family: str, task: str) -> None:
    loaded = load_predictor(made(rows(100, task), family)[0])
    predictions, losses = loaded.score(rows(100, task).iloc[:0])
    assert predictions == []
    assert losses.shape == (0,)


def test_a_label_unknown_to_the_model_counts_as_wrong(rows: MakeRows) -> None:
    loaded = load_predictor(made(rows(200), "lightgbm")[0])
    assert loaded.losses(rows(10, seed=1).assign(y=7)).tolist() == [1.0] * 10


def test_scoring_without_the_target_is_refused_by_name(rows: MakeRows) -> None:
    loaded = load_predictor(made(rows(100), "lightgbm")[0])
    with pytest.raises(DataError, match="target column 'y' is missing"):
        loaded.losses(rows(10).drop(columns="y"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_that_was_changed_is_refused_by_name(rows: MakeRows, family: str) -> None:
    files = made(rows(100), family)[0]
    for name in set(files) - {MANIFEST_FILE}:
        torn = {**files, name: files[name][:-1] + bytes([files[name][-1] ^ 1])}
        with pytest.raises(PackageError, match=f"{name} does not match its SHA-256"):
            load_predictor(torn)


def test_a_missing_or_added_file_is_refused(rows: MakeRows) -> None:
    files = made(rows(100), "lightgbm")[0]
    for wrong in ({**files, "more.txt": b""}, {MANIFEST_FILE: files[MANIFEST_FILE]}):
        with pytest.raises(PackageError, match="not the ones of its manifest"):
            load_predictor(wrong)
    with pytest.raises(PackageError, match=f"no {MANIFEST_FILE}"):
        load_predictor({"model.txt": files["model.txt"]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": FORMAT_VERSION + 1}, "has format 2"),
        ({"format": "1"}, "has format '1'"),
        ({"family": "forest"}, "family 'forest' is unknown"),
        ({"family": "linear", "params": {"strength": 1.0}}, "lacks design.json"),
        ({"task": "ranking"}, "does not say what is predicted"),
        ({"task": "regression", "metric": "absolute_error"}, "labels that do not fit"),
        ({"labels": ["a", "b", "c"]}, "does not fit the manifest"),
        ({"params": {}}, "does not hold the model's parameters"),
        ({"params": {"rounds": "many"}}, "does not hold the model's parameters"),
        ({"features": [{"name": "a", "kind": "number"}]}, "does not fit the manifest"),
        ({"features": 5}, "feature columns cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(
    rows: MakeRows, changes: dict[str, Any], message: str
) -> None:
    files = made(rows(100), "lightgbm")[0]
    with pytest.raises(PackageError, match=message):
        load_predictor(changed(files, **changes))


def test_a_torn_manifest_is_refused(rows: MakeRows) -> None:
    files = made(rows(100), "lightgbm")[0]
    with pytest.raises(PackageError, match="torn"):
        load_predictor({**files, MANIFEST_FILE: files[MANIFEST_FILE][:-20]})


@pytest.mark.parametrize("content", [b"", b"tree\n", b"cos\nsystem\n(S'true'\ntR."])
def test_what_is_no_lightgbm_text_is_refused(rows: MakeRows, content: bytes) -> None:
    files = made(rows(100), "lightgbm")[0]
    with pytest.raises(PackageError, match="not a whole LightGBM model"):
        load_predictor(rehashed({**files, "model.txt": content}))


def archive_of(thing: Any) -> bytes:
    content: bytes = importlib.import_module("skops.io").dumps(thing)
    return content


def test_a_type_that_skops_itself_would_trust_is_refused_all_the_same(rows: MakeRows) -> None:
    files = made(rows(100), "linear")[0]
    tree = importlib.import_module("sklearn.cluster").KMeans()
    with pytest.raises(PackageError, match=r"holds the type 'sklearn\.cluster.*not trusted"):
        load_predictor(rehashed({**files, "model.skops": archive_of(tree)}))


def test_a_type_hidden_deep_in_an_archive_is_refused(rows: MakeRows) -> None:
    files = made(rows(100), "linear")[0]
    estimator = importlib.import_module("sklearn.linear_model").Ridge()
    estimator.extra_ = {"inner": [np.random.default_rng(0)]}
    with pytest.raises(PackageError, match="not trusted"):
        load_predictor(rehashed({**files, "model.skops": archive_of(estimator)}))


def test_a_trusted_name_under_a_foreign_loader_is_refused(rows: MakeRows) -> None:
    files = made(rows(100), "linear")[0]
    with zipfile.ZipFile(io.BytesIO(files["model.skops"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["schema.json"] = members["schema.json"].replace(b'"DictNode"', b'"MethodNode"')
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(PackageError, match="not trusted"):
        load_predictor(rehashed({**files, "model.skops": stream.getvalue()}))


def test_a_trusted_estimator_of_another_shape_is_refused(rows: MakeRows) -> None:
    files = made(rows(100), "linear")[0]
    ridge = importlib.import_module("sklearn.linear_model").Ridge()
    ridge.fit(np.eye(3), np.arange(3.0))
    with pytest.raises(PackageError, match="does not fit the manifest"):
        load_predictor(rehashed({**files, "model.skops": archive_of(ridge)}))


def test_what_is_no_archive_is_refused(rows: MakeRows) -> None:
    files = made(rows(100), "linear")[0]
    with pytest.raises(PackageError, match="not a skops file"):
        load_predictor(rehashed({**files, "model.skops": b"PK nonsense"}))
    with pytest.raises(PackageError, match=r"design\.json cannot be read"):
        load_predictor(rehashed({**files, "design.json": b"{}"}))


def test_a_model_of_classes_is_scored_in_units_of_a_quantity(rows: MakeRows) -> None:
    frame = rows(300)
    predictor = load_predictor(made(frame, "linear")[0])
    truth = frame.assign(y=frame["y"] + 2)
    predictions, losses = predictor.score(truth, metric=Metric.SQUARED_ERROR)
    distance = truth["y"].to_numpy() - np.array(predictions, dtype=float)
    np.testing.assert_array_equal(losses, distance**2)


def test_a_model_of_a_quantity_is_scored_by_the_class_next_to_what_it_says(rows: MakeRows) -> None:
    frame = rows(300, "regression")
    predictor = load_predictor(made(frame, "linear")[0])
    truth = frame.assign(y=(frame["y"] > 0).astype(int))
    predictions, losses = predictor.score(truth, metric=Metric.ERROR_RATE)
    wrong = np.round(np.array(predictions, dtype=float)) != truth["y"].to_numpy()
    np.testing.assert_array_equal(losses, wrong.astype(float))
    assert predictor.score(truth, metric=Metric.LOG_LOSS)[1].max() < 14


def test_a_model_is_scored_in_the_other_metric_of_its_task(rows: MakeRows) -> None:
    frame = rows(300)
    predictor = load_predictor(made(frame, "linear", metric=Metric.LOG_LOSS)[0])
    assert set(predictor.score(frame, metric=Metric.ERROR_RATE)[1]) == {0.0, 1.0}
    np.testing.assert_array_equal(predictor.score(frame)[1], predictor.losses(frame))
