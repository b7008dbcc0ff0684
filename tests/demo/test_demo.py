from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from menace.demo import DemoResult, run_demo
from menace.demo.demo import BOT, TICK_ROWS, WINDOW_TICKS, whole_stream
from menace.demo.stream import Stream, bundled_path
from menace.errors import ConfigError, DataError, WorkspaceError
from menace.execution.inline_executor import InlineExecutor
from menace.sandbox_runner.reference import build_reference
from menace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

TICKS = 13
PRICE_PERCENT = 0.3
"""Cheap enough that menace retrains within these few weeks."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """Run the demonstration once, for all tests that only look at it."""
    folder = tmp_path_factory.mktemp("demo") / "one"
    steps: list[tuple[int, int]] = []
    result = run_demo(
        folder,
        ticks=TICKS,
        price_percent=PRICE_PERCENT,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps[-1][0] == steps[-1][1] == len(steps)
    return result


def lived(folder: Path) -> dict[str, Any]:
    """Read what a demonstration decided and made, without the times at which it ran."""
    with Workspace(folder) as workspace:
        store = workspace.store
        decisions = [
            (decision.run, decision.reason, {**decision.inputs, "seconds_since_cycle": None})
            for decision in store.decisions(BOT, last=1000)
        ]
        cycles = [(c.row, c.outcome, c.cost_usd, c.gain_usd) for c in store.cycles(BOT, last=1000)]
        models = [(model.version, model.row, model.sha256) for model in store.models(BOT, last=100)]
    return {"decisions": decisions, "cycles": cycles, "models": models}


def test_the_result_has_all_strategies_and_hindsight_is_the_cheapest(ran: DemoResult) -> None:
    by_name = {row.name: row for row in ran.strategies}
    assert list(by_name)[:2] == ["never retrain", "always"]
    assert list(by_name)[2].startswith("every ")
    assert list(by_name)[3:] == ["menace", "hindsight optimum"]
    assert ran.ticks == TICKS - WINDOW_TICKS
    best = by_name["hindsight optimum"].total_usd
    assert all(best <= row.total_usd + 1e-9 for row in ran.strategies)
    assert all(best <= total + 1e-9 for total in ran.calendars_usd.values())
    assert by_name["never retrain"].cycles == 0
    assert by_name["always"].cycles == ran.ticks - 1
    assert ran.menace_usd == by_name["menace"].total_usd
    for row in ran.strategies:
        assert row.total_usd == pytest.approx(row.loss_usd + row.cycle_usd)


def test_the_report_is_one_file_that_names_every_strategy(ran: DemoResult) -> None:
    page = ran.report.read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    for row in ran.strategies:
        assert row.name in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script src" not in page


def test_a_workspace_is_left_on_which_one_can_look_and_go_on(
    ran: DemoResult, tmp_path: Path
) -> None:
    assert not (ran.folder / ".whole.csv").exists()
    with Workspace(shutil.copytree(ran.folder, tmp_path / "copy")) as workspace:
        [bot] = workspace.store.bots()
        assert bot.name == ran.bot
        snapshot = workspace.store.snapshot(ran.bot)
        assert snapshot.loop.labelled_rows == TICKS * TICK_ROWS
        assert snapshot.totals.outcomes == ran.ticks * TICK_ROWS
        assert snapshot.open_cycle_id is None
        assert len(workspace.store.decisions(ran.bot, last=100)) == ran.ticks + 1
        assert workspace.store.lease_owner(ran.bot) is None
        assert workspace.engine(ran.bot).run_cycle().status in {"promoted", "rejected"}


def test_what_menace_served_lost_what_the_loss_table_says(ran: DemoResult) -> None:
    """The live loop and the comparison train and score the same models: else they compare air."""
    stream = Stream.read(bundled_path(), batch_rows=TICK_ROWS)
    with Workspace(ran.folder) as workspace:
        store = workspace.store
        bot = store.bot(ran.bot)
        rows = whole_stream(workspace, stream, TICKS)
        gate_z = workspace.settings.loop.gate_z
        samples = store.samples(ran.bot, "loss", last=10_000)
        made_at = {model.version: model.row for model in store.models(ran.bot, last=1000)}
        cycles = store.cycles(ran.bot, last=1000)
    built = build_reference(rows, bot, first=WINDOW_TICKS, executor=InlineExecutor(), gate_z=gate_z)
    table = built.table(bot, gate_z=gate_z)
    of_version: dict[int | None, list[float]] = {}
    for sample in samples:
        of_version.setdefault(sample.version, []).append(sample.value * sample.rows)
    assert len(of_version) >= 2  # menace did retrain, so that there is something to compare
    for version, losses in of_version.items():
        assert version is not None
        model = made_at[version] // TICK_ROWS - 1
        expected = table.loss_usd[model, TICKS - len(losses) :]
        np.testing.assert_allclose(
            np.array(losses) * bot.economics.loss_usd, expected, rtol=0, atol=1e-9
        )
    for cycle in cycles:
        charged = table.cycle_usd[cycle.row // TICK_ROWS - 1]
        if cycle.replaced_version is None:
            assert cycle.cost_usd == pytest.approx(charged)
        else:
            # Menace alone pays for scoring the champion on the hold-out: never in its own favour.
            assert charged < cycle.cost_usd < 1.05 * charged


def test_the_same_seed_gives_the_same_decisions_money_and_models(
    ran: DemoResult, tmp_path: Path
) -> None:
    again = run_demo(tmp_path / "two", ticks=TICKS, price_percent=PRICE_PERCENT)
    assert [dataclasses.astuple(row) for row in again.strategies] == [
        dataclasses.astuple(row) for row in ran.strategies
    ]
    assert lived(again.folder) == lived(ran.folder)


def test_a_demonstration_does_not_follow_the_environment_to_a_live_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENACE_STORE_URL", f"sqlite:///{tmp_path}/live.db")
    monkeypatch.setenv("MENACE_ARTIFACTS", str(tmp_path / "live"))
    assert run_demo(tmp_path / "demo", ticks=7).ticks == 2
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_an_earlier_demonstration_is_replaced_and_anything_else_is_refused(
    ran: DemoResult, tmp_path: Path
) -> None:
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(WorkspaceError, match="not made by a demonstration") as caught:
        run_demo(foreign, ticks=TICKS)
    assert caught.value.remedy == "name another folder: menace demo FOLDER"
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]
    earlier = shutil.copytree(ran.folder, tmp_path / "earlier")
    (earlier / "left-behind").write_text("")
    assert run_demo(earlier, ticks=7).ticks == 2
    assert not (earlier / "left-behind").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ticks": 3}, "3 weeks"),
        ({"ticks": 1000}, "1000 weeks"),
        ({"price_percent": 0.0}, "0.0 percent"),
        ({"price_percent": float("nan")}, "nan percent"),
    ],
)
def test_options_that_make_no_sense_leave_no_folder(
    options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        run_demo(tmp_path / "demo", **options)
    assert not (tmp_path / "demo").exists()


def test_a_stream_that_is_missing_or_too_short_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        Stream.read(tmp_path / "nowhere.csv", batch_rows=10)
    short = tmp_path / "short.csv"
    short.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"short\.csv has 1 rows"):
        Stream.read(short, batch_rows=10)
    damaged = tmp_path / "damaged.csv.gz"
    damaged.write_text("no gzip")
    with pytest.raises(DataError, match=r"damaged\.csv\.gz"):
        Stream.read(damaged, batch_rows=10)
