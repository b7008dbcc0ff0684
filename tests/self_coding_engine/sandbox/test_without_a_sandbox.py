"""Where no sandbox can be made, nothing runs, and the reason is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from menace.self_coding_engine.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

FIND = """
from menace.errors import SandboxError
from menace.self_coding_engine.sandbox import Sandbox
for _ in range(2):
    try:
        print(Sandbox.find())
    except SandboxError as error:
        print("refused:", error)
"""


def without_user_namespaces(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where the kernel makes no user namespace."""
    wrapper = [Sandbox.find().program, "--dev-bind", "/", "/", "--unshare-user", "--disable-userns"]
    environment = {name: text for name, text in os.environ.items() if name != "MENACE_HOME"}
    return subprocess.run(
        [*wrapper, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_without_user_namespaces_no_sandbox_is_found(tmp_path: Path) -> None:
    told = without_user_namespaces(sys.executable, "-c", FIND, cwd=tmp_path).stdout.splitlines()
    assert len(told) == 2
    for line in told:
        assert line.startswith("refused: no sandbox holds here:"), line
        assert "does not start" in line
        assert "Remedy: allow user namespaces" in line


@pytest.mark.parametrize(("table", "code"), [("", 0), ("[coding.alpha]\nrepository = '.'\n", 1)])
def test_doctor_minds_a_missing_sandbox_only_where_code_is_to_be_patched(
    tmp_path: Path, table: str, code: int
) -> None:
    (tmp_path / "menace.toml").write_text(table, encoding="utf-8")
    menace = [sys.executable, "-m", "menace", "doctor", "--json"]
    ran = without_user_namespaces(*menace, cwd=tmp_path)
    assert ran.returncode == code, ran.stdout + ran.stderr
    findings = {row["check"]: row for row in json.loads(ran.stdout)}
    assert findings["sandbox"]["ok"] == (code == 0)
    assert "no sandbox holds here" in findings["sandbox"]["found"]
    assert ("user namespaces" in findings["sandbox"]["remedy"]) == (code == 1)
