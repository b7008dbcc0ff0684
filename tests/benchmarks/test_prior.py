"""The script that makes the shipped prior: the same streams give the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.decision.error_table import ErrorTable
from benchmarks.prior import check, main, pooled_prior, stream_evidence

from menace.self_improvement_policy.prior import Evidence, LearnedPrior

if TYPE_CHECKING:
    from pathlib import Path

ROWS, BATCHES = 20, 24

SPEC = """
[[streams]]
name = "{name}"
file = "{name}.csv"
target = "label"
batch_rows = 20
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiny streams whose rule turns, each at its own pace, and their spec."""
    where = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(8)
    specs = []
    for number in range(3):
        lines = ["size,weight,label"]
        for row in range(ROWS * BATCHES):
            size, weight = rng.normal(size=2)
            turn = row / (ROWS * BATCHES) * (2.0 + number)
            lines.append(f"{size:.4f},{weight:.4f},{int(size * np.cos(turn) > weight * turn)}")
        (where / f"s{number}.csv").write_text("\n".join(lines) + "\n")
        specs.append(SPEC.format(name=f"s{number}"))
    (where / "spec.toml").write_text("".join(specs))
    return where


def random_table(seed: int) -> ErrorTable:
    bits = np.random.default_rng(seed).random((40, 40 * ROWS)) < 0.3
    return ErrorTable.of_wrong(f"random {seed}", np.packbits(bits, axis=1), 40, ROWS)


def test_the_same_streams_give_the_same_bytes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = []
    for name in ("one", "two"):
        out = tmp_path / name / "prior.json"
        options = ["--data", folder, "--spec", folder / "spec.toml", "--out", out, "--quiet"]
        cache = tmp_path / name / "tables"
        assert main([str(option) for option in [*options, "--cache", cache]]) == 0
        written.append(out.read_bytes())
        assert list(out.parent.iterdir()) in ([out, cache], [cache, out])
    assert written[0] == written[1]
    assert "cells of debt and age" in capsys.readouterr().out
    LearnedPrior.load(tmp_path / "one" / "prior.json")


def test_what_is_missing_is_said_in_one_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "prior.json"
    options = ["--data", tmp_path, "--spec", folder / "spec.toml", "--out", out, "--quiet"]
    assert main([*map(str, options)]) == 2
    assert "s0.csv" in capsys.readouterr().err
    assert not out.exists()


def test_only_what_several_streams_agree_on_is_kept() -> None:
    def stream(**advantages: float) -> LearnedPrior:
        cells = {"agreed": (0, 0), "disputed": (4, 1), "rare": (7, 4)}
        return LearnedPrior({cells[k]: Evidence(30.0, v) for k, v in advantages.items()})

    prior = pooled_prior(
        [
            stream(agreed=-1.0, disputed=1.0, rare=2.0),
            stream(agreed=-1.2, disputed=-1.0, rare=2.0),
            stream(agreed=-0.8, disputed=0.2),
        ]
    )
    assert prior.evidence == {(0, 0): Evidence(120.0, -1.0)}


def test_without_drift_running_is_worth_less_than_waiting_where_there_is_no_debt() -> None:
    evidence = stream_evidence(random_table(1)).evidence
    assert evidence[0, 2].advantage < 0


def test_the_check_plays_every_stream_with_and_without() -> None:
    tables = [random_table(seed) for seed in (1, 2, 3, 4)]
    evidence = [stream_evidence(table) for table in tables]
    checked = check(tables, evidence, witnesses=False, seed=0)
    for ratios in (checked.rule, checked.learned, checked.trained):
        assert set(ratios) == {table.name for table in tables}
        assert min(ratios.values()) >= 1.0
    assert checked.saved(checked.rule) == (0.0, 0.0)
