"""Pipelines of one's own, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.conftest import Ran
    from support import DriftingStream

    Menace = Callable[..., Ran]

TABLE = """
[pipelines.mean]
kind = "callable"
train = "mean_of_labels:train"
predict = "mean_of_labels:predict"
"""
MODULE = """
def train(rows, *, energy, seed, seconds):
    return str(round(rows["label"].mean())).encode()


def predict(artifact, rows):
    return [int(artifact)] * len(rows)
"""


def test_a_bot_with_a_pipeline_is_added_improved_asked_and_its_lack_is_named(
    folder: Path, menace: Menace, stream: DriftingStream
) -> None:
    stream.grow(100)
    adding = ("bot", "add", "alpha", "--source", stream.path, "--target", "label")
    refused = menace(*adding, "--pipeline", "mean")
    assert refused.code == 1
    assert "add a table [pipelines.mean]" in refused.err

    settings = folder / "menace.toml"
    plain = settings.read_text()
    settings.write_text(plain + TABLE)
    (folder / "mean_of_labels.py").write_text(MODULE)
    assert menace(*adding, "--pipeline", "mean").code == 0
    [bot] = menace("bot", "list", "--json").document
    assert bot["pipeline"] == "mean"
    assert menace("cycle", "alpha", "--json").document["status"] == "promoted"
    predicted = menace("predict", "alpha", stream.path, "--json").document
    assert len(predicted["predictions"]) == 100
    assert set(predicted["predictions"]) in ({"0"}, {"1"})
    assert menace("doctor").code == 0

    settings.write_text(plain)
    told = menace("doctor")
    assert told.code == 1
    assert "describes no pipeline 'mean'" in told.out
    assert menace("predict", "alpha", stream.path).code == 1
