from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from menace.errors import DataError, EnergyError, UnknownBotError
from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran
    from support import DriftingStream

    Menace = Callable[..., Ran]


class Wrong(NamedTuple):
    """A source that is wrong, and what the error must name."""

    content: str | None
    told: tuple[str, ...]
    time: str | None = None
    drop: str | None = None
    target: str = "y"


def lines(bad: str = "", *, header: str = "t,x,y", rows: int = 40) -> str:
    good = [f"{k},0.{k},{k % 2}" for k in range(rows)]
    return "\n".join([header, *good, *([bad] if bad else [])]) + "\n"


WRONG = {
    "a missing file": Wrong(None, ("there is no file", "source.csv")),
    "a missing target": Wrong(lines(), ("no column 'z'", "t, x, y"), target="z"),
    "a missing time column": Wrong(lines(), ("no column 'when'",), time="when"),
    "a missing dropped column": Wrong(lines(), ("no column 'leak'",), drop="leak"),
    "text in a target of numbers": Wrong(lines("40,0.1,oops"), ("'oops'", "row 40", "'y'")),
    "an empty file": Wrong("", ("no labelled rows",)),
    "a header only": Wrong("t,x,y\n", ("no labelled rows",)),
    "a NaN target": Wrong(lines("40,0.1,nan"), ("nan", "row 40", "'y'")),
    "an infinite target": Wrong(lines("40,0.1,inf"), ("inf", "row 40", "'y'")),
    "time going backwards": Wrong(lines("3,0.1,1"), ("time 3", "row 40", "'t'"), time="t"),
    "a row too short": Wrong(lines("40,1"), ("2 fields", "line 42")),
    "a column twice": Wrong(lines(header="t,y,y"), ("'y' more than once",)),
    "no text at all": Wrong("t,x,y\n\udcff\udcfe,1,1\n", ("not UTF-8", "line 2")),
}


def clear(ran: Ran, *fragments: str) -> None:
    """Check that there is one error, without a traceback, with a remedy and all fragments."""
    assert ran.code == 1
    assert ran.err.count("error: ") == 1
    assert "remedy: " in ran.err
    assert "Traceback" not in ran.err
    for fragment in fragments:
        assert fragment in ran.err


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_source_is_refused_with_its_file_and_place_and_leaves_nothing(
    name: str, menace: Menace, folder: Path
) -> None:
    wrong = WRONG[name]
    if wrong.content is not None:
        (folder / "source.csv").write_bytes(wrong.content.encode("utf-8", "surrogateescape"))
    more = [*(("--time", wrong.time) if wrong.time else ())]
    more += [*(("--drop", wrong.drop) if wrong.drop else ())]
    added = menace("bot", "add", "a", "--source", "source.csv", "--target", wrong.target, *more)
    clear(added, "bot 'a'", "source.csv", *wrong.told)
    assert menace("bot", "list", "--json").document == []
    left = {path.name for path in folder.iterdir()} - {"source.csv", "menace.toml"}
    assert all(name.startswith("menace.db") for name in left)
    with Workspace(folder) as workspace, pytest.raises(DataError) as caught:
        workspace.add_bot(
            {
                "name": "a",
                "source": {"kind": "csv", "location": "source.csv"},
                "target": wrong.target,
                "time": wrong.time,
                "drop": (wrong.drop,) if wrong.drop else (),
            }
        )
    assert caught.value.bot == "a"
    assert caught.value.remedy
    assert all(fragment in str(caught.value) for fragment in wrong.told)


def test_a_target_with_one_class_fails_the_cycle_and_waits_for_new_rows(
    menace: Menace, folder: Path
) -> None:
    (folder / "source.csv").write_text("x,y\n" + "".join(f"{k},1\n" for k in range(60)))
    assert menace("bot", "add", "a", "--source", "source.csv", "--target", "y").code == 0
    failed = menace("cycle", "a")
    assert failed.code == 1
    assert "'y' has only one class" in failed.out
    assert "Remedy:" in failed.out
    assert "Traceback" not in failed.err
    assert menace("status", "--json").document[0]["state"] == "1 FAILURE"
    assert menace("run", "--once", "--json").document[0]["run"] is False
    assert len(menace("history", "a", "--json").document) == 1


WRONG_OUTCOMES = [
    (
        "prediction_id,prediction,truth\na,1,0\na,0,1\n",
        "outcome 2: prediction_id 'a' came before",
    ),
    ("prediction_id,prediction\na,1\n", "no column 'truth'"),
    ("prediction_id,prediction,truth\na,1,1\nb,1,nan\n", "outcome 2: has no truth"),
    ("prediction_id,prediction,truth\na,1,inf\n", "outcome 1"),
    (
        "prediction_id,prediction,truth,at\na,1,1,2026-01-01\nb,1,1,soon\n",
        "outcome 2 has 'soon'",
    ),
    ("prediction_id,prediction,truth,loss\na,1,1,0\nb,1,1,-4\n", "outcome 2: loss is -4"),
    ("prediction_id,prediction,truth,loss\na,1,1,much\n", "outcome 1: loss is 'much'"),
    ("", "is empty"),
]


@pytest.mark.usefixtures("cared")
def test_a_file_with_a_wrong_outcome_is_refused_as_a_whole(menace: Menace, tmp_path: Path) -> None:
    file = tmp_path / "outcomes.csv"
    for content, told in WRONG_OUTCOMES:
        file.write_text(content)
        clear(menace("observe", "alpha", file), "outcomes.csv", told)
    assert menace("status", "--json").document[0]["outcomes"] == 0


@pytest.mark.usefixtures("cared")
def test_a_table_that_is_none_is_refused(menace: Menace) -> None:
    for command in ("observe", "predict"):
        for name in ("there-is-none.csv", "."):
            clear(menace(command, "alpha", name), name)


@pytest.mark.usefixtures("cared")
def test_an_unknown_bot_is_answered_by_those_there_are(
    menace: Menace, stream: DriftingStream
) -> None:
    for command in ("cycle", "why", "history", "rollback", "status"):
        clear(menace(command, "nobody"), "no bot 'nobody'", "alpha")
    for command in ("observe", "predict"):
        clear(menace(command, "nobody", stream.path), "no bot 'nobody'", "alpha")


@pytest.mark.usefixtures("cared")
def test_an_energy_outside_its_range_opens_no_cycle(menace: Menace, folder: Path) -> None:
    for energy in (0, -1, 101):
        clear(menace("cycle", "alpha", "--energy", energy), f"energy is {energy}", "1..100")
        with Workspace(folder) as workspace, pytest.raises(EnergyError):
            workspace.engine("alpha").run_cycle(energy)
    assert len(menace("history", "alpha", "--json").document) == 1


def test_the_api_names_an_unknown_bot_as_the_command_does(folder: Path) -> None:
    with Workspace(folder) as workspace, pytest.raises(UnknownBotError, match="nobody"):
        workspace.engine("nobody")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tick-rows", "0"], "tick_rows is 0"),
        (["--task", "guess"], "task"),
        (["--loss-usd", "nan"], "loss_usd is nan"),
        (["--metric", "squared_error"], "'squared_error' does not fit"),
        (["--url", "sqlite:///x.db"], "is no SQL query"),
    ],
)
def test_a_wrong_setting_of_a_bot_is_named(
    arguments: list[str], told: str, menace: Menace, folder: Path
) -> None:
    (folder / "source.csv").write_text(lines())
    added = menace("bot", "add", "a", "--source", "source.csv", "--target", "y", *arguments)
    clear(added, told)
    assert menace("bot", "list", "--json").document == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "the source is empty"),
        ("select * from t", "no database is named"),
        ("no_such_module:rows", "no_such_module"),
        ("math:pi", "cannot be called"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_source_that_is_none_is_refused(source: str, told: str, menace: Menace) -> None:
    clear(menace("bot", "add", "a", "--source", source, "--target", "y"), told)


@pytest.mark.usefixtures("folder")
def test_a_bot_that_is_watched_only_needs_a_metric(menace: Menace) -> None:
    clear(menace("bot", "add", "a", "--target", "y"), "--metric error_rate")


@pytest.mark.usefixtures("cared")
def test_a_name_that_is_taken_is_refused(menace: Menace, stream: DriftingStream) -> None:
    added = menace("bot", "add", "alpha", "--source", stream.path, "--target", "label")
    clear(added, "there is a bot 'alpha' already")


@pytest.mark.usefixtures("cared")
def test_numbers_that_make_no_sense_are_refused(menace: Menace) -> None:
    clear(menace("run", "--poll-seconds", 0), "--poll-seconds is 0")
    clear(menace("history", "alpha", "--last", 0), "--last is 0")
    clear(menace("rollback", "alpha"), "menace history alpha")
    clear(menace("rollback", "alpha", "--to", 7), "no version 7")


def test_outside_a_workspace_the_remedy_is_menace_init(
    tmp_path: Path, menace: Menace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MENACE_HOME", raising=False)
    for command in ("status", "run", "bot list"):
        clear(menace(*command.split()), "menace init")
    assert list(tmp_path.iterdir()) == []


def test_predicting_without_a_model_or_its_columns_is_refused(
    menace: Menace, cared: DriftingStream, folder: Path
) -> None:
    other = folder / "other.csv"
    other.write_text("a,b\n1,2\n")
    clear(menace("predict", "alpha", other), "none of the model's columns: x, y, colour")
    menace("bot", "add", "new", "--source", cared.path, "--target", "label")
    clear(menace("predict", "new", cared.path), "bot 'new'", "menace cycle new")


@pytest.mark.usefixtures("cared")
def test_a_column_that_a_table_lacks_is_told_and_taken_as_missing(
    menace: Menace, folder: Path
) -> None:
    (folder / "few.csv").write_text("x,y\n1.0,2.0\n")
    predicted = menace("predict", "alpha", "few.csv")
    assert predicted.code == 0
    assert len(predicted.out.split()) == 1
    assert "few.csv has no colour" in predicted.err
    assert menace("predict", "alpha", "few.csv", "--quiet").err == ""


def test_what_cannot_be_written_is_named_and_nothing_is_left(
    menace: Menace, cared: DriftingStream, folder: Path
) -> None:
    below_a_file = cared.path / "p.csv"
    clear(menace("predict", "alpha", cared.path, "--out", below_a_file), str(below_a_file))
    clear(menace("init", cared.path / "new"), "cannot be written")
    (folder / "models").rename(folder / "models-away")
    (folder / "models").write_text("a file where a folder should be")
    cared.grow(100)
    failed = menace("cycle", "alpha")
    assert failed.code == 1
    assert f"{folder / 'models'}" in failed.out
    assert "Traceback" not in failed.err
    (folder / "models").unlink()
    (folder / "models-away").rename(folder / "models")
    assert menace("cycle", "alpha").code == 0


def test_an_unwritable_state_folder_stops_the_cycle_before_it_begins(
    menace: Menace, cared: DriftingStream, folder: Path
) -> None:
    (folder / "state").rename(folder / "state-away")
    (folder / "state").write_text("a file where a folder should be")
    cared.grow(100)
    clear(menace("cycle", "alpha"), "alpha.modules.jsonl")
    assert len(menace("history", "alpha", "--json").document) == 1


def test_a_full_disk_fails_the_cycle_and_the_next_one_works(
    menace: Menace, cared: DriftingStream, folder: Path, environment: dict[str, str]
) -> None:
    cared.grow(100)
    size = (folder / "menace.db").stat().st_size
    limited = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 8}, {size // 8}))\n"
        "from menace.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", limited, "cycle", "alpha"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "nothing was half-written" in ran.stderr
    assert menace("status", "--json").document[0]["champion_version"] == 1
    assert menace("predict", "alpha", cared.path).code == 0
    again = menace("cycle", "alpha")
    assert again.code == 0, again.err
    assert len(menace("predict", "alpha", cared.path).out.split()) == 400


@pytest.mark.parametrize("change", ["a column goes", "a column comes", "numbers become words"])
def test_a_source_that_changes_its_columns_is_a_finding_and_the_champion_keeps_serving(
    change: str, menace: Menace, cared: DriftingStream, tmp_path: Path
) -> None:
    before = tmp_path / "before.csv"
    before.write_bytes(cared.path.read_bytes())
    cared.grow(100)
    rows = [line.split(",") for line in cared.path.read_text().splitlines()]
    if change == "a column goes":
        rows = [[row[0], row[1], row[3]] for row in rows]
    elif change == "a column comes":
        rows = [[*row, "extra" if k == 0 else "1"] for k, row in enumerate(rows)]
    else:
        rows = [[f"w{row[0]}", *row[1:]] if k > 300 else row for k, row in enumerate(rows)]
    cared.path.write_text("".join(",".join(row) + "\n" for row in rows))
    ran = menace("run", "--once")
    assert ran.code == 0, ran.out
    issues = menace("why", "alpha", "--json").document["inputs"]["issues"]
    assert "schema_change" in {issue["kind"] for issue in issues}
    told = menace("why", "alpha").out
    column = {"a column goes": "missing colour", "a column comes": "added extra"}.get(
        change, "changed x (number → text)"
    )
    assert column in told
    assert column in menace("status").out
    predicted = menace("predict", "alpha", before)
    assert predicted.code == 0, predicted.err
    assert len(predicted.out.split()) == 300


def test_a_source_without_its_target_is_trouble_and_the_champion_keeps_serving(
    menace: Menace, cared: DriftingStream, tmp_path: Path
) -> None:
    before = tmp_path / "before.csv"
    before.write_bytes(cared.path.read_bytes())
    cared.grow(100)
    rows = [line.rsplit(",", 1)[0] for line in cared.path.read_text().splitlines()]
    cared.path.write_text("\n".join(rows) + "\n")
    ran = menace("run", "--once")
    assert ran.code == 1
    assert "no column 'label'" in ran.out
    assert "Traceback" not in ran.err
    assert menace("status", "--json").document[0]["state"] == "TROUBLE"
    assert "no column 'label'" in menace("why", "alpha").out
    assert len(menace("predict", "alpha", before).out.split()) == 300
