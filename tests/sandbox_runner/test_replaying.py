"""A replay: the real loop over a history, in a sandbox, beside other strategies."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from menace.config import LoopSettings, validated_bot
from menace.data_sources import rows_of
from menace.errors import DataError, PipelineError
from menace.execution.process_pool import ProcessPool
from menace.sandbox_runner import Replay, replay
from menace.sandbox_runner.history import FEWEST_TICKS, cut_history, read_history
from menace.sandbox_runner.live import run_live
from menace.sandbox_runner.revealed_rows import RevealedRows
from menace.sandbox_runner.sandbox import sandbox
from menace.sandbox_runner.strategies import ReplayedPast
from support import DriftingStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.records import BotConfig

TICKS = 12


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> BotConfig:
    """Give a bot over 12 ticks and a remainder, whose rule turns twice."""
    stream = DriftingStream(tmp_path_factory.mktemp("history") / "stream.csv")
    stream.grow(TICKS * 100 + 30)
    return validated_bot(
        {
            "name": "alpha",
            "source": {"kind": "csv", "location": str(stream.path)},
            "target": "label",
            "tick_rows": 100,
            "window_rows": 300,
            "holdout_rows": 150,
            "settlement_rows": 200,
            "economics": {"loss_usd": 1.0, "cpu_second_usd": 100.0, "promotion_usd": 0.5},
        }
    )


@pytest.fixture(scope="module")
def replayed(bot: BotConfig) -> Replay:
    steps: list[tuple[int, int]] = []
    result = replay(bot, rows_of(bot, Path()), progress=lambda *step: steps.append(step))
    assert steps[-1][0] == steps[-1][1] == len(steps)
    return result


def decided(bot: BotConfig, rows: pd.DataFrame) -> list[tuple[bool, str, Any]]:
    """What the real loop decides over a history, tick by tick."""
    history = cut_history(rows, bot, most=TICKS)
    with sandbox(bot, history.rows, loop=LoopSettings()) as box:
        box.rows.reveal(history.first * 100)
        run_live(
            box.engine,
            box.store,
            bot,
            reveal=lambda tick: box.rows.reveal((tick + 1) * 100),
            label=str,
            first=history.first,
            ticks=history.ticks,
        )
        made = box.store.decisions(bot.name, last=100)
    return [(decision.run, decision.reason, decision.inputs) for decision in made]


def test_every_strategy_is_priced_and_hindsight_is_the_least_of_all_schedules(
    replayed: Replay,
) -> None:
    names = [row.name for row in replayed.strategies]
    assert names == [
        *("never", "always", "every 2 ticks", "every 5 ticks"),
        *("ADWIN", "Page-Hinkley", "DDM", "rent-or-buy", "menace", "hindsight optimum"),
    ]
    by_name = {row.name: row for row in replayed.strategies}
    least = by_name["hindsight optimum"].total_usd
    for row in replayed.strategies:
        assert row.total_usd == pytest.approx(row.loss_usd + row.cycle_usd)
        assert replayed.regret_usd[row.name] == pytest.approx(row.total_usd - least)
        assert row.is_menace or row.total_usd >= least - 1e-9
    counted = TICKS - replayed.history.first
    assert by_name["never"].cycles == 0
    assert by_name["always"].cycles == counted - 1
    assert by_name["menace"].cycles > 0
    assert len(replayed.report.ticks) == counted
    assert replayed.report.ticks[-1].cumulated_usd["menace"] == pytest.approx(
        by_name["menace"].total_usd
    )


def test_the_same_seed_and_data_give_the_same_figures_wherever_models_are_trained(
    bot: BotConfig, replayed: Replay
) -> None:
    pool = ProcessPool(1)
    try:
        again = replay(bot, rows_of(bot, Path()), executor=pool)
    finally:
        pool.close()
    assert again.strategies == replayed.strategies


def test_the_loop_decides_alike_whatever_the_future_brings(bot: BotConfig) -> None:
    rows = read_history(rows_of(bot, Path()), bot).rows
    now = 8 * 100
    later = rows.iloc[now:].sample(frac=1.0, random_state=3)
    later = later.assign(label=1 - later["label"])
    other = pd.concat([rows.iloc[:now], later], ignore_index=True)
    seen, instead = decided(bot, rows), decided(bot, other)
    until = [row for row in seen if row[2]["row"] <= now]
    assert any(run for run, _, _ in until[1:])
    assert instead[: len(until)] == until
    assert instead != seen


def test_what_a_new_bot_lost_is_what_the_loss_table_says_of_its_models(replayed: Replay) -> None:
    table, report = replayed.table, replayed.report
    made = {cycle.version: table.first - 1 + cycle.tick + 1 for cycle in report.cycles}
    for position, tick in enumerate(report.ticks):
        model = made.get(tick.version, table.first - 1)
        expected = table.loss_usd[model, table.first + position] / 100
        assert tick.loss == pytest.approx(expected)


def test_a_sandbox_is_gone_afterwards_also_when_it_was_interrupted(
    bot: BotConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[str] = []

    def interrupt(done: int, _total: int) -> None:
        seen.extend(path.name for path in tmp_path.iterdir())
        if done == 2:
            raise KeyboardInterrupt

    pool = ProcessPool(1)
    try:
        with pytest.raises(KeyboardInterrupt):
            replay(bot, rows_of(bot, Path()), executor=pool, progress=interrupt)
    finally:
        pool.close()
    assert seen
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_does_not_follow_the_environment_to_a_live_store(
    bot: BotConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("MENACE_STORE_URL", f"sqlite:///{tmp_path}/live.db"),
        ("MENACE_STATE", str(tmp_path / "state")),
        ("MENACE_ARTIFACTS", str(tmp_path / "models")),
        ("MENACE_HOME", str(tmp_path)),
    ):
        monkeypatch.setenv(name, value)
    rows = read_history(rows_of(bot, Path()), bot).rows
    with sandbox(bot, rows, loop=LoopSettings()) as box:
        box.rows.reveal(300)
        assert box.engine.run_cycle().status == "promoted"
    assert list(tmp_path.iterdir()) == []


def test_rows_that_were_not_revealed_are_not_given_out() -> None:
    rows = RevealedRows(pd.DataFrame({"x": range(10)}))
    assert len(rows.read_new(None, max_rows=5).frame) == 0
    rows.reveal(4)
    batch = rows.read_new(None, max_rows=9)
    assert batch.frame["x"].tolist() == [0, 1, 2, 3]
    ahead = batch.position._replace(row=10)
    assert rows.read_window(None, ahead, rows=2)["x"].tolist() == [2, 3]
    assert len(rows.read_new(ahead, max_rows=9).frame) == 0
    for count in (3, 11):
        with pytest.raises(DataError, match="cannot be revealed"):
            rows.reveal(count)


def test_a_strategy_sees_neither_the_future_nor_models_it_has_not_paid_for(
    replayed: Replay,
) -> None:
    first = replayed.table.first
    past = ReplayedPast(replayed.reference, first - 1, first - 1).moved(first + 1, first - 1)
    assert past.age == 2
    assert 0 <= past.error(first - 1, first + 1) <= 1
    for model, tick in [(first - 1, first + 2), (first, first + 1), (first - 1, first - 1)]:
        with pytest.raises(DataError, match=f"model {model}'s losses on tick {tick}"):
            past.row_losses(model, tick)


def test_the_newest_whole_ticks_are_replayed(bot: BotConfig) -> None:
    history = read_history(rows_of(bot, Path()), bot, ticks=9)
    assert (history.ticks, history.first, history.rows_before) == (9, 3, 300)
    everything = read_history(rows_of(bot, Path()), bot)
    pd.testing.assert_frame_equal(
        history.rows, everything.rows.iloc[300:].reset_index(drop=True), check_dtype=False
    )
    assert history.label(1, None) == "row 400"
    assert everything.ticks == TICKS


@pytest.mark.parametrize(
    ("changes", "ticks", "told"),
    [({"tick_rows": 200}, None, "6 ticks of 200"), ({}, FEWEST_TICKS - 1, "7 ticks were asked")],
)
def test_too_short_a_history_is_named(
    bot: BotConfig, changes: dict[str, Any], ticks: int | None, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        replay(dataclasses.replace(bot, **changes), rows_of(bot, Path()), ticks=ticks)


def test_a_regression_is_replayed_without_the_detector_that_counts_mistakes(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=500)
    slope = np.repeat([1.0, -2.0], 250)
    frame = pd.DataFrame({"x": x, "y": slope * x + 0.1 * rng.normal(size=500)})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    bot = validated_bot(
        {
            "name": "beta",
            "source": {"kind": "csv", "location": str(tmp_path / "rows.csv")},
            "target": "y",
            "tick_rows": 50,
            "window_rows": 100,
            "holdout_rows": 50,
            "economics": {"loss_usd": 1.0, "cpu_second_usd": 1.0},
        }
    )
    result = replay(bot, rows_of(bot, Path()))
    assert "DDM" not in result.regret_usd
    assert result.report.loss_name == "absolute error"
    assert result.regret_usd["never"] > 0


def test_a_history_that_no_model_can_be_made_of_is_refused_with_the_reason(
    alpha: Callable[..., dict[str, Any]], stream: DriftingStream
) -> None:
    stream.grow(900)
    bot = validated_bot(alpha(stream))
    rows = read_history(rows_of(bot, Path()), bot).rows
    with sandbox(bot, rows.assign(label=1), loop=LoopSettings()) as box:
        box.rows.reveal(300)
        with pytest.raises(PipelineError, match="no first model can be trained on the first 300"):
            run_live(
                *(box.engine, box.store, bot),
                reveal=lambda tick: box.rows.reveal((tick + 1) * 100),
                label=str,
                first=3,
                ticks=9,
            )
