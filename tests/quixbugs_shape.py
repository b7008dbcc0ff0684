"""A checkout in the shape of QuixBugs, with programs of our own: none of its text is here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

CONFTEST = """
import pytest


def pytest_addoption(parser):
    parser.addoption("--correct", action="store_true", help="test the correct programs")
    parser.addoption("--runslow", action="store_true", default=False, help="run slow tests")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long")
    pytest.use_correct = config.getoption("--correct")
    pytest.run_slow = config.getoption("--runslow")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--runslow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow"))
"""

LOADER = """
import json
from pathlib import Path


def load_json_testcases(name):
    path = Path(__file__).parent.parent / "json_testcases" / f"{name}.json"
    with path.open() as file:
        return [json.loads(line) for line in file if line.strip()]
"""

NODE = """
class Node:
    def __init__(self, value=None, successor=None, children=()):
        self.value = value
        self.successor = successor
        self.children = list(children)
"""

JSON_TEST = """
import pytest
from load_testdata import load_json_testcases

if pytest.use_correct:
    from correct_python_programs.{name} import {name}
else:
    from python_programs.{name} import {name}

testdata = load_json_testcases({name}.__name__)


@pytest.mark.parametrize("input_data,expected", testdata)
def test_{name}(input_data, expected):
    assert {name}(*input_data) == expected
"""

GENERATOR_TEST = JSON_TEST.replace("assert {name}(*input_data)", "assert list({name}(*input_data))")

CHAIN_TEST = '''
import pytest
from node import Node

if pytest.use_correct:
    from correct_python_programs.chain_sum import chain_sum
else:
    from python_programs.chain_sum import chain_sum


def chain(*values):
    node = None
    for value in reversed(values):
        node = Node(value, node)
    return node


def test_one():
    assert chain_sum(chain(4)) == 4


def test_two():
    assert chain_sum(chain(1, 2)) == 3


def test_three():
    """A longer one."""
    assert chain_sum(chain(1, 5, 7)) == 13


@pytest.mark.skipif(not pytest.run_slow, reason="slow")
def test_long():
    assert chain_sum(chain(*range(100000))) == 4999950000


def test_five():
    assert chain_sum(chain(1, 1, 2, 3, 5)) == 12
'''

DEEP_TEST = """
import pytest
from node import Node

if pytest.use_correct:
    from correct_python_programs.deepest import deepest
else:
    from python_programs.deepest import deepest


class TestDeepest:
    def test_leaf(self):
        assert deepest(Node("a")) == 1

    def test_pair(self):
        assert deepest(Node("a", children=[Node("b")])) == 2

    def test_uneven(self):
        tree = Node("a", children=[Node("b"), Node("c", children=[Node("d"), Node("e")])])
        assert deepest(tree) == 3

    def test_chain(self):
        tree = Node(1, children=[Node(2, children=[Node(3, children=[Node(4)])])])
        assert deepest(tree) == 4
"""

PROGRAMS: dict[str, tuple[str, str, str | list[list[object]]]] = {
    "prefix_sums": (
        """
def prefix_sums(values):
    total = 0
    sums = []
    for value in values:
        sums.append(total)
        total += value
    return sums
""",
        """
def prefix_sums(values):
    total = 0
    sums = []
    for value in values:
        total += value
        sums.append(total)
    return sums
""",
        [
            [[[]], []],
            [[[1]], [1]],
            [[[1, 2, 3]], [1, 3, 6]],
            [[[5, -2]], [5, 3]],
            [[[2, 2]], [2, 4]],
        ],
    ),
    "halvings": (
        """
def halvings(n):
    steps = 0
    while n > 1:
        n = n * 2
        steps += 1
    return steps
""",
        """
def halvings(n):
    steps = 0
    while n > 1:
        n = n // 2
        steps += 1
    return steps
""",
        [[[1], 0], [[2], 1], [[8], 3], [[9], 3], [[1000], 9], [[31], 4]],
    ),
    "clamped": (
        '''
def clamped(values, low, high):
    """
    Values held between low and high.

    Input:
        values: A list of ints
    """
    return [min(low, min(high, value)) for value in values]
''',
        """
def clamped(values, low, high):
    return [max(low, min(high, value)) for value in values]
""",
        [
            [[[1, 5, 9], 2, 6], [2, 5, 6]],
            [[[0], 0, 1], [0]],
            [[[7, 7], 1, 3], [3, 3]],
            [[[-4, 4], -1, 1], [-1, 1]],
        ],
    ),
    "stairs": (
        """
def stairs(n):
    for height in range(n):
        yield from range(height)
""",
        """
def stairs(n):
    for height in range(n + 1):
        yield from range(height)
""",
        [[[0], []], [[1], [0]], [[2], [0, 0, 1]], [[3], [0, 0, 1, 0, 1, 2]]],
    ),
    "chain_sum": (
        """
def chain_sum(node):
    total = 0
    while node.successor:
        total += node.value
        node = node.successor
    return total
""",
        """
def chain_sum(node):
    total = 0
    while node:
        total += node.value
        node = node.successor
    return total
""",
        CHAIN_TEST,
    ),
    "deepest": (
        """
from .prefix_sums import prefix_sums


def deepest(node):
    return 1 + min((deepest(child) for child in node.children), default=0)
""",
        """
from .prefix_sums import prefix_sums


def deepest(node):
    return 1 + max((deepest(child) for child in node.children), default=0)
""",
        DEEP_TEST,
    ),
    "only_case": (
        """
def only_case(text):
    return text.upper()
""",
        """
def only_case(text):
    return text.lower()
""",
        [[["Ab"], "ab"]],
    ),
}
"""Name → faulty text, correct text, and its test: JSON cases or a file."""


def write_checkout(root: Path, *, only: Collection[str] = tuple(PROGRAMS)) -> Path:
    """Write the folder with these programs."""
    folders = ("python_programs", "python_testcases", "json_testcases", "correct_python_programs")
    for folder in folders:
        (root / folder).mkdir(parents=True)
    (root / "conftest.py").write_text(CONFTEST)
    (root / "python_testcases" / "load_testdata.py").write_text(LOADER)
    (root / "python_testcases" / "node.py").write_text(NODE)
    (root / "python_programs" / "node.py").write_text(NODE)
    (root / "python_programs" / "__init__.py").write_text("")
    for name in only:
        faulty, right, tests = PROGRAMS[name]
        (root / "python_programs" / f"{name}.py").write_text(faulty)
        (root / "correct_python_programs" / f"{name}.py").write_text(right)
        if isinstance(tests, str):
            text = tests
        else:
            lines = "".join(json.dumps(case) + "\n" for case in tests)
            (root / "json_testcases" / f"{name}.json").write_text(lines)
            text = (GENERATOR_TEST if name == "stairs" else JSON_TEST).format(name=name)
        (root / "python_testcases" / f"test_{name}.py").write_text(text)
    return root
