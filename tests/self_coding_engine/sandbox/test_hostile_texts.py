"""Texts that mean to pass their tests without doing what is asked, run by the test server."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from menace.self_coding_engine.sandbox import Sandbox
from menace.self_coding_engine.testing import TestServer

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = "def double(x):\n    return 2 * x\n"
BAD = "def double(x):\n    return x\n"
TESTS = """\
from helper import double


def test_double():
    assert double(2) == 4


def test_double_of_text():
    assert double("a") == "aa"


def test_double_of_nothing(tmp_path):
    assert double([]) == [] and tmp_path.is_dir()
"""

DEFINITIONS = {"good": GOOD, "bad": BAD, "": ""}
TEXTS = {
    text["name"]: text["source"] + DEFINITIONS[text.get("then", "")]
    for text in tomllib.loads(
        Path(__file__).resolve().with_name("texts.toml").read_text(encoding="utf-8")
    )["text"]
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "helper.py").write_text(GOOD, encoding="utf-8")
    (folder / "tests").mkdir()
    (folder / "tests" / "test_helper.py").write_text(TESTS, encoding="utf-8")
    with TestServer(Sandbox.find(), folder=folder, target="helper.py") as started:
        yield started


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_not_believed_and_does_not_spoil_the_next_one(
    server: TestServer, name: str
) -> None:
    report = server.run(TEXTS[name], seconds=1.5)
    assert not report.passed, report
    after = server.run(GOOD, seconds=20.0)
    assert after.passed, after
    assert len(after.cases) == 3
