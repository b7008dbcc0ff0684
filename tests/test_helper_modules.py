"""A helper gets the files of its repository as they were at its own commit."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from menace.errors import HelperCodeError
from menace.helper_code import HelperCode
from menace.helper_modules import RepositoryModules

if TYPE_CHECKING:
    from pathlib import Path


def modules(**texts: str) -> RepositoryModules:
    """Make modules of texts; ``a__b`` stands for the file ``a/b.py``."""
    files = {f"{name.replace('__', '/')}.py": text for name, text in texts.items()}
    return RepositoryModules(files, files.__getitem__, label="a test")


@pytest.mark.parametrize(
    "line",
    [
        "from lib.units import DEGREE",
        "import lib.units\nDEGREE = lib.units.DEGREE",
        "from lib import units\nDEGREE = units.DEGREE",
        "import lib.units as known\nDEGREE = known.DEGREE",
        "from .units import DEGREE",
        "from . import units\nDEGREE = units.DEGREE",
        "from ..lib.units import DEGREE",
        "from lib.units import *",
        "def late():\n    from lib.units import DEGREE\n    return DEGREE\nDEGREE = late()",
    ],
)
def test_every_form_of_import_finds_the_files_of_the_repository(line: str) -> None:
    loaded = modules(lib__units="DEGREE = 1.8", lib__features=line).load("lib/features.py")
    assert loaded.DEGREE == 1.8
    assert "lib" not in sys.modules
    assert "lib.units" not in sys.modules


def test_what_the_repository_does_not_have_is_imported_as_usual() -> None:
    loaded = modules(features="import json, os.path\nfrom math import pi").load("features.py")
    assert loaded.json is sys.modules["json"]
    assert loaded.pi > 3


def test_a_file_of_the_repository_stands_before_an_installed_module() -> None:
    loaded = modules(features="import colorsys", colorsys="OWN = True").load("features.py")
    assert loaded.colorsys.OWN


def test_files_may_import_each_other_and_are_loaded_once() -> None:
    loaded = modules(
        one="import two\nNAMES = ['one']\ndef all_names():\n    return NAMES + two.NAMES",
        two="import one\nNAMES = ['two']",
    ).load("one.py")
    assert loaded.all_names() == ["one", "two"]
    assert loaded.two.one is loaded


def test_dataclasses_find_their_own_module() -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass(slots=True)\nclass Hour:\n    number: int"
    )
    assert modules(hours=text).load("hours.py").Hour(3).number == 3


def test_the_hash_is_of_everything_that_was_loaded() -> None:
    texts = {"features": "import units", "units": "A = 1", "other": "B = 1"}
    hashes = []
    for changed in ({}, {"other": "B = 2"}, {"units": "A = 2"}):
        made = modules(**{**texts, **changed})
        made.load("features.py")
        hashes.append(made.sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def commit(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "code")):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


def test_two_commits_are_served_side_by_side_each_with_its_own_files(tmp_path: Path) -> None:
    text = (
        "import pandas as pd\nfrom lib.units import to_fahrenheit\n"
        "def features(rows):\n    return pd.DataFrame({'f': to_fahrenheit(rows['c'])})\n"
    )
    code = HelperCode(tmp_path, "lib/features.py")
    commit(
        tmp_path, lib__features=text, lib__units="def to_fahrenheit(c):\n    return c * 2 + 30\n"
    )
    first = code.at(code.head())
    commit(tmp_path, lib__units="def to_fahrenheit(c):\n    return c * 1.8 + 32\n")
    second = code.at(code.head())
    rows = pd.DataFrame({"c": [0.0, 100.0]})
    assert first(rows)["f"].tolist() == [30.0, 230.0]
    assert second(rows)["f"].tolist() == [32.0, 212.0]
    assert first.sha256 != second.sha256


def test_what_fails_in_a_file_that_is_imported_is_named(tmp_path: Path) -> None:
    commit(tmp_path, lib__features="import lib.units", lib__units="1 / 0")
    code = HelperCode(tmp_path, "lib/features.py")
    with pytest.raises(HelperCodeError, match="ZeroDivisionError"):
        code.at(code.head())
