"""Fitting every model once, and keeping the table: whoever is interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import time
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.decision.error_table import FIRST_MODEL, ErrorTable
from benchmarks.decision.stream import WINDOW_BATCHES, read_stream
from menace.errors import DataError
from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.decision.spec import StreamSpec
    from benchmarks.decision.stream import Stream

FORMAT = 1
CHECKPOINT_SECONDS = 10.0
MODEL: dict[str, Any] = {
    "n_estimators": 60,
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_child_samples": 10,
    "n_jobs": 1,
    "random_state": 0,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
"""The protocol's model."""


def error_table(
    spec: StreamSpec,
    folder: Path,
    cache: Path,
    *,
    shuffle_seed: int | None = None,
    started: Callable[[int], None] = lambda models: None,
    fitted: Callable[[int], None] = lambda models: None,
) -> ErrorTable:
    """Take a stream's table from the cache, or fit what it lacks.

    Parameters
    ----------
    spec, folder
        The stream, and where its file lies.
    cache
        Folder of the cached tables; made if missing. The name of a file in it is a hash of all that
        the table depends on, so a changed file, spec or library makes a new one.
    shuffle_seed
        Shuffle the rows first: the control without drift.
    started
        Called once with the number of models of the stream.
    fitted
        Called with the number of models that have been added since the last call.

    Raises
    ------
    DataError
        If the stream is unusable, or its cached table is damaged.
    ConfigError
        If the spec leaves no feature.
    """
    stream = read_stream(spec, folder)
    if shuffle_seed is not None:
        stream = stream.shuffled(shuffle_seed)
    path = cache / f"{table_key(spec, folder, shuffle_seed)}.npz"
    started(stream.batches - FIRST_MODEL)
    wrong, done = _restored(path, stream)
    fitted(done - FIRST_MODEL)
    checkpoint = time.monotonic()
    for model in range(done, stream.batches):
        wrong[model] = np.packbits(_fit(stream, model))
        fitted(1)
        if time.monotonic() - checkpoint > CHECKPOINT_SECONDS or model == stream.batches - 1:
            _keep(path, wrong, model + 1)
            checkpoint = time.monotonic()
    return ErrorTable.of_wrong(stream.name, wrong, stream.batches, stream.batch_rows)


def _fit(stream: Stream, model: int) -> NDArray[np.bool_]:
    """Train a model; returns which of all rows it gets wrong, False up to its own window's end."""
    end = (model + 1) * stream.batch_rows
    wrong = np.zeros(len(stream.labels), dtype=np.bool_)
    if end == len(stream.labels):
        return wrong  # the last batch's model never serves
    window = slice(end - WINDOW_BATCHES * stream.batch_rows, end)
    labels = stream.labels[window]
    if (labels == labels[0]).all():
        # A window of one class has nothing to fit; whatever is trained on it predicts that class.
        wrong[end:] = stream.labels[end:] != labels[0]
        return wrong
    classifier = import_lightgbm().LGBMClassifier(**MODEL)
    classifier.fit(stream.features[window], labels)
    # The booster itself: the wrapper warns that an array has no column names.
    score = np.asarray(classifier.booster_.predict(stream.features[end:], num_threads=1))
    chosen = score.argmax(axis=1) if score.ndim == 2 else (score > 0.5).astype(np.intp)
    wrong[end:] = stream.labels[end:] != classifier.classes_[chosen]
    return wrong


def table_key(spec: StreamSpec, folder: Path, shuffle_seed: int | None) -> str:
    """Hash all that the table of a stream depends on: content, spec, model, versions."""
    with (folder / spec.file).open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    rest = {
        "format": FORMAT,
        "content": content,
        "target": spec.target,
        "drop": sorted(spec.drop),
        "batch_rows": spec.batch_rows,
        "window_batches": WINDOW_BATCHES,
        "model": MODEL,
        "shuffle_seed": shuffle_seed,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("lightgbm", "numpy", "pandas", "scikit-learn")
        },
    }
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    return digest.hexdigest()[:32]


def _restored(path: Path, stream: Stream) -> tuple[NDArray[np.uint8], int]:
    """Read what is there already: the packed rows, and the first model that is still to be fit."""
    shape = (stream.batches, -(-len(stream.labels) // 8))
    if not path.exists():
        return np.zeros(shape, dtype=np.uint8), FIRST_MODEL
    try:
        # Opened here: given a damaged file's name, NumPy would leave it open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            wrong, done = kept["wrong"], int(kept["done"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"the cached table {path} of stream {stream.name!r} is damaged: {error}.",
            remedy=f"rm {path}",
        ) from error
    if wrong.shape != shape or wrong.dtype != np.uint8 or not FIRST_MODEL <= done <= len(wrong):
        raise DataError(
            f"the cached table {path} is not one of stream {stream.name!r}.", remedy=f"rm {path}"
        )
    return wrong, done


def _keep(path: Path, wrong: NDArray[np.uint8], done: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when complete, so that a kill leaves the last checkpoint.
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, wrong=wrong, done=np.int64(done))
    unfinished.replace(path)
