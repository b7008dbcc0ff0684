"""The policies of ``retrainopt`` (Yang and Mathioudakis, ECML PKDD 2026), fed what had been seen.

Its planner finds the optimal schedule of the calibration part; *Base* repeats the plan's mean
interval, *Learned* is a random forest that imitates the plan's choices from staleness, accumulated
staleness and elapsed time. Both are the package's own classes. Its stock controller measures
staleness on the block that it decides about, before it decides; nobody can do that, so here the
losses are lagged by one batch: a model's staleness is its error on the newest batch that has
passed, above its error on the first one that it served. What Learned is fitted on is the package's
own: lagging that, too, made it worse (1.277 for 1.216 on the public streams).
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from benchmarks.decision.error_table import FIRST_MODEL
from menace.errors import MissingDependencyError

if TYPE_CHECKING:
    from benchmarks.decision.error_table import ErrorTable
    from benchmarks.decision.replay import Past, Policy

PACKAGE = "retrainopt"


def require_retrainopt() -> None:
    """Fail early if the package is not there.

    Raises
    ------
    MissingDependencyError
        With the line that installs it.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise MissingDependencyError(
            "the peer package retrainopt is not installed.",
            remedy="./scripts/setup bench, or: pip install 'menace[bench]'",
        )


class RetrainOptPolicy:
    """Asks a policy of the package."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self._accumulated = 0.0

    def wants_cycle(self, past: Past) -> bool:
        """See :class:`~benchmarks.decision.replay.Policy`."""
        if past.age == 1:
            self._accumulated = 0.0
        reference = past.error(past.model, past.model + 1)
        staleness = past.error(past.model, past.now) - reference
        self._accumulated += staleness
        state = _package().OnlineState(past.now, staleness, self._accumulated, past.age)
        return _retrains(self._policy.decide(state, train_size=1))


def retrainopt_base(past: Past, cost: float, _seed: int) -> Policy:
    """Repeat the mean interval of the calibration part's optimal plan."""
    package, table = _package(), past.calibration()
    plan = package.RetrainingPlanner(
        _timeline(table),
        _TableModels(table),
        package.PlannerConfig(n_choices=(1.0,)),
        training_cost_fn=lambda **_: cost,
    ).plan("exact")
    return RetrainOptPolicy(package.BaseOnlinePolicy.from_plan(plan))


def retrainopt_learned(past: Past, cost: float, seed: int) -> Policy:
    """Imitate the calibration part's optimal plan with a random forest."""
    package, timeline = _package(), _timeline(past.calibration())
    history = package.collect_online_training_data(
        timeline,
        _TableModels(past.calibration()),
        package.PlannerConfig(n_choices=(1.0,)),
        history_steps=timeline.num_steps,
        training_cost_fn=lambda **_: cost,
    )
    # The package's own default seed, so that seed 0 is what its user gets.
    policy = package.LearnedOnlinePolicy(random_seed=42 + seed)
    return RetrainOptPolicy(policy.fit(history.states, history.decisions))


class _TableModels:
    """The table in the package's terms: a model is its number, its loss is looked up."""

    def __init__(self, table: ErrorTable) -> None:
        self._errors = table.errors

    def fit(self, train_data: list[int], **_: object) -> int:
        return train_data[0]

    def evaluate(self, model: int, eval_data: list[int], **_: object) -> float:
        return float(self._errors[model, eval_data[0]])


def _timeline(table: ErrorTable) -> Any:
    """Put a table in the package's terms: step *s* trains model ``FIRST_MODEL + s``.

    What it calls the evaluation block of that step is the next batch, the first that the model can
    serve.
    """
    models = range(FIRST_MODEL, table.batches - 1)
    return importlib.import_module(f"{PACKAGE}.adapters").ArrayTimelineAdapter(
        train_blocks=[[model] for model in models], eval_blocks=[[model + 1] for model in models]
    )


def _retrains(decision: Any) -> bool:
    return bool(decision.action == _package().DecisionAction.RETRAIN)


def _package() -> Any:
    require_retrainopt()
    return importlib.import_module(PACKAGE)
