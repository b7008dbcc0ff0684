"""``menace replay``: figures for people and scripts, and not a byte of the live workspace moved."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran
    from support import DriftingStream

    Menace = Callable[..., Ran]


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder, and what is in it."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_replay_prices_every_strategy_and_leaves_the_live_workspace_as_it_was(
    menace: Menace, cared: DriftingStream, folder: Path, tmp_path: Path
) -> None:
    cared.grow(700)
    before = fingerprint(folder)
    shown = menace("replay", "alpha", "--report", tmp_path / "replay.html")
    assert shown.code == 0, shown.err
    assert fingerprint(folder) == before
    assert shown.out.startswith("alpha: 7 ticks of 100 rows")
    for name in ("never", "always", "every 5 ticks", "ADWIN", "rent-or-buy", "menace", "hindsight"):
        assert name in shown.out
    assert "CPU time is counted" in shown.out
    page = (tmp_path / "replay.html").read_text(encoding="utf-8")
    assert "What caring for alpha would have cost" in page
    document = menace("replay", "alpha", "--json", "--cpu-second-usd", 1000).document
    assert (document["ticks"], document["tick_rows"], document["first_model_rows"]) == (7, 100, 300)
    assert {"name", "total_usd", "cycles", "regret_usd"} <= document["strategies"][0].keys()
    assert document["strategies"][-1]["regret_usd"] == 0
    assert menace("replay", "alpha", "--quiet").err == ""
    assert fingerprint(folder) == before


def test_a_file_is_replayed_without_a_bot_or_in_place_of_its_source(
    menace: Menace, stream: DriftingStream, folder: Path
) -> None:
    stream.grow(1000)
    shape = (
        *("--tick-rows", 100, "--window-rows", 300, "--holdout-rows", 100),
        *("--loss-usd", 1, "--cpu-second-usd", 10),
    )
    alone = menace("replay", "--file", stream.path, "--target", "label", *shape, "--json")
    assert alone.code == 0, alone.err
    assert alone.document["bot"] == "stream"
    assert not (folder / "menace.db").exists()
    menace("bot", "add", "watched", "--target", "label", "--metric", "error_rate", *shape)
    refused = menace("replay", "watched")
    assert refused.code == 1
    assert "remedy: menace replay watched --file FILE" in refused.err
    instead = menace("replay", "watched", "--file", stream.path, "--json")
    assert instead.document["strategies"] == alone.document["strategies"]


@pytest.mark.usefixtures("cared")
def test_what_cannot_be_replayed_is_answered_with_a_remedy(menace: Menace, tmp_path: Path) -> None:
    for arguments, told in (
        (("nobody",), "'nobody'"),
        (("alpha",), "300 labelled rows, which make 3 ticks of 100; a replay needs 8"),
        (("alpha", "--ticks", 3), "3 ticks were asked for"),
        ((), "menace replay --file FILE --target COLUMN"),
        (("alpha", "--file", tmp_path / "gone.csv"), "there is no file"),
        (("alpha", "--tick-rows", 0), "tick_rows is 0"),
    ):
        ran = menace("replay", *arguments)
        assert ran.code == 1, arguments
        assert told in ran.err
        assert "remedy:" in ran.err
        assert set(menace("replay", *arguments, "--json").document) >= {"error", "remedy"}


def test_ctrl_c_ends_a_replay_and_leaves_nothing_behind(
    cared: DriftingStream, folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    cared.grow(3000)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = fingerprint(folder)
    with subprocess.Popen(
        [sys.executable, "-m", "menace", "replay", "alpha"],
        cwd=folder,
        env={**environment, "TMPDIR": os.fspath(temporary), "MENACE_LOOP__WORKERS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(temporary.glob("*/models/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert list(temporary.iterdir()) == []
    assert fingerprint(folder) == before


def test_training_teaches_the_policy_alone_and_says_what_changed(
    menace: Menace, cared: DriftingStream, folder: Path
) -> None:
    cared.grow(900)
    before = fingerprint(folder / "models")
    trained = menace("replay", "alpha", "--train")
    assert trained.code == 0, trained.err
    assert "What its history taught" in trained.out
    assert "rent-or-buy was borne out in" in trained.out
    assert fingerprint(folder / "models") == before
    path = folder / "state" / "alpha.policy.json"
    written = path.read_bytes()
    again = menace("replay", "alpha", "--train", "--json").document["trained"]
    assert path.read_bytes() == written  # the same history is not counted twice
    assert again["policy"] == str(path)
    assert again["live_states"] == 0
    assert 0 <= again["borne_out_ratio"] <= 1
    change = again["changes"][0]
    assert set(change) == {"debt", "age", "ticks", "advantage", "before", "after"}
    assert change["before"] == change["after"]
    assert menace("run", "--once").code == 0
    assert menace("status").code == 0
    assert "value of running" in menace("why", "alpha").out


def test_a_policy_that_has_learned_live_is_trained_only_by_force_and_keeps_what_it_learned(
    menace: Menace, cared: DriftingStream, folder: Path
) -> None:
    for _ in range(5):
        cared.grow(200)
        assert menace("cycle", "alpha").code == 0
    path = folder / "state" / "alpha.policy.json"
    learned = json.loads(path.read_text())["values"]
    assert learned
    refused = menace("replay", "alpha", "--train")
    assert refused.code == 1
    assert "has learned from live cycles already" in refused.err
    assert "menace replay alpha --train --force" in refused.err
    assert json.loads(path.read_text())["values"] == learned
    forced = menace("replay", "alpha", "--train", "--force", "--json")
    assert forced.code == 0, forced.err
    assert forced.document["trained"]["live_states"] == len(learned)
    assert json.loads(path.read_text())["values"] == learned


def test_training_that_cannot_be_meant_or_done_is_answered_with_a_remedy(
    menace: Menace, cared: DriftingStream, folder: Path
) -> None:
    cared.grow(700)
    for arguments, told in (
        (("--file", cared.path, "--target", "label", "--train"), "none is named"),
        (("alpha", "--train", "--tick-rows", 50), "not with --tick-rows"),
        (("alpha", "--force"), "--force goes with --train"),
    ):
        ran = menace("replay", *arguments)
        assert ran.code == 1
        assert told in ran.err
        assert "remedy:" in ran.err
    toml = folder / "menace.toml"
    toml.write_text(toml.read_text() + '[pipelines.mine]\nkind = "command"\ncommand = ["true"]\n')
    menace("bot", "add", "mine", "--source", cared.path, "--target", "label", "--pipeline", "mine")
    ran = menace("replay", "mine")
    assert ran.code == 1
    assert "a pipeline of its own" in ran.err
    with Workspace(folder) as workspace:
        taken = workspace.store.acquire_lease("alpha", owner="elsewhere", seconds=60.0, now=4e9)
        assert taken
    ran = menace("replay", "alpha", "--train")
    assert ran.code == 1
    assert "another process cares for this bot" in ran.err
    assert json.loads((folder / "state" / "alpha.policy.json").read_text())["values"] == []


def test_a_history_whose_losses_cost_nothing_teaches_nothing(
    menace: Menace, stream: DriftingStream, folder: Path
) -> None:
    stream.grow(900)
    shape = ("--tick-rows", 100, "--window-rows", 300, "--holdout-rows", 100)
    added = ("bot", "add", "free", "--source", stream.path, "--target", "label")
    menace(*added, *shape, "--loss-usd", 0)
    ran = menace("replay", "free", "--train")
    assert ran.code == 1
    assert "teaches nothing" in ran.err
    assert not (folder / "state" / "free.policy.json").exists()
