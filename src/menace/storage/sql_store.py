"""The store on a SQL database: each method one transaction, whatever the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from menace.errors import DuplicateBotError, StoreError, UnknownBotError
from menace.records import BotSnapshot, BotTotals, Decision, LoopState
from menace.storage import cycles, models, observations, outbox
from menace.storage.capital import SQLCapitalBooks, post
from menace.storage.documents import (
    bot_from_text,
    bot_to_text,
    from_text,
    loop_from_text,
    loop_to_text,
    to_text,
)
from menace.storage.observations import check_last
from menace.storage.patches import SQLPatchHistory
from menace.storage.scaling import SQLScalingRecords
from menace.storage.trials import SQLSearchTrials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine.interfaces import DBAPICursor

    from menace.double_entry import CapitalEntry
    from menace.records import (
        BotConfig,
        Cycle,
        CycleState,
        Event,
        Json,
        LedgerEntry,
        MetricSample,
        ModelVersion,
        Outcome,
        SourcePosition,
        Tick,
    )

_SNAPSHOT = (
    "SELECT s.outcomes, s.loss_sum, s.loss_square_sum, s.value_usd, s.serving_cost_usd,"
    " s.last_outcome_at, s.loop, m.version, m.row, c.cycle_id,"
    " s.reports_outcomes, m.promoted_row"
    " FROM bots b JOIN bot_state s ON s.bot_id = b.bot_id"
    " LEFT JOIN models m ON m.bot_id = b.bot_id AND m.status = 'champion'"
    " LEFT JOIN cycles c ON c.bot_id = b.bot_id"
    " AND c.state IN ('decided', 'patching', 'training', 'evaluated')"
    " WHERE b.name = ?"
)
_NOTE_REPORTS = (
    "UPDATE bot_state SET reports_outcomes = 1 WHERE bot_id = ? AND reports_outcomes = 0"
)
_ADD_DECISION = (
    "INSERT INTO decisions (bot_id, run, reason, at, inputs) VALUES (?, ?, ?, ?, ?)"
    " RETURNING decision_id"
)
# Only the newest decision is replaced, so only the newest cycle can rest on it.
_REPLACE_DECISION = (
    "UPDATE decisions SET reason = ?, at = ?, inputs = ?"
    " WHERE decision_id = ? AND bot_id = ? AND run = ?"
    " AND decision_id = (SELECT max(decision_id) FROM decisions WHERE bot_id = ?)"
    " AND decision_id <> coalesce((SELECT decision_id FROM cycles WHERE bot_id = ?"
    " ORDER BY cycle_id DESC LIMIT 1), 0)"
)
_DECISIONS = (
    "SELECT run, reason, at, inputs, decision_id FROM decisions WHERE bot_id = ?"
    " ORDER BY decision_id DESC LIMIT ?"
)
# One statement, so that of two processes that see a lease run out only one gets it.
_ACQUIRE_LEASE = (
    "INSERT INTO leases (bot_id, owner, expires_at) VALUES (?, ?, ?)"
    " ON CONFLICT (bot_id) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at"
    " WHERE leases.owner = excluded.owner OR leases.expires_at <= ? RETURNING bot_id"
)


class Database(Protocol):
    """What a driver gives to the store. Safe to share between threads."""

    def read(self) -> AbstractContextManager[DBAPICursor]:
        """Give a cursor for reading."""
        ...

    def write(self) -> AbstractContextManager[DBAPICursor]:
        """Give a cursor in a transaction: committed at the end, undone on any error.

        Writers of one bot must run one after the other.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class SQLStore(SQLCapitalBooks, SQLScalingRecords, SQLSearchTrials, SQLPatchHistory):
    """The :class:`menace.interfaces.Store` on a SQL database.

    Opened by :func:`menace.storage.registry.open_store`.

    Parameters
    ----------
    database
        The driver, with tables of this version.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        # Numbers of bots never change, so what was read once is known for good.
        self._bot_ids: dict[str, int] = {}

    def add_bot(self, bot: BotConfig) -> None:
        """Register a bot; see :meth:`menace.interfaces.Store.add_bot`."""
        config, loop = bot_to_text(bot), loop_to_text(LoopState(), bot=bot.name)
        with self._database.write() as cursor:
            cursor.execute(
                "INSERT INTO bots (name, config) VALUES (?, ?)"
                " ON CONFLICT (name) DO NOTHING RETURNING bot_id",
                (bot.name, config),
            )
            added = cursor.fetchone()
            if added is None:
                raise DuplicateBotError(
                    f"there is a bot {bot.name!r} already.",
                    remedy="choose another name, or see it with: menace bot list",
                )
            cursor.execute(
                "INSERT INTO bot_state (bot_id, outcomes, loss_sum, loss_square_sum, value_usd,"
                " serving_cost_usd, loop) VALUES (?, 0, 0, 0, 0, 0, ?)",
                (added[0], loop),
            )

    def bot(self, name: str) -> BotConfig:
        """Read a bot's configuration."""
        with self._database.read() as cursor:
            return bot_from_text(self._config(cursor, name))

    def bots(self) -> list[BotConfig]:
        """Read all bots, by name."""
        with self._database.read() as cursor:
            cursor.execute("SELECT config FROM bots ORDER BY name")
            return [bot_from_text(text) for (text,) in cursor.fetchall()]

    def set_task(self, bot: str, *, task: str, metric: str) -> None:
        """Fix the task and metric that the first window that is full or has 200 rows showed."""
        with self._database.write() as cursor:
            document = from_text(self._config(cursor, bot)) | {"task": task, "metric": metric}
            config = to_text(document, what="the bot's configuration", bot=bot)
            bot_from_text(config)
            cursor.execute("UPDATE bots SET config = ? WHERE name = ?", (config, bot))

    def snapshot(self, bot: str) -> BotSnapshot:
        """Read all that a decision needs, in one statement."""
        with self._database.read() as cursor:
            cursor.execute(_SNAPSHOT, (bot,))
            row = cursor.fetchone()
            if row is None:
                raise _unknown_bot(cursor, bot)
        *totals, loop, version, champion_row, open_cycle_id, reports, since_row = row
        return BotSnapshot(
            bot,
            BotTotals(*totals),
            loop_from_text(loop),
            version,
            champion_row,
            open_cycle_id,
            reports_outcomes=bool(reports),
            champion_since_row=since_row,
        )

    def save_loop(self, bot: str, loop: LoopState) -> None:
        """Replace a bot's loop state."""
        with self._database.write() as cursor:
            self._save_loop(cursor, self._bot_id(cursor, bot), bot, loop)

    def add_outcomes(self, bot: str, outcomes: Sequence[Outcome]) -> int:
        """Store outcomes and add them to the running totals; returns how many were new."""
        try:
            with self._database.write() as cursor:
                bot_id = self._bot_id(cursor, bot)
                if outcomes:
                    cursor.execute(_NOTE_REPORTS, (bot_id,))
                return observations.add_outcomes(cursor, bot_id, bot, outcomes)
        except StoreError as error:
            fault = observations.faulty_outcome(bot, outcomes)
            if fault is not None:
                raise fault from error
            raise

    def outcomes(self, bot: str, *, last: int) -> list[Outcome]:
        """Read the ``last`` outcomes that were stored, oldest first."""
        with self._database.read() as cursor:
            bot_id = self._bot_id(cursor, bot)
            return observations.last_outcomes(cursor, bot_id, check_last(last))

    def commit_tick(self, tick: Tick) -> int:
        """Commit all that a tick brought, or nothing; returns how many outcomes were new."""
        try:
            with self._database.write() as cursor:
                bot_id = self._bot_id(cursor, tick.bot)
                added = observations.add_outcomes(cursor, bot_id, tick.bot, tick.outcomes)
                observations.add_samples(
                    cursor, lambda name: self._bot_id(cursor, name), tick.samples
                )
                observations.add_marks(cursor, bot_id, tick.marks)
                cycles.add_progress(cursor, bot_id, tick.bot, tick.settlements)
                self._save_loop(cursor, bot_id, tick.bot, tick.loop)
                for event in tick.events:
                    owner = self._bot_id(cursor, event.bot)
                    outbox.add_event(cursor, owner, event.topic, event.at, event.payload)
                return added
        except StoreError as error:
            fault = observations.faulty_outcome(tick.bot, tick.outcomes)
            if fault is not None:
                raise fault from error
            raise

    def mark_before(self, bot: str, row: int) -> SourcePosition | None:
        """Read the last marked source position at or before ``row``."""
        with self._database.read() as cursor:
            return observations.mark_before(cursor, self._bot_id(cursor, bot), row)

    def add_samples(self, samples: Sequence[MetricSample]) -> None:
        """Append metric samples."""
        with self._database.write() as cursor:
            observations.add_samples(cursor, lambda name: self._bot_id(cursor, name), samples)

    def samples(self, bot: str, name: str, *, last: int) -> list[MetricSample]:
        """Read the ``last`` samples of one metric, oldest first."""
        with self._database.read() as cursor:
            bot_id = self._bot_id(cursor, bot)
            return observations.last_samples(cursor, bot_id, bot, name, check_last(last))

    def add_decision(self, decision: Decision, *, replacing: int | None = None) -> int:
        """Append a decision and its event, or renew the one ``replacing`` names; returns its id."""
        bot, run = decision.bot, bool(decision.run)
        inputs = to_text(decision.inputs, what="the decision's inputs", bot=bot)
        with self._database.write() as cursor:
            bot_id = self._bot_id(cursor, bot)
            if replacing is not None:
                what = (decision.reason, decision.at, inputs)
                cursor.execute(
                    _REPLACE_DECISION, (*what, replacing, bot_id, int(run), bot_id, bot_id)
                )
                if cursor.rowcount == 1:
                    return replacing
            cursor.execute(_ADD_DECISION, (bot_id, int(run), decision.reason, decision.at, inputs))
            (decision_id,) = cursor.fetchone() or (0,)
            payload = {"decision_id": decision_id, "run": run, "reason": decision.reason}
            outbox.add_event(cursor, bot_id, "decision.made", decision.at, payload)
        return int(decision_id)

    def decisions(self, bot: str, *, last: int) -> list[Decision]:
        """Read the ``last`` decisions, oldest first."""
        with self._database.read() as cursor:
            cursor.execute(_DECISIONS, (self._bot_id(cursor, bot), check_last(last)))
            rows = cursor.fetchall()
        return [
            Decision(bot, bool(run), reason, at, from_text(inputs), decision_id)
            for run, reason, at, inputs, decision_id in reversed(rows)
        ]

    def open_cycle(
        self, bot: str, *, energy: int, row: int, at: float, decision_id: int | None, details: Json
    ) -> Cycle:
        """Begin a cycle in state ``decided``; its ``replaced_version`` is the present champion."""
        with self._database.write() as cursor:
            return cycles.open_cycle(
                cursor,
                self._bot_id(cursor, bot),
                bot,
                energy=energy,
                row=row,
                at=at,
                decision_id=decision_id,
                details=details,
            )

    def advance_cycle(
        self,
        cycle_id: int,
        *,
        expected: CycleState,
        state: CycleState,
        at: float,
        **changes: Any,
    ) -> Cycle:
        """Move a cycle from ``expected`` to ``state`` and set the fields in ``changes``."""
        with self._database.write() as cursor:
            return cycles.change_cycle(
                cursor, cycle_id, expected=expected, state=state, at=at, changes=changes
            )

    def cycle(self, cycle_id: int) -> Cycle:
        """Read one cycle."""
        with self._database.read() as cursor:
            return cycles.read_cycle(cursor, cycle_id)

    def cycles(
        self, bot: str, *, last: int, states: Sequence[CycleState] | None = None
    ) -> list[Cycle]:
        """Read the ``last`` cycles, in these states if given, oldest first."""
        with self._database.read() as cursor:
            bot_id = self._bot_id(cursor, bot)
            return cycles.last_cycles(cursor, bot_id, check_last(last), states)

    def add_model(
        self,
        bot: str,
        *,
        sha256: str,
        artifact: str,
        row: int,
        at: float,
        cycle_id: int | None,
        manifest: Json,
    ) -> ModelVersion:
        """Add a challenger, or return the one that the cycle has made already."""
        with self._database.write() as cursor:
            return models.add_model(
                cursor,
                self._bot_id(cursor, bot),
                bot,
                sha256=sha256,
                artifact=artifact,
                row=row,
                at=at,
                cycle_id=cycle_id,
                manifest=manifest,
            )

    def promote(
        self, bot: str, version: int, *, row: int, at: float, cycle_id: int | None = None
    ) -> ModelVersion:
        """Make ``version`` the champion; the old champion becomes archived."""
        with self._database.write() as cursor:
            bot_id = self._bot_id(cursor, bot)
            return models.promote(cursor, bot_id, bot, version, row=row, at=at, cycle_id=cycle_id)

    def roll_back(
        self,
        bot: str,
        *,
        to: int | None = None,
        row: int,
        at: float,
        cycle_id: int | None = None,
    ) -> ModelVersion:
        """Make a former champion serve again."""
        with self._database.write() as cursor:
            bot_id = self._bot_id(cursor, bot)
            return models.roll_back(cursor, bot_id, bot, to=to, row=row, at=at, cycle_id=cycle_id)

    def reject(self, bot: str, version: int) -> None:
        """Mark a challenger as rejected."""
        with self._database.write() as cursor:
            models.reject(cursor, self._bot_id(cursor, bot), bot, version)

    def model(self, bot: str, version: int) -> ModelVersion:
        """Read one version."""
        with self._database.read() as cursor:
            return models.read_model(cursor, self._bot_id(cursor, bot), bot, version)

    def models(self, bot: str, *, last: int, served_only: bool = False) -> list[ModelVersion]:
        """Read the newest ``last`` versions, oldest first."""
        with self._database.read() as cursor:
            bot_id = self._bot_id(cursor, bot)
            return models.last_models(
                cursor, bot_id, bot, check_last(last), served_only=served_only
            )

    def settle(
        self,
        entry: LedgerEntry,
        *,
        expected: CycleState,
        outcome: str,
        capital: CapitalEntry | None = None,
    ) -> bool:
        """Write the ledger entry and settle the cycle; False if that was done before."""
        with self._database.write() as cursor:
            bot_id = self._bot_id(cursor, entry.bot)
            settled = cycles.settle(cursor, bot_id, entry, expected=expected, outcome=outcome)
            if settled and capital is not None:
                post(cursor, bot_id, capital)
            return settled

    def ledger(
        self, bot: str | None = None, *, after: int = 0, last: int | None = None
    ) -> list[LedgerEntry]:
        """Read entries with ``entry_id > after``, oldest first; of all bots if ``bot`` is None."""
        with self._database.read() as cursor:
            bot_id = None if bot is None else self._bot_id(cursor, bot)
            limit = None if last is None else check_last(last)
            return cycles.read_ledger(cursor, bot_id, after, limit)

    def acquire_lease(self, bot: str, *, owner: str, seconds: float, now: float) -> bool:
        """Take or renew the bot's lease; False if another owner holds it beyond ``now``."""
        with self._database.write() as cursor:
            bot_id = self._bot_id(cursor, bot)
            cursor.execute(_ACQUIRE_LEASE, (bot_id, owner, now + seconds, now))
            return cursor.fetchone() is not None

    def lease_owner(self, bot: str) -> str | None:
        """Who holds the bot's lease, run out or not; None if nobody does."""
        with self._database.read() as cursor:
            cursor.execute(
                "SELECT owner FROM leases WHERE bot_id = ?", (self._bot_id(cursor, bot),)
            )
            row = cursor.fetchone()
        return None if row is None else str(row[0])

    def release_lease(self, bot: str, *, owner: str) -> None:
        """Give the lease back, if ``owner`` holds it."""
        with self._database.write() as cursor:
            cursor.execute(
                "DELETE FROM leases WHERE bot_id = ? AND owner = ?",
                (self._bot_id(cursor, bot), owner),
            )

    def pending_events(self, *, bot: str | None = None, limit: int = 1000) -> list[Event]:
        """Read committed events (of one bot) that were not delivered yet, oldest first."""
        with self._database.read() as cursor:
            bot_id = None if bot is None else self._bot_id(cursor, bot)
            return outbox.pending(cursor, bot_id, check_last(limit))

    def mark_delivered(self, event_ids: Sequence[int]) -> None:
        """Forget these events: they were delivered."""
        if event_ids:
            with self._database.write() as cursor:
                outbox.mark_delivered(cursor, event_ids)

    def close(self) -> None:
        """Give connections back. The store cannot be used afterwards."""
        self._database.close()

    def _bot_id(self, cursor: DBAPICursor, name: str) -> int:
        known = self._bot_ids.get(name)
        if known is not None:
            return known
        cursor.execute("SELECT bot_id FROM bots WHERE name = ?", (name,))
        row = cursor.fetchone()
        if row is None:
            raise _unknown_bot(cursor, name)
        self._bot_ids[name] = int(row[0])
        return int(row[0])

    @staticmethod
    def _config(cursor: DBAPICursor, name: str) -> str:
        cursor.execute("SELECT config FROM bots WHERE name = ?", (name,))
        row = cursor.fetchone()
        if row is None:
            raise _unknown_bot(cursor, name)
        return str(row[0])

    @staticmethod
    def _save_loop(cursor: DBAPICursor, bot_id: int, bot: str, loop: LoopState) -> None:
        cursor.execute(
            "UPDATE bot_state SET loop = ? WHERE bot_id = ?",
            (loop_to_text(loop, bot=bot), bot_id),
        )


def _unknown_bot(cursor: DBAPICursor, name: str) -> UnknownBotError:
    cursor.execute("SELECT name FROM bots ORDER BY name LIMIT 21")
    names = [row[0] for row in cursor.fetchall()]
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return UnknownBotError(
        f"no bot {name!r}; known: {listed or 'none'}.",
        remedy=f"menace bot add {name} --source FILE --target COLUMN",
    )
