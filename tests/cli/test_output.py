from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from menace.cli.output import Column, console, plain, table, text, usd
from menace.cli.wording import cycle_text, issue_text, reason_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran
    from support import DriftingStream

    Menace = Callable[..., Ran]

ESCAPE = "\x1b["


COMMANDS = """
bot list
run --once
status
why alpha
history alpha
predict alpha STREAM
doctor
cycle alpha
cycle nobody
history alpha --last 0
observe alpha STREAM
frobnicate
cycle
status --frob
cycle alpha --energy many
"""


def test_json_is_one_document_and_nothing_else(menace: Menace, cared: DriftingStream) -> None:
    cared.grow(100)
    codes = []
    for command in COMMANDS.strip().splitlines():
        ran = menace(*command.replace("STREAM", str(cared.path)).split(), "--json")
        document = json.loads(ran.out)
        assert ran.err == "", command
        if ran.code:
            assert {"error", "message", "bot", "remedy"} <= document.keys(), command
            assert document["remedy"], command
        codes.append(ran.code)
    assert codes == [0] * 8 + [1] * 3 + [2] * 4


@pytest.mark.usefixtures("folder")
def test_a_wrong_command_line_exits_2_and_names_the_help(menace: Menace) -> None:
    ran = menace("cycle", "alpha", "--energy", "many")
    assert ran.code == 2
    assert ran.out == ""
    assert "--energy" in ran.err
    assert "remedy: menace cycle --help" in ran.err


def test_nothing_is_wider_than_80_columns_for_people_with_such_a_terminal(
    menace: Menace, cared: DriftingStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    cared.grow(100)
    menace("run", "--once")
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("status", "why alpha", "history alpha", "run --once", "doctor"):
        shown = menace(*command.split())
        assert shown.code == 0, command
        assert max(map(len, shown.out.splitlines())) <= 80, command


def test_columns_are_left_out_by_rank_until_the_table_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [Column("bot"), Column("rows", 2), Column("net", 1)]
    for width, kept in ((80, {"bot", "rows", "net"}), (20, {"bot", "net"}), (12, {"bot"})):
        monkeypatch.setenv("COLUMNS", str(width))
        table(console(), columns, [("a-long-name", 1234567, "$12")])
        assert set(capsys.readouterr().out.splitlines()[0].split()) == kept


def on_a_terminal(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Run the command on a pseudo-terminal and return all that it wrote."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "menace", *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side has hung up
            break
        if not part:
            break
        written += part
    os.close(ours)
    process.wait(timeout=60)
    return written.decode()


def test_colours_are_for_terminals_and_for_those_who_want_them(
    folder: Path, environment: dict[str, str], process: Menace
) -> None:
    assert f"{ESCAPE}1;31m" in on_a_terminal(folder, environment, "why", "nobody")
    without = on_a_terminal(folder, {**environment, "NO_COLOR": "1"}, "why", "nobody")
    assert "31m" not in without
    assert "no bot 'nobody'" in without
    piped = process("why", "nobody", cwd=folder)
    assert ESCAPE not in piped.out + piped.err


def test_progress_is_for_terminals_and_quiet_silences_it(
    cared: DriftingStream, folder: Path, environment: dict[str, str]
) -> None:
    del cared
    assert "improving alpha" in on_a_terminal(folder, environment, "cycle", "alpha")
    assert "improving alpha" not in on_a_terminal(folder, environment, "cycle", "alpha", "--quiet")


def test_help_names_every_command_and_loads_no_heavy_library(environment: dict[str, str]) -> None:
    script = (
        "import sys\n"
        "from menace.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'pandas', 'numpy', 'sqlalchemy', 'lightgbm', 'sklearn', 'optuna', 'river'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for name in ("init", "bot", "observe", "cycle", "run", "status", "why", "history"):
        assert f" {name} " in ran.stdout
    for name in ("predict", "rollback", "doctor", "demo"):
        assert f" {name} " in ran.stdout


def test_bash_completes_commands_and_options(tmp_path: Path, process: Menace) -> None:
    installed = process("--install-completion", cwd=tmp_path, HOME=str(tmp_path), SHELL="/bin/bash")
    assert installed.code == 0, installed.err
    [script] = [path for path in tmp_path.rglob("menace") if path.is_file()]

    def completed(*words: str) -> set[str]:
        asked = (
            f"source {script}\n"
            f"COMP_WORDS=({' '.join(repr(word) for word in words)})\n"
            f"COMP_CWORD={len(words) - 1}\n"
            f"COMP_LINE={' '.join(words)!r}; COMP_POINT=${{#COMP_LINE}}\n"
            f"_menace menace {words[-1]!r} {words[-2]!r}\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        ran = subprocess.run(
            ["bash", "--norc", "-c", asked], capture_output=True, text=True, check=True, timeout=60
        )
        return set(ran.stdout.split())

    assert completed("menace", "st") == {"status"}
    assert completed("menace", "bot", "") == {"add", "list"}
    assert "--energy" in completed("menace", "cycle", "--e")


@pytest.mark.parametrize(
    ("reason", "run", "told"),
    [
        ("manual request", True, "somebody asked for one"),
        ("diagnostics: schema_change", True, "something severe (schema change)"),
        ("waiting for the first 20 labelled rows", False, "waits for its first 20"),
        ("cooling down after 1 failed cycles", False, "its last cycle failed"),
        ("cooling down after 3 failed cycles", False, "its last 3 cycles failed"),
        ("a reason of somebody's own", True, "a reason of somebody's own"),
    ],
)
def test_reasons_are_told_in_words(reason: str, run: bool, told: str) -> None:
    assert told in reason_text(reason, {}, run=run)


@pytest.mark.parametrize(
    ("debt", "run", "told"),
    [
        (2.0, True, "has cost about $2.00 more than a fresh one"),
        (0.2, True, "cycles have paid before"),
        (0.2, False, "has cost $0.20 more than a fresh one would have, less than the $1.00"),
        (-0.2, False, "has cost nothing more than a fresh one"),
        (2.0, False, "cycles have not paid before"),
    ],
)
def test_the_policys_answer_is_told_in_money(debt: float, run: bool, told: str) -> None:
    assert told in reason_text("policy", {"debt_usd": debt, "cycle_cost_usd": 1.0}, run=run)


def test_findings_are_told_with_their_figures() -> None:
    evidence = {"missing": ["hum"], "added": [], "changed": {"x": ["number", "text"]}}
    issue = {"kind": "schema_change", "severity": 0.9, "evidence": evidence}
    assert issue_text(issue) == (
        "schema change (severity 0.90): columns missing hum; changed x (number → text)"
    )
    assert issue_text({"kind": "latency", "severity": 1.0}) == "latency (severity 1.00)"


def test_a_cycle_is_told_with_its_money() -> None:
    cycle = {
        "cycle_id": 3,
        "outcome": "rolled_back",
        "version": 2,
        "cost_usd": 0.5,
        "error": None,
        "roi_delta": -1.5,
        "gain_usd": -0.25,
        "settled_rows": 1000,
    }
    assert cycle_text(cycle) == (
        "cycle 3 rolled back version 2, cost $0.50; settled over 1,000 rows: "
        "gain −$0.25, ROI delta −1.50"
    )


def test_values_are_written_for_people_and_for_scripts() -> None:
    assert [text(value) for value in (None, True, -0.125, 3)] == ["–", "yes", "−0.125", "3"]
    assert [usd(0.0021), usd(-3.0), usd(None)] == ["$0.0021", "−$3.00", "–"]
    assert plain({1: (float("nan"), 2.0)}) == {"1": [None, 2.0]}
