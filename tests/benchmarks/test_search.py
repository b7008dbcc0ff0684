"""The search benchmark: its tables, its figures, its cache, and the command as a whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.search import flaml_peer
from benchmarks.search.__main__ import main
from benchmarks.search.cache import Cell, CellError, measured
from benchmarks.search.results import summarised
from benchmarks.search.tables import COMPARED, KEPT_BACK, TABLES, load_table

from menace.errors import DataError
from menace.records import Task

if TYPE_CHECKING:
    from pathlib import Path


def cell(system: str, seed: int, loss: float, **others: Any) -> dict[str, Any]:
    figures = {"table": "t", "seconds": 10.0, "score": 0.8, "cpu_seconds": 9.0, **others}
    return {"system": system, "seed": seed, "loss": loss, **figures}


def test_ours_is_compared_with_each_peer_cell_by_cell() -> None:
    cells = [
        *(cell("ours", seed, loss) for seed, loss in enumerate([1.0, 1.0, 2.0, 1.0])),
        *(cell("peer", seed, loss, score=1.0) for seed, loss in enumerate([2.0, 2.0, 1.6, 1.0])),
        cell("peer", 9, 7.0, cpu_seconds=12.0),
    ]
    results = summarised(cells, ours="ours")
    against = results["against"]["peer"]
    assert set(results["against"]) == {"peer"}
    assert against["cells"] == 4
    assert against["win_share"] == 0.5
    assert against["worst_loss"] == pytest.approx(0.25)
    assert against["worst_cell"] == {"table": "t", "seconds": 10.0, "seed": 2}
    assert against["beyond_worst_loss"] == 1
    assert against["worst_score"] == pytest.approx(0.2)
    assert against["mean_ratio"] == pytest.approx((0.5 * 0.5 * 1.25) ** 0.25, abs=1e-4)
    assert not against["reached"]["win_share"]
    assert not against["reached"]["worst_loss"]
    assert results["cpu"]["ours"] == {
        "mean_over_budget": 0.9,
        "most_over_budget": 0.9,
        "kept": True,
    }
    assert not results["cpu"]["peer"]["kept"]


def test_a_table_without_an_order_is_shuffled_by_the_seed_and_cut(tmp_path: Path) -> None:
    one, same, other = (load_table("segments", tmp_path, seed=seed) for seed in (1, 1, 2))
    assert one.task is Task.MULTICLASS
    assert (len(one.train), len(one.test)) == (1732, 578)
    assert one.train.equals(same.train)
    assert not one.train.equals(other.train)
    assert sorted(one.train["category"].unique()) == list(range(7))
    assert "category" not in one.features(one.test)


def test_an_ordered_table_is_cut_by_its_order(tmp_path: Path) -> None:
    columns = "season,mnth,hr,dteday,cnt,busy,word"
    rows = [f"1,2,{row},2011-01-01,{row},0,{'ab'[row > 50]}" for row in range(100)]
    (tmp_path / "bike_sharing.csv.gz").write_bytes(_gzipped("\n".join([columns, *rows])))
    table = load_table("bike_rentals", tmp_path, seed=1)
    assert table.train["cnt"].tolist() == list(range(75))
    assert table.test["cnt"].tolist() == list(range(75, 100))
    assert list(table.features(table.test)) == ["season", "mnth", "hr", "word"]
    assert load_table("bike_rentals", tmp_path, seed=1, rows=8).train["cnt"].tolist() == [
        *range(92, 98)
    ]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bank_marketing"):
        load_table("absent", tmp_path, seed=1)
    with pytest.raises(DataError, match="--data"):
        load_table("elec2", tmp_path, seed=1)
    assert set(TABLES) == {*COMPARED, *KEPT_BACK}


def test_a_cell_that_fails_says_how_to_run_it_alone(tmp_path: Path) -> None:
    with pytest.raises(CellError, match=r"benchmarks\.search\.cell"):
        measured(Cell("menace", "elec2", 1.0, 1), folder=tmp_path, cache=tmp_path / "cells")
    assert not (tmp_path / "cells").exists()


def test_without_the_peer_package_the_command_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(flaml_peer, "PACKAGE", "flaml_that_is_not_there")
    assert main(["--quick", "--out", str(tmp_path / "out.json")]) == 2
    assert "./scripts/setup bench" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_measures_each_cell_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    command = ["--quick", "--out", str(out), "--systems", "menace", "random_hist_boosting"]
    assert main([*command, "--quiet"]) == 0
    results = json.loads(out.read_text())
    assert len(results["cells"]) == 2
    assert set(results["against"]) == {"random_hist_boosting"}
    for found in results["cells"]:
        assert np.isfinite(found["loss"])
        assert found["test_rows"] == 150
        assert found["cpu_seconds"] > 0.0
    assert "segments" in capsys.readouterr().out

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out.cells").iterdir()}
    assert main([*command, "--quiet"]) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert json.loads(out.read_text())["cells"] == results["cells"]


def _gzipped(text: str) -> bytes:
    import gzip

    return gzip.compress(text.encode())
