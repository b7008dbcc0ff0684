"""Observe: take newly labelled rows in, score every model that may serve on them, commit the tick.

Champion and archive are scored on the very same rows. That is what makes debt, settlement and
rollback counterfactual: no before-and-after comparison, which would mistake drift for improvement.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

from menace.diagnostic_manager import column_kinds, null_rate_issues, null_rates, schema_issues
from menace.errors import PackageError
from menace.interfaces import StagedPipeline
from menace.records import (
    CycleState,
    Event,
    Issue,
    IssueKind,
    MetricSample,
    Outcome,
    SettlementProgress,
    Tick,
)
from menace.self_improvement_engine.cycle import row_of
from menace.self_improvement_policy.staleness import StalenessEstimator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd

    from menace.interfaces import LabelledBatch, LabelledRows, Pipeline, Services
    from menace.records import BotConfig, BotSnapshot, LoopState

logger = logging.getLogger(__name__)

LOSS = "loss"
"""Name of the metric sample that keeps a model's mean loss on a tick's rows."""

FIRST_READ_ROWS = 50_000
"""Rows per transaction while there is no champion to score: they only become visible."""

LARGEST_TICK_ROWS = 8_192
"""Rows per tick when there is a backlog, so that memory stays bounded."""

NULL_RATE_ALPHA = 0.2


@dataclass(frozen=True, slots=True)
class Scored:
    """A tick's rows under one model: predictions and per-row losses of shape ``(rows,)``."""

    predictions: list[str] | list[float]
    losses: np.ndarray


class Observer:
    """Takes a bot's newly labelled rows in, tick by tick.

    Parameters
    ----------
    services
        Store, rows, clock.
    pipeline
        Scores the models; one that cannot score leaves a bot without source-scored outcomes.
    """

    def __init__(self, services: Services, pipeline: Pipeline) -> None:
        self._services = services
        self._pipeline = pipeline

    def observe(self, bot: BotConfig, *, partial: bool) -> int:
        """Commit every tick that is due.

        Parameters
        ----------
        partial
            Whether fewer than ``tick_rows`` new rows make a tick too (somebody asks for a cycle).

        Returns
        -------
        int
            Labelled rows taken in.

        Raises
        ------
        DataError
            If the source or its rows are wrong; nothing of that tick is committed.
        """
        if bot.source is None:
            return 0
        rows = self._services.rows_of(bot)
        taken = 0
        while True:
            snapshot = self._services.store.snapshot(bot.name)
            batch = self._next_batch(bot, rows, snapshot)
            count = len(batch.frame)
            advanced = batch.position != snapshot.loop.position
            if not advanced or (count < bot.tick_rows and not partial):
                self._note_waiting(bot, snapshot.loop, batch)
                return taken
            self._services.store.commit_tick(self._tick(bot, snapshot, batch))
            taken += count

    def _next_batch(
        self, bot: BotConfig, rows: LabelledRows, snapshot: BotSnapshot
    ) -> LabelledBatch:
        limit = max(bot.tick_rows, LARGEST_TICK_ROWS)
        if snapshot.champion_version is None:
            limit = max(bot.tick_rows, FIRST_READ_ROWS)
        loop = snapshot.loop
        return rows.read_new(loop.position, max_rows=limit, last_at=loop.last_row_at)

    def _tick(self, bot: BotConfig, snapshot: BotSnapshot, batch: LabelledBatch) -> Tick:
        at = self._services.clock.now()
        scored, damaged = self._score(bot, snapshot, batch.frame)
        loop = self._advanced(bot, snapshot.loop, batch, damaged)
        if snapshot.champion_version in scored:
            loop = self._with_staleness(bot, snapshot, loop, scored)
        champion = snapshot.champion_version
        outcomes: tuple[Outcome, ...] = ()
        # A bot that reports its outcomes itself has served these rows: they are not counted again.
        if champion is not None and champion in scored and not snapshot.reports_outcomes:
            outcomes = _outcomes(bot, batch, scored[champion], champion, at)
        samples = tuple(
            MetricSample(bot.name, LOSS, at, float(s.losses.mean()), len(s.losses), version)
            for version, s in scored.items()
        )
        return Tick(
            bot=bot.name,
            at=at,
            loop=loop,
            outcomes=outcomes,
            samples=samples,
            settlements=self._progress(bot, scored),
            marks=batch.marks,
            events=(Event("tick.committed", bot.name, at, {"row": batch.position.row}),),
        )

    def _score(
        self, bot: BotConfig, snapshot: BotSnapshot, frame: pd.DataFrame
    ) -> tuple[dict[int, Scored], list[Issue]]:
        if snapshot.champion_version is None or not isinstance(self._pipeline, StagedPipeline):
            return {}, []
        if len(frame) == 0:
            return {}, []
        scored, damaged = {}, []
        for version in self._wanted(bot, snapshot.champion_version):
            try:
                scored[version] = Scored(*self._pipeline.score(bot.name, version, frame))
            except PackageError as error:
                # One lost file must not stop the bot: without its champion a tick has no outcomes,
                # and the issue calls for a cycle, which makes the model anew.
                logger.error("bot %s: version %d is out: %s", bot.name, version, error)
                severe = 1.0 if version == snapshot.champion_version else 0.5
                evidence = {"version": version, "error": error.message}
                damaged.append(
                    Issue(bot.name, IssueKind.DAMAGED_PACKAGE, severe, evidence, row_of(snapshot))
                )
        return scored, damaged

    def _wanted(self, bot: BotConfig, champion: int) -> list[int]:
        """Choose the versions to score: champion, archive, and what waits for its settlement."""
        store = self._services.store
        keep = 1 + self._services.settings.archive_models
        served = [model.version for model in store.models(bot.name, last=keep, served_only=True)]
        waiting = store.cycles(bot.name, last=100, states=(CycleState.PROMOTED,))
        compared = [v for c in waiting for v in (c.version, c.replaced_version) if v is not None]
        return list(dict.fromkeys([champion, *compared, *reversed(served)]))

    def _progress(
        self, bot: BotConfig, scored: dict[int, Scored]
    ) -> tuple[SettlementProgress, ...]:
        """Add the tick's rows to every cycle that waits for its settlement."""
        waiting = self._services.store.cycles(bot.name, last=100, states=(CycleState.PROMOTED,))
        progress = []
        for cycle in waiting:
            missing = bot.settlement_rows - cycle.settled_rows
            if missing <= 0 or cycle.version not in scored or cycle.replaced_version not in scored:
                continue
            new, old = scored[cycle.version].losses, scored[cycle.replaced_version].losses
            used = min(missing, len(new))
            gain = float((old[:used] - new[:used]).sum()) * bot.economics.loss_usd
            serving = used * bot.economics.serving_usd_per_row
            progress.append(SettlementProgress(cycle.cycle_id, used, gain, serving))
        return tuple(progress)

    def _with_staleness(
        self,
        bot: BotConfig,
        snapshot: BotSnapshot,
        loop: LoopState,
        scored: dict[int, Scored],
    ) -> LoopState:
        estimator = StalenessEstimator.from_json(loop.staleness)
        estimator.observe(
            {version: float(s.losses.mean()) for version, s in scored.items()},
            champion=snapshot.champion_version or 0,
            ticks=len(next(iter(scored.values())).losses) / bot.tick_rows,
        )
        return dataclasses.replace(loop, staleness=estimator.to_json())

    def _advanced(
        self, bot: BotConfig, loop: LoopState, batch: LabelledBatch, damaged: list[Issue]
    ) -> LoopState:
        """Move the position on and note what changed in the columns."""
        frame, row = batch.frame, batch.position.row
        kinds, rates = column_kinds(frame), null_rates(frame)
        issues = [i for i in loop.issues if i.kind is not IssueKind.WAITING_FOR_LABELS]
        if loop.columns and len(frame):
            issues += schema_issues(bot.name, loop.columns, kinds, row)
            issues += null_rate_issues(bot.name, loop.null_rates, rates, row, rows=len(frame))
        issues += [*_waiting_issue(bot.name, batch), *damaged]
        smoothed = {
            name: rate + (1 - NULL_RATE_ALPHA) * (loop.null_rates.get(name, rate) - rate)
            for name, rate in rates.items()
        }
        last_at = loop.last_row_at
        if bot.time is not None and len(frame):
            last_at = _plain(frame[bot.time].iloc[-1])
        return dataclasses.replace(
            loop,
            position=batch.position,
            labelled_rows=loop.labelled_rows + len(frame),
            last_row_at=last_at,
            columns=_known_kinds(loop.columns, kinds) if len(frame) else loop.columns,
            null_rates=smoothed if len(frame) else loop.null_rates,
            issues=_severest_of_each_kind(issues),
        )

    def _note_waiting(self, bot: BotConfig, loop: LoopState, batch: LabelledBatch) -> None:
        """Show that a missing label holds later rows back, even though no tick is due."""
        known = tuple(i for i in loop.issues if i.kind is IssueKind.WAITING_FOR_LABELS)
        found = tuple(_waiting_issue(bot.name, batch))
        if found != known:
            others = tuple(i for i in loop.issues if i.kind is not IssueKind.WAITING_FOR_LABELS)
            self._services.store.save_loop(
                bot.name, dataclasses.replace(loop, issues=(*others, *found))
            )


def _waiting_issue(bot: str, batch: LabelledBatch) -> list[Issue]:
    if batch.waiting_row is None:
        return []
    evidence = {"source_row": batch.waiting_row, "given_up": batch.given_up}
    return [Issue(bot, IssueKind.WAITING_FOR_LABELS, 0.2, evidence, batch.position.row)]


def _severest_of_each_kind(issues: list[Issue]) -> tuple[Issue, ...]:
    kept: dict[IssueKind, Issue] = {}
    for issue in issues:
        if issue.kind not in kept or issue.severity >= kept[issue.kind].severity:
            kept[issue.kind] = issue
    return tuple(kept.values())


def _known_kinds(before: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """Kinds of the columns there are now; one without a single value keeps the kind it had."""
    return {name: before.get(name, kind) if kind == "empty" else kind for name, kind in now.items()}


def _outcomes(
    bot: BotConfig, batch: LabelledBatch, scored: Scored, version: int, at: float
) -> tuple[Outcome, ...]:
    """Make the champion's outcomes; the source row is the prediction's id, so a redo adds none."""
    first_row = batch.position.row - len(batch.frame)
    serving = bot.economics.serving_usd_per_row
    values = (-scored.losses * bot.economics.loss_usd).tolist()
    predictions: Sequence[str | float] = scored.predictions
    truths: list[str | float] = batch.frame[bot.target].tolist()
    return tuple(
        Outcome(f"row-{first_row + k}", at, predicted, truth, loss, value, serving, None, version)
        for k, (predicted, truth, loss, value) in enumerate(
            zip(predictions, truths, scored.losses.tolist(), values, strict=True)
        )
    )


def _plain(value: object) -> str | float:
    """Turn a time into something JSON can hold and that compares as the column does."""
    return float(value) if isinstance(value, Real) else str(value)
