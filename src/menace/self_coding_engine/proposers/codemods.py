"""Speed rules: each knows one habit that makes code slow, and writes it otherwise.

A rule changes one place per proposal, so that each is measured by itself; what is kept is the text
that the next attempt starts from, so that several rules come together one by one. The table of the
rules, with what each one relies on, is in ``docs/speed-and-tuning.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.patches import Claim
from menace.self_coding_engine.proposal import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from menace.self_coding_engine.proposal import CodingTask, Workbench
    from menace.self_coding_engine.proposers.codemods_tree import Change, Tree

    Rule = Callable[[Tree], Iterator[Change]]

NAME = "codemods"


@dataclass(frozen=True, slots=True)
class CodemodRule:
    """One rule.

    Attributes
    ----------
    name
        The operator under which its proposals are known.
    find
        Gives its changes to a file.
    prior
        How likely a change of it is to be kept, 0..1: those that change the order of growth come
        first.
    """

    name: str
    find: Rule
    prior: float


def rules() -> tuple[CodemodRule, ...]:
    """All rules, the most promising first."""
    from menace.self_coding_engine.proposers import (
        codemods_columns,
        codemods_growth,
        codemods_joins,
        codemods_loops,
        codemods_memory,
        codemods_rows,
        codemods_running,
    )

    found = (
        CodemodRule("vector_loop", codemods_columns.vector_loop, 0.9),
        CodemodRule("vector_apply", codemods_columns.vector_apply, 0.9),
        CodemodRule("index_join", codemods_joins.index_join, 0.85),
        CodemodRule("growing_membership", codemods_loops.growing_membership, 0.85),
        CodemodRule("membership", codemods_loops.membership, 0.8),
        CodemodRule("running_sums", codemods_running.running_sums, 0.8),
        CodemodRule("running_extremes", codemods_running.running_extremes, 0.8),
        CodemodRule("counter", codemods_loops.counter, 0.8),
        CodemodRule("positions", codemods_loops.positions, 0.75),
        CodemodRule("zip_columns", codemods_rows.zip_columns, 0.75),
        CodemodRule("collect_parts", codemods_growth.collect_parts, 0.75),
        CodemodRule("extend_list", codemods_growth.extend_list, 0.7),
        CodemodRule("needless_copy", codemods_growth.needless_copy, 0.7),
        CodemodRule("column_lists", codemods_rows.column_lists, 0.7),
        CodemodRule("row_records", codemods_rows.row_records, 0.65),
        CodemodRule("group_rows", codemods_joins.group_rows, 0.65),
        CodemodRule("hoist", codemods_loops.hoist, 0.6),
        CodemodRule("memo_parsing", codemods_memory.memo_parsing, 0.6),
        CodemodRule("memo_function", codemods_memory.memo_function, 0.5),
        CodemodRule("queue", codemods_growth.queue, 0.5),
        CodemodRule("flatten_once", codemods_growth.flatten_once, 0.5),
        CodemodRule("ends_of_sorted", codemods_running.ends_of_sorted, 0.4),
        CodemodRule("join_text", codemods_growth.join_text, 0.3),
        CodemodRule("no_list_to_fold", codemods_running.no_list_to_fold, 0.2),
    )
    return tuple(sorted(found, key=lambda rule: -rule.prior))


def changes(source: str) -> Iterator[tuple[CodemodRule, Change]]:
    """Every change of every rule to a text, each for itself, the most promising rule first.

    A text that does not parse has none; one that a rule spoilt is left out.
    """
    import ast

    import libcst as cst

    from menace.self_coding_engine.proposers.codemods_tree import Tree

    try:
        tree = Tree(source)
    except cst.ParserSyntaxError:
        return
    seen = {source}
    for rule in rules():
        try:
            for change in rule.find(tree):
                if change.source in seen:
                    continue
                seen.add(change.source)
                ast.parse(change.source)
                yield rule, change
        except (SyntaxError, cst.ParserSyntaxError, cst.CSTValidationError):
            # A way of writing that the rule does not know: it has no more to say here.
            continue


class CodemodProposer:
    """Proposes the changes of the speed rules, one at a time, where the tests pass with them."""

    name = NAME

    def propose(self, task: CodingTask, workbench: Workbench) -> Iterator[Proposal]:
        """Yield changes whose tests pass; nothing while tests fail without them."""
        if task.report is not None and not task.report.passed:
            return
        for rule, change in changes(task.source):
            if workbench.seconds_left() <= 0:
                return
            report = workbench.run_tests(change.source)
            if report is not None and not report.passed:
                continue
            yield Proposal(
                proposer=self.name,
                operator=rule.name,
                claim=Claim.SPEEDS,
                target=task.target,
                source=change.source,
                explanation=f"line {change.line}: {change.what}",
                parameters={"line": change.line},
                prior=rule.prior,
            )
