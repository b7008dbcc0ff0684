"""A feature helper is read as it was at a commit, and held to its contract."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from menace.errors import HelperCodeError, PackageError
from menace.helper_code import FeatureHelper, HelperCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAG = """\
import pandas as pd

CONTEXT_ROWS = 1


def features(rows):
    return pd.DataFrame({"before": rows["x"].shift(1)})
"""
ROWS = pd.DataFrame({"x": np.arange(100.0), "y": [0, 1] * 50})


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def commit(tmp_path: Path) -> Callable[[str], str]:
    git(tmp_path, "init", "-q")
    (tmp_path / "helpers").mkdir()

    def make(source: str) -> str:
        (tmp_path / "helpers" / "features.py").write_text(source, encoding="utf-8")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", "change")
        return git(tmp_path, "rev-parse", "HEAD").strip()

    return make


def helper(source: str) -> FeatureHelper:
    return FeatureHelper.of_text(source, place="helpers/features.py at abc")


def returning(expression: str) -> FeatureHelper:
    return helper(
        f"import pandas as pd\nimport numpy as np\ndef features(rows):\n    return {expression}\n"
    )


def test_the_code_of_a_commit_is_used_whatever_the_file_says_now(
    tmp_path: Path, commit: Callable[[str], str]
) -> None:
    old = commit(LAG)
    new = commit(LAG.replace("shift(1)", "shift(1) * 0.0"))
    (tmp_path / "helpers" / "features.py").write_text("not python", encoding="utf-8")
    code = HelperCode(tmp_path)
    assert code.head() == new
    assert code.at(old)(ROWS)["before"].iloc[5] == 4.0
    assert code.at(new)(ROWS)["before"].iloc[5] == 0.0


def test_a_repository_in_a_folder_of_a_work_tree_is_found(
    tmp_path: Path, commit: Callable[[str], str]
) -> None:
    at = commit(LAG)
    code = HelperCode.parse(tmp_path / "helpers", "features.py:features")
    assert code.at(at).context_rows == 1


def test_settings_of_the_user_and_hooks_play_no_part(
    tmp_path: Path, commit: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(LAG)
    (tmp_path / ".gitattributes").write_text("*.py diff=loud\n")
    settings = tmp_path / "settings"
    settings.write_text('[diff "loud"]\n\ttextconv = echo loud;\n[core]\n\tpager = false\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert HelperCode(tmp_path).source(at) == LAG


@pytest.mark.parametrize("place", ["../features.py:f", "/a.py:f", "a.py", "a.txt:f", "a.py:not ok"])
def test_a_place_outside_of_the_repository_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(HelperCodeError, match="no file and function"):
        HelperCode.parse(tmp_path, place)


def test_a_commit_that_is_gone_is_an_error_of_the_package(
    tmp_path: Path, commit: Callable[[str], str]
) -> None:
    commit(LAG)
    with pytest.raises(PackageError, match="menace cycle BOT"):
        HelperCode(tmp_path).at("0" * 40)
    with pytest.raises(HelperCodeError, match="is no commit"):
        HelperCode(tmp_path).at("--help")
    with pytest.raises(HelperCodeError, match=r"gone\.py"):
        HelperCode(tmp_path, "helpers/gone.py").at(HelperCode(tmp_path).head())


def test_no_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(HelperCodeError, match="git rev-parse"):
        HelperCode(tmp_path).head()
    with pytest.raises(HelperCodeError, match="git cannot be run"):
        HelperCode(tmp_path / "gone").head()


def test_an_error_names_file_commit_and_line() -> None:
    failing = helper("def features(rows):\n    x = 1\n    return rows['gone']\n")
    with pytest.raises(HelperCodeError, match=r"features\.py at abc, line 3, failed: KeyError"):
        failing(ROWS)
    with pytest.raises(HelperCodeError, match=r"line 2, cannot be loaded: SyntaxError"):
        helper("x = 1\ndef features(rows:\n")
    with pytest.raises(HelperCodeError, match=r"line 1, cannot be loaded: ModuleNotFoundError"):
        helper("import helpers.other\n")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def other(rows): ...", "has no function 'features'"),
        ("CONTEXT_ROWS = -1\ndef features(rows): ...", "CONTEXT_ROWS .* is -1"),
        ("CONTEXT_ROWS = True\ndef features(rows): ...", "CONTEXT_ROWS .* is True"),
    ],
)
def test_a_text_without_what_is_needed_is_refused(source: str, said: str) -> None:
    with pytest.raises(HelperCodeError, match=said):
        helper(source)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("rows['x']", "returned a Series"),
        ("rows[['x']].iloc[1:]", "returned 99 rows for 100"),
        ("pd.DataFrame({'y': rows['x']})", "'y', which no model may see"),
        ("pd.concat([rows[['x']], rows[['x']]], axis=1)", "'x' more than once"),
    ],
)
def test_anything_but_a_column_for_each_row_is_refused(expression: str, said: str) -> None:
    with pytest.raises(HelperCodeError, match=said):
        returning(expression)(ROWS, hidden={"y"})


def test_the_helper_never_sees_what_is_hidden() -> None:
    seen = returning("pd.DataFrame({'n': [len(rows.columns)] * len(rows)})")
    assert set(seen(ROWS, hidden={"y"})["n"]) == {1}


def test_a_column_of_the_source_is_replaced() -> None:
    extended = returning("pd.DataFrame({'x': -rows['x']})").extended(ROWS)
    assert list(extended.columns) == ["y", "x"]
    assert extended["x"].iloc[3] == -3.0


def test_rows_after_a_context_get_what_they_get_in_a_whole() -> None:
    whole = helper(LAG)(ROWS)
    later = ROWS.iloc[60:]
    alone = helper(LAG)(later, context=ROWS.iloc[:60])
    pd.testing.assert_frame_equal(alone, whole.iloc[60:])
    assert len(helper(LAG)(later.iloc[:0], context=ROWS.iloc[:60])) == 0


@pytest.mark.parametrize(
    "expression",
    [
        "pd.DataFrame({'next': rows['x'].shift(-1)})",
        "pd.DataFrame({'rank': rows['x'].rank(pct=True)})",
        "pd.DataFrame({'long_ago': rows['x'].shift(2)})",
        "pd.DataFrame({'word': ['a' if x > rows['x'].mean() else 'b' for x in rows['x']]})",
    ],
)
def test_columns_that_depend_on_other_rows_than_their_context_are_refused(expression: str) -> None:
    helped = returning(expression)
    wave = pd.DataFrame({"x": np.sin(np.arange(400.0))})
    with pytest.raises(HelperCodeError, match="depends on rows after it, or on more than 0 rows"):
        helped.check_context(wave, helped(wave))


def test_columns_of_their_context_pass() -> None:
    helped = helper(LAG)
    helped.check_context(ROWS, helped(ROWS))
    mean = helper(LAG.replace("shift(1)", "rolling(2, min_periods=1).mean()"))
    mean.check_context(ROWS * np.pi, mean(ROWS * np.pi))
