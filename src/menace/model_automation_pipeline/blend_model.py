"""The family of blends: a weighted average of a few models of other families.

Average of class probabilities, or of numbers::

    raw(x) = Σ weight_i · raw_i(x),        Σ weight_i = 1
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from menace.errors import PackageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    FloatMatrix = npt.NDArray[np.float32]
    FloatArray = npt.NDArray[np.float64]

BLEND_FILE = "blend.json"
MOST_MEMBERS = 8
"""Members that a package may have; a search makes fewer."""


NEARLY = 1.1
"""Models whose losses are no farther apart than this factor count as equally good."""


class Member(Protocol):
    """A model of another family."""

    def raw(self, matrix: FloatMatrix) -> FloatArray:
        """Class probabilities, shape (rows, classes), or numbers, shape (rows,)."""
        ...

    def files(self) -> dict[str, bytes]:
        """Write the model as files of a package."""
        ...


@dataclass(frozen=True, slots=True)
class BlendModel:
    """Fitted models and their weights.

    Attributes
    ----------
    members
        For each its family, its weight (> 0, of sum 1) and the model.
    """

    members: tuple[tuple[str, float, Member], ...]

    def raw(self, matrix: FloatMatrix) -> FloatArray:
        """Class probabilities, shape (rows, classes), or numbers, shape (rows,)."""
        return np.asarray(sum(weight * model.raw(matrix) for _, weight, model in self.members))

    def files(self) -> dict[str, bytes]:
        """Write who takes part, and every member's files under its number."""
        listed = [{"family": family, "weight": weight} for family, weight, _ in self.members]
        files = {BLEND_FILE: json.dumps(listed, sort_keys=True).encode("utf-8")}
        for number, (_, _, model) in enumerate(self.members):
            for name, content in model.files().items():
                files[_member_file(number, name)] = content
        return files


def load_blend(
    files: Mapping[str, bytes], load_member: Callable[[str, Mapping[str, bytes]], Member]
) -> BlendModel:
    """Read what :meth:`BlendModel.files` wrote.

    Parameters
    ----------
    files
        Of the package.
    load_member
        Loads a model of a family from the files that it wrote itself.

    Raises
    ------
    PackageError
        If ``blend.json`` is not what it must be, or a member cannot be loaded.
    """
    try:
        listed = [
            (str(one["family"]), float(one["weight"])) for one in json.loads(files[BLEND_FILE])
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise PackageError(f"{BLEND_FILE} cannot be read: {error}.") from error
    weights = np.array([weight for _, weight in listed])
    if not 0 < len(listed) <= MOST_MEMBERS or not (weights > 0).all() or not _is_one(weights.sum()):
        raise PackageError(f"{BLEND_FILE} does not hold weights of sum 1.")
    members = []
    for number, (family, weight) in enumerate(listed):
        prefix = _member_file(number, "")
        own = {name[len(prefix) :]: data for name, data in files.items() if name.startswith(prefix)}
        members.append((family, weight, load_member(family, own)))
    return BlendModel(tuple(members))


def blend_weights(
    raws: Sequence[FloatArray],
    loss: Callable[[FloatArray], float],
    *,
    most: int,
    begin: int = 1,
    steps: int = 20,
) -> dict[int, float]:
    """Choose weights by forward selection with replacement on predictions of unseen rows.

    The best ``begin`` are taken first; then, step by step, the one whose addition to the average
    lowers the loss most (again and again the same, if it does), until none does. (Caruana,
    Niculescu-Mizil, Crew and Ksikes, ICML 2004, without bagging.)

    Parameters
    ----------
    raws
        What each model says of the same rows.
    loss
        Mean loss of such predictions.
    most
        Different models taken at most, ≥ 1.
    begin
        So many are averaged whatever that does to the loss, if they are nearly (``NEARLY``) as good
        as the best: of these the best is only the luckiest.
    steps
        Additions at most.

    Returns
    -------
    dict
        Position → weight > 0, of sum 1.

    Examples
    --------
    Two models that err in opposite directions are averaged; the third, worse than both, is left
    out.

    >>> truth = np.array([1.0, 2.0])
    >>> blend_weights(
    ...     [truth + 0.5, truth - 0.5, truth + 9.0],
    ...     lambda raw: float(np.square(raw - truth).mean()),
    ...     most=3,
    ... )
    {0: 0.5, 1: 0.5}
    """
    alone = [loss(raw) for raw in raws]
    first = [int(at) for at in np.argsort(alone, kind="stable")[: min(begin, most)]]
    counts = {at: 1 for at in first if alone[at] <= NEARLY * alone[first[0]]}
    total = np.asarray(sum(raws[position] for position in counts), dtype=np.float64)
    best = loss(total / len(counts))
    for step in range(len(counts) + 1, steps + 1):
        allowed = range(len(raws)) if len(counts) < most else list(counts)
        losses = {position: loss((total + raws[position]) / step) for position in allowed}
        chosen = min(losses, key=lambda position: losses[position])
        if losses[chosen] >= best:
            break
        best = losses[chosen]
        total = total + raws[chosen]
        counts[chosen] = counts.get(chosen, 0) + 1
    taken = sum(counts.values())
    return {position: count / taken for position, count in sorted(counts.items())}


def _member_file(number: int, name: str) -> str:
    return f"member-{number}.{name}"


def _is_one(total: float) -> bool:
    return abs(total - 1.0) < 1e-9
