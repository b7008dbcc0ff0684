from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran
    from support import DriftingStream

    Menace = Callable[..., Ran]


def test_a_new_user_gets_from_nothing_to_predictions_with_real_processes(
    tmp_path: Path, process: Menace, stream: DriftingStream
) -> None:
    stream.grow(300)
    made = process("init", cwd=tmp_path)
    assert made.code == 0
    assert "menace bot add" in made.out
    added = process(
        "bot", "add", "alpha", "--source", "stream.csv", "--target", "label", cwd=tmp_path
    )
    assert added.code == 0, added.err
    ran = process("cycle", "alpha", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("alpha: promoted version 1")
    predicted = process("predict", "alpha", "stream.csv", "--out", "p.csv", cwd=tmp_path)
    assert predicted.out == "300 predictions in p.csv\n"
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    right = sum(row["prediction"] == row["label"] for row in rows)
    assert right > 200
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_init_makes_a_folder_and_refuses_one_that_is_a_workspace(
    tmp_path: Path, menace: Menace
) -> None:
    first = menace("init", tmp_path / "new", "--json")
    assert first.document == {"workspace": str(tmp_path / "new")}
    again = menace("init", tmp_path / "new")
    assert again.code == 1
    assert "exists already" in again.err
    assert "remedy:" in again.err


@pytest.mark.usefixtures("folder")
def test_without_bots_every_look_says_how_to_add_one(menace: Menace) -> None:
    for command in (("bot", "list"), ("status",)):
        shown = menace(*command)
        assert shown.code == 0
        assert "menace bot add NAME" in shown.out
    ran = menace("run", "--once")
    assert ran.code == 1
    assert "menace bot add NAME" in ran.err


def test_the_bot_list_names_source_and_target(menace: Menace, cared: DriftingStream) -> None:
    [bot] = menace("bot", "list", "--json").document
    assert bot["name"] == "alpha"
    assert bot["source"]["location"] == str(cared.path)
    assert bot["economics"]["loss_usd"] == 1.0
    assert "alpha" in menace("bot", "list").out


def test_why_speaks_of_the_last_decision_and_its_cycle(
    menace: Menace, cared: DriftingStream
) -> None:
    cared.grow(100)
    assert menace("run", "--once").code == 0
    told = menace("why", "alpha").out
    assert told.startswith("alpha: ")
    assert "because" in told
    assert "last cycle: cycle" in told
    assert "serving model" in told
    document = menace("why", "alpha", "--json").document
    assert {"debt_usd", "cycle_cost_usd", "policy_score"} <= document["inputs"].keys()
    assert document["last_cycle"]["cycle_id"] >= 1


def test_why_lists_what_could_be_done_and_what_was_judged_best(
    menace: Menace, cared: DriftingStream
) -> None:
    cared.grow(100)
    assert menace("run", "--once").code == 0
    judged = menace("why", "alpha", "--json").document["inputs"]["alternatives"]
    rows = {row["kind"]: row for row in judged["rows"]}
    assert {"wait", "refit recent", "search"} <= rows.keys()
    for row in rows.values():
        assert row["net_usd"] == pytest.approx(row["gain_usd"] - row["cost_usd"])
        assert row["error_usd"] >= 0
    best = max((row for row in rows.values() if row["eligible"]), key=lambda row: row["net_usd"])
    assert rows[judged["best"]]["net_usd"] == best["net_usd"]
    assert judged["lead_usd"] >= 0
    told = menace("why", "alpha").out
    assert "what could be done" in told
    assert "refit on the recent window" in told
    assert "judged best: " in told


@pytest.mark.usefixtures("folder")
def test_why_before_any_decision_names_the_command_that_makes_one(
    menace: Menace, stream: DriftingStream
) -> None:
    stream.grow(30)
    menace("bot", "add", "alpha", "--source", stream.path, "--target", "label")
    assert "menace run --once" in menace("why", "alpha").out
    assert menace("why", "alpha", "--json").document is None
    assert "menace cycle alpha" in menace("history", "alpha").out


def test_history_lists_cycles_with_their_money(menace: Menace, cared: DriftingStream) -> None:
    cared.grow(100)
    menace("cycle", "alpha", "--energy", 1)
    rows = menace("history", "alpha", "--json").document
    assert [row["cycle_id"] for row in rows] == [1, 2]
    assert rows[0]["reason"] == "manual request"
    assert rows[0]["cost_usd"] > 0
    assert rows[0]["gain_usd"] is None  # it replaced nothing
    assert [
        row["cycle_id"] for row in menace("history", "alpha", "--last", 1, "--json").document
    ] == [2]
    assert "manual request" in menace("history", "alpha").out


def test_status_counts_and_sums_up(menace: Menace, cared: DriftingStream) -> None:
    cared.grow(100)
    menace("run", "--once")
    [row] = menace("status", "--json").document
    assert row["bot"] == "alpha"
    assert row["rows"] == 400
    assert row["outcomes"] == 100
    assert row["recent_loss"] == pytest.approx(row["mean_loss"])
    assert row["settled_cycles"] >= 1
    told = menace("status").out
    assert "1 bot:" in told
    assert "net " in told


def test_status_of_named_bots_leaves_the_others_out(menace: Menace, cared: DriftingStream) -> None:
    menace("bot", "add", "beta", "--source", cared.path, "--target", "label")
    assert [row["bot"] for row in menace("status", "--json").document] == ["alpha", "beta"]
    assert [row["bot"] for row in menace("status", "beta", "--json").document] == ["beta"]


@pytest.mark.usefixtures("cared")
def test_observing_a_file_twice_adds_nothing_the_second_time(
    menace: Menace, tmp_path: Path
) -> None:
    file = tmp_path / "outcomes.csv"
    file.write_text("prediction_id,prediction,truth,at\n007,1,1,2026-01-01T00:00:00Z\n7,1,0,\n")
    first = menace("observe", "alpha", file, "--json").document
    assert first == {"bot": "alpha", "rows": 2, "new": 2, "known": 0}
    assert menace("observe", "alpha", file).out == "0 new outcomes of alpha, 2 were known\n"
    assert menace("status", "--json").document[0]["outcomes"] == 2


def test_a_bot_without_a_source_is_watched_diagnosed_and_left_alone(
    menace: Menace, folder: Path
) -> None:
    added = menace("bot", "add", "served", "--target", "y", "--metric", "error_rate")
    assert "menace observe served FILE" in added.out
    rows = [{"prediction_id": str(k), "prediction": 1, "truth": int(k < 400)} for k in range(800)]
    file = folder / "served.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert menace("observe", "served", file, "--json").document["new"] == 800
    assert menace("run", "--once").code == 0
    [row] = menace("status", "--json").document
    assert row["mean_loss"] == 0.5
    assert "drift" in {issue["kind"] for issue in row["issues"]}
    told = menace("why", "served").out
    assert "watched only" in told
    assert "finding: drift" in told
    refused = menace("cycle", "served")
    assert refused.code == 1
    assert "only reports outcomes" in refused.out
    assert "watched only" in menace("predict", "served", file).err
    assert menace("history", "served", "--json").document == []


def test_predictions_are_printed_one_per_line(menace: Menace, cared: DriftingStream) -> None:
    printed = menace("predict", "alpha", cared.path)
    assert len(printed.out.splitlines()) == 300
    assert set(printed.out.split()) <= {"0", "1"}
    document = menace("predict", "alpha", cared.path, "--json").document
    assert list(map(str, document["predictions"])) == printed.out.split()


def test_rollback_lets_the_former_champion_serve(menace: Menace, cared: DriftingStream) -> None:
    cared.grow(100)
    assert menace("cycle", "alpha", "--json").document["status"] == "promoted"
    assert menace("rollback", "alpha").out == "version 1 of alpha serves again\n"
    assert menace("status", "--json").document[0]["champion_version"] == 1
    assert menace("rollback", "alpha", "--to", 2, "--json").document["version"] == 2


@pytest.mark.usefixtures("cared")
def test_doctor_finds_the_source_that_is_gone(menace: Menace, stream: DriftingStream) -> None:
    well = menace("doctor")
    assert well.code == 0
    assert "all is well" in well.out
    stream.path.unlink()
    ill = menace("doctor", "--json")
    assert ill.code == 1
    [wrong] = [row for row in ill.document if not row["ok"]]
    assert wrong["check"] == "bot alpha"
    assert str(stream.path) in wrong["found"]
    assert wrong["remedy"]


def test_the_demo_command_ends_in_a_table_and_a_workspace(
    tmp_path: Path, menace: Menace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    shown = menace("demo", "here", "--ticks", 8, "--quiet")
    assert shown.code == 0, shown.err
    assert shown.err == ""
    for name in ("never retrain", "always", "menace", "hindsight optimum"):
        assert name in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    monkeypatch.chdir(tmp_path / "here")
    assert menace("status", "--json").document[0]["bot"] == "bikes"
    assert menace("why", "bikes").code == 0
    assert menace("history", "bikes", "--json").document
