"""What a search may try: bounds, the configurations it begins with, Optuna's names for both.

Bounds are the same for every bot and every cycle, so that trials of earlier cycles mean the same
later. Parameters that make no sense for a bot's data (sets of categories without a category, the
Poisson objective for numbers below 0) are left out of its space.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from menace.model_automation_pipeline.families import BLEND, DEFAULTS, LIGHTGBM, LINEAR, Candidate
from menace.records import Metric, Task

if TYPE_CHECKING:
    from menace.model_automation_pipeline.families import Rows

MAX_ROUNDS = 600
HALVING_PRICE = 0.01
"""See :func:`memory_price`."""

_LOGARITHMIC: dict[str, tuple[float, float]] = {
    "learning_rate": (0.01, 0.3),
    "num_leaves": (4, 255),
    "min_data_in_leaf": (3, 100),
    "lambda_l2": (1e-3, 30.0),
}
_WHOLE = frozenset({"num_leaves", "min_data_in_leaf"})
_SHARES: dict[str, tuple[float, float]] = {
    "feature_fraction": (0.4, 1.0),
    "bagging_fraction": (0.5, 1.0),
}
_STRENGTH = (1e-4, 1e3)
_HALF_LIFE = (0.03, 1.0)
_STEADY: dict[str, float] = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 20,
    "lambda_l2": 1.0,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
}


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The space of one bot's data.

    Attributes
    ----------
    categories
        Whether a column holds codes of categories, which may be split as sets.
    counts
        Whether a number is predicted that is never negative, by its square: it may be Poisson's.
    """

    categories: bool
    counts: bool

    @classmethod
    def of(cls, rows: Rows) -> SearchSpace:
        """Say what makes sense for these rows."""
        squared = rows.target.metric is Metric.SQUARED_ERROR
        regression = rows.target.task is Task.REGRESSION
        counts = regression and squared and float(rows.truth.min()) >= 0.0
        # The boosted mean begins at the logarithm of the mean.
        return cls(bool(rows.category_columns()), counts and float(rows.truth.sum()) > 0.0)

    def portfolio(self) -> list[Candidate]:
        """List configurations that have served well elsewhere and differ from one another."""
        changes: list[dict[str, float]] = [
            {},
            {"half_life": 0.1},
            {"extra_trees": 1, "num_leaves": 63, "min_data_in_leaf": 5, "learning_rate": 0.1},
            {"num_leaves": 8, "learning_rate": 0.1},
            {"half_life": 0.3, "num_leaves": 12},
            {"num_leaves": 96, "learning_rate": 0.04, "feature_fraction": 0.6},
        ]
        if self.categories:
            changes.insert(2, {"categories": 1})
        if self.counts:
            changes.insert(2, {"poisson": 1})
        trees = [Candidate(LIGHTGBM, {**_STEADY, **change}) for change in changes]
        linear = [
            Candidate(LINEAR, DEFAULTS[LINEAR]),
            Candidate(LINEAR, {**DEFAULTS[LINEAR], "half_life": 0.1}),
        ]
        return [self.bounded(one) for one in (trees[0], linear[0], *trees[1:], linear[1])]

    def bounded(self, candidate: Candidate) -> Candidate:
        """Bring a configuration into the space, with all its parameters and no ``rounds``."""
        if candidate.family == BLEND:
            raise ValueError("a blend is no point of the space; its members are")
        known = candidate.params
        params: dict[str, float] = {}
        if candidate.family == LINEAR:
            params["strength"] = _clipped(known["strength"], _STRENGTH)
        else:
            for name, bounds in _LOGARITHMIC.items():
                params[name] = _clipped(known.get(name, bounds[0]), bounds)
                params[name] = round(params[name]) if name in _WHOLE else params[name]
            for name, bounds in _SHARES.items():
                params[name] = _clipped(known.get(name, 1.0), bounds)
            params |= {name: float(bool(known.get(name))) for name in self._switches()}
            params["rounds"] = MAX_ROUNDS
        if "half_life" in known:
            params["half_life"] = _clipped(known["half_life"], _HALF_LIFE)
        return replace(candidate, params=params)

    def suggested(self, trial: Any) -> Candidate:
        """Ask Optuna's trial for a configuration."""
        space = self._distributions()

        def ask(name: str) -> Any:
            return _asked(trial, name, space[name])

        family = ask("family")
        names = ["strength"] if family == LINEAR else [*_LOGARITHMIC, *_SHARES, *self._switches()]
        params = {name: float(ask(_prefixed(family, name))) for name in names}
        if ask(_prefixed(family, "recent")):
            params["half_life"] = float(ask(_prefixed(family, "half_life")))
        return self.bounded(Candidate(family, params))

    def finished(self, candidate: Candidate, value: float) -> Any:
        """Make a finished trial of a configuration that lies within the space."""
        optuna = importlib.import_module("optuna")
        params = {name: value for name, value in candidate.params.items() if name != "rounds"}
        half_life = params.pop("half_life", None)
        named = {"family": candidate.family, _prefixed(candidate.family, "recent"): 0}
        if half_life is not None:
            named[_prefixed(candidate.family, "recent")] = 1
            params["half_life"] = half_life
        for name, number in params.items():
            whole = name in _WHOLE or name in self._switches()
            named[_prefixed(candidate.family, name)] = int(number) if whole else number
        space = self._distributions()
        return optuna.trial.create_trial(
            params=named,
            distributions={name: space[name] for name in named},
            value=value,
        )

    def _switches(self) -> list[str]:
        names = ["extra_trees"]
        if self.categories:
            names.append("categories")
        if self.counts:
            names.append("poisson")
        return names

    def _distributions(self) -> dict[str, Any]:
        kinds = importlib.import_module("optuna.distributions")
        space = {"family": kinds.CategoricalDistribution([LIGHTGBM, LINEAR])}
        for name, (low, high) in _LOGARITHMIC.items():
            whole = name in _WHOLE
            space[_prefixed(LIGHTGBM, name)] = (
                kinds.IntDistribution(int(low), int(high), log=True)
                if whole
                else kinds.FloatDistribution(low, high, log=True)
            )
        for name, (low, high) in _SHARES.items():
            space[_prefixed(LIGHTGBM, name)] = kinds.FloatDistribution(low, high)
        for name in self._switches():
            space[_prefixed(LIGHTGBM, name)] = kinds.CategoricalDistribution([0, 1])
        space[_prefixed(LINEAR, "strength")] = kinds.FloatDistribution(*_STRENGTH, log=True)
        for family in (LIGHTGBM, LINEAR):
            space[_prefixed(family, "recent")] = kinds.CategoricalDistribution([0, 1])
            space[_prefixed(family, "half_life")] = kinds.FloatDistribution(*_HALF_LIFE, log=True)
        return space


def memory_price(candidate: Candidate) -> float:
    """Say by what factor a short memory makes a loss count for more.

    Weighing rows by age must earn ``HALVING_PRICE`` of the loss for each halving of what is
    remembered: a model of the newest rows alone looks good while their regime lasts, and is the one
    that is lost when it ends.

    >>> memory_price(Candidate(LINEAR, {"strength": 1.0}))
    1.0
    >>> round(memory_price(Candidate(LINEAR, {"strength": 1.0, "half_life": 0.125})), 9)
    1.03
    """
    half_life = candidate.params.get("half_life", 1.0)
    return 1.0 + HALVING_PRICE * float(np.log2(1.0 / min(half_life, 1.0)))


def distance(one: Candidate, other: Candidate) -> float:
    """How far two configurations are from each other: 0 for the same, ∞ for other families."""
    if one.family != other.family:
        return float("inf")
    names = (set(one.params) | set(other.params)) - {"rounds"}
    total = 0.0
    for name in names:
        left, right = one.params.get(name, 0.0), other.params.get(name, 0.0)
        if min(left, right) <= 0.0:
            total += float(left != right)
        else:
            total += abs(float(np.log(left / right)))
    return total


def _asked(trial: Any, name: str, distribution: Any) -> Any:
    if hasattr(distribution, "choices"):
        return trial.suggest_categorical(name, distribution.choices)
    suggest = trial.suggest_int if isinstance(distribution.low, int) else trial.suggest_float
    return suggest(name, distribution.low, distribution.high, log=distribution.log)


def _prefixed(family: str, name: str) -> str:
    return f"{family}.{name}"


def _clipped(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
