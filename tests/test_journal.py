"""Journals: whole lines or none, whatever happens to the writer, the disk or the file."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from menace.errors import StateFileError
from menace.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

APPEND_FOREVER = """
import sys
from menace.journal import Journal
journal = Journal(sys.argv[1], kind="words", version=1)
for count in range(1_000_000):
    with journal.writing() as (_, append):
        append({"count": count, "ballast": "x" * 2000})
    print(count, flush=True)
"""

APPEND_SOME = """
import sys
from menace.journal import Journal
journal = Journal(sys.argv[1], kind="words", version=1)
for count in range(int(sys.argv[2])):
    with journal.writing() as (_, append):
        append({"who": sys.argv[3], "count": count})
"""


def add(path: Path, *words: str) -> None:
    with Journal(path, kind="words", version=1).writing() as (_, append):
        for word in words:
            append({"word": word})


def words(path: Path) -> list[str]:
    return [record["word"] for record in Journal(path, kind="words", version=1).news()]


def test_a_new_journal_is_empty_and_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "words.jsonl"
    assert words(path) == []
    assert not path.parent.exists()
    add(path, "drift", "debt")
    add(path, "énergie")
    assert words(path) == ["drift", "debt", "énergie"]


def test_news_are_told_once_and_writers_hear_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    here, there = (Journal(path, kind="words", version=1) for _ in range(2))
    with here.writing() as (seen, append):
        append({"word": "one"})
    assert (seen, here.news()) == ([], [])
    with there.writing() as (seen, append):
        append({"word": "two"})
    assert seen == [{"word": "one"}]
    assert here.news() == [{"word": "two"}]


@settings(max_examples=40)
@given(cut=st.integers(1, 400))
def test_a_torn_last_line_is_passed_over_and_taken_away(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn") / "words.jsonl"
    add(path, "one", "two", "three")
    whole = path.read_bytes()
    cut = min(cut, len(whole))
    path.write_bytes(whole[:-cut])
    left = words(path)
    assert left == ["one", "two", "three"][: len(left)]
    # What ends before the cut is there.
    assert len(left) == max(0, whole[:-cut].count(b"\n") - 1)
    add(path, "more")
    assert words(path) == [*left, "more"]


def test_a_last_line_of_zeros_as_a_power_cut_leaves_it_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    add(path, "one")
    with path.open("ab") as stream:
        stream.write(b"\0" * 100)
    assert words(path) == ["one"]
    add(path, "two")
    assert words(path) == ["one", "two"]


def test_damage_before_the_last_line_is_refused_by_place(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    add(path, "one", "two")
    damaged = path.read_bytes().replace(b'"one"', b'"eno"')
    path.write_bytes(damaged)
    with pytest.raises(StateFileError, match="damaged at byte"):
        words(path)
    with pytest.raises(StateFileError, match="damaged at byte"):
        add(path, "three")
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("text", ["hello", "hello\n", "a,b\n1,2\n", '{"menace": "engine"}\n'])
def test_a_foreign_file_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    for use in (words, add):
        with pytest.raises(StateFileError, match="no menace words journal"):
            use(path)
    assert path.read_text() == text


def test_another_kind_and_a_newer_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    with Journal(path, kind="words", version=2).writing() as (_, append):
        append({"word": "one"})
    with pytest.raises(StateFileError, match="version 2, newer than 1"):
        words(path)
    with pytest.raises(StateFileError, match="no menace sums journal"):
        Journal(path, kind="sums", version=2).news()


def test_a_journal_that_is_cut_short_while_in_use_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    journal = Journal(path, kind="words", version=1)
    add(path, "one", "two")
    journal.news()
    path.write_bytes(path.read_bytes()[:50])
    with (
        pytest.raises(StateFileError, match="cut short or replaced"),
        journal.writing() as (_, append),
    ):
        append({"word": "three"})


@pytest.mark.parametrize("record", [{"x": float("nan")}, {"x": object()}, {"sha256": "0"}])
def test_what_is_not_plain_json_is_refused_and_nothing_written(
    tmp_path: Path, record: dict[str, object]
) -> None:
    path = tmp_path / "words.jsonl"
    add(path, "one")
    with (
        pytest.raises(StateFileError, match="the record"),
        Journal(path, kind="words", version=1).writing() as (_, append),
    ):
        append(record)
    assert words(path) == ["one"]


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFileError, match=r"cannot be written.*Remedy: make the folder"):
        add(tmp_path / "file" / "words.jsonl", "one")


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", APPEND_FOREVER, path], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(50)]
        writer.kill()
        told += [int(line) for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    counts = [record["count"] for record in Journal(path, kind="words", version=1).news()]
    assert counts[: len(told)] == told
    assert counts == list(range(len(counts)))


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", APPEND_SOME, path, "40", who]) for who in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    records = Journal(path, kind="words", version=1).news()
    assert len(records) == 120
    for who in "abc":
        assert [r["count"] for r in records if r["who"] == who] == list(range(40))
