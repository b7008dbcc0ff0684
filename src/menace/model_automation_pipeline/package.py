"""A model as a package of files, and a package as a predictor.

A package is a manifest, ``manifest.json``, and the model's own files. It holds neither times nor
paths, so that the same seed and data give the same bytes, and nothing that could be run: native
LightGBM text, or a ``skops`` archive of a few named types.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from menace import __version__
from menace.errors import HelperCodeError, PackageError
from menace.model_automation_pipeline import families
from menace.model_automation_pipeline.evaluation import row_losses
from menace.model_automation_pipeline.features import FeatureEncoder, value_text
from menace.model_automation_pipeline.target import METRICS, Target, numbers, target_column
from menace.records import Metric, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    from menace.helper_code import FeatureHelper, HelperCode
    from menace.model_automation_pipeline.families import Candidate, Model
    from menace.records import Json

    FloatArray = npt.NDArray[np.float64]

MANIFEST_FILE = "manifest.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Predictor:
    """A loaded model: serves and scores frames in the source's own columns.

    Safe to share between threads.

    Attributes
    ----------
    encoder, target, model
        How rows are read, what is predicted, and who predicts it.
    candidate
        Family and parameters, to fit the same configuration again.
    manifest
        The package's manifest.
    helper
        Extends rows by columns, as it did at the training; ``None``: the model has none.
    """

    encoder: FeatureEncoder
    target: Target
    model: Model
    candidate: Candidate
    manifest: Json
    helper: FeatureHelper | None = None

    @property
    def context_rows(self) -> int:
        """How many earlier rows its features look back on."""
        return 0 if self.helper is None else self.helper.context_rows

    def extended(self, frame: pd.DataFrame, context: pd.DataFrame | None = None) -> pd.DataFrame:
        """Extend rows by the columns of the helper that the model was trained with.

        Raises
        ------
        HelperCodeError
            If the helper fails on them.
        """
        if self.helper is None:
            return frame
        hidden = self.manifest["code"].get("hidden", [self.target.name])
        return self.helper.extended(frame, context=context, hidden=hidden)

    def predict(
        self, frame: pd.DataFrame, *, context: pd.DataFrame | None = None
    ) -> list[str] | list[float]:
        """Predict rows: labels as text, or numbers; ``context`` are the rows before them."""
        return self._named(self._raw(frame, context))

    def probabilities(
        self, frame: pd.DataFrame, *, context: pd.DataFrame | None = None
    ) -> FloatArray:
        """Class probabilities, shape (rows, classes), in the order of the target's labels.

        Raises
        ------
        PackageError
            If the model is a regression.
        """
        if self.target.task is Task.REGRESSION:
            raise PackageError(
                "the model is a regression; it has no class probabilities.",
                remedy="ask for predictions",
            )
        return self._raw(frame, context)

    def losses(self, frame: pd.DataFrame) -> FloatArray:
        """Score labelled rows: losses of shape (rows,), in units of the metric.

        Raises
        ------
        DataError
            If the target's column or a value in it is missing or wrong.
        """
        return self.score(frame)[1]

    def score(
        self,
        frame: pd.DataFrame,
        *,
        metric: Metric | None = None,
        context: pd.DataFrame | None = None,
    ) -> tuple[list[str] | list[float], FloatArray]:
        """Predict and score labelled rows at once.

        Parameters
        ----------
        frame
            Labelled rows.
        metric
            Units of the losses, where they are not the model's own: a model that was made when its
            bot's target was taken for something else is scored by what it predicts.
        context
            Rows before them, for features that look back.

        Raises
        ------
        DataError
            If the target's column or a value in it is missing or wrong.
        """
        raw = self._raw(frame, context)
        predictions = self._named(raw)
        own, wanted = self.target, metric or self.target.metric
        if wanted in METRICS[own.task]:
            return predictions, row_losses(wanted, own.encode(frame), raw)
        truth = target_column(frame, own.name, bot=None)
        if own.task is not Task.REGRESSION:
            return predictions, row_losses(
                wanted, numbers(truth, own.name, bot=None), _as_numbers(predictions, own.name)
            )
        # A quantity stands for the class of the whole number next to it, and is sure of it.
        classes = [value_text(round(float(number))) for number in predictions]
        right = [c == value_text(value) for c, value in zip(classes, truth.tolist(), strict=True)]
        sure = np.column_stack([right, np.logical_not(right)]).astype(np.float64)
        return predictions, row_losses(wanted, np.zeros(len(sure)), sure)

    def _raw(self, frame: pd.DataFrame, context: pd.DataFrame | None) -> FloatArray:
        return self.model.raw(self.encoder.encode(self.extended(frame, context)))

    def _named(self, raw: FloatArray) -> list[str] | list[float]:
        if self.target.task is Task.REGRESSION:
            return cast("list[float]", raw.tolist())
        return [self.target.labels[code] for code in raw.argmax(axis=1)]


def pack(
    *,
    model: Model,
    candidate: Candidate,
    encoder: FeatureEncoder,
    target: Target,
    facts: Json,
) -> dict[str, bytes]:
    """Package a model.

    Parameters
    ----------
    model, candidate, encoder, target
        The model and all that is needed to serve it and to fit it again.
    facts
        What else is known of it, as plain JSON without times: seed, training window, metrics.

    Returns
    -------
    dict
        File name → content; the same for the same model.
    """
    return sealed(
        model.files(),
        {
            **facts,
            "task": target.task.value,
            "metric": target.metric.value,
            "target": target.name,
            "labels": list(target.labels),
            **candidate.to_json(),
            "features": encoder.to_json(),
        },
    )


def sealed(files: Mapping[str, bytes], facts: Json) -> dict[str, bytes]:
    """Add the manifest to a model's files.

    Parameters
    ----------
    files
        File name → content.
    facts
        What is known of the model, as plain JSON without times.

    Raises
    ------
    PackageError
        If one of the files has the manifest's name.
    """
    if MANIFEST_FILE in files:
        raise PackageError(
            f"{MANIFEST_FILE} is the package's own file.", remedy="give the model's another name"
        )
    manifest = {
        **facts,
        "format": FORMAT_VERSION,
        "menace": __version__,
        "libraries": dict(library_versions()),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    text = json.dumps(manifest, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    return {MANIFEST_FILE: text.encode("utf-8"), **files}


@functools.cache
def library_versions() -> dict[str, str]:
    """Versions of the libraries that make and read models."""
    from importlib.metadata import version

    return {name: version(name) for name in ("lightgbm", "numpy", "scikit-learn", "skops")}


def read_manifest(files: Mapping[str, bytes]) -> Json:
    """Read a package's manifest and check the package against it.

    Raises
    ------
    PackageError
        If the manifest is missing, torn, or of a newer format, or if a file is missing, not listed,
        or not the one whose SHA-256 the manifest holds.
    """
    content = files.get(MANIFEST_FILE)
    if content is None:
        raise PackageError(f"the package has no {MANIFEST_FILE}.", remedy=_ANEW)
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise PackageError(f"{MANIFEST_FILE} is torn: {error}.", remedy=_ANEW) from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise PackageError(
            f"the package has format {version!r}; this menace reads up to {FORMAT_VERSION}.",
            remedy="load it with the version of menace that made it, or newer",
        )
    listed = manifest.get("files")
    if not isinstance(listed, dict) or set(listed) != set(files) - {MANIFEST_FILE}:
        raise PackageError("the package's files are not the ones of its manifest.", remedy=_ANEW)
    for name, expected in listed.items():
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise PackageError(f"{name} does not match its SHA-256.", remedy=_ANEW)
    return cast("Json", manifest)


def load_predictor(files: Mapping[str, bytes], helpers: HelperCode | None = None) -> Predictor:
    """Load a package.

    Parameters
    ----------
    files
        File name → content.
    helpers
        Where the bot's feature helpers lie; a model that was trained with one is given that one, as
        it was at the commit of its training.

    Raises
    ------
    HelperCodeError
        If the model was trained with a helper, and there is no repository, or no such commit in it.
    PackageError
        If it is damaged, of a newer format or an unknown family, or holds a type that is not
        trusted.
    """
    manifest = read_manifest(files)
    encoder = FeatureEncoder.from_json(manifest.get("features"))
    target = _target(manifest)
    candidate = _candidate(manifest)
    return Predictor(
        encoder=encoder,
        target=target,
        model=families.load(candidate.family, files, target, encoder.width),
        candidate=candidate,
        manifest=manifest,
        helper=_helper(manifest, helpers),
    )


def _helper(manifest: Mapping[str, Any], helpers: HelperCode | None) -> FeatureHelper | None:
    code = manifest.get("code")
    if code is None:
        return None
    try:
        path, function, commit = str(code["path"]), str(code["function"]), str(code["commit"])
    except (KeyError, TypeError) as error:
        raise PackageError(
            f"{MANIFEST_FILE} does not say which helper the model was trained with: {error}.",
            remedy=_ANEW,
        ) from error
    if helpers is None:
        raise HelperCodeError(
            f"the model was trained with {path} at {commit[:12]}, and no repository is known.",
            remedy="name it under [coding.BOT] in menace.toml, or give the pipeline helpers=…",
        )
    return helpers.elsewhere(path, function).at(commit)


def _as_numbers(labels: list[str] | list[float], name: str) -> FloatArray:
    import pandas as pd

    return numbers(pd.Series(labels), name, bot=None)


_ANEW = "make the model anew: menace cycle BOT; or go back: menace rollback BOT"


def _target(manifest: Mapping[str, Any]) -> Target:
    try:
        target = Target(
            name=str(manifest["target"]),
            task=Task(manifest["task"]),
            metric=Metric(manifest["metric"]),
            labels=tuple(str(label) for label in manifest["labels"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise PackageError(
            f"{MANIFEST_FILE} does not say what is predicted: {error}.", remedy=_ANEW
        ) from error
    if (target.classes >= 2) == (target.task is Task.REGRESSION):
        raise PackageError(f"{MANIFEST_FILE} has labels that do not fit its task.", remedy=_ANEW)
    return target


def _candidate(manifest: Mapping[str, Any]) -> Candidate:
    """Read a candidate, or a member of one."""
    family, params = manifest.get("family"), manifest.get("params")
    numbers = isinstance(params, dict) and all(
        isinstance(value, int | float) for value in params.values()
    )
    needed = families.DEFAULTS.get(str(family), {})
    listed = manifest.get("members", [])
    if not isinstance(params, dict) or not numbers or not set(needed) <= set(params):
        raise PackageError(f"{MANIFEST_FILE} does not hold the model's parameters.", remedy=_ANEW)
    try:
        members = tuple((float(member["weight"]), _candidate(member)) for member in listed)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PackageError(
            f"{MANIFEST_FILE} does not hold the blend's members: {error}.", remedy=_ANEW
        ) from error
    if bool(members) != (family == families.BLEND):
        raise PackageError(f"{MANIFEST_FILE} has members that do not fit its family.", remedy=_ANEW)
    return families.Candidate(str(family), params, members)
