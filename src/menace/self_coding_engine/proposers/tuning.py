"""Tunes constants of a file by what is measured, and proposes new values for them.

Candidates come from Optuna's tree-structured Parzen estimator [1]_. What came first is measured
against the present text in interleaved blocks; a gain that does not clear the noise is no proposal.

References
----------
.. [1] Bergstra et al., Algorithms for hyper-parameter optimization, NeurIPS 2011, sec. 4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from menace.self_coding_engine.measuring.figures import compare_figures
from menace.self_coding_engine.measuring.task_figure import task_figure
from menace.self_coding_engine.proposal import Proposal
from menace.self_coding_engine.proposers.tuning_literals import (
    DIGITS,
    Tunable,
    literal,
    tunables,
    with_values,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import optuna

    from menace.self_coding_engine.measuring.paired import SpeedComparison
    from menace.self_coding_engine.measuring.task_figure import TaskFigure
    from menace.self_coding_engine.proposal import CodingTask, Workbench

NAME = "tuning"
MOST_TRIALS = 80
CONFIRM_SHARE = 0.4
"""Of the turn's CPU-seconds, what is kept to measure the best text against the present one."""


class TuningProposer:
    """Proposes other values for marked or found constants; needs a measure or a bot's rows."""

    name = NAME

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield the best values, if they beat the present ones beyond the noise."""
        try:
            constants = tunables(task.source)
        except SyntaxError:
            return
        if not constants or (task.report is not None and not task.report.passed):
            return
        figure = task_figure(workbench, task.source, timed=False)
        if figure is None:
            return
        values = _search(task, workbench, constants, figure)
        values = _without_idle(task, values, figure)
        if not values:
            return
        text = with_values(task.source, values)
        compared = compare_figures(figure.measure, task.source, text, seed=task.seed)
        if compared.faster:
            yield self._proposal(task, values, text, figure, compared)

    def _proposal(
        self,
        task: CodingTask,
        values: Mapping[Tunable, Any],
        text: str,
        figure: TaskFigure,
        compared: SpeedComparison,
    ) -> Proposal:
        changes = ", ".join(
            f"{t.name} {literal(t.value)} → {literal(value)}" for t, value in values.items()
        )
        gain = f"{compared.before_seconds:.4g} → {compared.after_seconds:.4g}"
        marked = any(constant.marked for constant in values)
        return Proposal(
            proposer=self.name,
            operator="marked_constants" if marked else "found_constants",
            claim=figure.claim,
            target=task.target,
            source=text,
            explanation=f"{changes}: {figure.name} {gain}",
            parameters={t.name: {"old": t.value, "new": value} for t, value in values.items()},
            prior=0.7 if marked else 0.5,
        )


def _search(
    task: CodingTask,
    workbench: Workbench,
    constants: Sequence[Tunable],
    figure: TaskFigure,
) -> dict[Tunable, Any]:
    """Best values whose tests pass, where they differ from the present ones; empty: none."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=task.seed, n_startup_trials=8, multivariate=True)
    )
    study.enqueue_trial({t.key: t.value for t in constants}, skip_if_exists=True)
    best, chosen = figure.present, dict[Tunable, Any]()
    reserve = workbench.seconds_left() * CONFIRM_SHARE
    known: dict[str, float] = {task.source: figure.present}
    for _ in range(MOST_TRIALS):
        if workbench.seconds_left() <= reserve:
            break
        trial = study.ask()
        values = {t: _suggest(trial, t) for t in constants}
        text = with_values(task.source, values)
        if text not in known:
            found = figure.measure(text)
            if found is None:
                break
            if found < best and not _passes(workbench, text):
                found = math.inf
            known[text] = found
        if known[text] < best:
            best = known[text]
            chosen = {t: value for t, value in values.items() if value != t.value}
        worst = max((v for v in known.values() if math.isfinite(v)), default=0.0)
        study.tell(trial, min(known[text], 10 * abs(worst) + 1.0))
    return chosen


def _passes(workbench: Workbench, text: str) -> bool:
    report = workbench.run_tests(text)
    return report is None or report.passed


def _suggest(trial: optuna.Trial, constant: Tunable) -> Any:
    if constant.options:
        return trial.suggest_categorical(constant.key, constant.options)
    if constant.whole:
        low, high = math.ceil(constant.low), math.floor(constant.high)
        return trial.suggest_int(constant.key, low, high, log=constant.log and low > 0)
    value = trial.suggest_float(
        constant.key, constant.low, constant.high, log=constant.log and constant.low > 0
    )
    return value if value == constant.value else float(f"{value:.{DIGITS}g}")


def _without_idle(
    task: CodingTask, values: dict[Tunable, Any], figure: TaskFigure
) -> dict[Tunable, Any]:
    """Leave the constants as they are that the gain does not need."""
    if len(values) < 2:
        return values
    best = figure.measure(with_values(task.source, values))
    for constant in list(values):
        fewer = {t: value for t, value in values.items() if t is not constant}
        found = figure.measure(with_values(task.source, fewer)) if fewer else None
        if best is not None and found is not None and found <= best:
            values = fewer
    return values
