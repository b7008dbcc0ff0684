"""Texts of a file against its tests: what passes, what fails, and what does not even end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from menace.errors import CodingError
from menace.self_coding_engine.sandbox import Sandbox
from menace.self_coding_engine.testing import TestServer
from menace.self_coding_engine.testing.test_server import pytest_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = """\
LIMIT = 100


def total(n):
    found = 0
    for step in range(n):
        found += step
    return min(found, LIMIT)
"""
RIGHT = SOURCE.replace("range(n)", "range(n + 1)")
HANGING = SOURCE.replace("        found += step", "        while n > 2:\n            pass")
TESTS = """\
import importlib.util
from pathlib import Path

import pytest

import parts.sums
from parts.sums import total


@pytest.mark.parametrize("n, expected", [(0, 0), (3, 6), (4, 10)])
def test_total(n, expected):
    assert total(n) == expected


class TestThroughTheModule:
    @pytest.fixture
    def one(self):
        return 1

    def test_one(self, one):
        assert parts.sums.total(one) == 1


def test_by_path():
    path = Path(parts.sums.__file__)
    spec = importlib.util.spec_from_file_location("by_path", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.total(2) == 3


@pytest.mark.skip(reason="says nothing")
def test_nothing():
    raise AssertionError


def test_without_the_target():
    assert True
"""
FILE = "tests/test_sums.py"
FAILING = (
    f"{FILE}::test_total[3-6]",
    f"{FILE}::test_total[4-10]",
    f"{FILE}::TestThroughTheModule::test_one",
    f"{FILE}::test_by_path",
)
PASSING = (f"{FILE}::test_total[0-0]", f"{FILE}::test_without_the_target")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    for name in ("parts", "tests"):
        (root / name).mkdir()
    (root / "parts" / "__init__.py").write_text("")
    (root / "parts" / "sums.py").write_text(SOURCE)
    (root / FILE).write_text(TESTS)
    return root


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[TestServer]:
    with TestServer(
        Sandbox.find(), folder=folder, target="parts/sums.py", test_seconds=0.4
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def scripts(folder: Path) -> Iterator[TestServer]:
    cases = [("three", "assert total(3) == 6"), ("none", "assert total(0) == 0")]
    with TestServer(
        Sandbox.find(), folder=folder, target="parts/sums.py", cases=cases, test_seconds=0.4
    ) as opened:
        yield opened


def test_the_tests_are_known_beforehand_without_those_that_are_skipped(server: TestServer) -> None:
    assert set(server.tests) == {*FAILING, *PASSING}
    assert server.fast


def test_a_faulty_text_is_told_from_a_right_one(server: TestServer, folder: Path) -> None:
    report = server.run(SOURCE)
    assert report.complete
    assert report.failing == FAILING
    assert "assert 3 == 6" in next(case.message for case in report.cases if not case.passed)
    assert server.run(RIGHT).passed
    assert (folder / "parts" / "sums.py").read_text() == SOURCE


def test_a_text_that_hangs_fails_only_where_it_hangs(server: TestServer) -> None:
    report = server.run(HANGING)
    assert report.complete
    assert not report.passed
    assert {case.name for case in report.cases if case.passed} >= set(PASSING)


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos._exit(0)\n",
        "import sys\nsys.exit(0)\n",
        "def total(n):\n    import os\n    os._exit(0)\n",
        "def total(n:\n",
        "",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
        "def total(n):\n    try:\n        while True: pass\n    except BaseException: exit(n)\n",
    ],
)
def test_a_text_that_ends_its_process_passes_nothing(server: TestServer, text: str) -> None:
    report = server.run(text, seconds=20.0)
    assert not report.passed
    assert not {case.name for case in report.cases if case.passed} & set(FAILING)
    assert server.run(RIGHT).passed


def test_only_the_wanted_tests_run_and_none_after_a_failure(server: TestServer) -> None:
    wanted = [PASSING[0], FAILING[0], FAILING[1]]
    assert {case.name for case in server.run(SOURCE, only=wanted).cases} == set(wanted)
    stopped = server.run(SOURCE, only=wanted, stop_at_first=True)
    assert [case.passed for case in stopped.cases] == [True, False]
    assert not stopped.complete


def test_lines_are_told_by_test(server: TestServer) -> None:
    lines = server.run(SOURCE, lines=True).lines
    assert {5, 6, 7, 8} <= lines[FAILING[0]]
    assert 7 not in lines[PASSING[0]]
    assert not lines[f"{FILE}::test_without_the_target"]


def test_many_texts_are_screened_and_bad_ones_cost_only_themselves(server: TestServer) -> None:
    bad = [HANGING, "import os\nos._exit(0)\n", "def total(n:\n"]
    looks = server.screen(
        [SOURCE, *bad, *[RIGHT] * 50], first=FAILING, rest=PASSING, test_seconds=0.1
    )
    assert len(looks) == 54
    assert not looks[0].passed
    assert [look.why for look in looks[1:4]] == ["slow", looks[2].why, "load"]
    assert "exited early" in looks[2].why
    assert all(look.passed == {*FAILING, *PASSING} for look in looks[4:])
    assert len({look.seen for look in looks[4:]}) == 1
    assert looks[0].seen != looks[4].seen


def test_calls_are_probed_and_a_hanging_one_is_told(server: TestServer) -> None:
    calls = [("total", "(3,)"), ("total", "('a',)"), ("total", "(0,)"), ("absent", "()")]
    faulty, hanging = server.probe([SOURCE, HANGING], calls, test_seconds=0.1)
    assert faulty == ["3", "!TypeError", "0", "!missing"]
    assert hanging == ["!OutOfTimeError", "!TypeError", "0", "!missing"]


def test_calls_and_types_are_observed(server: TestServer) -> None:
    seen = server.observe(SOURCE)
    assert seen.report.failing == FAILING
    assert seen.types["total"]["found"] == {"int"}
    assert ("total", "(3,)", "3") in {(c.function, c.arguments, c.result) for c in seen.calls}


def test_scripts_run_in_the_names_of_the_text(scripts: TestServer) -> None:
    assert scripts.tests == ("three", "none")
    assert scripts.run(SOURCE).failing == ("three",)
    assert scripts.run(RIGHT).passed
    assert scripts.run(HANGING).failing == ("three",)
    assert scripts.run("import sys\nsys.exit()\n").failing == ("three", "none")
    assert scripts.run(SOURCE, lines=True).lines["three"] >= {5, 6, 7, 8}


def test_a_child_that_uses_up_the_time_of_the_run_leaves_it_incomplete(scripts: TestServer) -> None:
    swallowing = "def total(n):\n    while True:\n        try:\n            while True: pass\n"
    swallowing += "        except BaseException:\n            pass\n"
    report = scripts.run(swallowing, seconds=10.0)
    assert report.failing == ("three", "none")


def test_the_server_starts_anew_after_its_session_was_ended(folder: Path) -> None:
    cases = [("three", "assert total(3) == 6")]
    killing = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
    with TestServer(Sandbox.find(), folder=folder, target="parts/sums.py", cases=cases) as opened:
        report = opened.run(killing)
        assert not report.complete
        assert "ended" in report.reason
        assert opened.run(RIGHT).passed
        assert opened.cpu_seconds > 0


def test_tests_that_hold_on_to_the_target_are_run_whole(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text("def one():\n    return 2\n")
    held = "import functools\nimport target\nheld = functools.partial(target.one)\n"
    (tmp_path / "test_held.py").write_text(f"{held}def test_one():\n    assert held() == 1\n")
    with TestServer(
        Sandbox.find(), folder=tmp_path, target="target.py", tests="pytest -q test_held.py"
    ) as opened:
        assert not opened.fast
        (right,) = opened.screen(["def one():\n    return 1\n"], first=opened.tests, seconds=20.0)
        assert right.passed == set(opened.tests)


def test_other_commands_than_pytest_are_refused() -> None:
    assert pytest_arguments("python3 -m pytest -q 'my tests'") == ["-q", "my tests"]
    with pytest.raises(CodingError, match="not pytest"):
        pytest_arguments("make test")


def test_a_target_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodingError, match="cannot be read"):
        TestServer(Sandbox.find(), folder=tmp_path, target="absent.py").__enter__()


def test_tests_that_need_pandas_are_kept_in_memory_too(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text("def one():\n    return 2\n")
    frame = "import pandas as pd\nfrom target import one\n\n\ndef test_one():\n"
    frame += "    assert pd.DataFrame({'a': [one()], 'b': ['x']})['a'].sum() == 1\n"
    (tmp_path / "test_frame.py").write_text(frame)
    with TestServer(
        Sandbox.find(), folder=tmp_path, target="target.py", tests="pytest -q test_frame.py"
    ) as opened:
        assert opened.fast
        assert opened.run("def one():\n    return 1\n").passed


def test_a_text_that_eats_memory_fails_alone(scripts: TestServer) -> None:
    eating = "def total(n):\n    return [bytes(1 << 24) for _ in range(1000)] if n else 0\n"
    assert scripts.run(eating).failing == ("three",)
    assert scripts.run(RIGHT).passed
