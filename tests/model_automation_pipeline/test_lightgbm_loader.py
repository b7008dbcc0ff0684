"""LightGBM's import where a library is missing, in processes whose LightGBM is a stand-in file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from menace.model_automation_pipeline.lightgbm_loader import OPENMP, import_lightgbm

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = """
import sys
from pathlib import Path
from menace.errors import MissingDependencyError
from menace.model_automation_pipeline.lightgbm_loader import import_lightgbm
try:
    print("loaded", import_lightgbm(Path(sys.argv[1])).__name__)
except MissingDependencyError as error:
    print(error)
except OSError as error:
    print("passed on", error)
"""
NEEDS_A_LOADED_LIBRARY = f"""
if {OPENMP!r} not in open("/proc/self/maps").read():
    raise OSError("{OPENMP}: cannot open shared object file: No such file or directory")
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str | None], str]:
    """Give a function that imports a LightGBM of this content and tells what came of it."""

    def run(content: str | None) -> str:
        site = tmp_path / "site"
        site.mkdir(exist_ok=True)
        if content is not None:
            (site / "lightgbm.py").write_text(content)
        menace = find_spec("menace")
        assert menace is not None
        assert menace.origin is not None
        paths = [str(site), str(Path(menace.origin).parents[1])]
        # Without the site's packages, so that only this LightGBM can be found.
        found = subprocess.run(
            [sys.executable, "-S", "-c", PROGRAM, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=True,
        )
        return found.stdout.strip()

    return run


def test_lightgbm_is_imported_here() -> None:
    assert import_lightgbm().__name__ == "lightgbm"


def test_a_copy_of_the_library_in_the_environment_is_loaded_first(
    load: Callable[[str | None], str], tmp_path: Path
) -> None:
    (tmp_path / "lib").mkdir()
    # Any library will do that needs no other one: here a compiled module of pandas.
    library = find_spec("pandas._libs.hashing")
    assert library is not None
    assert library.origin is not None
    shutil.copy(library.origin, tmp_path / "lib" / OPENMP)
    assert load(NEEDS_A_LOADED_LIBRARY) == "loaded lightgbm"


def test_without_the_library_the_error_names_the_package_to_install(
    load: Callable[[str | None], str],
) -> None:
    assert "apt-get install libgomp1" in load(NEEDS_A_LOADED_LIBRARY)


def test_without_lightgbm_the_error_names_the_command(load: Callable[[str | None], str]) -> None:
    assert "pip install lightgbm" in load(None)


def test_another_library_that_is_missing_is_not_hidden(load: Callable[[str | None], str]) -> None:
    assert load("raise OSError('libother.so.9: not there')") == "passed on libother.so.9: not there"
