"""Puts the gates together for one attempt, in order, the cheap ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.self_coding_engine.gates import (
    AllowedFilesGate,
    Candidate,
    ConstructGate,
    DifferentialGate,
    HiddenTestGate,
    ImportGate,
    MutationScoreGate,
    ParseGate,
    QualityGate,
    SpeedGate,
    TestGate,
    run_gates,
)
from menace.self_coding_engine.proposal import TestReport

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import Any

    from menace.patches import GateReport
    from menace.self_coding_engine.attempt import Judge
    from menace.self_coding_engine.gates import Gate
    from menace.self_coding_engine.proposal import CodingTask, Proposal
    from menace.self_coding_engine.sandbox import Sandbox
    from menace.self_coding_engine.settings import CodingSettings
    from menace.self_coding_engine.workbench import SandboxWorkbench


def make_judge(
    sandbox: Sandbox | None,
    workbench: SandboxWorkbench,
    settings: CodingSettings,
    *,
    known_scores: MutableMapping[str, Any],
    told: Callable[[str], None],
) -> Judge:
    """Make the gates of an attempt, and the function that asks them.

    Parameters
    ----------
    sandbox
        Without one only the gates that run nothing are asked.
    workbench
        Runs tests, measures and features; holds the budget.
    known_scores
        Mutation scores of earlier attempts; new ones are added.
    told
        Is told which gate is asked.
    """
    gates = _gates(sandbox, workbench, settings, known_scores)

    def judge(task: CodingTask, proposal: Proposal) -> tuple[GateReport, ...]:
        told(f"{task.target}: {proposal.explanation}")
        return run_gates(gates, Candidate(task, proposal))

    return judge


def _gates(
    sandbox: Sandbox | None,
    workbench: SandboxWorkbench,
    settings: CodingSettings,
    known_scores: MutableMapping[str, Any],
) -> list[Gate]:
    from menace.self_coding_engine.repair import mutants

    cheap: list[Gate] = [
        ParseGate(),
        AllowedFilesGate(
            settings.targets, tests=settings.tests, hidden_tests=settings.hidden_tests
        ),
        ImportGate(settings.targets, allow=settings.allow_imports),
        ConstructGate(),
    ]
    if sandbox is None:
        return cheap
    tests = TestGate(workbench.run_tests)
    inputs = DifferentialGate(sandbox, tests=settings.tests, outcomes=tests)
    hidden: list[Gate] = (
        [] if settings.hidden_tests is None else [HiddenTestGate(workbench.run_hidden_tests)]
    )

    asked: list[str] = []

    def passing(text: str) -> frozenset[str]:
        steady = tests.steady(text)
        asked[:] = [] if steady is None else sorted(steady.passed)
        return frozenset(asked)

    def first_failure(text: str) -> TestReport | None:
        names = list(asked)
        if not names:  # what fails already notices nothing
            return TestReport((), complete=True)
        return workbench.run_tests(text, only=names, stop_at_first=True)

    return [
        *cheap,
        tests,
        *hidden,
        inputs,
        SpeedGate(sandbox, inputs=inputs, seconds=workbench.seconds_in_all),
        QualityGate(
            workbench.compare_quality,
            figure="loss" if settings.measure is None else "measure",
        ),
        MutationScoreGate(
            mutants,
            first_failure,
            passing=passing,
            least=settings.least_mutation_score,
            known=known_scores,
            seconds_left=workbench.seconds_in_all,
        ),
    ]
