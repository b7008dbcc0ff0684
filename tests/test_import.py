"""Importing menace is free: nothing is opened, printed or loaded that the import does not need."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = (
    "alembic",
    "asyncio",
    "cyclopts",
    "libcst",
    "lightgbm",
    "numpy",
    "openai",
    "optuna",
    "pandas",
    "pyarrow",
    "pydantic",
    "rich",
    "river",
    "scipy",
    "sklearn",
    "skops",
    "sqlalchemy",
)

CODE = """\
import json, sys
opened = []
def watch(event, details):
    if event == "open" and isinstance(details[1], str) and set(details[1]) & set("wax+"):
        opened.append(str(details[0]))
    elif event.startswith(("socket.", "sqlite3.", "subprocess.", "os.mkdir")):
        opened.append(event)
sys.dont_write_bytecode = True
sys.addaudithook(watch)
{imports}
modules = sorted({{name.partition(".")[0] for name in sys.modules}})
json.dump({{"opened": opened, "modules": modules}}, sys.stderr)
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import menace",
        "import menace.self_improvement_engine",
        "import menace, menace.self_improvement_engine, menace.model_automation_pipeline",
        "import menace.data_bot, menace.diagnostic_manager, menace.self_improvement_policy",
        "import menace.self_coding_engine, menace.self_coding_engine.proposers.registry",
    ],
)
def test_importing_menace_opens_nothing_prints_nothing_and_loads_nothing_heavy(
    tmp_path: Path, imports: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(imports=imports)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stderr)
    assert done.stdout == ""
    assert seen["opened"] == []
    assert [name for name in HEAVY if name in seen["modules"]] == []
    assert list(tmp_path.iterdir()) == []


def test_making_an_engine_opens_nothing(tmp_path: Path) -> None:
    code = CODE.format(
        imports=(
            "from menace.self_improvement_engine import *\n"
            "from menace.model_automation_pipeline import ModelAutomationPipeline\n"
            "engine = SelfImprovementEngine('alpha', pipeline=ModelAutomationPipeline())\n"
            "ImprovementEngineRegistry().register_engine('alpha', engine)"
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stderr)["opened"] == []
    assert list(tmp_path.iterdir()) == []
