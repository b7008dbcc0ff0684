"""Gates that only read refuse what reaches beyond the file, and let plain changes through."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from menace.errors import SandboxError
from menace.self_coding_engine.gates import (
    AllowedFilesGate,
    Candidate,
    ConstructGate,
    ImportGate,
    ParseGate,
    run_gates,
)
from self_coding_engine.gates.gate_folders import HELPER, candidate, changed, make_folder

if TYPE_CHECKING:
    from pathlib import Path

    from menace.patches import GateReport
    from menace.self_coding_engine.gates import Gate

TARGETS = ("helpers/*.py",)


def read_only_gates(*, allow: tuple[str, ...] = ()) -> list[Gate]:
    return [
        ParseGate(),
        AllowedFilesGate(TARGETS, tests="pytest -q tests", hidden_tests="pytest hidden"),
        ImportGate(TARGETS, allow=allow),
        ConstructGate(),
    ]


def judged(root: Path, after: str, *, before: str = HELPER) -> GateReport:
    reports = run_gates(read_only_gates(), candidate(root, after, before=before))
    return reports[-1]


BENIGN = {
    "another operator": changed("price > 1", "price >= 1"),
    "a constant at the top": changed("import math\n", "import math\n\nLIMIT = 3 * 2\n"),
    "a harmless import": changed("import math\n", "import itertools\nimport math\n"),
    "numpy": changed("import math\n", "import math\n\nimport numpy as np\n"),
    "a cache": changed(
        "def root(number)",
        "@functools.lru_cache(maxsize=None)\ndef root(number)",
        of=changed("import math", "import functools\nimport math"),
    ),
    "a decorator of its own that only wraps": HELPER
    + "\n\ndef doubled(f):\n    def g(x):\n        return 2 * f(x)\n\n    return g\n\n\n"
    "@doubled\ndef four(x):\n    return 2 * x\n",
    "a parser that remembers": changed(
        "import math\n",
        "import functools\nimport math\n\nroot_of = functools.lru_cache(maxsize=9)(math.isqrt)\n",
    ),
    "a compiled pattern": HELPER + "\n\nimport re\n\nWORD = re.compile('[a-z]+')\n",
    "a class with fields": HELPER
    + "\n\nclass Basket:\n    def __init__(self):\n        self.n = 0\n",
    "a dataclass": HELPER + "\n\nfrom dataclasses import dataclass\n\n\n"
    "@dataclass(frozen=True)\nclass P:\n    x: int = 1\n",
    "columns of a frame": HELPER
    + "\n\ndef feature(rows):\n    rows = rows.copy()\n    rows['x'] = rows['y'].dt.time\n"
    "    rows.columns = list(rows.columns)\n    return rows.to_dict()\n",
    "getattr of a plain name": HELPER
    + "\n\ndef year(moment):\n    return getattr(moment, 'year', 0)\n",
    "a variable called input": HELPER + "\n\ndef double(input):\n    return input * 2\n",
    "a lambda and a sort": HELPER
    + "\n\ndef ordered(rows):\n    return sorted(rows, key=lambda row: row[0])\n",
    "imports for checkers": HELPER + "\n\nfrom typing import TYPE_CHECKING\n\n"
    "if TYPE_CHECKING:\n    from collections.abc import Sequence\n",
    "a function handed on": changed(
        "return math.isqrt(number)", "return list(map(math.isqrt, [number]))[0]"
    ),
}

HOSTILE = {
    "opens a socket": ("imports", "import socket\n"),
    "starts a program": ("imports", "import subprocess\n"),
    "a program through os": ("imports", "from os import system\n"),
    "writes into the tests": (
        "constructs",
        "def cheat():\n    open('tests/test_prices.py', 'w').write('')\n",
    ),
    "the clock": ("imports", "import time\ntime.time = lambda: 0.0\n"),
    "the clock of datetime": (
        "constructs",
        "import datetime\n\n\ndef f():\n    datetime.datetime = None\n",
    ),
    "leaves early": ("constructs", "raise SystemExit(0)\n"),
    "leaves early, by quit": ("constructs", "def f():\n    quit()\n"),
    "prints the environment": ("imports", "import os\nprint(os.environ)\n"),
    "prints when imported": ("constructs", "print('hello')\n"),
    "eval": ("constructs", "def f(text):\n    return eval(text)\n"),
    "exec by another name": ("constructs", "def f(text):\n    run = exec\n    run(text)\n"),
    "compile": ("constructs", "def f(text):\n    return compile(text, '', 'exec')\n"),
    "__import__": ("constructs", "def f():\n    return __import__('os')\n"),
    "importlib": ("imports", "import importlib\n"),
    "builtins": ("constructs", "def f():\n    return __builtins__\n"),
    "subclasses": ("constructs", "def f():\n    return ().__class__.__base__.__subclasses__()\n"),
    "globals of a function": ("constructs", "def f():\n    return root.__globals__\n"),
    "frames": ("constructs", "def f(g):\n    return g.gi_frame.f_back\n"),
    "sys through collections": (
        "constructs",
        "import collections\n\n\ndef f():\n    collections._sys.exit(0)\n",
    ),
    "sys through json": ("constructs", "import json\n\n\ndef f():\n    return json.codecs.sys\n"),
    "getattr of a made-up name": (
        "constructs",
        "def f(x):\n    return getattr(x, '__cl' + 'ass__')\n",
    ),
    "getattr handed on": ("constructs", "def f(x):\n    look = getattr\n    return look\n"),
    "attrgetter": (
        "constructs",
        "import operator\n\n\ndef f(x):\n    return operator.attrgetter('__class__')(x)\n",
    ),
    "attrgetter by another name": (
        "constructs",
        "from operator import attrgetter as key\n",
    ),
    "a module handed on": ("constructs", "def f():\n    m = math\n    m.isqrt = None\n"),
    "another module's function": ("constructs", "def f():\n    math.isqrt = None\n"),
    "another module's attribute, deleted": ("constructs", "def f():\n    del math.pi\n"),
    "an imported name, bound anew": ("constructs", "def f():\n    global math\n    math = None\n"),
    "equal to anything": (
        "constructs",
        "class Any:\n    def __eq__(self, other):\n        return True\n",
    ),
    "equal to anything, as a value": (
        "constructs",
        "class Any:\n    __eq__ = lambda self, other: True\n",
    ),
    "a class by calling type": ("constructs", "def f():\n    return type('A', (), {})\n"),
    "a metaclass": ("constructs", "class A(metaclass=type):\n    pass\n"),
    "pytest": ("imports", "import pytest\n"),
    "unittest": ("imports", "from unittest import mock\n"),
    "the tests": ("imports", "from tests.test_prices import test_tax\n"),
    "its own package": ("imports", "from . import other\n"),
    "everything": ("imports", "from math import *\n"),
    "a package that nobody named": ("imports", "import requests_html\n"),
    "numpy's ctypes": ("imports", "from numpy import ctypeslib\n"),
    "numpy's testing": ("imports", "import numpy.testing\n"),
    "reads a file with pandas": (
        "constructs",
        "import pandas as pd\n\n\ndef f():\n    return pd.read_csv('/etc/passwd')\n",
    ),
    "writes a file with pandas": ("constructs", "def f(rows):\n    rows.to_csv('/tmp/x')\n"),
    "pandas' eval": ("constructs", "def f(rows):\n    return rows.query('@x.y()')\n"),
    "numpy's files": ("constructs", "import numpy as np\n\n\ndef f():\n    np.save('x', [1])\n"),
    "an option of pandas": (
        "constructs",
        "import pandas as pd\n\n\ndef f():\n    pd.options.mode.copy = True\n",
    ),
    "the random numbers of all": (
        "constructs",
        "import numpy as np\n\n\ndef f():\n    np.random.seed(0)\n",
    ),
    "a decorator that nobody knows": ("constructs", "@root\ndef f():\n    pass\n"),
    "a decorator that runs what it gets": (
        "constructs",
        "def root(f):\n    f()\n    return f\n\n\n@root\ndef f():\n    pass\n",
    ),
    "a cache of what runs": (
        "constructs",
        "from functools import lru_cache\n\nroot = lru_cache(maxsize=root(4))(root)\n",
    ),
    "a default that runs": ("constructs", "def f(x=root(4)):\n    return x\n"),
    "an annotation that runs": ("constructs", "def f(x: root(4)):\n    return x\n"),
    "a loop when imported": ("constructs", "for i in range(9):\n    pass\n"),
    "a state between calls": ("constructs", "def f():\n    global count\n    count = 1\n"),
    "swallows everything": (
        "constructs",
        "def f():\n    try:\n        f()\n    except:\n        pass\n",
    ),
    "an exception that ends all": ("constructs", "def f():\n    raise KeyboardInterrupt\n"),
    "get_type_hints": ("constructs", "from typing import get_type_hints\n"),
    "no Python": ("parses", "def f(:\n"),
    "a null": ("parses", "x = '\x00'\n"),
    "text that runs backwards": ("parses", "x = '\u202e'\n"),
    "another encoding": ("parses", None),
    "too long": ("parses", "# x\n" * 20_000),
    "nested too deep": ("parses", f"x = {'(' * 300}1{')' * 300}\n"),
    "deep without parentheses": ("parses", f"x = {'not ' * 300}1\n"),
}


@pytest.mark.parametrize("name", BENIGN)
def test_a_plain_change_passes(tmp_path: Path, name: str) -> None:
    report = judged(make_folder(tmp_path), BENIGN[name])
    assert report.passed, report.reason


@pytest.mark.parametrize("name", HOSTILE)
def test_what_reaches_beyond_the_file_is_refused_by_its_gate(tmp_path: Path, name: str) -> None:
    gate, added = HOSTILE[name]
    after = f"# coding: latin-1\n{HELPER}" if added is None else f"{HELPER}\n\n{added}"
    report = judged(make_folder(tmp_path), after)
    assert (report.name, report.passed) == (gate, False), report.reason
    assert report.reason


def test_the_line_and_what_it_does_are_named(tmp_path: Path) -> None:
    report = judged(make_folder(tmp_path), changed("return math", "return eval('math')\n    math"))
    assert report.reason == "line 22: it uses eval"


def test_what_the_file_did_before_it_may_still_do(tmp_path: Path) -> None:
    before = f"import os\n\n{HELPER}\n\ndef read(path):\n    return open(os.environ[path]).read()\n"
    after = changed("1 + rate", "rate + 1", of=before)
    assert judged(make_folder(tmp_path, helper=before), after, before=before).passed


def test_what_the_file_did_before_it_may_not_do_more_often(tmp_path: Path) -> None:
    before = f"import os\n\n{HELPER}\n\ndef read(path):\n    return open(path).read()\n"
    root = make_folder(tmp_path, helper=before)
    more = changed("return math.isqrt(number)", "return open('x')", of=before)
    assert judged(root, more, before=before).reason.endswith("it uses open")
    other = changed("return math.isqrt(number)", "return os.getcwd()", of=before)
    assert judged(root, other, before=before).reason.endswith("it uses os.getcwd")
    harmless = changed("return math.isqrt(number)", "return os.path.join('a')", of=before)
    assert judged(root, harmless, before=before).passed


def test_modules_that_other_targets_import_are_allowed_unless_sensitive(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    (root / "helpers" / "other.py").write_text("import holidays\nimport os\n", encoding="utf-8")
    assert judged(root, f"import holidays\n{HELPER}").passed
    assert judged(root, f"import os\n{HELPER}").name == "imports"


def test_the_user_may_allow_modules_but_no_test_frameworks(tmp_path: Path) -> None:
    root = make_folder(tmp_path)
    gate = ImportGate(TARGETS, allow=("scipy", "pytest"))
    assert gate.judge(candidate(root, f"from scipy.stats import norm\n{HELPER}")).passed
    assert not gate.judge(candidate(root, f"import pytest\n{HELPER}")).passed


@pytest.mark.parametrize(
    "target",
    [
        "tests/test_prices.py",
        "conftest.py",
        "helpers/conftest.py",
        "helpers/test_prices.py",
        "hidden/test_hidden.py",
        ".git/hooks/x.py",
        "../outside.py",
        "/etc/passwd.py",
        "helpers/../conftest.py",
        "helpers/deep/prices.py",
        "menace.toml",
        "setup.py",
        "helpers/none.py",
    ],
)
def test_other_files_may_not_change(tmp_path: Path, target: str) -> None:
    gate = AllowedFilesGate(
        ("helpers/*.py", "setup.py", "conftest.py", "hidden/*.py", "tests/*.py"),
        tests="pytest -q tests",
        hidden_tests="pytest hidden",
    )
    report = gate.judge(candidate(make_folder(tmp_path), "x = 1\n", target=target))
    assert report.passed is False


def test_a_proposal_for_another_target_is_refused(tmp_path: Path) -> None:
    report = AllowedFilesGate(("helpers/*.py",)).judge(
        candidate(make_folder(tmp_path), "x = 1\n", asked="helpers/other.py")
    )
    assert report.reason == "it changes helpers/prices.py, and was asked for helpers/other.py"


def test_links_are_not_followed(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "repository")
    (tmp_path / "outside.py").write_text("x = 1\n", encoding="utf-8")
    (root / "helpers" / "soft.py").symlink_to(tmp_path / "outside.py")
    os.link(tmp_path / "outside.py", root / "helpers" / "hard.py")
    (root / "linked").symlink_to(tmp_path)
    gate = AllowedFilesGate(("helpers/*.py", "linked/*.py"))
    for target in ("helpers/soft.py", "helpers/hard.py", "linked/outside.py"):
        assert gate.judge(candidate(root, "x = 2\n", target=target)).passed is False


@pytest.mark.parametrize(
    ("pattern", "target", "matches"),
    [
        ("helpers/*.py", "helpers/prices.py", True),
        ("**/*.py", "helpers/prices.py", True),
        ("helpers/**/*.py", "helpers/prices.py", True),
        ("*.py", "helpers/prices.py", False),
        ("helpers/p?ices.py", "helpers/prices.py", True),
        ("other/*.py", "helpers/prices.py", False),
    ],
)
def test_patterns_match_whole_paths(
    tmp_path: Path, pattern: str, target: str, matches: bool
) -> None:
    report = AllowedFilesGate((pattern,)).judge(candidate(make_folder(tmp_path), "x = 1\n"))
    assert report.passed is matches


class Broken:
    """Needs a sandbox where there is none."""

    name = "broken"

    def judge(self, candidate: Candidate) -> GateReport:
        raise SandboxError("there is no sandbox.")


def test_a_gate_that_cannot_find_out_refuses(tmp_path: Path) -> None:
    reports = run_gates([ParseGate(), Broken(), ConstructGate()], candidate(tmp_path, "x = 1\n"))
    assert [(report.name, report.passed) for report in reports] == [
        ("parses", True),
        ("broken", False),
    ]
    assert "there is no sandbox" in reports[-1].reason
    assert all(report.seconds >= 0.0 for report in reports)


def test_a_text_that_stays_as_it_is_is_no_change(tmp_path: Path) -> None:
    assert judged(make_folder(tmp_path), HELPER).reason == "the text is as it was"
