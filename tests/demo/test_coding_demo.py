"""The demonstration of self-coding, for a few weeks: real patches in a real repository."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from menace.demo.coding_demo import bundled_code, run_coding_demo
from menace.errors import ConfigError, WorkspaceError
from menace.patches import Claim, PatchStatus
from menace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_the_wrong_bound_is_repaired_and_everything_is_paid_for(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    result = run_coding_demo(
        tmp_path / "demo", weeks=3, progress=lambda now, total: done.append((now, total))
    )
    assert done == [(week, 6) for week in range(1, 7)]
    repaired = result.patches[0]
    assert (repaired.target, repaired.claim) == ("helpers/calendar.py", Claim.REPAIRS)
    assert repaired.status in {PatchStatus.CANARY, PatchStatus.KEPT}
    assert result.left_alone.total_usd == result.left_alone.loss_usd + result.left_alone.cycle_usd
    assert result.patched.cycle_usd > 0

    code = result.folder / "code"
    log = ["git", "log", "--format=%an: %s"]
    said = subprocess.run(log, cwd=code, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "menace: The bot's code, as it was found"
    assert (code / repaired.target).read_text() != (bundled_code() / repaired.target).read_text()
    with Workspace(result.folder) as workspace:
        assert workspace.coding(result.bot).settings.energy == 30
        manifest = workspace.store.models(result.bot, last=1)[0].manifest
        assert manifest["code"]["path"] == "helpers/features.py"


def test_more_weeks_than_there_are_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="400 weeks"):
        run_coding_demo(tmp_path / "demo", weeks=400)
    (tmp_path / "mine").mkdir()
    with pytest.raises(WorkspaceError, match="was not made by a demonstration"):
        run_coding_demo(tmp_path / "mine", weeks=2)
    assert list((tmp_path / "mine").iterdir()) == []
