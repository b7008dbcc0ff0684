from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import TOML
from menace.cli.patches import lineage, win_rates
from menace.patches import Claim, GateReport, Patch, PatchStatus
from menace.self_coding_engine.repository import Repository
from menace.storage.registry import open_store
from self_coding_engine.git_repositories import (
    FASTER,
    HELPER,
    TARGET,
    commit_all,
    git,
    make_repository,
    patched,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran

    Menace = Callable[..., Ran]

DIFF = "--- a/helpers/days.py\n+++ b/helpers/days.py\n@@ -1 +1 @@\n-LIMIT = 1\n+LIMIT = 2\n"
GATES = (
    GateReport("parses", True, "it parses.", seconds=0.001),
    GateReport("hidden tests", None, "there are none."),
    GateReport("speed", True, "faster.", {"ratio": 0.52, "interval": [0.5, 0.55]}, 1.25),
)
REFUSED = (GATES[0], GateReport("tests", False, "2 of 3 fail.", {"failing": 2}, 0.5))


def patch(number: int | None = None, **changes: Any) -> Patch:
    values: dict[str, Any] = {
        "bot": "alpha",
        "target": TARGET,
        "proposer": "tuning",
        "operator": "literal",
        "claim": Claim.SPEEDS,
        "status": PatchStatus.KEPT,
        "at": 1_700_000_000.0,
        "patch_id": number,
    }
    return Patch(**values | changes)


@pytest.fixture
def bot(folder: Path, menace: Menace) -> Path:
    """Give the workspace of a bot ``alpha`` whose helper code is in ``code``."""
    make_repository(folder / "code")
    (folder / "menace.toml").write_text(TOML + '[coding.alpha]\nrepository = "code"\n')
    assert menace("bot", "add", "alpha", "--target", "y", "--metric", "log_loss").code == 0
    return folder


def add(folder: Path, *patches: Patch) -> list[Patch]:
    with closing(open_store("sqlite:///menace.db", folder=folder)) as store:
        return [store.add_patch(one) for one in patches]


def test_a_bot_without_patches_is_told_how_to_get_one(menace: Menace, bot: Path) -> None:
    del bot
    told = menace("patches", "alpha")
    assert (told.code, told.out) == (
        0,
        "nothing was tried on the code of alpha yet; menace patch alpha\n",
    )
    assert menace("patches", "alpha", "--json").document == {
        "bot": "alpha",
        "patches": [],
        "proposers": [],
    }


def test_the_lineage_goes_straight_down_and_rejects_hang_beside(menace: Menace, bot: Path) -> None:
    add(
        bot,
        patch(status=PatchStatus.REJECTED, gates=REFUSED),
        patch(gates=GATES, deltas={"seconds": -0.48, "failing_tests": 0.5}),
        patch(parent_id=2, status=PatchStatus.REVERTED, proposer="repair"),
        patch(parent_id=2, status=PatchStatus.CANARY, proposer="repair"),
        patch(parent_id=4, status=PatchStatus.PROPOSED, proposer="language_model"),
        patch(target="helpers/other.py", status=PatchStatus.REJECTED, gates=REFUSED),
    )

    told = menace("patches", "alpha").out

    lines = [line.rstrip() for line in told.splitlines()]
    assert lines[0] == TARGET
    marks = [line[:6].rstrip() for line in lines[3:8]]
    assert marks == ["├─ 1", "2", "├─ 3", "4", "└─ 5"]
    assert "refused by tests" in lines[3]
    assert "seconds −48 %, failing tests +50 %" in lines[4]
    assert lines[4].endswith("2 passed")
    assert "2023-11-14 22:13" in lines[4]
    assert lines[9] == "helpers/other.py"
    assert lines[12].startswith("└─ 6")
    wins = {line.split()[0]: line.split()[1:] for line in lines[16:19]}
    assert wins["tuning"] == ["3", "1", "2", "0", "0", "33%"]
    assert wins["repair"] == ["1", "0", "0", "1", "1", "0%"]
    assert wins["language_model"] == ["0", "0", "0", "0", "1", "–"]
    # Where the reader's screen is narrow, the rest stays readable.
    assert "1" in menace("patches", "list", "alpha", "--last", 1).out


def test_json_holds_everything_and_last_limits_the_lineage_alone(menace: Menace, bot: Path) -> None:
    added = add(bot, *(patch(status=PatchStatus.REJECTED, diff=DIFF, gates=REFUSED) for _ in "abc"))

    document = menace("patches", "alpha", "--last", 2, "--json").document

    assert [one["patch_id"] for one in document["patches"]] == [2, 3]
    assert document["patches"][0]["diff"] == DIFF
    assert document["patches"][0]["gates"][1]["figures"] == {"failing": 2}
    assert document["proposers"] == [
        {
            "proposer": "tuning",
            "tried": 3,
            "kept": 0,
            "rejected": 3,
            "taken_back": 0,
            "open": 0,
            "win_rate": 0.0,
        }
    ]
    assert "the newest 2 of 3; --last N shows more" in menace("patches", "alpha", "--last", 2).out
    assert len(added) == 3


def test_one_patch_is_shown_with_its_gates_figures_and_diff(menace: Menace, bot: Path) -> None:
    add(
        bot,
        patch(),
        patch(
            parent_id=1,
            status=PatchStatus.CANARY,
            explanation="Reads two rows at once [bold]",
            diff=DIFF,
            gates=GATES,
            deltas={"seconds": -0.48},
            parameters={"name": "LIMIT", "value": 2},
            commit="c" * 40,
            approved_by="Ana",
        ),
    )

    told = menace("patches", "show", 2).out

    assert told.startswith("patch 2 of alpha: canary\nReads two rows at once [bold]\n")
    for part in (
        "proposed by     tuning, rule literal",
        "after patch     1 ",
        "came by commit",
        "approved by     Ana",
        "name LIMIT, value 2",
        "ratio 0.52, interval [0.5, 0.55]",
        "no judgement",
        "-LIMIT = 1\n+LIMIT = 2\n",
        "take it back: menace patches revert 2",
    ):
        assert part in told
    assert "went by commit" not in told
    assert menace("patches", "show", 2, "--json").document["parameters"]["value"] == 2


def test_a_diff_is_coloured_on_terminals_only(
    menace: Menace, bot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(bot, patch(diff=DIFF))
    assert "\x1b[" not in menace("patches", "show", 1).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32m+LIMIT = 2" in menace("patches", "show", 1).out


def test_what_does_not_exist_is_refused_with_the_remedy(menace: Menace, bot: Path) -> None:
    del bot
    for arguments, said in (
        (("patches", "gamma"), "no bot"),
        (("patches", "alpha", "--last", 0), "--last is 0"),
        (("patches", "show", 7), "there is no patch 7"),
        (("patches", "revert", 7), "there is no patch 7"),
    ):
        refused = menace(*arguments)
        assert refused.code == 1
        assert said in refused.err
        assert "remedy:" in refused.err


def kept_patch(bot: Path) -> Repository:
    repository = Repository(bot / "code")
    base, commit = repository.head(), patched(repository)
    repository.bring(commit)
    add(bot, patch(commit=commit, base_commit=base))
    return repository


def test_a_patch_is_taken_back_from_the_command_line(menace: Menace, bot: Path) -> None:
    kept_patch(bot)

    told = menace("patches", "revert", 1)

    head = git(bot / "code", "rev-parse", "HEAD")
    assert told.out == f"patch 1 is reverted: {TARGET} is as it was, by commit {head[:12]}\n"
    assert (bot / "code" / TARGET).read_text() == HELPER
    again = menace("patches", "revert", 1, "--json")
    assert (again.code, again.document["error"]) == (1, "PatchStateError")


def test_later_edits_are_named_and_a_merge_is_offered(menace: Menace, bot: Path) -> None:
    kept_patch(bot)
    edited = FASTER.replace("return rows", "return list(rows)")
    write(bot / "code", TARGET, edited)
    commit_all(bot / "code", "Mine")

    refused = menace("patches", "revert", 1)

    assert refused.code == 1
    assert "edited since patch 1: line 5" in refused.err
    assert "menace patches revert 1 --merge" in refused.err
    assert (bot / "code" / TARGET).read_text() == edited
    merged = menace("patches", "revert", 1, "--merge", "--json").document
    assert merged["result"]["status"] == "reverted"
    assert merged["revert_commit"] == git(bot / "code", "rev-parse", "HEAD")
    assert (bot / "code" / TARGET).read_text() == edited.replace("LIMIT = 2", "LIMIT = 1")


def test_a_bot_whose_code_is_nowhere_described_says_what_to_add(menace: Menace, bot: Path) -> None:
    kept_patch(bot)
    (bot / "menace.toml").write_text(TOML)

    refused = json.loads(menace("patches", "revert", 1, "--json").out)

    assert (refused["error"], "[coding.alpha]" in refused["remedy"]) == ("ConfigError", True)


def test_a_tree_holds_every_patch_once_however_they_hang_together() -> None:
    states = list(PatchStatus)
    patches = [
        patch(
            number,
            parent_id=(number * 7 % 13) if number * 7 % 13 < number else None,
            status=states[number % len(states)],
            target=f"{number % 2}.py" if number % 5 == 0 else TARGET,
        )
        for number in range(1, 60)
    ]
    drawn = [one.patch_id for _, rows in lineage(patches) for _, one in rows]
    assert sorted(drawn, key=lambda number: number or 0) == list(range(1, 60))


def test_a_long_line_stays_narrow() -> None:
    patches = [patch(number, parent_id=number - 1 or None) for number in range(1, 3000)]
    [(_, rows)] = lineage(patches)
    assert {mark for mark, _ in rows} == {""}
    assert [one.patch_id for _, one in rows] == list(range(1, 3000))


def test_proposers_are_ranked_by_what_was_kept() -> None:
    patches = [
        *(patch(n, proposer="often") for n in range(3)),
        *(patch(n, proposer="often", status=PatchStatus.REJECTED) for n in range(3)),
        patch(9, proposer="once"),
        patch(10, proposer="never", status=PatchStatus.REVERTED),
        patch(11, proposer="waits", status=PatchStatus.WAITING),
    ]
    rows = win_rates(patches)
    assert [row["proposer"] for row in rows] == ["once", "often", "never", "waits"]
    assert [row["win_rate"] for row in rows] == [1.0, 0.5, 0.0, None]
    assert rows[3]["open"] == 1
