"""The benchmark of feature code runs, at a size that proves nothing but that it has not rotted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import feature_code

if TYPE_CHECKING:
    import pytest

DATA = Path(__file__).parents[2] / "examples" / "bike_sharing"


def test_feature_code_reports_every_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    small = ["--streams", "bike_sharing", "--decisions", "0.05", "--max-batches", "2"]
    asked = ["--data", str(DATA), "--out", str(out), "--search-seconds", "4", "--json", *small]
    assert feature_code.main(asked) == 0
    figures = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == figures
    (decision,) = figures["decisions"]
    assert decision["rows_after"] == 336
    assert decision["wrong_without"] > 0
    assert set(decision["at_costs"]) == {"0.01", "0.03"}


def test_a_missing_stream_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--data", str(tmp_path), "--out", str(tmp_path / "out.json")]
    assert feature_code.main(asked) == 2
    assert "check --data" in capsys.readouterr().err
