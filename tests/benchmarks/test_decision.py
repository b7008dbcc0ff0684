"""The decision benchmark: its tables, who may see what, and the command as a whole."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.decision import retrainopt_peer, table_cache, whole_system
from benchmarks.decision.__main__ import main
from benchmarks.decision.calendars import every
from benchmarks.decision.error_table import FIRST_MODEL, ErrorTable, first_scored
from benchmarks.decision.policies import POLICIES, SERVING_VARIANTS, VARIANTS
from benchmarks.decision.replay import Past, play, play_serving
from benchmarks.decision.spec import read_spec
from benchmarks.decision.stream import read_stream
from benchmarks.decision.table_cache import error_table

from menace.blending import StreamBlend
from menace.errors import ConfigError, DataError
from menace.model_automation_pipeline.blend_member import train_member
from menace.sandbox_runner import hindsight

if TYPE_CHECKING:
    from benchmarks.decision.stream import Stream
    from numpy.typing import NDArray

ROWS = 30
BATCHES = 16
PUBLIC = Path(__file__).parents[2] / "benchmarks" / "specs" / "public.toml"

SPEC = """
[[streams]]
name = "tiny"
file = "tiny.csv"
target = "label"
drop = ["clock"]
batch_rows = 30
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny stream whose rule turns round half-way, and its spec."""
    where = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    lines = ["clock,size,colour,label"]
    for row in range(ROWS * BATCHES + 7):
        size, colour = rng.normal(), ("red", "green", "")[rng.integers(3)]
        turned = row > ROWS * BATCHES // 2
        label = "yes" if (size + 0.5 * (colour == "red") > 0) ^ turned else "no"
        lines.append(f"{row},{size:.4f},{colour},{label}")
    (where / "tiny.csv").write_text("\n".join(lines) + "\n")
    (where / "spec.toml").write_text(SPEC)
    return where


@pytest.fixture(scope="module")
def table(folder: Path) -> ErrorTable:
    (spec,) = read_spec(folder / "spec.toml")
    return error_table(spec, folder, folder / "tables")


def random_table(seed: int, batches: int = 14, rows: int = 16) -> ErrorTable:
    """Tables of a size at which every schedule can be listed."""
    bits = np.random.default_rng(seed).random((batches, batches * rows)) < 0.4
    return ErrorTable.of_wrong("random", np.packbits(bits, axis=1), batches, rows)


def all_schedules(table: ErrorTable, cost: float) -> list[float]:
    totals = []
    decided = range(table.first, table.batches - 1)
    for choice in itertools.product((False, True), repeat=len(decided)):
        runs = {batch for batch, run in zip(decided, choice, strict=True) if run}
        model, total = table.first - 1, cost * len(runs)
        for batch in range(table.first, table.batches):
            total += float(table.errors[model, batch])
            model = batch if batch in runs else model
        totals.append(total)
    return totals


def with_another_future(table: ErrorTable, now: int) -> ErrorTable:
    """The same table up to and with batch ``now``; every later bit is turned over."""
    bits = np.unpackbits(table.wrong, axis=1)
    bits[:, (now + 1) * table.batch_rows :] ^= 1
    return ErrorTable.of_wrong(
        table.name, np.packbits(bits, axis=1), table.batches, table.batch_rows
    )


def decisions(table: ErrorTable, name: str, cost: float) -> list[bool]:
    """What a policy decides at each batch."""
    made: list[bool] = []
    make = {**POLICIES, **VARIANTS}[name]

    class Noted:
        def __init__(self, past: Past, seed: int) -> None:
            self._policy = make(past, cost, seed)

        def wants_cycle(self, past: Past) -> bool:
            made.append(self._policy.wants_cycle(past))
            return made[-1]

    play(table, cost, lambda past, _cost, seed: Noted(past, seed))
    return made


@pytest.mark.parametrize("cost", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("seed", [1, 2])
def test_hindsight_is_the_cheapest_of_all_schedules(seed: int, cost: float) -> None:
    table = random_table(seed)
    best = hindsight(table.losses(cost)).total_usd
    assert best == pytest.approx(min(all_schedules(table, cost)))


def test_a_calendar_costs_its_errors_and_its_retrains() -> None:
    table = random_table(3)
    first, last = table.first, table.batches - 1
    served = [first - 1, first - 1, *(first + 1 + 2 * (k // 2) for k in range(last - first - 1))]
    errors = sum(float(table.errors[m, first + k]) for k, m in enumerate(served))
    run = play(table, 0.3, every(2))
    assert run.retrains == len(set(served)) - 1
    assert run.cost == pytest.approx(errors + 0.3 * run.retrains)


@pytest.mark.parametrize("name", [*POLICIES, *VARIANTS])
def test_a_policy_decides_alike_whatever_the_future_brings(table: ErrorTable, name: str) -> None:
    now = table.first + 3
    seen = decisions(table, name, 0.05)[: now - table.first + 1]
    assert decisions(with_another_future(table, now), name, 0.05)[: len(seen)] == seen


def test_the_past_shows_neither_the_future_nor_models_that_nobody_trained() -> None:
    table = random_table(4)
    past = Past.before_scoring(table)
    past.now = table.first + 2
    assert 0.0 <= past.error(table.first - 1, table.first + 2) <= 1.0
    assert 0.0 <= past.error(FIRST_MODEL, table.first + 2) <= 1.0
    for model, batch in [
        (table.first - 1, table.first + 3),  # ahead
        (table.first, table.first + 2),  # not trained by anybody
        (table.first - 1, table.first - 1),  # its own training data
        (FIRST_MODEL - 1, table.first),  # no such model
    ]:
        with pytest.raises(DataError, match=f"asked for model {model}'s error"):
            past.error(model, batch)


def test_a_serving_variant_pays_only_for_what_it_trains(table: ErrorTable) -> None:
    run = play_serving(table, 0.05, SERVING_VARIANTS["menace_archive"])
    free = play_serving(table, 0.0, SERVING_VARIANTS["menace_archive"])
    assert run.cost > 0.05 * run.retrains
    assert free.retrains >= run.retrains


def test_a_table_counts_the_rows_that_each_later_batch_gets_wrong(table: ErrorTable) -> None:
    assert table.batches == BATCHES
    assert table.first == first_scored(BATCHES) == 9
    for model, batch in [(FIRST_MODEL, FIRST_MODEL + 1), (9, 14)]:
        rows = table.wrong_rows(model, batch)
        assert rows.shape == (ROWS,)
        assert rows.mean() == table.errors[model, batch]
    assert np.isnan(table.errors[FIRST_MODEL - 1]).all()
    assert np.isnan(np.tril(table.errors)).sum() == (np.tril(np.ones_like(table.errors)) > 0).sum()
    # The rule turned round: what was trained before is mostly wrong afterwards.
    assert table.errors[FIRST_MODEL, BATCHES - 1] > 0.8
    assert table.errors[13, BATCHES - 1] < 0.3


def test_an_interrupted_table_goes_on_with_the_next_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (spec,) = read_spec(folder / "spec.toml")
    monkeypatch.setattr(table_cache, "CHECKPOINT_SECONDS", -1.0)
    steps: list[int] = []

    def interrupt(models: int) -> None:
        steps.append(models)
        if sum(steps) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        error_table(spec, folder, tmp_path, fitted=interrupt)
    resumed: list[int] = []
    whole = error_table(spec, folder, tmp_path, fitted=resumed.append)
    assert resumed[0] == 3
    assert sum(resumed) == BATCHES - FIRST_MODEL
    again: list[int] = []
    assert_same(error_table(spec, folder, tmp_path, fitted=again.append).errors, whole.errors)
    assert again == [BATCHES - FIRST_MODEL]


def test_a_changed_file_is_fitted_anew(folder: Path, tmp_path: Path) -> None:
    (spec,) = read_spec(folder / "spec.toml")
    text = (folder / "tiny.csv").read_text()
    (tmp_path / "tiny.csv").write_text(text)
    before = error_table(spec, tmp_path, tmp_path / "tables")
    (tmp_path / "tiny.csv").write_text(text.replace("yes", "maybe", 40))
    after = error_table(spec, tmp_path, tmp_path / "tables")
    assert len(list((tmp_path / "tables").iterdir())) == 2
    assert np.nansum(np.abs(before.errors - after.errors)) > 0


def test_a_damaged_table_is_named_with_its_remedy(folder: Path, tmp_path: Path) -> None:
    (spec,) = read_spec(folder / "spec.toml")
    error_table(spec, folder, tmp_path)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match=f"rm {file}"):
        error_table(spec, folder, tmp_path)


def test_text_is_coded_by_first_appearance_and_missing_text_is_minus_one(folder: Path) -> None:
    (spec,) = read_spec(folder / "spec.toml")
    stream = read_stream(spec, folder)
    words = [line.split(",")[2] for line in (folder / "tiny.csv").read_text().splitlines()[1:]]
    known = list(dict.fromkeys(word for word in words if word))
    codes = [known.index(word) if word else -1 for word in words[: ROWS * BATCHES]]
    assert stream.features.shape == (ROWS * BATCHES, 2)
    assert stream.features[:, 1].tolist() == codes


def test_shuffling_keeps_the_rows_and_their_labels(folder: Path) -> None:
    (spec,) = read_spec(folder / "spec.toml")
    stream = read_stream(spec, folder)
    shuffled = stream.shuffled(1)
    assert sorted(rows_of(stream.features, stream.labels)) == sorted(
        rows_of(shuffled.features, shuffled.labels)
    )
    assert not np.array_equal(stream.features, shuffled.features)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"file": "absent.csv"}, "absent.csv"),
        ({"target": "absent"}, "'absent'"),
        ({"drop": ("absent",)}, "'absent'"),
        ({"batch_rows": 400}, "1 batches of 400"),
        ({"drop": ("clock", "size", "colour")}, "nothing but target"),
        ({"target": "colour", "drop": ("clock",)}, "missing in row"),
    ],
)
def test_an_unusable_stream_is_named(folder: Path, change: dict[str, Any], named: str) -> None:
    (spec,) = read_spec(folder / "spec.toml")
    with pytest.raises((DataError, ConfigError), match=named):
        read_stream(dataclasses.replace(spec, **change), folder)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no \\[\\[streams\\]\\]"),
        ("streams = 1", "no \\[\\[streams\\]\\]"),
        ("[[streams", "no TOML"),
        (SPEC.replace("batch_rows = 30", "batch_rows = 0"), "'tiny': batch_rows is 0"),
        (SPEC.replace('target = "label"', ""), "'tiny': target is None"),
        (SPEC.replace("drop", "dropped"), "unknown keys: dropped"),
        (SPEC + SPEC, "more than one stream named tiny"),
    ],
)
def test_a_wrong_spec_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        read_spec(path)


def test_the_public_spec_has_the_six_streams() -> None:
    assert {stream.name: stream.batch_rows for stream in read_spec(PUBLIC)} == {
        "elec2": 336,
        "bank_marketing": 400,
        "hotel_bookings": 1000,
        "bike_sharing": 168,
        "metro_traffic": 336,
        "sea_synthetic": 500,
    }


def test_the_command_writes_every_policy_and_repeats_itself(folder: Path, tmp_path: Path) -> None:
    def results(out: str, *options: str) -> dict[str, Any]:
        path = tmp_path / out
        command = ["--data", str(folder), "--spec", str(folder / "spec.toml"), "--out", str(path)]
        assert main([*command, "--cache", str(folder / "tables"), "--quiet", *options]) == 0
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    once, twice = results("once.json", "--control"), results("twice.json")
    same = once["same_models"]
    assert set(same["mean"]) == set(same["worst"]) == set(POLICIES)
    assert len(same["cells"]) == 4 * len(POLICIES)
    for cell in same["cells"]:
        assert set(cell) == {"stream", "c", "policy", "cost", "hindsight", "retrains"}
        assert cell["cost"] >= cell["hindsight"] - 1e-9
    ratios = [cell["cost"] / cell["hindsight"] for cell in same["cells"] if cell["policy"] == "ddm"]
    assert math.isclose(same["mean"]["ddm"], sum(ratios) / 4)
    whole = once["whole_system"]
    assert {"menace", "never", "always", "rent_or_buy"} <= set(whole["mean"])
    for cell in whole["cells"]:
        paid = cell["fit_in_reference_fits"] + cell["follow_in_reference_fits"]
        assert math.isclose(cell["cost"], cell["error"] + cell["c"] * paid)
        assert cell["cycles"] >= 0
    peers = [cell for cell in whole["cells"] if cell["policy"] == "every_5"]
    own = [cell for cell in same["cells"] if cell["policy"] == "every_5"]
    assert [cell["cost"] for cell in peers] == [cell["cost"] for cell in own]
    assert set(once["control_whole_system"]["mean"]) == set(whole["mean"])
    assert twice["whole_system"] == whole  # what was measured is kept, not measured again
    assert once["environment"]["seed"] == 0
    assert set(once["control"]["mean_over_never"]) == set(POLICIES)
    for part in ("same_models", "variants"):
        assert once[part] == twice[part]


def test_the_whole_system_decides_without_the_future(folder: Path) -> None:
    (spec,) = read_spec(folder / "spec.toml")
    stream = read_stream(spec, folder)
    cut = stream.batches - 3
    turned = dataclasses.replace(stream, labels=stream.labels.copy())
    turned.labels[cut * stream.batch_rows :] = 1 - turned.labels[cut * stream.batch_rows :]

    def served(one: Stream) -> list[NDArray[np.float64]]:
        blend = StreamBlend(*whole_system.batches_of(one, first=8), classes=2, train=train_member)
        rows, labels = whole_system.batches_of(one)
        odds = []
        for batch in range(8, cut + 1):
            odds.append(blend.predict(rows[batch]))
            blend.learn(labels[batch])
            if batch % 2:
                blend.refit()
        return odds

    for now, then in zip(served(stream), served(turned), strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_whole_system_pays_more_where_cycles_cost_less(folder: Path, table: ErrorTable) -> None:
    (spec,) = read_spec(folder / "spec.toml")
    stream = read_stream(spec, folder)
    cheap, dear = whole_system.play_whole(
        stream, table, whole_system.SYSTEMS["menace"], costs=(1e-6, 100.0)
    )
    assert cheap.cycles == stream.batches - 1 - table.first
    assert dear.cycles == 0
    assert cheap.fit_seconds > 0
    assert dear.fit_seconds == 0
    assert dear.follow_seconds > 0
    assert dear.reference_seconds > 0


def test_without_the_peer_package_the_command_names_what_to_install(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(retrainopt_peer, "PACKAGE", "retrainopt_that_is_not_there")
    arguments = ["--data", str(folder), "--spec", str(folder / "spec.toml")]
    assert main([*arguments, "--out", str(tmp_path / "out.json"), "--quiet"]) == 2
    assert "./scripts/setup bench" in capsys.readouterr().err


def test_the_command_answers_a_missing_file_with_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(tmp_path), "--spec", str(folder / "spec.toml")]
    assert main([*arguments, "--out", str(tmp_path / "out.json"), "--quiet"]) == 2
    message = capsys.readouterr().err
    assert "tiny.csv" in message
    assert "Remedy" in message
    assert not (tmp_path / "out.json").exists()


def assert_same(one: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    np.testing.assert_array_equal(one, other)


def rows_of(features: NDArray[np.float32], labels: NDArray[np.int32]) -> list[tuple[float, ...]]:
    return [(*map(float, row), float(label)) for row, label in zip(features, labels, strict=True)]
