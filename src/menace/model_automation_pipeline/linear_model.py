"""The linear family: logistic and ridge regression from scikit-learn, kept as ``skops``.

Numbers are standardised and bounded to ±5 standard deviations, so that a row unlike any of the
training window cannot run away with the prediction; missing ones are the mean, with an indicator
column where the window had any. Codes of categories become one column each, for the 64 most common.

What a fit costs, counted (a ridge regression has no iterations)::

    seconds = BASE + rows · columns · BUILD
            + iterations · (ITERATION + rows · columns · outputs · CELL)
"""

from __future__ import annotations

import importlib
import io
import json
import threading
import warnings
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from menace.errors import PackageError
from menace.records import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from menace.model_automation_pipeline.target import Target
    from menace.records import Json

    FloatMatrix = npt.NDArray[np.float32]
    FloatArray = npt.NDArray[np.float64]

DEFAULT_PARAMS: dict[str, float] = {"strength": 1.0}
"""``strength`` is scikit-learn's ``C``: the weight of the data against the penalty."""

MODEL_FILE = "model.skops"
DESIGN_FILE = "design.json"

BASE_SECONDS = 2e-3
BUILD_SECONDS = 2.5e-8
ITERATION_SECONDS = 1.3e-4
CELL_SECONDS = 2.7e-9
MAX_ITERATIONS = 200
USUAL_ITERATIONS = 30

TRUSTED_TYPES = frozenset(
    {
        "builtins.bool",
        "builtins.dict",
        "builtins.float",
        "builtins.int",
        "builtins.list",
        "builtins.str",
        "numpy.float64",
        "numpy.int32",
        "numpy.int64",
        "numpy.ndarray",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._ridge.Ridge",
    }
)
"""All that a ``model.skops`` of ours may hold."""

_TRUSTED_NODES = frozenset(
    {"DictNode", "JsonNode", "ListNode", "NdArrayNode", "ObjectNode", "TypeNode"}
)
_MAX_ONE_HOT = 64
_BOUND = 5.0
_EPOCH = (1980, 1, 1, 0, 0, 0)

# ``warnings.catch_warnings`` changes the whole process.
_FIT_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Design:
    """How a matrix of features becomes the columns of a linear model.

    Attributes
    ----------
    means, scales
        Of each number's column in the training rows; 0 and 1 for a category's.
    indicators
        Positions of numbers that were missing in some training row.
    codes
        For each category's position, the codes that have a column of their own.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    indicators: tuple[int, ...]
    codes: tuple[tuple[int, tuple[int, ...]], ...]

    @classmethod
    def fit(cls, matrix: FloatMatrix, category_sizes: Sequence[int]) -> Design:
        """Learn it from training rows."""
        means, scales, indicators = [], [], []
        codes: list[tuple[int, tuple[int, ...]]] = []
        for position, size in enumerate(category_sizes):
            values = matrix[:, position].astype(np.float64)
            mean, scale = 0.0, 1.0
            if size:
                counts = np.bincount(values[values >= 0].astype(np.intp), minlength=size)
                common = np.sort(np.argsort(-counts, kind="stable")[:_MAX_ONE_HOT])
                codes.append((position, tuple(int(code) for code in common)))
            else:
                present = values[~np.isnan(values)]
                if len(present):
                    mean = float(present.mean())
                    scale = float(present.std()) or 1.0
                if 0 < len(present) < len(values):
                    indicators.append(position)
            means.append(mean)
            scales.append(scale)
        return cls(tuple(means), tuple(scales), tuple(indicators), tuple(codes))

    @property
    def width(self) -> int:
        """Columns of the linear model."""
        one_hot = sum(len(codes) for _, codes in self.codes)
        return len(self.means) - len(self.codes) + len(self.indicators) + one_hot

    def columns(self, matrix: FloatMatrix) -> FloatArray:
        """Build the columns, shape (rows, width)."""
        categories = {position for position, _ in self.codes}
        plain = [position for position in range(len(self.means)) if position not in categories]
        values = matrix[:, plain].astype(np.float64)
        values = (values - np.array(self.means)[plain]) / np.array(self.scales)[plain]
        blocks = [np.clip(np.nan_to_num(values, nan=0.0), -_BOUND, _BOUND)]
        blocks.append(np.isnan(matrix[:, list(self.indicators)]).astype(np.float64))
        for position, codes in self.codes:
            blocks.append((matrix[:, [position]] == np.array(codes)).astype(np.float64))
        return np.concatenate(blocks, axis=1)


class LinearModel:
    """A fitted linear model and its design.

    Parameters
    ----------
    estimator
        A fitted ``LogisticRegression`` or ``Ridge``.
    design
        How its columns are built.
    target
        What it predicts.
    """

    def __init__(self, estimator: Any, design: Design, target: Target) -> None:
        self._estimator = estimator
        self._design = design
        self._target = target

    @property
    def columns(self) -> int:
        """Columns it looks at."""
        return self._design.width

    @property
    def iterations(self) -> int:
        """Iterations its solver took."""
        counts = self._estimator.n_iter_
        return 1 if counts is None else int(np.max(counts))

    def raw(self, matrix: FloatMatrix) -> FloatArray:
        """Class probabilities, shape (rows, classes), or numbers, shape (rows,)."""
        columns = self._design.columns(matrix)
        if self._target.task is Task.REGRESSION:
            values: FloatArray = columns @ self._estimator.coef_ + self._estimator.intercept_
            return values
        probabilities = np.zeros((len(matrix), self._target.classes))
        if len(matrix):
            seen = self._estimator.classes_.astype(np.intp)
            probabilities[:, seen] = self._estimator.predict_proba(columns)
        return probabilities

    def files(self) -> dict[str, bytes]:
        """Write the estimator as ``skops`` and the design as JSON, the same for the same model."""
        skops = importlib.import_module("skops.io")
        design: Json = {
            "means": self._design.means,
            "scales": self._design.scales,
            "indicators": self._design.indicators,
            "codes": self._design.codes,
        }
        return {
            MODEL_FILE: _repeatable(skops.dumps(self._estimator)),
            DESIGN_FILE: json.dumps(design, sort_keys=True).encode("utf-8"),
        }


def fit_linear(
    matrix: FloatMatrix,
    truth: FloatArray,
    target: Target,
    params: Mapping[str, float],
    category_sizes: Sequence[int],
    *,
    weights: FloatArray | None = None,
) -> LinearModel:
    """Fit a logistic or ridge regression.

    Parameters
    ----------
    matrix, truth
        Encoded rows, and codes of their classes (two or more different ones) or numbers.
    target
        What is predicted.
    params
        ``strength`` > 0.
    category_sizes
        For each column of ``matrix``, how many codes it has; 0 for a number.
    weights
        Of the rows, shape (rows,); by default all the same.
    """
    linear = importlib.import_module("sklearn.linear_model")
    design = Design.fit(matrix, category_sizes)
    columns = design.columns(matrix)
    if target.task is Task.REGRESSION:
        estimator = linear.Ridge(alpha=1.0 / params["strength"])
        return LinearModel(estimator.fit(columns, truth, weights), design, target)
    estimator = linear.LogisticRegression(C=params["strength"], max_iter=MAX_ITERATIONS)
    with _FIT_LOCK, warnings.catch_warnings():
        # A solver that stops at its last iteration has still made a model; the gate judges it.
        warnings.simplefilter("ignore")
        estimator.fit(columns, truth.astype(np.intp), weights)
    return LinearModel(estimator, design, target)


def fit_seconds(rows: int, columns: int, target: Target, iterations: float) -> float:
    """Return the counted CPU-seconds of a fit."""
    build = BASE_SECONDS + rows * columns * BUILD_SECONDS
    if target.task is Task.REGRESSION:
        return build
    outputs = target.classes if target.classes > 2 else 1
    return build + iterations * (ITERATION_SECONDS + rows * columns * outputs * CELL_SECONDS)


def load_linear(files: Mapping[str, bytes], target: Target, features: int) -> LinearModel:
    """Read what :meth:`LinearModel.files` wrote; nothing but the trusted types is ever built.

    Raises
    ------
    PackageError
        If it holds another type, or does not fit the features and the target.
    """
    try:
        document = json.loads(files[DESIGN_FILE])
        design = Design(
            means=tuple(float(value) for value in document["means"]),
            scales=tuple(float(value) for value in document["scales"]),
            indicators=tuple(int(value) for value in document["indicators"]),
            codes=tuple(
                (int(position), tuple(int(code) for code in codes))
                for position, codes in document["codes"]
            ),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise PackageError(f"{DESIGN_FILE} cannot be read: {error}.") from error
    estimator = _trusted_estimator(files[MODEL_FILE])
    regression = target.task is Task.REGRESSION
    expected = "Ridge" if regression else "LogisticRegression"
    coefficients = np.shape(getattr(estimator, "coef_", ()))
    if (
        type(estimator).__name__ != expected
        or len(design.means) != features
        or len(design.scales) != features
        or coefficients[-1:] != (design.width,)
    ):
        raise PackageError(f"{MODEL_FILE} does not fit the manifest beside it.")
    return LinearModel(estimator, design, target)


def _trusted_estimator(content: bytes) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            schema = json.loads(archive.read("schema.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise PackageError(f"{MODEL_FILE} is not a skops file: {error}.") from error
    for node in _nodes(schema):
        name = f"{node.get('__module__')}.{node['__class__']}"
        if name not in TRUSTED_TYPES or node.get("__loader__") not in _TRUSTED_NODES:
            raise PackageError(
                f"{MODEL_FILE} holds the type {name!r}, which is not trusted.",
                remedy="use only packages that menace made; make the model anew with menace cycle",
            )
    skops = importlib.import_module("skops.io")
    untrusted = importlib.import_module("skops.io.exceptions").UntrustedTypesFoundException
    try:
        return skops.loads(content, trusted=sorted(TRUSTED_TYPES))
    except (untrusted, ValueError, TypeError, KeyError, OSError) as error:
        raise PackageError(f"{MODEL_FILE} cannot be read: {error}.") from error


def _nodes(document: Any) -> list[Json]:
    if isinstance(document, list):
        return [node for item in document for node in _nodes(item)]
    if not isinstance(document, dict):
        return []
    inner = [node for value in document.values() for node in _nodes(value)]
    return [document, *inner] if "__class__" in document else inner


def _repeatable(content: bytes) -> bytes:
    """Rewrite an archive without memory addresses and times.

    A node's id only matters where an object occurs twice; here that is at most a constant.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
        arrays: dict[str, str] = {}
        for number, node in enumerate(_nodes(schema), start=1):
            if "__id__" in node:
                node["__id__"] = number
            if "file" in node:
                node["file"] = arrays.setdefault(node["file"], f"{number}.npy")
        members = {new: archive.read(old) for old, new in arrays.items()}
    members["schema.json"] = json.dumps(schema, sort_keys=True).encode("utf-8")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return stream.getvalue()
