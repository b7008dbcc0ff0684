"""The protocols that hold the parts of menace apart, so that each can be swapped on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from menace.config import LoopSettings
    from menace.double_entry import CapitalEntry
    from menace.patches import Patch, PatchStatus
    from menace.records import (
        Approval,
        ApprovalState,
        AutomationResult,
        BotConfig,
        BotSnapshot,
        Budget,
        BudgetCheck,
        Cycle,
        CycleState,
        Decision,
        Event,
        Issue,
        Json,
        LedgerEntry,
        LoopState,
        MetricSample,
        ModelVersion,
        Outcome,
        Scaling,
        SearchTrial,
        SourcePosition,
        Tick,
    )


class Clock(Protocol):
    """Tells the time. Passed in, so that a run can be repeated."""

    def now(self) -> float:
        """POSIX seconds, UTC."""
        ...


class CpuMeter(Protocol):
    """Turns the work of a training into the CPU-seconds that are charged for it.

    Two exist: one charges what was measured, one charges what was counted (rows × features × trees
    at a published rate), so that a run can be repeated to the bit.
    """

    def charge(self, *, measured_seconds: float, counted_seconds: float) -> float:
        """CPU-seconds to charge, ≥ 0."""
        ...


class CapitalBooks(Protocol):
    """The part of a store that keeps the money: entries, daily sums, budgets, costs of cycles.

    Transactions, errors and threads are those of :class:`Store`.
    """

    def post_capital(self, entry: CapitalEntry, *, covered: Sequence[str] = ()) -> int:
        """Append an entry and add it to the daily sums; returns its id.

        Raises ``CapitalError``, and changes nothing, if the entry is not balanced
        (:func:`menace.double_entry.check_entry`), if its cycle has one already, or if one of the
        accounts ``covered`` would be below 0 afterwards.
        """
        ...

    def capital_entries(self, *, last: int, bot: str | None = None) -> list[CapitalEntry]:
        """Read the ``last`` entries (that concern one bot), oldest first."""
        ...

    def capital_balances(self) -> dict[str, int]:
        """Read the balance of every open account, nano-USD; debits positive.

        An account opens with its first posting. An allocation that was given back to the last
        nano-USD is closed; one that was spent is open, and empty.
        """
        ...

    def capital_days(self, account: str, *, since: int) -> dict[int, int]:
        """Read an account's postings per UTC day from day ``since`` on, nano-USD.

        Days are counted from 1970-01-01; those without postings are left out.
        """
        ...

    def set_budget(self, budget: Budget) -> None:
        """Set or lift what a day's cycles may cost, of one bot or of all."""
        ...

    def budgets(self) -> list[Budget]:
        """Read the budgets: that of all bots first, then those of bots, by name."""
        ...

    def cycle_costs(self, *, since: float | None) -> dict[str, float]:
        """Add up by bot what cycles cost that ended at or after ``since``, USD.

        With ``None``, those that have ended and are not settled yet. A cycle that is under way
        counts with what it has cost, or else with the ``expected_cost_usd`` in its details.
        """
        ...


class ScalingRecords(Protocol):
    """The part of a store that belongs to no bot: numbers of engines, and questions to people.

    Transactions, errors and threads are those of :class:`Store`.
    """

    def add_scaling(self, scaling: Scaling, *, replacing: int | None = None) -> int:
        """Append what was decided about the number of engines; returns its id.

        With ``replacing``, the id of the newest, that one gets the new time, reason and inputs
        instead, if both of them wait.
        """
        ...

    def scalings(self, *, last: int, moved_only: bool = False) -> list[Scaling]:
        """Read the ``last`` of them (that created or removed an engine), oldest first."""
        ...

    def ask_approval(self, subject: str, *, at: float, inputs: Json) -> Approval:
        """Ask a person; returns the subject's question that is pending or granted, if there is."""
        ...

    def approvals(self, *, last: int, subject: str | None = None) -> list[Approval]:
        """Read the ``last`` questions, oldest first."""
        ...

    def move_approval(
        self, approval_id: int, *, expected: ApprovalState, state: ApprovalState, at: float
    ) -> Approval:
        """Move a question from ``expected`` to ``state``.

        Raises ``ApprovalError`` if there is none, or it is in another state.
        """
        ...


class SearchTrials(Protocol):
    """The part of a store that remembers what searches have tried.

    Transactions, errors and threads are those of :class:`Store`.
    """

    def add_trials(
        self, bot: str, trials: Sequence[SearchTrial], *, cycle_id: int | None = None
    ) -> int:
        """Append a search's trials, in their order; returns how many were added.

        With a ``cycle_id``, nothing is added if the cycle has trials already, so that a resumed
        cycle does not add them twice. Of each bot at least the newest 400 are kept.
        """
        ...

    def trials(self, bot: str, *, last: int, without_cycle: int | None = None) -> list[SearchTrial]:
        """Read the ``last`` trials, oldest first, leaving out those of ``without_cycle``.

        A cycle that is resumed must not see its own, or it would make another model.
        """
        ...


class PatchHistory(Protocol):
    """The part of a store that remembers patches to helper code, rejected ones too.

    Transactions, errors and threads are those of :class:`Store`.
    """

    def add_patch(self, patch: Patch) -> Patch:
        """Append a patch, with a ``patch.STATUS`` event; returns it with its number."""
        ...

    def move_patch(
        self,
        patch_id: int,
        *,
        expected: PatchStatus,
        status: PatchStatus,
        at: float,
        **changes: Any,
    ) -> Patch:
        """Move a patch from ``expected`` to ``status`` and set the fields in ``changes``.

        Writes a ``patch.STATUS`` event. Raises ``PatchStateError`` if there is none, or it is in
        another state.
        """
        ...

    def patch(self, patch_id: int) -> Patch:
        """Read one patch. Raises ``PatchStateError`` if there is none."""
        ...

    def patches(
        self,
        bot: str | None = None,
        *,
        last: int,
        statuses: Sequence[PatchStatus] | None = None,
    ) -> list[Patch]:
        """Read the ``last`` patches (of one bot) in these states, oldest first."""
        ...


class Store(CapitalBooks, ScalingRecords, SearchTrials, PatchHistory, Protocol):
    """Keeps everything that must not be lost.

    Every method is one transaction: when it returns, its effect is durable and visible to other
    processes; when it raises, nothing happened. Instances are safe to share between threads.

    Raises
    ------
    UnknownBotError
        From every method that takes the name of a bot, if there is no such bot.
    StoreError
        If the backend fails; the message names it and the remedy.
    """

    def add_bot(self, bot: BotConfig) -> None:
        """Register a bot. Raises ``DuplicateBotError`` if the name is taken."""
        ...

    def bot(self, name: str) -> BotConfig:
        """Read a bot's configuration."""
        ...

    def bots(self) -> list[BotConfig]:
        """Read all bots, by name."""
        ...

    def set_task(self, bot: str, *, task: str, metric: str) -> None:
        """Fix the task and metric that the first window that is full or has 200 rows showed."""
        ...

    def snapshot(self, bot: str) -> BotSnapshot:
        """Read all that a decision needs, in time independent of the bot's history."""
        ...

    def save_loop(self, bot: str, loop: LoopState) -> None:
        """Replace a bot's loop state. Only the holder of the bot's lease may call it."""
        ...

    def add_outcomes(self, bot: str, outcomes: Sequence[Outcome]) -> int:
        """Store outcomes and add them to the running totals.

        An outcome whose prediction id is known already is left out. An ``outcomes.observed`` event
        goes to the outbox when at least one was new. From the first one on the bot's snapshot says
        ``reports_outcomes``; outcomes of a tick do not make it say so.

        Returns
        -------
        int
            How many were new.
        """
        ...

    def outcomes(self, bot: str, *, last: int) -> list[Outcome]:
        """Read the ``last`` outcomes that were stored, oldest first."""
        ...

    def commit_tick(self, tick: Tick) -> int:
        """Commit outcomes, totals, samples, marks, settlement progress, loop state and events.

        All or nothing. Returns how many outcomes were new; if any was, an ``outcomes.observed``
        event is written beside those of the tick.
        """
        ...

    def mark_before(self, bot: str, row: int) -> SourcePosition | None:
        """Read the last marked source position at or before labelled row ``row``."""
        ...

    def add_samples(self, samples: Sequence[MetricSample]) -> None:
        """Append metric samples."""
        ...

    def samples(self, bot: str, name: str, *, last: int) -> list[MetricSample]:
        """Read the ``last`` samples of one metric, oldest first."""
        ...

    def add_decision(self, decision: Decision, *, replacing: int | None = None) -> int:
        """Append a decision and its ``decision.made`` event; returns its id.

        With ``replacing``, the id of the bot's newest decision, that one gets the new time, reason
        and inputs instead, without an event, so that asking again and again while nothing moves
        adds nothing. The decision is appended all the same if ``replacing`` is not the bot's newest
        (another process has decided meanwhile), if it says run where this one does not or the
        other way round, or if a cycle rests on it.
        """
        ...

    def decisions(self, bot: str, *, last: int) -> list[Decision]:
        """Read the ``last`` decisions, oldest first."""
        ...

    def open_cycle(
        self, bot: str, *, energy: int, row: int, at: float, decision_id: int | None, details: Json
    ) -> Cycle:
        """Begin a cycle in state ``decided``, with a ``cycle.decided`` event.

        Raises ``CycleConflictError`` if the bot has a cycle in ``decided``, ``patching``,
        ``training`` or ``evaluated``. Cycles that wait for their settlement do not count.
        """
        ...

    def advance_cycle(
        self,
        cycle_id: int,
        *,
        expected: CycleState,
        state: CycleState,
        at: float,
        **changes: Any,
    ) -> Cycle:
        """Move a cycle from ``expected`` to ``state`` and set the fields in ``changes``.

        Writes a ``cycle.STATE`` event. ``state`` may equal ``expected`` (a second attempt).
        A state that ends the cycle's work becomes its ``outcome``, and ``at`` its ``ended_at``.
        Raises ``CycleConflictError`` if the cycle is not in ``expected``.
        """
        ...

    def cycle(self, cycle_id: int) -> Cycle:
        """Read one cycle."""
        ...

    def cycles(
        self, bot: str, *, last: int, states: Sequence[CycleState] | None = None
    ) -> list[Cycle]:
        """Read the ``last`` cycles, in these states if given, oldest first."""
        ...

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
        """Add a challenger under the bot's next version number (1, 2, …).

        With a ``cycle_id``, a model that the cycle has made already is returned instead of a second
        one, so that a resumed cycle does not pile up versions.
        """
        ...

    def promote(
        self, bot: str, version: int, *, row: int, at: float, cycle_id: int | None = None
    ) -> ModelVersion:
        """Make ``version`` the champion; the old champion becomes archived.

        With a ``cycle_id``, the cycle moves from ``evaluated`` to ``promoted`` in the same
        transaction, and its ``replaced_version`` becomes the champion that was replaced. Writes a
        ``model.promoted`` event (and the cycle's). If ``version`` is the champion already, only the
        cycle moves.
        """
        ...

    def roll_back(
        self,
        bot: str,
        *,
        to: int | None = None,
        row: int,
        at: float,
        cycle_id: int | None = None,
    ) -> ModelVersion:
        """Make a former champion serve again: ``to``, or the one before the present champion.

        With a ``cycle_id``, that cycle moves from ``promoted`` to ``rolled_back``. Another cycle of
        the bot that is under way fails: it was decided against a champion that serves no more, and
        must not promote over the one that was chosen. Writes a
        ``model.rolled_back`` event. Raises ``UnknownVersionError`` if there is none to go to.
        """
        ...

    def reject(self, bot: str, version: int) -> None:
        """Mark a challenger as rejected."""
        ...

    def model(self, bot: str, version: int) -> ModelVersion:
        """Read one version. Raises ``UnknownVersionError``."""
        ...

    def models(self, bot: str, *, last: int, served_only: bool = False) -> list[ModelVersion]:
        """Read the newest ``last`` versions, oldest first.

        ``served_only`` leaves out what never was champion.
        """
        ...

    def settle(
        self,
        entry: LedgerEntry,
        *,
        expected: CycleState,
        outcome: str,
        capital: CapitalEntry | None = None,
    ) -> bool:
        """Write the ledger entry and move the cycle to ``settled``, with a ``cycle.settled`` event.

        With ``capital``, the money goes into the books in the same transaction, so that it is there
        exactly once whenever the process dies. Returns False, and changes nothing, if the cycle is
        settled already.
        """
        ...

    def ledger(
        self, bot: str | None = None, *, after: int = 0, last: int | None = None
    ) -> list[LedgerEntry]:
        """Read entries with ``entry_id > after``, oldest first; of all bots if ``bot`` is None."""
        ...

    def acquire_lease(self, bot: str, *, owner: str, seconds: float, now: float) -> bool:
        """Take or renew the bot's lease; False if another owner holds it beyond ``now``."""
        ...

    def lease_owner(self, bot: str) -> str | None:
        """Who holds the bot's lease, run out or not; None if nobody does."""
        ...

    def release_lease(self, bot: str, *, owner: str) -> None:
        """Give the lease back, if ``owner`` holds it."""
        ...

    def pending_events(self, *, bot: str | None = None, limit: int = 1000) -> list[Event]:
        """Read committed events (of one bot) that were not delivered yet, oldest first.

        Of each bot at least the newest 10,000 are kept; older ones may be forgotten when nobody
        takes them, so that a store without a subscriber does not grow for ever.
        """
        ...

    def mark_delivered(self, event_ids: Sequence[int]) -> None:
        """Forget these events: they were delivered. Their numbers are not given again."""
        ...

    def close(self) -> None:
        """Give connections back. The store cannot be used afterwards."""
        ...


class EventBus(Protocol):
    """Delivers committed events to subscribers. Safe to share between threads."""

    def subscribe(self, pattern: str, subscriber: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``subscriber`` for every topic that matches, such as ``cycle.*``.

        Returns a function that ends the subscription.
        """
        ...

    def has_subscribers(self) -> bool:
        """Whether anybody would hear an event now.

        Events that are published to a bus without subscribers are lost to those that subscribe in
        another process, so they are better left in the outbox.
        """
        ...

    def publish(self, events: Iterable[Event]) -> None:
        """Deliver, in order. A subscriber that raises is logged and does not stop the others."""
        ...


class ArtifactStore(Protocol):
    """Keeps model packages: a few files each, never changed once they are written."""

    def put(self, bot: str, files: Mapping[str, bytes]) -> tuple[str, str]:
        """Store a package; returns ``(artifact, sha256)``. The same files give the same pair."""
        ...

    def get(self, artifact: str, sha256: str) -> dict[str, bytes]:
        """Read a package and check it. Raises ``PackageError`` if it is missing or damaged."""
        ...


class DataSource(Protocol):
    """Yields a bot's rows in time order. Reading needs memory for ``max_rows`` rows only."""

    def read(
        self, position: SourcePosition | None, max_rows: int
    ) -> tuple[pd.DataFrame, SourcePosition]:
        """Read the next rows after ``position`` (``None``: from the start).

        Returns
        -------
        frame
            At most ``max_rows`` rows; fewer, or none, when there are no more yet. The target
            is missing (``None``/NaN) where the label has not arrived.
        position
            The position after these rows.

        Raises
        ------
        SourceError
            If the source is missing, unreadable, or not the one that ``position`` came from.
        """
        ...


class Executor(Protocol):
    """Runs a training somewhere: in this process, in a pool, on a cluster."""

    def run(self, function: Callable[[Any], Any], job: Any) -> Any:
        """Call ``function(job)`` there and return its result; exceptions pass through."""
        ...

    def close(self) -> None:
        """Stop the workers."""
        ...


@runtime_checkable
class Pipeline(Protocol):
    """Makes a better model. Any object with this method is a pipeline."""

    def run(self, bot_name: str, energy: int = 1) -> AutomationResult:
        """Improve the bot with at most ``energy`` units of budget."""
        ...


@runtime_checkable
class StagedPipeline(Pipeline, Protocol):
    """A pipeline whose challenger the engine promotes and whose models the loop can score.

    This is what makes a counterfactual settlement, an archive and a resumable cycle possible.
    """

    def improve(
        self, bot_name: str, energy: int = 1, *, cycle_id: int | None = None
    ) -> AutomationResult:
        """Train, evaluate and package a challenger: ``accepted``, ``rejected`` or ``no_data``."""
        ...

    def score(
        self, bot_name: str, version: int, rows: pd.DataFrame
    ) -> tuple[list[str] | list[float], np.ndarray]:
        """Predict labelled rows and score them: predictions, and losses of shape ``(rows,)``."""
        ...


@runtime_checkable
class WindowedPipeline(StagedPipeline, Protocol):
    """A staged pipeline that can be told which rows to learn from.

    Attributes
    ----------
    windows
        The choices it knows: ``recent`` (the bot's window), ``history`` (all history, as far as
        the settings allow), ``either`` (both are trained, and the better one on rows that neither
        has seen goes on).
    """

    @property
    def windows(self) -> tuple[str, ...]:
        """The window choices it knows."""
        ...

    def improve(
        self,
        bot_name: str,
        energy: int = 1,
        *,
        cycle_id: int | None = None,
        window: str = "recent",
    ) -> AutomationResult:
        """Train, evaluate and package a challenger from these rows."""
        ...


class DiagnosticSource(Protocol):
    """Finds out what is wrong with a bot."""

    def diagnose(self, bot: str) -> list[Issue]:
        """Typed findings, most severe first; empty when all is well."""
        ...


class EnergyScorer(Protocol):
    """Says how much the capital position allows."""

    def energy_score(
        self, load: float, success_rate: float, deploy_eff: float, failure_rate: float
    ) -> float:
        """0 (nothing) .. 1 (all), from four ratios in 0..1.

        Parameters
        ----------
        load
            Share of the workers that are busy.
        success_rate, failure_rate
            Shares of the recent cycles that ended promoted, and failed.
        deploy_eff
            Share of the recent cycles that earned more than they cost.
        """
        ...


class TrendSource(Protocol):
    """Says where returns go in the long run."""

    def long_term_roi_trend(self) -> float:
        """Above 0: ROI deltas rise; below 0: they fall. Dimensionless."""
        ...


@runtime_checkable
class BudgetKeeper(Protocol):
    """Says whether there is money for a cycle. A capital bot may be one, and need not."""

    def check_budget(self, bot: str | None = None, cost_usd: float = 0.0) -> BudgetCheck:
        """Whether ``cost_usd`` more may be spent now (by ``bot``)."""
        ...


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """Newly labelled rows of a bot.

    Attributes
    ----------
    frame
        The rows, in time order, with the target; without rows whose label was given up.
    position
        The position after them.
    marks
        Positions worth remembering, so that a window can be read later without a scan.
    waiting_row
        The source row whose missing label holds back later labelled rows, if one does.
    given_up
        How many rows were passed over because their label never came.
    """

    frame: pd.DataFrame
    position: SourcePosition
    marks: tuple[SourcePosition, ...] = ()
    waiting_row: int | None = None
    given_up: int = 0


class LabelledRows(Protocol):
    """A bot's labelled rows: the only door through which any part of the loop sees data.

    Nothing behind the position that the caller holds is ever returned, so no part of the loop can
    see what lies later in time.
    """

    def read_new(
        self, position: SourcePosition | None, *, max_rows: int, last_at: str | float | None = None
    ) -> LabelledBatch:
        """Read what has become labelled after ``position``, at most ``max_rows`` rows.

        Raises
        ------
        DataError
            Naming file, column and row: a missing target or time column, an infinite or NaN target,
            time before ``last_at`` or going backwards within the batch.
        """
        ...

    def read_window(
        self, start: SourcePosition | None, end: SourcePosition, *, rows: int
    ) -> pd.DataFrame:
        """Read the newest ``rows`` labelled rows before ``end``; the scan begins at ``start``."""
        ...


def _built_in(_bot: BotConfig) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """What the loop runs on: made by the workspace, or put together by hand.

    ``pipeline_of`` gives a bot the pipeline that its configuration names, and ``None`` where it
    names none: then it is the built-in one.
    """

    store: Store
    artifacts: ArtifactStore
    rows_of: Callable[[BotConfig], LabelledRows]
    executor: Executor
    event_bus: EventBus
    clock: Clock
    meter: CpuMeter
    settings: LoopSettings
    state_folder: Path | None = None
    pipeline_of: Callable[[BotConfig], Pipeline | None] = _built_in
