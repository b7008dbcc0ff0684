"""``menace replay``: figures for people and scripts, and not a byte of the live workspace moved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

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
    shape = ("--tick-rows", 100, "--window-rows", 300, "--holdout-rows", 100)
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
