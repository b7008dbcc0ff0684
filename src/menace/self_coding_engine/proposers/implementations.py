"""Chooses among implementations that the user has marked as alternatives.

The mark is plain Python and one comment; nothing is imported::

    def total_loop(rows): ...
    def total_numpy(rows): ...

    total = total_loop  # one of: total_loop, total_numpy

Who calls ``total`` gets the first. A proposal changes the name on that line, and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.patches import Claim
from menace.self_coding_engine.measuring.figures import compare_figures
from menace.self_coding_engine.measuring.task_figure import successive_halving, task_figure
from menace.self_coding_engine.proposal import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from menace.self_coding_engine.measuring.task_figure import TaskFigure
    from menace.self_coding_engine.proposal import CodingTask, Workbench

NAME = "implementations"

_MARK = re.compile(
    r"^(?P<before>(?P<name>\w+)(?:\s*:[^=]+)?\s*=\s*)(?P<chosen>\w+)"
    r"(?P<after>\s*#\s*one of:\s*(?P<all>\w+(?:\s*,\s*\w+)+)\s*)$"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A line that names one of several implementations.

    Attributes
    ----------
    line
        Counted from 1.
    name
        What callers use.
    chosen
        The implementation that it stands for now.
    others
        The alternatives that the file defines.
    """

    line: int
    name: str
    chosen: str
    others: tuple[str, ...]

    def with_other(self, source: str, other: str) -> str:
        """Text with another implementation chosen."""
        lines = source.splitlines(keepends=True)
        text = lines[self.line - 1].rstrip("\r\n")
        end = lines[self.line - 1][len(text) :]
        lines[self.line - 1] = _MARK.sub(rf"\g<before>{other}\g<after>", text) + end
        return "".join(lines)


def choices(source: str) -> list[Choice]:
    r"""Find the marked lines of a text; alternatives that the file does not define are left out.

    Examples
    --------
    >>> text = "def a(): ...\ndef b(): ...\nf = a  # one of: a, b\n"
    >>> choices(text)
    [Choice(line=3, name='f', chosen='a', others=('b',))]
    """
    found = []
    for number, line in enumerate(source.splitlines(), start=1):
        match = _MARK.match(line)
        if match is None:
            continue
        names = [name.strip() for name in match["all"].split(",")]
        others = tuple(
            name
            for name in dict.fromkeys(names)
            if name != match["chosen"]
            and re.search(rf"^(?:async def|def|class) {name}\b|^{name}\s*=", source, re.MULTILINE)
        )
        if others:
            found.append(Choice(number, match["name"], match["chosen"], others))
    return found


class ImplementationProposer:
    """Proposes another of the marked implementations, where it does better.

    With a measure or a bot, the alternatives are compared by that figure; else by the time of the
    tests, and the speed gate says whether it is true.
    """

    name = NAME

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield, per marked line, the alternative that came first, if it beats the present one."""
        marked = choices(task.source)
        if not marked or (task.report is not None and not task.report.passed):
            return
        figure = task_figure(workbench, task.source)
        if figure is None:
            return
        for choice in marked:
            proposal = self._choose(task, workbench, choice, figure)
            if proposal is not None:
                yield proposal

    def _choose(
        self, task: CodingTask, workbench: Workbench, choice: Choice, figure: TaskFigure
    ) -> Proposal | None:
        texts = [task.source]
        names = [choice.chosen]
        for other in choice.others:
            text = choice.with_other(task.source, other)
            report = workbench.run_tests(text)
            if report is None or report.passed:
                texts.append(text)
                names.append(other)
        place = successive_halving(texts, figure.measure)
        if not place:
            return None
        gain = f"by {figure.name}"
        if figure.claim is Claim.IMPROVES:
            compared = compare_figures(figure.measure, task.source, texts[place], seed=task.seed)
            if not compared.faster:
                return None
            gain = f"{figure.name} {compared.before_seconds:.4g} → {compared.after_seconds:.4g}"
        return Proposal(
            proposer=self.name,
            operator="choose_implementation",
            claim=figure.claim,
            target=task.target,
            source=texts[place],
            explanation=f"{choice.name} is {names[place]} instead of {choice.chosen}, {gain}",
            parameters={"name": choice.name, "old": choice.chosen, "new": names[place]},
            prior=0.8,
        )
