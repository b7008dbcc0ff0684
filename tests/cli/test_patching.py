"""``menace patch``, from the table in menace.toml to the commit, and what goes wrong on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from self_coding_engine.coded_bots import PRICES, WRONG, coded
from self_coding_engine.git_repositories import git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran

    Menace = Callable[..., Ran]

TABLE = '[coding.alpha]\nrepository = "code"\nproposers = ["repair"]\n'
FILE = "helpers/prices.py"


@pytest.fixture
def broken(folder: Path, menace: Menace) -> Path:
    """Give the code of a bot ``alpha`` in this workspace, whose tests fail."""
    added = menace("bot", "add", "alpha", "--target", "label", "--metric", "error_rate")
    assert added.code == 0, added.err
    with (folder / "menace.toml").open("a") as settings:
        settings.write(TABLE)
    return coded(folder / "code", WRONG)


@pytest.mark.slow
def test_failing_tests_are_repaired_shown_and_the_repair_taken_back(
    broken: Path, menace: Menace
) -> None:
    tried = menace("patch", "alpha", "--dry-run", "--json")
    assert tried.code == 0, tried.out + tried.err
    result = tried.document["result"]
    assert (result["status"], result["reverted"], result["patch_id"]) == ("proposed", True, None)
    assert (broken / FILE).read_text() == WRONG

    done = menace("patch", "alpha", "--target", FILE)
    assert done.code == 0, done.out + done.err
    assert f"{FILE}: patch 1, in the code, a canary until the next cycle settles" in done.out
    assert "-    free = 30 if member else 0" not in done.out
    assert "menace patches revert 1" in done.out
    repaired = (broken / FILE).read_text()
    assert repaired != WRONG
    assert "30" in repaired

    again = menace("patch", "alpha", "--json")
    assert again.code == 1
    assert "has not proved itself yet" in again.document["message"]

    assert menace("patches", "revert", 1).code == 0
    assert (broken / FILE).read_text() == WRONG
    assert git(broken, "rev-list", "--count", "HEAD") == "3"


def test_code_that_nobody_described_is_not_patched(folder: Path, menace: Menace) -> None:
    menace("bot", "add", "alpha", "--target", "label", "--metric", "error_rate")
    told = menace("patch", "alpha")
    assert told.code == 1
    assert "add a table [coding.alpha]" in told.err
    assert menace("patch", "beta").code == 1
    with (folder / "menace.toml").open("a") as settings:
        settings.write('[coding.alpha]\nrepositry = "code"\n')
    wrong = menace("patch", "alpha", "--json")
    assert "unknown setting 'repositry'" in wrong.document["message"]
    assert "[coding.alpha]" in wrong.document["message"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seconds", 0), "--seconds is 0"),
        (("--target", "tests/test_prices.py"), "none of the files that may be patched"),
        (("--target", "../menace.toml"), "none of the files that may be patched"),
    ],
)
def test_what_cannot_be_asked_for_is_said(
    broken: Path, menace: Menace, arguments: tuple[object, ...], said: str
) -> None:
    told = menace("patch", "alpha", *arguments)
    assert told.code == 1
    assert said in told.err
    assert "remedy:" in told.err
    assert (broken / FILE).read_text() == WRONG


def test_uncommitted_edits_leave_nothing_to_patch(broken: Path, menace: Menace) -> None:
    (broken / FILE).write_text(PRICES + "# mine\n")
    told = menace("patch", "alpha")
    assert told.code == 1
    assert "no file of its code may be patched now" in told.err
    assert (broken / FILE).read_text() == PRICES + "# mine\n"


def test_code_that_is_in_no_repository_is_named_with_the_remedy(
    broken: Path, menace: Menace
) -> None:
    (broken / ".git").rename(broken / "git")
    told = menace("patch", "alpha")
    assert told.code == 1
    assert "git init" in told.err
