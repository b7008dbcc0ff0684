"""Each speed rule finds its habit, writes code that does the same, and leaves the rest alone."""

from __future__ import annotations

import copy
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.patches import Claim
from menace.self_coding_engine.driven_calls.encoding import describe
from menace.self_coding_engine.proposal import CodingTask, TestReport
from menace.self_coding_engine.proposers.codemods import CodemodProposer, changes, rules
from menace.self_coding_engine.recorded_calls import same
from self_coding_engine.proposers.printed_workbench import PrintedWorkbench

FRAME = pd.DataFrame(
    {
        "kind": ["a", "b", "a", "c"],
        "size": [1.0, -2.5, 4.0, 0.0],
        "count": [1, 2, 3, 4],
        "good": [True, False, True, True],
    },
    index=[3, 5, 6, 9],
)
TABLES = [{"id": 1, "v": 10}, {"id": 2, "v": 20}, {"id": 1, "v": 30}]

# Rule, code with a function ``f``, and arguments that it is called with.
FOUND: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    (
        "membership",
        """
        def f(xs, ys):
            return [x for x in xs if x not in ys]
        """,
        [([1, 2, 3], [2]), ([], []), (["a", "b"], ["b", "b"])],
    ),
    (
        "membership",
        """
        def f(xs, table):
            n = 0
            for x in xs:
                if x in list(table.keys()):
                    n += 1
            return n
        """,
        [([1, 2, 2], {2: 0})],
    ),
    (
        "growing_membership",
        """
        def f(xs):
            seen = []
            for x in xs:
                if x in seen:
                    continue
                seen.append(x)
            return seen
        """,
        [([3, 1, 3, 2, 1],), ([],)],
    ),
    (
        "positions",
        """
        def f(xs, names):
            out = []
            for x in xs:
                out.append(names.index(x))
            return out
        """,
        [(["b", "a", "b"], ["a", "b", "b"])],
    ),
    (
        "counter",
        """
        def f(xs):
            return {x: xs.count(x) for x in xs}
        """,
        [([1, 2, 1],), ([],)],
    ),
    (
        "hoist",
        """
        import re
        def f(lines):
            found = 0
            for line in lines:
                pattern = re.compile("a+")
                found += bool(pattern.match(line))
            return found
        """,
        [(["aa", "b"],), ([],)],
    ),
    (
        "hoist",
        """
        def f(xs, ys):
            return [x - min(ys) for x in xs]
        """,
        [([1, 2], [0, 5])],
    ),
    (
        "index_join",
        """
        def f(rows, others):
            out = []
            for row in rows:
                for other in others:
                    if row["id"] == other["id"] and other["v"] > 10:
                        out.append((row["v"], other["v"]))
                        break
                else:
                    out.append(None)
            return out
        """,
        [(TABLES, TABLES), ([{"id": 7, "v": 0}], TABLES), ([], [])],
    ),
    (
        "index_join",
        """
        def f(rows, others):
            out = []
            for row in rows:
                for other in others:
                    if other["id"] != row["id"]:
                        continue
                    out.append(other["v"])
            return out
        """,
        [(TABLES, TABLES)],
    ),
    (
        "index_join",
        """
        def f(rows, others):
            return [sum(o["v"] for o in others if o["id"] == row["id"]) for row in rows]
        """,
        [(TABLES, TABLES), ([{"id": 9}], TABLES)],
    ),
    (
        "index_join",
        """
        def f(rows, others):
            out = []
            for row in rows:
                out.append(any(o["id"] == row["id"] for o in others))
            return out
        """,
        [(TABLES, TABLES[1:2])],
    ),
    (
        "group_rows",
        """
        def f(frame, kinds):
            out = []
            for kind in kinds:
                part = frame[frame["kind"] == kind]
                out.append((kind, len(part), float(part["size"].sum())))
            return out
        """,
        [(FRAME, ["a", "z", "c"])],
    ),
    (
        "memo_parsing",
        """
        from datetime import datetime
        def f(days):
            out = []
            for day in days:
                out.append(datetime.strptime(day, "%Y-%m-%d"))
            return out
        """,
        [(["2024-01-02", "2024-01-02"],), (["x"],)],
    ),
    (
        "memo_function",
        """
        def f(n):
            return n if n < 2 else f(n - 1) + f(n - 2)
        """,
        [(12,), (0,)],
    ),
    (
        "running_sums",
        """
        def f(xs, w):
            out = []
            for i in range(len(xs)):
                part = xs[max(0, i - w + 1):i + 1]
                out.append(sum(part) / len(part))
            return out
        """,
        [([1.5, 2.0, -3.0, 4.0], 2), ([], 3)],
    ),
    (
        "running_extremes",
        """
        def f(xs):
            return [x - max(xs[:i + 1]) for i, x in enumerate(xs)]
        """,
        [([1, 5, 2, 7],), ([],)],
    ),
    (
        "ends_of_sorted",
        """
        def f(xs):
            return sorted(xs)[0], sorted(xs, key=abs)[-1], sorted(xs, reverse=True)[:2]
        """,
        [([3, -7, 5],)],
    ),
    (
        "no_list_to_fold",
        """
        def f(xs):
            return any([x > 2 for x in xs])
        """,
        [([1, 3],), ([],)],
    ),
    (
        "extend_list",
        """
        def f(parts):
            out = []
            for part in parts:
                out = out + [x for x in part]
            return out
        """,
        [([[1], [2, 3], []],)],
    ),
    (
        "join_text",
        """
        def f(words):
            text = "> "
            for word in words:
                text += word + ";"
            return text
        """,
        [(["a", "b"],), ([],)],
    ),
    (
        "collect_parts",
        """
        import numpy as np
        def f(xs):
            out = np.array([0.5])
            for x in xs:
                out = np.append(out, x)
            return out
        """,
        [([1.0, 2.0],), ([],)],
    ),
    (
        "collect_parts",
        """
        import pandas as pd
        def f(frame):
            out = frame.iloc[:1]
            for start in (1, 2):
                out = pd.concat([out, frame.iloc[start:start + 2]], ignore_index=True)
            return out
        """,
        [(FRAME,)],
    ),
    (
        "flatten_once",
        """
        def f(lists):
            return sum(lists, [])
        """,
        [([[1], [2, 3]],), ([],)],
    ),
    (
        "queue",
        """
        def f(start):
            waiting = [start]
            out = []
            while waiting:
                n = waiting.pop(0)
                out.append(n)
                if n > 1:
                    waiting.append(n // 2)
            return out
        """,
        [(9,)],
    ),
    (
        "needless_copy",
        """
        import copy
        def f(rows):
            out = []
            for n in range(3):
                own = copy.deepcopy(rows)
                out.append(sum(row["v"] for row in own) + n)
            return out
        """,
        [(TABLES,)],
    ),
    (
        "zip_columns",
        """
        def f(frame):
            total = 0.0
            for label, row in frame.iterrows():
                total += label * row["size"] * row["count"]
            return total
        """,
        [(FRAME,)],
    ),
    (
        "row_records",
        """
        def f(frame):
            return [dict(row)["kind"] for _, row in frame.iterrows()] or [
                row["kind"] for _, row in frame.iterrows()
            ]
        def g(frame):
            out = []
            for _, row in frame.iterrows():
                name = "kind"
                out.append(row[name])
            return out
        f = g
        """,
        [(FRAME,)],
    ),
    (
        "column_lists",
        """
        def f(frame):
            total = 0.0
            for i in range(len(frame)):
                total += frame["size"].iloc[i] * frame.iloc[i]["count"]
            return total
        """,
        [(FRAME,)],
    ),
    (
        "vector_apply",
        """
        def price(row):
            cost = max(row["size"], 1.0)
            if row["kind"] == "a":
                cost = cost * 2
            elif row["kind"] in ("b", "z"):
                return -1.0
            if row["good"] and not row["size"] > 3:
                cost += row["count"]
            return round(cost, 1)
        def f(frame):
            return frame.apply(price, axis=1)
        """,
        [(FRAME,)],
    ),
    (
        "vector_apply",
        """
        def f(frame):
            return frame["kind"].map(lambda kind: "yes" if kind.upper() == "A" else "no")
        """,
        [(FRAME,)],
    ),
    (
        "vector_loop",
        """
        def f(frame):
            frame = frame.copy()
            doubled = []
            for _, row in frame.iterrows():
                if row["good"]:
                    doubled.append(row["size"] * 2)
                else:
                    doubled.append(0.0)
            frame["doubled"] = doubled
            return frame
        """,
        [(FRAME,)],
    ),
    (
        "vector_loop",
        """
        def f(frame):
            frame = frame.copy()
            for label, row in frame.iterrows():
                if row["size"] < 0:
                    frame.loc[label, "size"] = abs(row["size"])
            return frame
        """,
        [(FRAME,)],
    ),
]


def outcome(source: str, arguments: tuple[Any, ...]) -> Any:
    """Result or error of ``f``, and its arguments afterwards."""
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 - the text is ours
    own = copy.deepcopy(arguments)
    try:
        result = describe(names["f"](*own))
    except (ValueError, KeyError, IndexError) as error:
        result = [type(error).__name__, str(error)]
    return [result, describe(list(own))]


def by_rule(source: str, name: str) -> list[str]:
    return [change.source for rule, change in changes(source) if rule.name == name]


@pytest.mark.parametrize(
    ("rule", "code", "calls"), FOUND, ids=[f"{n}-{rule}" for n, (rule, _, _) in enumerate(FOUND)]
)
def test_a_rule_writes_its_habit_otherwise_and_the_outcomes_are_the_same(
    rule: str, code: str, calls: list[tuple[Any, ...]]
) -> None:
    source = textwrap.dedent(code).lstrip()
    found = by_rule(source, rule)
    assert found
    for arguments in calls:
        before = outcome(source, arguments)
        assert all(same(before, outcome(text, arguments)) for text in found)


def test_every_rule_has_an_example_above() -> None:
    assert {rule.name for rule in rules()} == {rule for rule, _, _ in FOUND}


LEFT_ALONE: list[tuple[str, str]] = [
    (
        "membership",
        "def f(xs, ys):\n    for x in xs:\n        if x in ys:\n            ys.append(x)\n",
    ),
    ("membership", "def f(x, ys):\n    return x in ys\n"),
    ("membership", "def f(xs):\n    ys = {1, 2}\n    return [x for x in xs if x in ys]\n"),
    ("membership", "def f(xs, text: str):\n    return [x for x in xs if x in text]\n"),
    (
        "growing_membership",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x in seen:\n"
        "            seen.remove(x)\n        seen.append(x)\n",
    ),
    (
        "growing_membership",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x in seen:\n"
        "            seen.append(next(x))\n",
    ),
    ("counter", "def f(text: str):\n    for c in text:\n        g(text.count(c), text := c)\n"),
    (
        "hoist",
        "def f(xs, ys):\n    out = []\n    for x in xs:\n        own = sorted(ys)\n"
        "        own.append(x)\n        out.append(own)\n    return out\n",
    ),
    ("hoist", "def f(xs):\n    for x in xs:\n        g(sum(xs))\n        xs.append(x)\n"),
    (
        "index_join",
        "def f(rows):\n    for row in rows:\n        for other in rows:\n"
        "            if row == 1 and other == 2:\n                rows.append(row)\n",
    ),
    (
        "index_join",
        "def f(rows, others):\n    for row in rows:\n        for other in others:\n"
        "            if other.read() == row:\n                g(other)\n",
    ),
    ("memo_function", "def f(n):\n    print(n)\n    return f(n - 1) + f(n - 2)\n"),
    ("memo_function", "def f(n):\n    return [n] if n < 1 else [*f(n - 1)]\n"),
    (
        "memo_function",
        "S = []\ndef g():\n    S.append(1)\ndef f(n):\n    return f(n - 1) + len(S)\n",
    ),
    (
        "running_sums",
        "def f(xs):\n    for i in range(3):\n        g(sum(xs[i:]))\n        xs[i] = 0\n",
    ),
    ("running_sums", "def f(xs):\n    return [sum(xs[-i:]) for i in range(3)]\n"),
    ("queue", "def f(xs):\n    q = [1]\n    while q:\n        q.pop(0)\n        q[0] = 2\n"),
    ("queue", "def f(xs):\n    q = [1]\n    q.pop(0)\n    return q\n"),
    (
        "needless_copy",
        "import copy\ndef f(rows):\n    for _ in range(3):\n        own = copy.deepcopy(rows)\n"
        "        own.append(1)\n",
    ),
    (
        "needless_copy",
        "import copy\ndef g(rows):\n    rows.sort()\n\ndef f(rows):\n"
        "    for _ in range(3):\n        g(copy.deepcopy(rows))\n",
    ),
    ("extend_list", "def f(out, xs):\n    for x in xs:\n        out = out + [x]\n    return out\n"),
    (
        "join_text",
        "def f(xs):\n    t = ''\n    for x in xs:\n        t += x\n        g(t)\n    return t\n",
    ),
    ("zip_columns", "def f(d):\n    for i, row in d.iterrows():\n        g(row)\n"),
    ("vector_apply", "def f(d):\n    return d.apply(lambda row: open(row['a']).read(), axis=1)\n"),
    (
        "vector_loop",
        "def f(d):\n    out = []\n    last = 0\n    for _, row in d.iterrows():\n"
        "        last = last + row['a']\n        out.append(last)\n    return out\n",
    ),
    (
        "vector_loop",
        "def f(d):\n    out = []\n    for _, row in d.iterrows():\n        if row['a'] > 1:\n"
        "            out.append(row['a'])\n    return out\n",
    ),
    (
        "column_lists",
        "def f(d):\n    for i in range(3):\n        d.loc[i, 'a'] = d.loc[i - 1, 'a']\n",
    ),
]


@pytest.mark.parametrize(
    ("rule", "source"),
    LEFT_ALONE,
    ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(LEFT_ALONE)],
)
def test_a_rule_leaves_alone_what_it_would_change(rule: str, source: str) -> None:
    assert by_rule(source, rule) == []


WINDOWS = """\
def f(xs, a, b):
    return [sum(xs[max(0, i - a):i + b]) for i in range(len(xs))]
"""


@given(st.lists(st.integers(-99, 99), max_size=9), st.integers(0, 4), st.integers(0, 12))
def test_running_sums_hold_beyond_both_ends(xs: list[int], a: int, b: int) -> None:
    (text,) = by_rule(WINDOWS, "running_sums")
    assert outcome(text, (xs, a, b)) == outcome(WINDOWS, (xs, a, b))


UNIQUE = """\
def f(xs, first):
    kept = [first]
    for x in xs:
        if x not in kept:
            kept.append(x)
    return kept
"""


@given(st.lists(st.integers(0, 5) | st.sampled_from("ab") | st.none()), st.integers(0, 5))
def test_a_set_beside_a_list_knows_what_the_list_knows(xs: list[Any], first: int) -> None:
    (text,) = by_rule(UNIQUE, "growing_membership")
    assert outcome(text, (xs, first)) == outcome(UNIQUE, (xs, first))


def test_imports_go_below_the_docstring_and_are_not_repeated() -> None:
    source = (
        '"""What it does."""\n\nfrom __future__ import annotations\n\n'
        "from collections import (\n    Counter,\n    deque,\n)\n\n\n"
        "def f(xs, q):\n    return [xs.count(x) for x in xs], sum(q, [])\n"
    )
    (counted,) = by_rule(source, "counter")
    assert counted.count("Counter,") == 1
    assert "import Counter" not in counted
    (chained,) = by_rule(source, "flatten_once")
    lines = chained.splitlines()
    assert lines.index("from itertools import chain") > lines.index(
        "from __future__ import annotations"
    )


def test_a_text_that_does_not_parse_has_no_changes() -> None:
    assert list(changes("def f(:\n")) == []


SOURCE = textwrap.dedent(FOUND[0][1]).lstrip()


def task(**values: Any) -> CodingTask:
    return CodingTask(root=Path(), target="helper.py", source=SOURCE, **values)


def test_a_change_is_proposed_for_speed_with_the_line_it_is_about() -> None:
    workbench = PrintedWorkbench(tests=["f([1, 2], [2]) == [1]"])
    (proposal,) = CodemodProposer().propose(task(), workbench)
    assert (proposal.claim, proposal.operator) == (Claim.SPEEDS, "membership")
    assert proposal.explanation.startswith("line 2: ")
    assert proposal.parameters == {"line": 2}


def test_a_change_with_which_tests_fail_is_not_proposed() -> None:
    workbench = PrintedWorkbench(tests=["f([[1]], [[1]]) == []"])
    assert list(CodemodProposer().propose(task(), workbench)) == []


def test_where_tests_fail_or_time_is_up_nothing_is_proposed() -> None:
    failing = TestReport((), complete=False)
    assert list(CodemodProposer().propose(task(report=failing), PrintedWorkbench())) == []
    assert list(CodemodProposer().propose(task(), PrintedWorkbench(runs=0))) == []
