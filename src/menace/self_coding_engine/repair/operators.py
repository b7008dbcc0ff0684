"""The operators of repair, frozen: what each changes, and the cost of its likeliest choice.

They were chosen from published catalogues of small bugs before any benchmark program was looked at;
``docs/repair.md`` says which, and what was known. A cost is −log of a relative frequency, by
judgement: 1 for what programmers often get wrong, 4 for what is rarely the fix.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Operator:
    """A rule.

    Attributes
    ----------
    cost
        −log of how often it is the fix, up to a constant.
    what
        What it does, as the end of the sentence "it …".
    """

    name: str
    cost: float
    what: str


_TABLE = (
    Operator("comparison", 1.1, "changes a comparison operator"),
    Operator("arithmetic", 1.4, "changes an arithmetic or bit operator"),
    Operator("boolean", 1.3, "changes and to or, or back"),
    Operator("augmented", 1.6, "changes the operator of an assignment"),
    Operator("negation", 1.7, "negates a condition or a number, or takes a negation away"),
    Operator("constant", 1.2, "changes a number, a string or a truth value"),
    Operator("off_by_one", 1.6, "adds or takes 1"),
    Operator("variable", 1.4, "reads another variable"),
    Operator("attribute", 2.2, "reads another attribute"),
    Operator("target", 2.4, "assigns to another variable"),
    Operator("argument_swap", 1.8, "swaps arguments or elements"),
    Operator("argument_drop", 2.2, "leaves an argument or element out"),
    Operator("argument_add", 2.6, "gives another argument or element"),
    Operator("operand_swap", 2.0, "swaps operands"),
    Operator("operand_drop", 1.7, "leaves an operand out"),
    Operator("operand_add", 2.9, "calculates with another operand"),
    Operator("grouping", 2.4, "groups operations differently"),
    Operator("function", 1.6, "calls a related function"),
    Operator("method", 1.6, "calls a related method"),
    Operator("wrap", 2.5, "puts a call around an expression"),
    Operator("unwrap", 1.8, "takes a call, an index or a slice away"),
    Operator("slice", 2.0, "changes an index or a slice"),
    Operator("choice", 2.0, "swaps or takes a branch of a conditional expression"),
    Operator("comprehension", 2.2, "changes a comprehension's filter or kind"),
    Operator("clause_drop", 1.7, "leaves part of a condition out"),
    Operator("clause_add", 3.2, "adds a part to a condition"),
    Operator("condition", 3.6, "tests another condition"),
    Operator("mined", 3.0, "puts an expression of the same function in place of another"),
    Operator("statement_drop", 2.0, "leaves a statement out"),
    Operator("branch", 2.3, "changes if, elif, else or while"),
    Operator("jump", 2.2, "changes break, continue, return or pass"),
    Operator("result", 2.0, "returns another value, or returns where nothing was returned"),
    Operator("order", 2.4, "swaps neighbouring statements"),
    Operator("nesting", 2.2, "moves a statement into or out of a block"),
    Operator("guard_result", 3.8, "returns early on a condition"),
    Operator("guard_jump", 4.0, "skips a round of a loop, or ends it, on a condition"),
    Operator("guard_block", 3.9, "runs a statement on a condition only"),
    Operator("update", 3.8, "inserts an update of a variable"),
    Operator("copy", 3.8, "repeats a statement of the same function elsewhere"),
)

OPERATORS = MappingProxyType({operator.name: operator for operator in _TABLE})
"""Name → operator."""
