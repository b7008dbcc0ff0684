"""Genetic improvement: a population of edit lists, judged by the tests and then by a figure.

Opt-in. Fitness is lexicographic: failing tests first, then the task's figure (the user's measure,
the model's loss, or the CPU time of the tests). The best list is cut down to the edits that matter
by delta debugging before it is proposed.

References
----------
Langdon, Harman, Optimizing existing software with genetic programming, IEEE TEVC 19(1), 2015.
Petke et al., Genetic improvement of software: a comprehensive survey, IEEE TEVC 22(3), 2018.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from menace.patches import Claim
from menace.self_coding_engine.measuring.task_figure import task_figure
from menace.self_coding_engine.proposal import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from menace.self_coding_engine.measuring.task_figure import TaskFigure
    from menace.self_coding_engine.proposal import CodingTask, Workbench
    from menace.self_coding_engine.proposers.genetic_edits import Edit, EditableText

NAME = "genetic"


@dataclass(frozen=True, slots=True)
class GeneticSettings:
    """How much is tried.

    Attributes
    ----------
    population, generations
        Lists at a time, and rounds.
    longest
        Edits in a list at most.
    tournament
        Lists of which the best becomes a parent.
    crossover
        Share of children with two parents.
    least_gain
        Relative gain in the figure below which there is nothing to propose.
    """

    population: int = 16
    generations: int = 12
    longest: int = 8
    tournament: int = 3
    crossover: float = 0.4
    least_gain: float = 0.03


Fitness = tuple[float, float]
"""Failing tests, and the figure; smaller is better."""


@dataclass(slots=True)
class _Search:
    text: EditableText
    workbench: Workbench
    figure: TaskFigure | None
    rng: np.random.Generator
    settings: GeneticSettings
    known: dict[str, Fitness] = field(default_factory=dict)

    def fitness(self, edits: Sequence[Edit]) -> Fitness | None:
        """Judge a list; ``None`` when the budget is used up."""
        source = self.text.apply(edits)
        if source in self.known:
            return self.known[source]
        if self.workbench.seconds_left() <= 0:
            return None
        found = self._judged(source)
        if found is not None:
            self.known[source] = found
        return found

    def _judged(self, source: str) -> Fitness | None:
        try:
            ast.parse(source)
        except SyntaxError:
            return math.inf, math.inf
        report = self.workbench.run_tests(source)
        if report is None:
            return None
        if not report.complete or not report.cases:
            return math.inf, math.inf
        if report.failing:
            return float(len(report.failing)), math.inf
        if self.figure is None:
            return 0.0, 0.0
        if self.figure.claim is Claim.SPEEDS:
            return 0.0, report.cpu_seconds
        figure = self.figure.measure(source)
        return None if figure is None else (0.0, figure)

    def run(self) -> tuple[list[Edit], Fitness]:
        """Search until generations or budget are used up; give the best list."""
        settings = self.settings
        start = self.fitness([])
        if start is None:
            return [], (math.inf, math.inf)
        population: list[tuple[list[Edit], Fitness]] = [([], start)]
        for _ in range(settings.generations):
            children = []
            for _ in range(settings.population):
                child = self._child(population)
                fitness = self.fitness(child)
                if fitness is None:
                    return min(population, key=_order)
                children.append((child, fitness))
            population = sorted([*population, *children], key=_order)[: settings.population]
            if self.figure is None and population[0][1][0] == 0:
                break
        return population[0]

    def _child(self, population: Sequence[tuple[list[Edit], Fitness]]) -> list[Edit]:
        rng, settings = self.rng, self.settings
        edits = list(self._parent(population))
        if rng.random() < settings.crossover:
            other = self._parent(population)
            edits = edits[: int(rng.integers(len(edits) + 1))]
            edits += other[int(rng.integers(len(other) + 1)) :]
        if edits and rng.random() < 0.3:
            del edits[int(rng.integers(len(edits)))]
        else:
            edits.append(self.text.random_edit(rng))
        return edits[: settings.longest]

    def _parent(self, population: Sequence[tuple[list[Edit], Fitness]]) -> list[Edit]:
        places = self.rng.integers(len(population), size=self.settings.tournament)
        best = min((population[int(place)] for place in places), key=_order)
        return best[0]


def _order(scored: tuple[list[Edit], Fitness]) -> tuple[Fitness, int]:
    return scored[1], len(scored[0])


class GeneticProposer:
    """Proposes the best edit list of a seeded search, cut down to what matters."""

    name = NAME

    def __init__(self, settings: GeneticSettings | None = None) -> None:
        self._settings = settings or GeneticSettings()

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield one proposal at most; nothing without tests."""
        import numpy as np

        from menace.self_coding_engine.proposers.genetic_edits import EditableText, minimal

        if task.report is None or not task.report.cases:
            return
        repairs = not task.report.passed
        figure = None if repairs else task_figure(workbench, task.source)
        if not repairs and figure is None:
            return
        try:
            text = EditableText(task.source)
        except SyntaxError:
            return
        if not text.size:
            return
        rng = np.random.default_rng(task.seed)
        search = _Search(text, workbench, figure, rng, self._settings)
        edits, fitness = search.run()
        goal = self._goal(search, figure)
        if not edits or not fitness <= goal:
            return

        def holds(fewer: Sequence[Edit]) -> bool:
            found = search.fitness(fewer)
            return found is not None and found <= (0.0, max(goal[1], 1.02 * fitness[1]))

        kept = minimal(edits, holds)
        yield Proposal(
            proposer=self.name,
            operator="edit_list",
            claim=Claim.REPAIRS if figure is None else figure.claim,
            target=task.target,
            source=text.apply(kept),
            explanation=text.describe(kept),
            parameters={"edits": [[edit.kind, edit.place, edit.other] for edit in kept]},
            prior=0.3,
        )

    def _goal(self, search: _Search, figure: TaskFigure | None) -> Fitness:
        """Say the worst fitness that is worth a proposal."""
        if figure is None:
            return 0.0, 0.0
        present = search.fitness([])
        if present is None:
            return -1.0, 0.0
        return 0.0, present[1] - self._settings.least_gain * abs(present[1])
