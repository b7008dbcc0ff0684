"""A file is patched by hand: what passes goes in, what does not leaves everything as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

import menace
from menace.errors import CodingError, PatchStateError
from menace.patches import Claim, PatchStatus
from menace.self_coding_engine import CodingSettings, SelfCodingEngine
from menace.self_coding_engine.sandbox import Sandbox, SandboxLimits
from self_coding_engine.coded_bots import (
    CONFTEST,
    PRICES,
    SAME,
    TESTS,
    WRONG,
    Reader,
    Scripted,
    coded,
)
from self_coding_engine.git_repositories import commit_all, git, write

FILE = "helpers/prices.py"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Give a repository whose tests fail."""
    return coded(tmp_path / "code", WRONG)


def test_a_repair_that_passes_every_gate_becomes_a_commit(broken: Path) -> None:
    engine = SelfCodingEngine(broken, proposers=[Scripted([PRICES])])
    before = git(broken, "rev-parse", "HEAD")
    result = engine.apply_patch(FILE)
    assert (result.status, result.reverted) == ("kept", False), result
    assert (broken / FILE).read_text() == PRICES
    assert git(broken, "status", "--porcelain") == ""
    assert git(broken, "rev-parse", "HEAD^") == before
    assert "Menace-Patch: 1\nMenace-Proposer: scripted" in git(broken, "log", "-1", "--format=%B")
    assert "-    free = 20" in result.diff
    assert "+    free = 30" in result.diff
    assert {report.name: report.passed for report in result.gates}["tests"]
    assert result.deltas["failing_tests"] == -1.0


def test_what_the_tests_refuse_leaves_the_file_as_it_was_and_is_remembered(broken: Path) -> None:
    worse = WRONG.replace("0.2 * paid", "0.3 * paid")
    engine = SelfCodingEngine(broken, proposers=[Scripted([worse])])
    result = engine.apply_patch(broken / FILE)
    assert (result.status, result.reverted) == ("rejected", True)
    assert result.gates[-1].name == "tests"
    assert "the proposal was refused; the last by tests" in result.message
    assert (broken / FILE).read_text() == WRONG
    assert git(broken, "rev-list", "--count", "HEAD") == "1"
    [patch] = engine.history.patches(last=9)
    assert (patch.status, patch.commit, patch.target) == (PatchStatus.REJECTED, None, FILE)


def test_proposals_are_judged_in_turn_until_one_passes(broken: Path) -> None:
    hostile = "import socket\n" + PRICES
    engine = SelfCodingEngine(broken, proposers=[Scripted([WRONG, "def (", hostile, PRICES, SAME])])
    result = engine.apply_patch(FILE)
    assert result.status == "kept"
    tried = engine.history.patches(last=9)
    assert [patch.status for patch in tried] == ["rejected", "rejected", "kept"]
    assert [patch.gates[-1].name for patch in tried][:2] == ["parses", "imports"]
    archive = {name: record for _, name, record in engine.proposers().records()}
    assert archive["scripted"].won == 1.0


def test_a_refused_repair_is_not_judged_twice_on_the_same_file(broken: Path) -> None:
    worse = WRONG.replace("0.2 * paid", "0.3 * paid")
    engine = SelfCodingEngine(broken, proposers=[Scripted([worse])])
    assert engine.apply_patch(FILE).status == "rejected"
    assert engine.apply_patch(FILE).status == "none"
    assert len(engine.history.patches(last=9)) == 1


def test_a_corrected_test_gives_a_refused_repair_another_chance(broken: Path) -> None:
    right = (broken / "tests/test_prices.py").read_text()
    write(broken, "tests/test_prices.py", right.replace("(30, 7.0)", "(30, 7.5)"))
    commit_all(broken, "a wrong test, which passes nothing")
    worse = WRONG.replace("0.2 * paid", "0.3 * paid")
    engine = SelfCodingEngine(broken, proposers=[Scripted([worse])])
    assert engine.apply_patch(FILE).status == "rejected"
    assert engine.apply_patch(FILE).status == "none"
    write(broken, "tests/test_prices.py", right)
    commit_all(broken, "the test is right")
    assert engine.apply_patch(FILE).status == "rejected"


def test_what_a_person_took_back_is_not_brought_in_again(broken: Path) -> None:
    engine = SelfCodingEngine(broken, proposers=[Scripted([PRICES])])
    number = engine.apply_patch(FILE).patch_id
    engine.revert(number or 0)
    assert engine.apply_patch(FILE).status == "none"
    assert next(record.won for _, _, record in engine.proposers().records()) < 1.0


def test_a_dry_run_shows_what_would_be_done_and_changes_nothing(broken: Path) -> None:
    engine = SelfCodingEngine(broken, proposers=[Scripted([PRICES])])
    result = engine.apply_patch(FILE, dry_run=True)
    assert (result.status, result.reverted, result.patch_id) == ("proposed", True, None)
    assert "+    free = 30" in result.diff
    assert all(report.passed is not False for report in result.gates)
    assert (broken / FILE).read_text() == WRONG
    assert git(broken, "rev-list", "--count", "--all") == "1"
    assert engine.history.patches(last=9) == []


def test_the_description_and_the_failing_tests_reach_the_proposer(broken: Path) -> None:
    proposer = Scripted([])
    engine = SelfCodingEngine(broken, proposers=[proposer], seed=7)
    result = engine.apply_patch(FILE, "members ride half an hour")
    assert result.status == "none"
    assert "asked: scripted" in result.message
    [task] = proposer.asked
    assert task.description == "members ride half an hour"
    assert task.seed == 7
    assert task.report is not None
    assert {name.partition("[")[0] for name in task.report.failing} == {
        "tests/test_prices.py::test_members_ride_half_an_hour_for_nothing"
    }


def test_uncommitted_edits_are_not_touched(broken: Path) -> None:
    edited = WRONG + "\n# mine\n"
    (broken / FILE).write_text(edited)
    engine = SelfCodingEngine(broken, proposers=[Scripted([PRICES])])
    with pytest.raises(CodingError, match="not committed") as caught:
        engine.apply_patch(FILE)
    assert "commit or undo" in str(caught.value.remedy)
    assert (broken / FILE).read_text() == edited


@pytest.mark.parametrize("file", ["tests/test_prices.py", "helpers/none.py", "../other.py"])
def test_only_targets_are_patched(broken: Path, file: str) -> None:
    engine = SelfCodingEngine(broken, proposers=[Scripted([PRICES])])
    with pytest.raises(CodingError, match="none of the files that may be patched"):
        engine.apply_patch(file)


def test_a_patch_is_taken_back_by_a_commit_of_its_own(broken: Path) -> None:
    engine = SelfCodingEngine(broken, proposers=[Scripted([PRICES])])
    number = engine.apply_patch(FILE).patch_id
    assert number is not None
    result = engine.revert(number)
    assert (result.status, result.reverted) == ("reverted", True)
    assert (broken / FILE).read_text() == WRONG
    assert git(broken, "rev-list", "--count", "HEAD") == "3"
    with pytest.raises(PatchStateError, match="not in the code"):
        engine.revert(number)


def test_a_speed_up_that_is_none_is_refused(tmp_path: Path) -> None:
    code = coded(tmp_path / "code")
    engine = SelfCodingEngine(code, proposers=[Scripted([SAME], claim=Claim.SPEEDS)])
    result = engine.apply_patch(FILE)
    assert result.status == "rejected"
    assert result.gates[-1].name == "speed"


def test_code_whose_tests_notice_little_waits_for_a_person(tmp_path: Path) -> None:
    weak = "from helpers.prices import price\n\n\ndef test_it():\n    assert price(25, True) == 0\n"
    code = coded(tmp_path / "code", WRONG, weak)
    engine = SelfCodingEngine(code, proposers=[Scripted([PRICES])])
    assert "would wait for a person" in engine.apply_patch(FILE, dry_run=True).message
    result = engine.apply_patch(FILE)
    assert (result.status, result.reverted) == ("waiting", True)
    assert "mutants" in result.message
    assert (code / FILE).read_text() == WRONG


def test_nothing_but_the_hidden_gate_sees_the_hidden_tests(broken: Path) -> None:
    write(broken, "hidden/test_more.py", "SECRET = 'violets'\n" + TESTS)
    write(broken, "hidden/conftest.py", CONFTEST)
    commit_all(broken, "Tests that no proposer sees")
    spying = "raise ValueError(open('hidden/test_more.py').read())\n"
    spy = Reader(PRICES + spying)
    engine = SelfCodingEngine(
        broken,
        proposers=[spy, Scripted([PRICES])],
        settings=CodingSettings(hidden_tests="pytest -q hidden"),
    )
    result = engine.apply_patch(FILE)
    assert result.status == "kept", result
    assert {report.name: report.passed for report in result.gates}["hidden tests"]
    assert spy.said
    assert "violets" not in spy.said


def test_menace_itself_is_patched_only_where_that_is_asked_for(tmp_path: Path) -> None:
    checkout = Path(menace.__file__).parents[2]
    with pytest.raises(CodingError, match="holds menace itself"):
        SelfCodingEngine(checkout).apply_patch("src/menace/errors.py")
    with pytest.raises(CodingError, match="holds menace itself"):
        SelfCodingEngine(checkout / "src" / "menace" / "accounting").apply_patch("robust.py")
    elsewhere = coded(tmp_path / "code")
    with pytest.raises(CodingError, match="does not run from a checkout"):
        SelfCodingEngine(elsewhere, optimize_self=True).apply_patch(FILE)
    assert SelfCodingEngine(checkout, optimize_self=True).settings.approval == "person"


def test_making_an_engine_opens_nothing(tmp_path: Path) -> None:
    SelfCodingEngine(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


WITHOUT_SANDBOX = """\
import os, shutil, sys
from pathlib import Path

shutil.copytree(sys.argv[1], "/tmp/code")
os.rename("/tmp/code/git", "/tmp/code/.git")
sys.path[:0] = sys.argv[2:]
from menace.self_coding_engine import SelfCodingEngine
from self_coding_engine.coded_bots import PRICES, WRONG, Scripted

engine = SelfCodingEngine("/tmp/code", proposers=[Scripted([PRICES])])
result = engine.apply_patch("helpers/prices.py")
print(result.status, result.reverted, result.message)
print([report.name for report in result.gates], result.diff.count("free = 30"))
assert Path("/tmp/code/helpers/prices.py").read_text() == WRONG
"""


def test_where_no_sandbox_holds_patches_are_proposed_and_never_applied(
    broken: Path, tmp_path: Path
) -> None:
    # In a sandbox there is none: neither user namespaces nor sockets can be had.
    (broken / ".git").rename(broken / "git")
    places = [Path(menace.__file__).parents[1], Path(__file__).parents[1]]
    run = Sandbox.find().run(
        ["{python}", "-c", WITHOUT_SANDBOX, str(broken), *map(str, places)],
        folder=tmp_path,
        bind=places,
        limits=SandboxLimits(processes=64),
    )
    told = run.output.decode()
    assert run.code == 0, run.errors.decode()
    assert told.startswith("proposed True nothing was applied: ")
    assert "['parses', 'allowed files', 'imports', 'constructs'] 1" in told


def test_targets_are_matched_from_the_top_and_tests_are_none(tmp_path: Path) -> None:
    code = coded(tmp_path / "code")
    for place in ("vendor/helpers/x.py", "helpers/test_own.py", "helpers/deep/y.py", "top.py"):
        write(code, place, "X = 1\n")
    commit_all(code, "more files")
    assert SelfCodingEngine(code).targets_in_turn("nobody") == [FILE]
    deep = SelfCodingEngine(code, ["helpers/**/*.py"])
    assert deep.targets_in_turn("nobody") == ["helpers/deep/y.py", FILE]
