"""The model families: what a candidate is, how one is fitted, counted and loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from menace.errors import PackageError
from menace.model_automation_pipeline import blend_model, lightgbm_model, linear_model
from menace.records import Metric, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from menace.model_automation_pipeline.budget import CpuBudget
    from menace.model_automation_pipeline.features import FeatureEncoder
    from menace.model_automation_pipeline.target import Target
    from menace.records import Json

    FloatMatrix = npt.NDArray[np.float32]
    FloatArray = npt.NDArray[np.float64]

LIGHTGBM = "lightgbm"
LINEAR = "linear"
BLEND = "blend"
DEFAULTS: dict[str, dict[str, float]] = {
    LIGHTGBM: lightgbm_model.DEFAULT_PARAMS,
    LINEAR: linear_model.DEFAULT_PARAMS,
}
COLUMN_SECONDS = {"number": 1e-4, "category": 5e-4, "time": 2.5e-3}
VALUE_SECONDS = {"number": 1e-8, "category": 5e-8, "time": 2e-7}
"""Counted CPU-seconds of encoding a column of a kind, and each value in it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A family and its parameters: everything that is searched over.

    Attributes
    ----------
    family
        ``lightgbm``, ``linear`` or ``blend``.
    params
        Numbers by name; ``rounds`` of ``lightgbm`` is the number of boosting rounds. Of both
        families: ``half_life``, the share of the rows after which a row counts half as much as
        the newest one; without it all count the same.
    members
        Of a ``blend``: weights (> 0, of sum 1) and candidates of the other families.
    """

    family: str
    params: Mapping[str, float] = field(default_factory=dict)
    members: tuple[tuple[float, Candidate], ...] = ()

    def parts(self) -> tuple[tuple[float, Candidate], ...]:
        """Give the members, or itself alone."""
        return self.members or ((1.0, self),)

    def to_json(self) -> Json:
        """Plain JSON: ``family``, ``params`` and, of a blend, ``members``."""
        document: Json = {"family": self.family, "params": dict(self.params)}
        if self.members:
            document["members"] = [
                {"weight": weight, **member.to_json()} for weight, member in self.members
            ]
        return document


class Model(Protocol):
    """A fitted model of some family."""

    def raw(self, matrix: FloatMatrix) -> FloatArray:
        """Class probabilities, shape (rows, classes), or numbers, shape (rows,)."""
        ...

    def files(self) -> dict[str, bytes]:
        """Write the model as files of a package; the same bytes for the same model."""
        ...


@dataclass(frozen=True, slots=True)
class ConstantModel:
    """Says the same of every row: the best that can be said without looking at features.

    It is what a bot's first model is compared with.
    """

    value: FloatArray

    @classmethod
    def fit(cls, truth: FloatArray, target: Target) -> ConstantModel:
        """Take the class frequencies, or the mean or median that the metric asks for."""
        if target.task is Task.REGRESSION:
            middle = np.median if target.metric is Metric.ABSOLUTE_ERROR else np.mean
            return cls(np.asarray(middle(truth)))
        counts = np.bincount(truth.astype(np.intp), minlength=target.classes)
        return cls(counts / counts.sum())

    def raw(self, matrix: FloatMatrix) -> FloatArray:
        """Class probabilities, shape (rows, classes), or numbers, shape (rows,)."""
        return np.tile(self.value, (len(matrix), *(1 for _ in self.value.shape)))


@dataclass(frozen=True, slots=True)
class Rows:
    """Encoded labelled rows.

    Attributes
    ----------
    matrix
        Shape (rows, features), float32.
    truth
        Shape (rows,): codes of the classes (−1: unknown), or numbers.
    encoder, target
        What they were encoded with.
    bins
        Histogram bins of all features together: what the work of a fit is counted by.
    """

    matrix: FloatMatrix
    truth: FloatArray
    encoder: FeatureEncoder
    target: Target
    bins: int

    @classmethod
    def of(
        cls, frame: pd.DataFrame, encoder: FeatureEncoder, target: Target, budget: CpuBudget
    ) -> Rows:
        """Encode a frame."""
        budget.add(encode_seconds(encoder, len(frame)))
        matrix = encoder.encode(frame)
        bins = lightgbm_model.count_bins(matrix)
        return cls(matrix, target.encode(frame), encoder, target, bins)

    def __len__(self) -> int:
        return len(self.matrix)

    def category_columns(self) -> list[int]:
        """Positions of the columns that hold codes of categories."""
        return [at for at, size in enumerate(self.encoder.category_sizes()) if size]

    def taken(self, positions: npt.NDArray[np.intp]) -> Rows:
        """Take some of the rows."""
        return replace(self, matrix=self.matrix[positions], truth=self.truth[positions])


def encode_seconds(encoder: FeatureEncoder, size: int) -> float:
    """Return the counted CPU-seconds of encoding, or of learning to encode, ``size`` rows."""
    kinds = [column.kind for column in encoder.columns]
    return sum(COLUMN_SECONDS[kind] + size * VALUE_SECONDS[kind] for kind in kinds)


def blended(parts: Sequence[tuple[float, Candidate]]) -> Candidate:
    """Make a blend of weighted candidates, or the candidate itself where there is only one.

    >>> one = Candidate(LINEAR, {"strength": 1.0})
    >>> blended([(3.0, one)]) is one
    True
    >>> [weight for weight, _ in blended([(3.0, one), (1.0, default_candidate())]).members]
    [0.75, 0.25]
    """
    if len(parts) == 1:
        return parts[0][1]
    total = sum(weight for weight, _ in parts)
    return Candidate(BLEND, {}, tuple((weight / total, part) for weight, part in parts))


def default_candidate() -> Candidate:
    """Return the configuration of a bot's first model."""
    return Candidate(LIGHTGBM, DEFAULTS[LIGHTGBM])


def fit(
    candidate: Candidate,
    rows: Rows,
    *,
    seed: int,
    budget: CpuBudget,
    validation: Rows | None = None,
    after_round: Callable[[int, float], bool] | None = None,
) -> Model:
    """Fit a candidate and report its work to the budget.

    Parameters
    ----------
    candidate, rows
        What is fitted to what; no blend, whose members are fitted one by one.
    seed
        Of everything random in the fit.
    budget
        Told of the work as it is done.
    validation, after_round
        For trees: rows on which the loss is taken after each round, and who is told of it with the
        rounds done; it answers whether to stop there.
    """
    weights = _recency_weights(len(rows), candidate.params.get("half_life"))
    if candidate.family == LINEAR:
        return _fit_linear(candidate, rows, weights, budget)
    size, width = rows.matrix.shape
    trees = lightgbm_model.trees_per_round(rows.target)
    each = trees * lightgbm_model.tree_seconds(size, rows.bins, candidate.params)
    if validation is not None:
        each += trees * len(validation) * lightgbm_model.PREDICT_SECONDS
    budget.add(lightgbm_model.binning_seconds(size, width, rows.bins))

    def after(done: int, loss: float) -> bool:
        budget.add(each)
        return after_round is not None and after_round(done, loss)

    return lightgbm_model.fit_lightgbm(
        rows.matrix,
        rows.truth,
        rows.target,
        candidate.params,
        seed=seed,
        weights=weights,
        categories=rows.category_columns() if candidate.params.get("categories") else (),
        validation=None if validation is None else (validation.matrix, validation.truth),
        after_round=after,
    )


def _recency_weights(size: int, half_life: float | None) -> FloatArray | None:
    """Weigh rows in time order by their age, with mean 1."""
    if half_life is None:
        return None
    ages = np.arange(size - 1, -1, -1) / (half_life * size)
    weights = np.exp2(-ages)
    return np.asarray(weights / weights.mean())


def _fit_linear(
    candidate: Candidate, rows: Rows, weights: FloatArray | None, budget: CpuBudget
) -> Model:
    if rows.target.classes and len(np.unique(rows.truth)) < 2:
        # Only ever on part of a window: one whose whole has a single class is refused before.
        return _Unpackaged(ConstantModel.fit(rows.truth, rows.target))
    model = linear_model.fit_linear(
        rows.matrix,
        rows.truth,
        rows.target,
        candidate.params,
        rows.encoder.category_sizes(),
        weights=weights,
    )
    budget.add(
        linear_model.fit_seconds(len(rows), model.columns, rows.target, float(model.iterations))
    )
    return model


@dataclass(frozen=True, slots=True)
class _Unpackaged:
    constant: ConstantModel

    def raw(self, matrix: FloatMatrix) -> FloatArray:
        return self.constant.raw(matrix)

    def files(self) -> dict[str, bytes]:
        raise PackageError("a constant model is never packaged.")


def raw_scores(model: Model | ConstantModel, rows: Rows, budget: CpuBudget) -> FloatArray:
    """Score rows and report the work to the budget."""
    members = model.members if isinstance(model, blend_model.BlendModel) else (("", 1.0, model),)
    for _, _, member in members:
        if not isinstance(member, lightgbm_model.LightGBMModel):
            continue
        trees = member.rounds * lightgbm_model.trees_per_round(rows.target)
        budget.add(len(rows) * trees * lightgbm_model.PREDICT_SECONDS)
    return model.raw(rows.matrix)


def fit_seconds(candidate: Candidate, rows: Rows, *, size: int | None = None) -> float:
    """Return the counted CPU-seconds that a fit is expected to take.

    Parameters
    ----------
    candidate, rows
        What is fitted to what.
    size
        Count as if there were so many rows of that kind.
    """
    size = len(rows) if size is None else size
    if candidate.family == BLEND:
        return sum(fit_seconds(member, rows, size=size) for _, member in candidate.members)
    if candidate.family == LIGHTGBM:
        width = rows.matrix.shape[1]
        trees = candidate.params["rounds"] * lightgbm_model.trees_per_round(rows.target)
        each = lightgbm_model.tree_seconds(size, rows.bins, candidate.params)
        return lightgbm_model.binning_seconds(size, width, rows.bins) + trees * each
    columns = sum(max(1, min(count, 64)) for count in rows.encoder.category_sizes())
    return linear_model.fit_seconds(size, columns, rows.target, linear_model.USUAL_ITERATIONS)


def load(family: str, files: Mapping[str, bytes], target: Target, features: int) -> Model:
    """Load a model from the files of its package.

    Raises
    ------
    PackageError
        If the family is unknown, a file is missing, or a file is not what it must be.
    """
    loaders: dict[str, tuple[tuple[str, ...], Callable[..., Model]]] = {
        LIGHTGBM: ((lightgbm_model.MODEL_FILE,), lightgbm_model.load_lightgbm),
        LINEAR: ((linear_model.MODEL_FILE, linear_model.DESIGN_FILE), linear_model.load_linear),
        BLEND: ((blend_model.BLEND_FILE,), _load_blend),
    }
    if family not in loaders:
        raise PackageError(
            f"the model family {family!r} is unknown; known are {', '.join(sorted(loaders))}.",
            remedy="load the package with the version of menace that made it, or newer",
        )
    names, loader = loaders[family]
    missing = sorted(set(names) - set(files))
    if missing:
        raise PackageError(f"the package lacks {missing[0]}.")
    return loader(files, target, features)


def _load_blend(files: Mapping[str, bytes], target: Target, features: int) -> Model:
    def load_member(family: str, own: Mapping[str, bytes]) -> Model:
        if family == BLEND:
            raise PackageError("a blend holds another blend.")
        return load(family, own, target, features)

    return blend_model.load_blend(files, load_member)
