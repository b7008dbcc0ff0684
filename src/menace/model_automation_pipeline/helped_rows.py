"""A training's rows, extended by the bot's feature helper as it was at a commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from menace.helper_code import hidden_columns
from menace.model_automation_pipeline.windows import thinned

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from menace.model_automation_pipeline.budget import CpuBudget
    from menace.model_automation_pipeline.training import TrainingJob
    from menace.records import Json

CODE = "code"
"""Where a manifest says which helper its model was trained with."""

CALL_SECONDS = 3e-3
VALUE_SECONDS = 2e-7
"""Counted CPU-seconds of one call of a helper, and of each value that it returns. What a user's
function does cannot be counted; generated ones took 0.5 to 2 times as much."""


@dataclass(frozen=True, slots=True)
class HelpedRows:
    """What is learned from.

    Attributes
    ----------
    window, older
        Those of the job, with the helper's columns.
    facts
        What the manifest says of the helper, under ``code``; empty without one.
    """

    window: pd.DataFrame
    older: pd.DataFrame | None
    facts: Json

    @classmethod
    def of(cls, job: TrainingJob, budget: CpuBudget) -> Self:
        """Extend a job's rows; without a helper they are as they were.

        Raises
        ------
        HelperCodeError
            If the helper is missing at its commit, fails, or looks at other rows than it may.
        """
        if job.helpers is None or job.commit is None:
            return cls(job.window, job.older, {})
        import pandas as pd

        code, helper = job.helpers, job.helpers.at(job.commit)
        hidden, rows = hidden_columns(job.bot), job.window
        if job.older is not None:
            rows = pd.concat([job.older, job.window], ignore_index=True)
        made = helper(rows, context=job.context, hidden=hidden)
        helper.check_context(rows, made, hidden=hidden)
        budget.add(2 * CALL_SECONDS + made.size * VALUE_SECONDS)
        kept = rows[[name for name in rows.columns if name not in made.columns]]
        extended = pd.concat([kept, made], axis="columns")
        older = None
        if job.older is not None:
            older = extended.iloc[: len(job.older)]
            older = older if job.thin_to is None else thinned(older, job.thin_to)
        facts = {
            "path": code.path,
            "function": code.function,
            "commit": job.commit,
            "sha256": helper.sha256,
            "columns": [str(name) for name in made.columns],
            "hidden": sorted(hidden),
        }
        window = extended.iloc[len(rows) - len(job.window) :].reset_index(drop=True)
        return cls(window, older, {CODE: facts})


def same_code(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two manifests name the same helper text, at whatever commit; or none at all."""
    texts = [manifest.get(CODE) or {} for manifest in (one, other)]
    return bool(texts[0].get("sha256") == texts[1].get("sha256"))
