"""Settings: where the workspace is found, what overrides what, how wrong values are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from menace.config import (
    LoopSettings,
    WorkspaceSettings,
    find_workspace,
    load_dotted,
    read_settings,
    validated_bot,
)
from menace.errors import ConfigError, WorkspaceError
from menace.records import Metric, Task

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MENACE_HOME", "MENACE_STORE_URL", "MENACE_LOOP__POLL_SECONDS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "shop"
    folder.mkdir()
    (folder / "menace.toml").write_text("", encoding="utf-8")
    return folder


def settings_from(folder: Path, text: str) -> WorkspaceSettings:
    (folder / "menace.toml").write_text(text, encoding="utf-8")
    return read_settings(folder)


def bot_values(**changes: Any) -> dict[str, Any]:
    return {"name": "alpha", "source": None, "target": "busy", **changes}


def test_a_workspace_is_found_from_a_folder_below_it(workspace: Path) -> None:
    below = workspace / "models" / "old"
    below.mkdir(parents=True)
    assert find_workspace(below) == workspace


def test_the_present_folder_is_where_the_search_begins(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    assert find_workspace() == workspace


def test_without_a_workspace_none_is_found(tmp_path: Path) -> None:
    assert find_workspace(tmp_path) is None


def test_menace_home_goes_before_the_present_folder(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENACE_HOME", str(workspace))
    assert find_workspace(tmp_path) == workspace


def test_a_menace_home_that_is_no_workspace_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENACE_HOME", str(tmp_path))
    with pytest.raises(WorkspaceError, match="menace init") as caught:
        find_workspace()
    assert str(tmp_path) in str(caught.value)


def test_an_empty_file_gives_the_defaults(workspace: Path) -> None:
    assert read_settings(workspace) == WorkspaceSettings()


def test_the_file_goes_before_the_defaults(workspace: Path) -> None:
    settings = settings_from(workspace, 'artifacts = "packages"\n[loop]\npoll_seconds = 5\n')
    assert settings.artifacts == "packages"
    assert settings.loop.poll_seconds == 5.0
    assert settings.loop.lease_seconds == LoopSettings().lease_seconds


def test_the_environment_goes_before_the_file(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENACE_STORE_URL", "sqlite:///other.db")
    monkeypatch.setenv("MENACE_LOOP__POLL_SECONDS", "2.5")
    settings = settings_from(workspace, 'store_url = "sqlite:///file.db"\n[loop]\nworkers = 3\n')
    assert settings.store_url == "sqlite:///other.db"
    assert settings.loop.poll_seconds == 2.5
    assert settings.loop.workers == 3


def test_a_missing_file_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"menace\.toml cannot be read.*menace init"):
        read_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[loop]\nworkers = 1 2", r"menace\.toml is not TOML.*line 2"),
        ('stor_url = "x"', "unknown setting 'stor_url'.*store_url"),
        ("[loop]\npoll_secnds = 1", "loop: unknown setting 'poll_secnds'.*poll_seconds"),
        ("[loop]\npoll_seconds = nan", r"loop\.poll_seconds"),
        ('[loop]\nworkers = "many"', r"loop\.workers.*many"),
        ("[loop]\nworkers = -1", r"loop\.workers"),
        ("[loop]\npoll_seconds = 0", r"loop\.poll_seconds"),
        ("[loop]\narchive_models = -1", r"loop\.archive_models"),
        ('[loop]\nmeter = "guessed"', r"loop\.meter is 'guessed'.*measured.*counted"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(workspace: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        settings_from(workspace, text)
    assert str(workspace / "menace.toml") in str(caught.value)


def test_a_bot_is_built_from_a_plain_document() -> None:
    bot = validated_bot(
        bot_values(
            source={"kind": "csv", "location": "rides.csv"},
            task="binary",
            metric="error_rate",
            drop=["cnt"],
            economics={"loss_usd": 0.5},
        )
    )
    assert bot.source is not None
    assert bot.source.location == "rides.csv"
    assert (bot.task, bot.metric, bot.drop) == (Task.BINARY, Metric.ERROR_RATE, ("cnt",))
    assert bot.economics.loss_usd == 0.5


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "x" * 65, "../up"])
def test_a_name_that_could_not_be_a_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a bot"):
        validated_bot(bot_values(name=name))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tick_rows": 0}, "tick_rows is 0"),
        ({"settlement_rows": -5}, "settlement_rows is -5"),
        ({"window_rows": 19, "holdout_rows": 5}, "window_rows is 19"),
        ({"window_rows": 100, "holdout_rows": 51}, "holdout_rows 51"),
        ({"seconds_per_energy": 0}, "seconds_per_energy"),
        ({"seconds_per_energy": float("nan")}, "seconds_per_energy is nan"),
        ({"economics": {"loss_usd": -1}}, r"economics\.loss_usd is -1"),
        ({"economics": {"cpu_second_usd": float("inf")}}, r"economics\.cpu_second_usd is inf"),
        ({"task": "guessing"}, "task"),
        ({"tick_rows": "often"}, "tick_rows.*often"),
        ({"economics": {"loss_us": 1}}, "economics: unknown setting 'loss_us'.*loss_usd"),
        ({"source": {"kind": "csv", "location": "a.csv", "sep": ";"}}, "unknown setting 'sep'"),
        ({"targt": "y"}, "unknown setting 'targt'.*target"),
    ],
)
def test_a_wrong_value_of_a_bot_is_named_with_a_remedy(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        validated_bot(bot_values(**changes))
    assert caught.value.remedy


def test_a_dotted_path_gives_the_object() -> None:
    assert load_dotted("menace.config:LoopSettings") is LoopSettings


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("menace.config", "not a dotted path"),
        (":name", "not a dotted path"),
        ("menace.no_such_module:name", "cannot be imported.*no_such_module"),
        ("menace.config:no_such_name", "has no 'no_such_name'"),
    ],
)
def test_a_wrong_dotted_path_says_which_part_is_wrong(path: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load_dotted(path)
