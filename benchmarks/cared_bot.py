"""A workspace with a bot that has been cared for a long time, filled through the real store."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import TYPE_CHECKING

from menace.accounting.roi_tracker import RoiTracker
from menace.config import validated_bot
from menace.records import (
    CycleState,
    Economics,
    Issue,
    IssueKind,
    LedgerEntry,
    LoopState,
    MetricSample,
    Outcome,
    SourcePosition,
    Tick,
)
from menace.self_improvement_engine.engine_state import EngineState
from menace.self_improvement_policy.staleness import StalenessEstimator
from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from menace.interfaces import Store
    from menace.records import BotConfig

ARCHIVED = 12
TICKS_PER_VERSION = 8
TICK_ROWS = 168
BEGAN_AT = 1.7e9
COLUMNS = tuple(f"column_{number}" for number in range(20))


def make_workspace(folder: Path) -> Workspace:
    """Make a workspace with the settings that ``menace init`` gives."""
    Workspace.create(folder)
    return Workspace(folder)


def add_cared_bot(
    store: Store,
    name: str,
    *,
    outcomes: int,
    batch_rows: int = 10_000,
    done: Callable[[int], None] = lambda _rows: None,
) -> BotConfig:
    """Register a bot and give it a history.

    A champion, an archive of 12 that has been scored beside it, settled cycles, metric samples, an
    issue that waits for an answer, and ``outcomes`` outcomes. Debt is low: a decision goes through
    all that it can ask, and says no.

    Parameters
    ----------
    store
        Where.
    name
        The bot's.
    outcomes
        So many, ≥ 1.
    batch_rows
        So many per transaction.
    done
        Called with the number of outcomes stored so far.
    """
    bot = validated_bot(
        {
            "name": name,
            "source": {"kind": "csv", "location": "/not/read/by/a/decision.csv"},
            "target": "y",
            "tick_rows": TICK_ROWS,
            "economics": dataclasses.asdict(Economics(loss_usd=1.0, cpu_second_usd=50.0)),
        }
    )
    store.add_bot(bot)
    champion = _add_versions(store, bot)
    loop = _loop(bot, champion, outcomes)
    samples = tuple(
        MetricSample(name, "loss", BEGAN_AT + tick, 0.1 + 0.001 * (tick % 7), TICK_ROWS, champion)
        for tick in range(500)
    )
    stored = 0
    for batch in _batches(outcomes, batch_rows, champion):
        store.commit_tick(Tick(name, BEGAN_AT, loop, tuple(batch), () if stored else samples))
        stored += len(batch)
        done(stored)
    return bot


def full_state(bot: str) -> EngineState:
    """Make the memory of an engine that has seen more cycles settled than it keeps."""
    roi = RoiTracker()
    for number in range(1100):
        roi.add(0.01 * (number % 11 - 4))
    return EngineState(bot, roi=roi, last_cycle_at=BEGAN_AT, ledger_id=1100)


def new_outcomes(champion: int, *, start: int, rows: int) -> list[Outcome]:
    """Make outcomes of a served champion, one every second."""
    chance = random.Random(start)  # noqa: S311 - nothing secret
    outcomes = []
    for number in range(start, start + rows):
        wrong = chance.random() < 0.1
        outcomes.append(
            Outcome(
                prediction_id=f"row-{number}",
                at=BEGAN_AT + number,
                prediction="no" if wrong else "yes",
                truth="yes",
                loss=float(wrong),
                value_usd=-float(wrong),
                serving_cost_usd=0.001,
                latency_seconds=0.02,
                version=champion,
            )
        )
    return outcomes


def _batches(outcomes: int, batch_rows: int, champion: int) -> Iterator[list[Outcome]]:
    for start in range(0, outcomes, batch_rows):
        yield new_outcomes(champion, start=start, rows=min(batch_rows, outcomes - start))


def _add_versions(store: Store, bot: BotConfig) -> int:
    """Take 13 cycles through all their steps; returns the last one's version."""
    champion = 0
    steps = (CycleState.DECIDED, CycleState.TRAINING, CycleState.EVALUATED)
    for number in range(1 + ARCHIVED):
        row, at = number * TICKS_PER_VERSION * bot.tick_rows, BEGAN_AT + number
        cycle = store.open_cycle(bot.name, energy=1, row=row, at=at, decision_id=None, details={})
        for before, after in itertools.pairwise(steps):
            store.advance_cycle(cycle.cycle_id, expected=before, state=after, at=at)
        model = store.add_model(
            bot.name,
            sha256=f"{number:064x}",
            artifact=f"{bot.name}/{number}",
            row=row,
            at=at,
            cycle_id=cycle.cycle_id,
            manifest={},
        )
        champion = model.version
        store.promote(bot.name, champion, row=row, at=at, cycle_id=cycle.cycle_id)
        gain, cost = 3.0 + number % 3, 2.0
        entry = LedgerEntry(cycle.cycle_id, bot.name, at, gain, cost, 1.0, 1000, (gain - cost) / 3)
        store.settle(entry, expected=CycleState.PROMOTED, outcome="promoted")
    return champion


def _loop(bot: BotConfig, champion: int, outcomes: int) -> LoopState:
    estimator = StalenessEstimator()
    for tick in range((1 + ARCHIVED) * TICKS_PER_VERSION):
        newest = 1 + tick // TICKS_PER_VERSION
        losses = {
            version: 0.1 + 0.001 * (newest - version) + 0.01 * ((tick * 7 + version) % 5)
            for version in range(1, newest + 1)
        }
        estimator.observe(losses, champion=newest)
    row = max(outcomes, (1 + ARCHIVED) * TICKS_PER_VERSION * bot.tick_rows)
    return LoopState(
        position=SourcePosition(row, {"bytes": row * 80}),
        labelled_rows=row,
        columns=dict.fromkeys(COLUMNS, "number"),
        null_rates={column: number / 1000 for number, column in enumerate(COLUMNS)},
        issues=(Issue(bot.name, IssueKind.NULL_RATE, 0.4, {"column": COLUMNS[0]}, row),),
        staleness=estimator.to_json(),
        cycle_cost_usd=50.0,
        costed_cycle_id=1 + ARCHIVED,
        last_cycle_row=row - 4 * bot.tick_rows,
        last_cycle_at=BEGAN_AT,
    )
