"""Fits a configuration, or all members of a blend, within CPU-seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from menace.model_automation_pipeline.blend_model import BlendModel
from menace.model_automation_pipeline.families import (
    LIGHTGBM,
    Candidate,
    Model,
    Rows,
    blended,
    fit,
    fit_seconds,
)
from menace.model_automation_pipeline.lightgbm_model import LightGBMModel

if TYPE_CHECKING:
    from menace.model_automation_pipeline.budget import CpuBudget

MOST_RATE = 0.3
"""Learning rate up to which rounds are traded for it where time is short."""


def fit_within(
    candidate: Candidate, rows: Rows, *, seed: int, budget: CpuBudget, limit_seconds: float
) -> tuple[Model, Candidate]:
    """Fit a configuration until the budget's clock shows ``limit_seconds``.

    Each member of a blend gets what is left in proportion to what it is expected to take. A fit
    that would overspend ends with fewer rounds.

    Returns
    -------
    model
        Fitted on all rows.
    candidate
        What was fitted: with the rounds that were made.
    """
    fitted: list[tuple[float, Candidate]] = []
    members: list[tuple[str, float, Model]] = []
    expected = [fit_seconds(part, rows) for _, part in candidate.parts()]
    for number, (weight, part) in enumerate(candidate.parts()):
        share = expected[number] / sum(expected[number:])
        limit = budget.used_seconds + share * max(limit_seconds - budget.used_seconds, 0.0)
        model = fit(
            part, rows, seed=seed, budget=budget, after_round=_Deadline(budget, limit).has_passed
        )
        members.append((part.family, weight, model))
        fitted.append((weight, _with_rounds_of(model, part)))
    if not candidate.members:
        return members[0][2], fitted[0][1]
    return BlendModel(tuple(members)), replace(candidate, members=tuple(fitted))


def made_affordable(candidate: Candidate, rows: Rows, seconds: float) -> Candidate:
    """Change a configuration so that a fit is expected to take no more than ``seconds``.

    First the lightest members of a blend are left out. Where one configuration alone is too dear,
    fewer rounds learn faster: the product of rounds and learning rate stays, up to a rate of
    ``MOST_RATE``.
    """
    parts = sorted(candidate.parts(), key=lambda part: -part[0])
    while len(parts) > 1 and sum(fit_seconds(part, rows) for _, part in parts) > seconds:
        parts.pop()
    if len(parts) > 1:
        return candidate if len(parts) == len(candidate.members) else blended(parts)
    only = parts[0][1]
    expected = fit_seconds(only, rows)
    rate = only.params.get("learning_rate", MOST_RATE)
    if only.family != LIGHTGBM or expected <= seconds or rate >= MOST_RATE:
        return only
    faster = min(MOST_RATE, rate * expected / max(seconds, 1e-9))
    rounds = max(1, round(only.params["rounds"] * rate / faster))
    return replace(only, params={**only.params, "learning_rate": faster, "rounds": rounds})


class _Deadline:
    def __init__(self, budget: CpuBudget, limit_seconds: float) -> None:
        self._budget, self._limit_seconds = budget, limit_seconds

    def has_passed(self, _done: int, _loss: float) -> bool:
        return self._budget.used_seconds >= self._limit_seconds


def _with_rounds_of(model: Model, candidate: Candidate) -> Candidate:
    if not isinstance(model, LightGBMModel):
        return candidate
    return replace(candidate, params={**candidate.params, "rounds": model.rounds})
