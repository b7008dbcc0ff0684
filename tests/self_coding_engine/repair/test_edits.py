"""The edits of a text: what they are, where they go, and that what they make is Python."""

from __future__ import annotations

import ast
import hashlib

import libcst as cst
import pytest

from menace.self_coding_engine.proposal import CaseReport, TestReport
from menace.self_coding_engine.repair import OPERATORS, mutants
from menace.self_coding_engine.repair.edits import Edit, apply_all
from menace.self_coding_engine.repair.generation import single_edits
from menace.self_coding_engine.repair.localisation import suspicion
from menace.self_coding_engine.repair.precedence import binding

FROZEN = "e99278919c4e"
SOURCE = '''\
"""A module."""

SCALE = 3


class Box:
    def size(self, values, low=0):
        """Give the absolute sum of 2 things, or 'none'."""
        found = []
        for index, value in enumerate(values):
            if value < low and not index:  # a comment
                continue
            elif value == low:
                found.append(value * (SCALE + 1))
            else:
                found += [value]
        while len(found) > 2:
            found.pop()
        return sum(found) if found else "none"


def pairs(text):
    left, right = text[1:-1].split(","), text[0]
    out = {key: len(key) for key in left if key}
    for key in out: out[key] -= 1
    return sorted(out, key=lambda k: -out[k]), right
'''


def changed(source: str, **known: object) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for edit in single_edits(source, **known):  # type: ignore[arg-type] # passed through
        found.setdefault(edit.operator, set()).add(edit.apply(source))
    return found


def test_the_operators_are_frozen() -> None:
    told = "\n".join(f"{name} {operator.cost}" for name, operator in sorted(OPERATORS.items()))
    assert hashlib.sha256(told.encode()).hexdigest()[:12] == FROZEN


def test_nearly_every_edit_makes_python() -> None:
    edits = single_edits(SOURCE)
    assert len(edits) > 2000
    assert {edit.operator for edit in edits} <= set(OPERATORS)
    bad = 0
    for edit in edits[::7]:
        try:
            ast.parse(edit.apply(SOURCE))
        except SyntaxError:
            bad += 1
    assert bad < 0.01 * len(edits[::7])


def test_edits_are_sorted_and_no_text_comes_twice() -> None:
    edits = single_edits(SOURCE)
    assert [edit.cost for edit in edits] == sorted(edit.cost for edit in edits)
    places = {(edit.start, edit.end, edit.replacement) for edit in edits}
    assert len(places) == len(edits)


def test_edits_keep_comments_and_layout() -> None:
    for edit in single_edits(SOURCE):
        if edit.operator == "comparison":
            assert "# a comment" in edit.apply(SOURCE)


@pytest.mark.parametrize(
    ("operator", "before", "after"),
    [
        ("comparison", "return a < b", "return a <= b"),
        ("arithmetic", "return a + b", "return a - b"),
        ("arithmetic", "return (a + b) * 2", "return (a - b) * 2"),
        ("boolean", "return a and b", "return a or b"),
        ("negation", "return not a", "return a"),
        ("constant", "return a + 1", "return a + 2"),
        ("constant", "return True", "return False"),
        ("off_by_one", "return a[b]", "return a[b + 1]"),
        ("variable", "return a + a", "return a + b"),
        ("argument_swap", "return f(b, a)", "return f(a, b)"),
        ("operand_swap", "return a - b", "return b - a"),
        ("operand_drop", "return a + b", "return a"),
        ("grouping", "return a + b * a", "return (a + b) * a"),
        ("function", "return min(a, b)", "return max(a, b)"),
        ("method", "return a.lower()", "return a.upper()"),
        ("wrap", "return a - b", "return abs(a - b)"),
        ("unwrap", "return sorted(a)", "return a"),
        ("slice", "return a[1:b]", "return a[:b]"),
        ("slice", "return a[0]", "return a[-1]"),
        ("choice", "return a if b else 0", "return 0 if b else a"),
        ("comprehension", "return [x for x in a if x]", "return [x for x in a]"),
        ("clause_drop", "return a and b", "return b"),
        ("argument_add", "return sorted(a)", "return sorted(a, reverse=True)"),
        ("argument_add", "return range(a)", "return range(1, a + 1)"),
        ("result", "a.sort()", "return a.sort()"),
        ("augmented", "a += b", "a -= b"),
        ("jump", "yield a", "yield from a"),
        ("statement_drop", "a = b", "pass"),
    ],
)
def test_each_operator_does_what_it_says(operator: str, before: str, after: str) -> None:
    head = "def f(a, b):\n    "
    assert f"{head}{after}\n" in changed(f"{head}{before}\n")[operator]


def test_a_guard_is_inserted_at_the_start_of_a_function() -> None:
    source = "def f(a):\n    return a[0]\n"
    types = {"f": {"a": frozenset({"list[int]"}), "return": frozenset({"int"})}}
    guarded = changed(source, types=types)["guard_result"]
    assert "def f(a):\n    if not a:\n        return 0\n    return a[0]\n" in guarded


def test_a_return_is_moved_out_of_a_loop() -> None:
    source = "def f(a):\n    t = 0\n    for x in a:\n        t += x\n        return t\n"
    right = "def f(a):\n    t = 0\n    for x in a:\n        t += x\n    return t\n"
    assert right in changed(source)["nesting"]


def test_an_operation_gets_parentheses_where_it_would_be_torn_apart() -> None:
    source = "def f(a, b):\n    return a * b\n"
    assert "def f(a, b):\n    return a * (b + 1)\n" in changed(source)["off_by_one"]
    difference = "def f(a, b):\n    return a - b\n"
    assert "def f(a, b):\n    return a - b + 1\n" in changed(difference)["off_by_one"]
    assert [binding(text) for text in ("a or b", "not a", "a < b", "a.b(c + d)")] == [1, 3, 4, 20]


def test_lines_that_no_failing_test_runs_are_left_alone() -> None:
    # 17 is the while around it: to leave that out changes line 18, too.
    lines = {edit.line for edit in single_edits(SOURCE, suspicion={18: 1.0})}
    assert lines == {17, 18}


def test_an_idle_parameter_and_words_of_the_docstring_come_first() -> None:
    source = 'def f(a, b):\n    """Sum of a and b times 7."""\n    return a + a * 6\n'
    first = [edit.apply(source).splitlines()[-1].strip() for edit in single_edits(source)[:4]]
    assert "return a + a * 7" in first
    assert "return b + a * 6" in first


def test_what_a_test_shows_is_marked() -> None:
    edits = single_edits("def f(a):\n    return a\n", shown=["[3, 7]"])
    shown = [edit for edit in edits if "[3, 7]" in edit.replacement]
    assert shown
    assert all(edit.literal for edit in shown)


def test_two_edits_are_made_at_once() -> None:
    source = "def f(a):\n    return a + 1\n"
    one = next(e for e in single_edits(source) if e.apply(source).endswith("return a - 1\n"))
    two = next(e for e in single_edits(source) if e.apply(source).endswith("return a + 2\n"))
    assert one.overlaps(two)
    apart = Edit("constant", len(source), len(source), "\nx = 1\n", 3, 1.0)
    assert not one.overlaps(apart)
    assert apply_all(source, (one, apart)).endswith("return a - 1\n\nx = 1\n")


def test_mutants_are_faults_not_additions() -> None:
    found = mutants("def f(a):\n    return a < 1\n")
    assert {mutant.source.splitlines()[1].strip() for mutant in found} >= {
        "return a <= 1",
        "return a < 2",
    }
    assert all(0 < mutant.prior <= 1 for mutant in found)
    assert "guard_result" not in {mutant.operator for mutant in found}
    assert all(mutant.line == 2 for mutant in found if mutant.operator == "comparison")


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(cst.ParserSyntaxError):
        mutants("def f(:\n")


def test_suspicion_covers_statements_of_several_lines() -> None:
    source = "X = 1\n\n\ndef f(a):\n    return sum(\n        a\n    )\n"
    cases = (CaseReport("bad", False),)
    report = TestReport(cases, True, lines={"bad": frozenset({5})})
    found = suspicion(source, report)
    assert found is not None
    assert {5, 6, 7} <= set(found)
    assert found[6] == 1.0
    assert 0 < found[1] < 1
    assert suspicion(source, TestReport(cases, True)) is None
