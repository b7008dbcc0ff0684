"""What every store must do. A backend's test class inherits this and gives a ``location``.

::

    class TestPostgresStore(StoreConformance):
        @pytest.fixture
        def location(self, server):
            return StoreLocation(server.new_database_url())
"""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from conformance.capital_conformance import CapitalConformance
from conformance.patches_conformance import PatchesConformance
from conformance.trials_conformance import TrialsConformance
from menace.errors import (
    ConfigError,
    CycleConflictError,
    DataError,
    DuplicateBotError,
    StoreError,
    UnknownBotError,
    UnknownVersionError,
)
from menace.records import (
    BotConfig,
    BotTotals,
    Cycle,
    CycleState,
    Decision,
    Economics,
    Event,
    Issue,
    IssueKind,
    LedgerEntry,
    LoopState,
    Metric,
    MetricSample,
    ModelStatus,
    ModelVersion,
    Outcome,
    SettlementProgress,
    SourceConfig,
    SourcePosition,
    Task,
    Tick,
)
from menace.storage.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from menace.interfaces import Store

ALPHA = BotConfig(name="alpha", source=None, target="y")
BETA = BotConfig(name="beta", source=None, target="y")


class StoreLocation(NamedTuple):
    """Where a store is, so that another process can open it too."""

    url: str
    folder: Path | None = None

    def open(self) -> Store:
        return open_store(self.url, folder=self.folder)


def outcomes(count: int, *, first: int = 0, loss: float = 1.0) -> list[Outcome]:
    return [
        Outcome(f"id-{first + k}", 100.0 + first + k, "a", "b", loss, 2.0, 0.5, 0.01, 1)
        for k in range(count)
    ]


def open_cycle(store: Store, bot: str = "alpha") -> Cycle:
    return store.open_cycle(bot, energy=3, row=10, at=50.0, decision_id=None, details={})


def add_model(store: Store, bot: str = "alpha", cycle_id: int | None = None) -> ModelVersion:
    return store.add_model(
        bot, sha256="ab", artifact="alpha/ab", row=7, at=9.0, cycle_id=cycle_id, manifest={"k": [1]}
    )


def evaluated_cycle(store: Store, bot: str = "alpha") -> Cycle:
    cycle = open_cycle(store, bot)
    return store.advance_cycle(
        cycle.cycle_id, expected=CycleState.DECIDED, state=CycleState.EVALUATED, at=51.0
    )


def promoted_cycle(store: Store) -> Cycle:
    cycle = evaluated_cycle(store)
    model = add_model(store, cycle_id=cycle.cycle_id)
    store.promote("alpha", model.version, row=11, at=52.0, cycle_id=cycle.cycle_id)
    return store.cycle(cycle.cycle_id)


def entry_for(cycle_id: int, bot: str = "alpha", at: float = 60.0) -> LedgerEntry:
    return LedgerEntry(
        cycle_id, bot, at, gain_usd=5.0, cycle_cost_usd=1.0, serving_cost_usd=3.0, rows=4,
        roi_delta=1.0,
    )  # fmt: skip


def topics(store: Store) -> list[str]:
    return [event.topic for event in store.pending_events()]


def try_to_open_cycle(location: StoreLocation) -> bool:
    """In a process of its own: try to begin a cycle."""
    store = location.open()
    try:
        open_cycle(store)
    except CycleConflictError:
        return False
    finally:
        store.close()
    return True


def try_to_lease(location: StoreLocation, owner: str) -> bool:
    """In a process of its own: try to take the lease."""
    store = location.open()
    try:
        return store.acquire_lease("alpha", owner=owner, seconds=10.0, now=1000.0)
    finally:
        store.close()


def add_outcomes_in_batches(location: StoreLocation, first: int, batches: int) -> None:
    """In a process of its own: store batches of ten."""
    store = location.open()
    for batch in range(batches):
        store.add_outcomes("alpha", outcomes(10, first=first + 10 * batch))
    store.close()


class StoreConformance(CapitalConformance, TrialsConformance, PatchesConformance):
    """Behaviour that no backend may lack."""

    @pytest.fixture
    def location(self, tmp_path: Path) -> StoreLocation:
        raise NotImplementedError("a backend's test class says where its store is")

    @pytest.fixture
    def reopen(self, location: StoreLocation) -> Iterator[Callable[[], Store]]:
        """Open the same store once more, as another process would."""
        opened: list[Store] = []

        def open_again() -> Store:
            opened.append(location.open())
            return opened[-1]

        yield open_again
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, reopen: Callable[[], Store]) -> Store:
        """A store with the bots alpha and beta."""
        store = reopen()
        store.add_bot(ALPHA)
        store.add_bot(BETA)
        return store

    @pytest.fixture
    def processes(self) -> Iterator[ProcessPoolExecutor]:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            yield pool

    # Bots

    def test_a_bot_is_read_back_as_it_was_registered(self, reopen: Callable[[], Store]) -> None:
        bot = BotConfig(
            name="full-1.x",
            source=SourceConfig("sql", "SELECT 'ü' FROM rows", "sqlite:///rows.db"),
            target="y",
            time="t",
            drop=("a", "b"),
            task=Task.BINARY,
            metric=Metric.LOG_LOSS,
            window_rows=2000,
            max_error_rate=0.25,
            economics=Economics(loss_usd=0.3, promotion_usd=2.0),
        )
        reopen().add_bot(bot)

        assert reopen().bot("full-1.x") == bot

    def test_bots_are_listed_by_name(self, reopen: Callable[[], Store]) -> None:
        store = reopen()
        for name in ("zeta", "alpha", "mu"):
            store.add_bot(dataclasses.replace(ALPHA, name=name))

        assert [bot.name for bot in store.bots()] == ["alpha", "mu", "zeta"]

    def test_a_name_that_is_taken_is_refused_and_the_first_bot_stays(self, store: Store) -> None:
        with pytest.raises(DuplicateBotError, match="'alpha'"):
            store.add_bot(dataclasses.replace(ALPHA, target="other"))

        assert store.bot("alpha") == ALPHA

    def test_a_bot_that_could_not_be_read_back_is_not_registered(self, store: Store) -> None:
        with pytest.raises(ConfigError, match="tick_rows"):
            store.add_bot(dataclasses.replace(ALPHA, name="gamma", tick_rows=0))

        assert [bot.name for bot in store.bots()] == ["alpha", "beta"]

    def test_the_task_that_the_first_window_showed_is_kept(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        store.bot("alpha")
        store.set_task("alpha", task="multiclass", metric="error_rate")

        expected = dataclasses.replace(ALPHA, task=Task.MULTICLASS, metric=Metric.ERROR_RATE)
        assert store.bot("alpha") == reopen().bot("alpha") == expected

    def test_an_impossible_task_is_refused(self, store: Store) -> None:
        with pytest.raises(ConfigError, match="task"):
            store.set_task("alpha", task="guessing", metric="error_rate")

        assert store.bot("alpha") == ALPHA

    @pytest.mark.parametrize(
        "call",
        [
            lambda s: s.bot("nobody"),
            lambda s: s.set_task("nobody", task="binary", metric="log_loss"),
            lambda s: s.snapshot("nobody"),
            lambda s: s.save_loop("nobody", LoopState()),
            lambda s: s.add_outcomes("nobody", outcomes(1)),
            lambda s: s.outcomes("nobody", last=1),
            lambda s: s.commit_tick(Tick("nobody", 1.0, LoopState())),
            lambda s: s.mark_before("nobody", 1),
            lambda s: s.add_samples([MetricSample("nobody", "loss", 1.0, 1.0)]),
            lambda s: s.samples("nobody", "loss", last=1),
            lambda s: s.add_decision(Decision("nobody", True, "manual", 1.0)),
            lambda s: s.decisions("nobody", last=1),
            lambda s: open_cycle(s, "nobody"),
            lambda s: s.cycles("nobody", last=1),
            lambda s: add_model(s, "nobody"),
            lambda s: s.promote("nobody", 1, row=1, at=1.0),
            lambda s: s.roll_back("nobody", row=1, at=1.0),
            lambda s: s.reject("nobody", 1),
            lambda s: s.model("nobody", 1),
            lambda s: s.models("nobody", last=1),
            lambda s: s.settle(
                entry_for(1, "nobody"), expected=CycleState.PROMOTED, outcome="promoted"
            ),
            lambda s: s.ledger("nobody"),
            lambda s: s.acquire_lease("nobody", owner="me", seconds=1.0, now=0.0),
            lambda s: s.lease_owner("nobody"),
            lambda s: s.release_lease("nobody", owner="me"),
            lambda s: s.pending_events(bot="nobody"),
        ],
    )
    def test_an_unknown_bot_is_answered_with_the_known_ones(
        self, store: Store, call: Callable[[Store], object]
    ) -> None:
        with pytest.raises(UnknownBotError, match=r"known: alpha, beta\..*bot add nobody"):
            call(store)

    # Snapshot and loop state

    def test_a_new_bot_has_an_empty_snapshot(self, store: Store) -> None:
        snapshot = store.snapshot("alpha")

        assert (snapshot.bot, snapshot.totals, snapshot.loop) == ("alpha", BotTotals(), LoopState())
        assert snapshot.champion_version is None
        assert snapshot.champion_row is None
        assert snapshot.open_cycle_id is None

    def test_a_snapshot_shows_totals_loop_champion_and_open_cycle(self, store: Store) -> None:
        loop = LoopState(labelled_rows=40)
        store.save_loop("alpha", loop)
        store.add_outcomes("alpha", outcomes(2, loss=3.0))
        promoted = promoted_cycle(store)
        under_way = open_cycle(store)

        snapshot = store.snapshot("alpha")

        assert snapshot.loop == loop
        assert snapshot.totals == BotTotals(2, 6.0, 18.0, 4.0, 1.0, 101.0)
        assert (snapshot.champion_version, snapshot.champion_row) == (promoted.version or 1, 7)
        assert snapshot.champion_since_row == store.model("alpha", 1).promoted_row
        assert snapshot.open_cycle_id == under_way.cycle_id
        assert store.snapshot("beta").totals == BotTotals()

    def test_a_loop_state_is_read_back_as_it_was_saved(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        loop = LoopState(
            position=SourcePosition(12, {"offset": 345, "name": "café"}),
            labelled_rows=11,
            last_row_at="2011-01-01 05:00",
            columns={"x": "number", "s": "text"},
            null_rates={"x": 0.25},
            issues=(Issue("alpha", IssueKind.DRIFT, 0.5, {"z": 3.5, "rows": [1, 2]}, 11),),
            staleness={"level": 0.125, "ages": [1.0, None]},
            cycle_cost_usd=0.5,
            last_cycle_row=3,
            last_cycle_at=99.5,
        )
        store.save_loop("alpha", loop)

        assert reopen().snapshot("alpha").loop == loop
        assert store.snapshot("beta").loop == LoopState()

    @pytest.mark.parametrize("value", [math.nan, math.inf, np.int64(3), np.arange(2), {1, 2}])
    def test_a_document_that_is_not_plain_json_is_refused(
        self, store: Store, value: object
    ) -> None:
        with pytest.raises(StoreError, match=r"bot 'alpha': the loop state: not plain JSON"):
            store.save_loop("alpha", LoopState(staleness={"x": value}))
        with pytest.raises(StoreError, match="inputs: not plain JSON"):
            store.add_decision(Decision("alpha", True, "policy", 1.0, {"x": value}))

        assert store.snapshot("alpha").loop == LoopState()
        assert store.pending_events() == []

    # Outcomes

    def test_outcomes_come_back_oldest_first(self, store: Store) -> None:
        batch = [
            Outcome("p1", 1.0, "yes", "no", 1.0),
            Outcome("p2", 2.5, 0.1, 3, 0.25, -1.5, 0.125, 0.01, 7),
            Outcome("p3", 2.0, "1", 1.0, 0.0, latency_seconds=None),
        ]
        assert store.add_outcomes("alpha", batch) == 3

        assert store.outcomes("alpha", last=10) == batch
        assert store.outcomes("alpha", last=2) == batch[1:]
        assert store.outcomes("alpha", last=0) == []
        assert store.outcomes("beta", last=10) == []
        # Labels that look alike are told apart: text stays text.
        assert [type(o.prediction) for o in store.outcomes("alpha", last=3)] == [str, float, str]

    def test_an_outcome_that_is_known_is_left_out_and_not_counted_twice(self, store: Store) -> None:
        assert store.add_outcomes("alpha", outcomes(3)) == 3
        assert store.add_outcomes("alpha", outcomes(5, loss=7.0)) == 2
        assert store.add_outcomes("alpha", outcomes(5)) == 0
        assert store.add_outcomes("alpha", outcomes(1, first=9) * 2) == 1
        assert store.add_outcomes("beta", outcomes(3)) == 3

        totals = store.snapshot("alpha").totals
        assert totals == BotTotals(6, 18.0, 102.0, 12.0, 3.0, 109.0)
        assert [o.loss for o in store.outcomes("alpha", last=9)] == [1, 1, 1, 7, 7, 1]

    def test_the_time_of_the_newest_outcome_does_not_go_back(self, store: Store) -> None:
        store.add_outcomes("alpha", outcomes(1, first=50))
        store.add_outcomes("alpha", outcomes(1, first=10))

        assert store.snapshot("alpha").totals.last_outcome_at == 150.0

    def test_new_outcomes_are_announced_and_known_ones_are_not(self, store: Store) -> None:
        store.add_outcomes("alpha", outcomes(3))
        store.add_outcomes("alpha", outcomes(3))
        store.add_outcomes("alpha", [])

        (event,) = store.pending_events()
        assert (event.topic, event.bot, event.payload) == (
            "outcomes.observed",
            "alpha",
            {"outcomes": 3},
        )

    def test_a_bot_that_reports_outcomes_is_told_from_one_that_menace_scores(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        store.commit_tick(Tick("alpha", 1.0, LoopState(labelled_rows=5), tuple(outcomes(5))))
        store.add_outcomes("alpha", [])
        with pytest.raises(DataError):
            store.add_outcomes("alpha", outcomes(1, first=9, loss=-1.0))
        assert not store.snapshot("alpha").reports_outcomes

        store.add_outcomes("alpha", outcomes(3, first=10))
        store.commit_tick(Tick("alpha", 2.0, LoopState(labelled_rows=6)))
        store.add_outcomes("alpha", outcomes(3, first=10))

        assert store.snapshot("alpha").reports_outcomes is True
        assert reopen().snapshot("alpha").reports_outcomes is True
        assert store.snapshot("beta").reports_outcomes is False

    @pytest.mark.parametrize(
        ("changes", "complaint"),
        [
            ({"loss": math.nan}, "loss is nan"),
            ({"loss": math.inf}, "loss is inf"),
            ({"loss": -0.5}, "loss is -0.5, below 0"),
            ({"loss": "much"}, "loss is 'much'"),
            ({"loss": None}, "loss is None"),
            ({"loss": np.float32(1)}, "float32"),
            ({"at": math.inf}, "at is inf"),
            ({"at": -math.inf}, "at is -inf"),
            ({"value_usd": math.inf}, "value_usd is inf"),
            ({"serving_cost_usd": math.nan}, "serving_cost_usd is nan"),
            ({"latency_seconds": math.inf}, "latency_seconds is inf"),
            ({"prediction": math.nan}, "prediction is nan"),
            ({"truth": np.int64(1)}, "int64"),
            ({"truth": 2**70}, "too large"),
            ({"prediction_id": "\ud800"}, "not valid Unicode"),
            ({"prediction_id": None}, "prediction_id is None"),
        ],
    )
    def test_a_faulty_outcome_is_named_and_nothing_of_its_batch_is_stored(
        self, store: Store, changes: dict[str, object], complaint: str
    ) -> None:
        batch = outcomes(5)
        batch[3] = Outcome(**{**batch[3]._asdict(), **changes})

        with pytest.raises(DataError, match="bot 'alpha': outcome 4 of 5") as raised:
            store.add_outcomes("alpha", batch)
        with pytest.raises(DataError, match="outcome 4 of 5"):
            store.commit_tick(Tick("alpha", 1.0, LoopState(labelled_rows=5), tuple(batch)))

        assert complaint in str(raised.value)
        assert store.outcomes("alpha", last=9) == []
        assert store.snapshot("alpha").totals == BotTotals()
        assert store.snapshot("alpha").loop == LoopState()
        assert store.pending_events() == []

    def test_values_that_no_number_can_sum_are_refused(self, store: Store) -> None:
        batch = outcomes(1, loss=1e200)

        with pytest.raises(DataError, match="add up"):
            store.add_outcomes("alpha", batch)

        assert store.snapshot("alpha").totals == BotTotals()

    def test_a_negative_count_is_refused(self, store: Store) -> None:
        with pytest.raises(StoreError, match="-1"):
            store.outcomes("alpha", last=-1)

    # Ticks

    def test_a_tick_commits_everything_it_brought(self, store: Store) -> None:
        cycle = promoted_cycle(store)
        store.mark_delivered([e.event_id or 0 for e in store.pending_events()])
        sample = MetricSample("alpha", "loss", 5.0, 0.5, 3, 1)
        loop = LoopState(position=SourcePosition(3, {"offset": 9}), labelled_rows=3)
        progress = SettlementProgress(cycle.cycle_id, 3, 0.5, 0.25)
        tick = Tick(
            "alpha",
            5.0,
            loop,
            outcomes=tuple(outcomes(3)),
            samples=(sample,),
            settlements=(progress,),
            marks=(SourcePosition(3, {"offset": 9}),),
            events=(Event("tick.committed", "alpha", 5.0, {"row": 3}),),
        )

        assert store.commit_tick(tick) == 3
        store.commit_tick(Tick("alpha", 6.0, loop, settlements=(progress,)))

        assert store.snapshot("alpha").loop == loop
        assert store.snapshot("alpha").totals.outcomes == 3
        assert store.samples("alpha", "loss", last=5) == [sample]
        assert store.mark_before("alpha", 100) == SourcePosition(3, {"offset": 9})
        assert topics(store) == ["outcomes.observed", "tick.committed"]
        settled = store.cycle(cycle.cycle_id)
        assert (settled.settled_rows, settled.gain_usd, settled.serving_cost_usd) == (6, 1.0, 0.5)

    @pytest.mark.parametrize(
        "bad",
        [
            {"settlements": (SettlementProgress(999, 1, 1.0, 1.0),)},
            {"samples": (MetricSample("alpha", "loss", 1.0, math.nan),)},
            {"marks": (SourcePosition(1, {"x": math.nan}),)},
            {"loop": LoopState(staleness={"x": math.nan})},
            {"events": (Event("tick.committed", "nobody", 1.0),)},
        ],
    )
    def test_a_tick_that_fails_anywhere_leaves_nothing(
        self, store: Store, bad: dict[str, Any]
    ) -> None:
        good = Tick("alpha", 5.0, LoopState(labelled_rows=3), outcomes=tuple(outcomes(3)))

        with pytest.raises((StoreError, DataError, UnknownBotError)):
            store.commit_tick(dataclasses.replace(good, **bad))

        assert store.snapshot("alpha").totals == BotTotals()
        assert store.snapshot("alpha").loop == LoopState()
        assert store.outcomes("alpha", last=9) == []
        assert store.pending_events() == []

    def test_a_settled_cycle_takes_no_more_progress(self, store: Store) -> None:
        cycle = promoted_cycle(store)
        store.settle(entry_for(cycle.cycle_id), expected=CycleState.PROMOTED, outcome="promoted")
        progress = SettlementProgress(cycle.cycle_id, 1, 1.0, 1.0)

        with pytest.raises(CycleConflictError, match="settled already"):
            store.commit_tick(Tick("alpha", 5.0, LoopState(), settlements=(progress,)))

    def test_the_last_mark_at_or_before_a_row_is_found(self, store: Store) -> None:
        marks = tuple(SourcePosition(row, {"offset": row * 10}) for row in (10, 20, 30))
        store.commit_tick(Tick("alpha", 1.0, LoopState(), marks=marks))
        store.commit_tick(
            Tick("alpha", 1.0, LoopState(), marks=(SourcePosition(20, {"offset": 7}),))
        )

        assert store.mark_before("alpha", 9) is None
        assert store.mark_before("alpha", 10) == SourcePosition(10, {"offset": 100})
        assert store.mark_before("alpha", 29) == SourcePosition(20, {"offset": 7})
        assert store.mark_before("beta", 99) is None

    # Samples and decisions

    def test_samples_come_back_by_name_oldest_first(self, store: Store) -> None:
        samples = [
            MetricSample("alpha", "loss", 1.0, 0.5, 10, 1),
            MetricSample("alpha", "latency", 1.0, 2.0),
            MetricSample("beta", "loss", 2.0, 0.75, 10, 2),
            MetricSample("alpha", "loss", 3.0, float(np.float64(0.25)), 10, None),
        ]
        store.add_samples(samples)
        store.add_samples([])

        assert store.samples("alpha", "loss", last=9) == [samples[0], samples[3]]
        assert store.samples("alpha", "loss", last=1) == [samples[3]]
        assert store.samples("beta", "loss", last=9) == [samples[2]]
        assert store.samples("alpha", "unheard-of", last=9) == []

    def test_decisions_are_kept_with_their_inputs_even_when_they_say_no(self, store: Store) -> None:
        first = Decision("alpha", False, "policy", 1.0, {"q": {"run": 0.5}, "none": None})
        second = Decision("alpha", True, "manual", 2.0)
        numbers = [store.add_decision(first), store.add_decision(second)]

        assert store.decisions("alpha", last=9) == [
            dataclasses.replace(first, decision_id=numbers[0]),
            dataclasses.replace(second, decision_id=numbers[1]),
        ]
        assert [d.reason for d in store.decisions("alpha", last=1)] == ["manual"]
        assert store.decisions("beta", last=9) == []
        assert [(e.topic, e.payload["decision_id"]) for e in store.pending_events()] == [
            ("decision.made", numbers[0]),
            ("decision.made", numbers[1]),
        ]

    def test_a_decision_that_only_repeats_the_last_one_replaces_it_without_an_event(
        self, store: Store
    ) -> None:
        store.add_decision(Decision("alpha", False, "policy", 1.0, {"debt": 1}))
        last = store.add_decision(Decision("alpha", False, "policy", 2.0, {"debt": 2}))
        store.add_decision(Decision("beta", False, "policy", 2.0))
        before = topics(store)

        again = Decision("alpha", False, "interval", 3.0, {"debt": 3})
        assert store.add_decision(again, replacing=last) == last

        assert [d.inputs for d in store.decisions("alpha", last=9)] == [{"debt": 1}, {"debt": 3}]
        assert store.decisions("alpha", last=1) == [dataclasses.replace(again, decision_id=last)]
        assert topics(store) == before

    def test_a_decision_that_must_stand_is_not_replaced(self, store: Store) -> None:
        first = store.add_decision(Decision("alpha", False, "first", 1.0))
        no = store.add_decision(Decision("alpha", False, "no", 2.0))
        other_bots = store.add_decision(Decision("beta", False, "no", 2.0))

        def reasons() -> list[str]:
            return [d.reason for d in store.decisions("alpha", last=9)]

        for number in (first, other_bots, 999):
            added = store.add_decision(Decision("alpha", False, "no", 3.0), replacing=number)
            assert added > no
        yes = store.add_decision(Decision("alpha", True, "yes", 4.0), replacing=added)
        store.open_cycle("alpha", energy=1, row=1, at=4.0, decision_id=yes, details={})
        store.add_decision(Decision("alpha", True, "again", 5.0), replacing=yes)

        assert reasons() == ["first", "no", "no", "no", "no", "yes", "again"]
        assert len(store.pending_events(bot="alpha")) == 7 + 1

    # Cycles

    def test_a_cycle_begins_decided(self, store: Store) -> None:
        number = store.add_decision(Decision("alpha", True, "manual", 1.0))
        cycle = store.open_cycle(
            "alpha", energy=5, row=10, at=2.0, decision_id=number, details={"factor": 1.5}
        )

        assert cycle == Cycle(
            cycle_id=cycle.cycle_id,
            bot="alpha",
            state=CycleState.DECIDED,
            energy=5,
            row=10,
            started_at=2.0,
            decision_id=number,
            details={"factor": 1.5},
        )
        assert store.cycle(cycle.cycle_id) == cycle
        assert topics(store) == ["decision.made", "cycle.decided"]

    @pytest.mark.parametrize(
        "state",
        [CycleState.DECIDED, CycleState.PATCHING, CycleState.TRAINING, CycleState.EVALUATED],
    )
    def test_a_second_cycle_is_refused_while_one_is_under_way(
        self, store: Store, state: CycleState
    ) -> None:
        cycle = open_cycle(store)
        store.advance_cycle(cycle.cycle_id, expected=CycleState.DECIDED, state=state, at=1.0)

        with pytest.raises(CycleConflictError, match="bot 'alpha'"):
            open_cycle(store)

        assert store.snapshot("alpha").open_cycle_id == cycle.cycle_id
        assert open_cycle(store, "beta").bot == "beta"

    @pytest.mark.parametrize("state", [CycleState.PROMOTED, CycleState.REJECTED, CycleState.FAILED])
    def test_a_cycle_that_waits_for_its_settlement_does_not_block_the_next(
        self, store: Store, state: CycleState
    ) -> None:
        cycle = evaluated_cycle(store)
        store.advance_cycle(cycle.cycle_id, expected=CycleState.EVALUATED, state=state, at=1.0)

        assert store.snapshot("alpha").open_cycle_id is None
        assert open_cycle(store).cycle_id > cycle.cycle_id

    def test_a_cycle_moves_step_by_step_and_keeps_what_each_step_found(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        cycle_id = open_cycle(store).cycle_id
        training = CycleState.TRAINING
        store.advance_cycle(
            cycle_id, expected=CycleState.DECIDED, state=training, at=1.0, attempts=1
        )
        store.advance_cycle(cycle_id, expected=training, state=training, at=2.0, attempts=2)
        store.advance_cycle(
            cycle_id, expected=training, state=CycleState.EVALUATED, at=3.0, cpu_seconds=1.5,
            cost_usd=0.25, details={"loss": [0.5]},
        )  # fmt: skip
        after = store.advance_cycle(
            cycle_id, expected=CycleState.EVALUATED, state=CycleState.FAILED, at=4.0, error="boom"
        )

        assert reopen().cycle(cycle_id) == after
        assert (after.attempts, after.cpu_seconds, after.cost_usd) == (2, 1.5, 0.25)
        assert (after.details, after.error, after.outcome) == ({"loss": [0.5]}, "boom", "failed")
        assert after.ended_at == 4.0
        assert topics(store) == [
            "cycle.decided",
            "cycle.training",
            "cycle.training",
            "cycle.evaluated",
            "cycle.failed",
        ]

    def test_a_cycle_in_another_state_than_expected_is_not_moved(self, store: Store) -> None:
        cycle = open_cycle(store)

        with pytest.raises(CycleConflictError, match="is decided, not training"):
            store.advance_cycle(
                cycle.cycle_id, expected=CycleState.TRAINING, state=CycleState.EVALUATED, at=1.0
            )

        assert store.cycle(cycle.cycle_id) == cycle
        assert topics(store) == ["cycle.decided"]

    def test_a_field_that_a_cycle_does_not_have_is_refused(self, store: Store) -> None:
        cycle = open_cycle(store)

        with pytest.raises(StoreError, match="'colour'"):
            store.advance_cycle(
                cycle.cycle_id,
                expected=CycleState.DECIDED,
                state=CycleState.TRAINING,
                at=1.0,
                colour="red",
            )

        assert store.cycle(cycle.cycle_id) == cycle

    def test_an_unknown_cycle_is_refused(self, store: Store) -> None:
        with pytest.raises(StoreError, match="no cycle 77"):
            store.cycle(77)

    def test_cycles_can_be_chosen_by_state(self, store: Store) -> None:
        ids = []
        for _ in range(3):
            cycle = evaluated_cycle(store)
            ids.append(cycle.cycle_id)
            store.advance_cycle(
                cycle.cycle_id, expected=CycleState.EVALUATED, state=CycleState.REJECTED, at=1.0
            )
        ids.append(open_cycle(store).cycle_id)

        def found(last: int, *states: CycleState) -> list[int]:
            return [c.cycle_id for c in store.cycles("alpha", last=last, states=states)]

        assert [c.cycle_id for c in store.cycles("alpha", last=2)] == ids[2:]
        assert found(9, CycleState.REJECTED) == ids[:3]
        assert found(2, CycleState.REJECTED, CycleState.DECIDED) == ids[2:]
        assert found(9, *CycleState) == ids
        assert found(9, CycleState.SETTLED) == []
        assert found(9) == []
        assert store.cycles("beta", last=9) == []

    # Models

    def test_versions_count_up_from_one_for_each_bot(self, store: Store) -> None:
        assert [add_model(store).version for _ in range(3)] == [1, 2, 3]
        assert add_model(store, "beta").version == 1
        assert store.model("alpha", 2) == ModelVersion(
            "alpha", 2, "ab", "alpha/ab", ModelStatus.CHALLENGER, 7, 9.0, manifest={"k": [1]}
        )

    def test_a_resumed_cycle_gets_the_model_that_it_has_made(self, store: Store) -> None:
        cycle_id = open_cycle(store).cycle_id

        assert add_model(store, cycle_id=cycle_id) == add_model(store, cycle_id=cycle_id)
        assert len(store.models("alpha", last=9)) == 1

    def test_a_promotion_archives_the_old_champion(self, store: Store) -> None:
        for _ in range(2):
            add_model(store)
        store.promote("alpha", 1, row=20, at=1.0)
        champion = store.promote("alpha", 2, row=30, at=2.0)

        assert (champion.status, champion.promoted_row) == (ModelStatus.CHAMPION, 30)
        assert store.model("alpha", 1).status is ModelStatus.ARCHIVED
        assert store.snapshot("alpha").champion_version == 2
        assert [(e.topic, e.payload["version"]) for e in store.pending_events()] == [
            ("model.promoted", 1),
            ("model.promoted", 2),
        ]

    def test_a_promotion_moves_its_cycle_in_the_same_step(self, store: Store) -> None:
        cycle = promoted_cycle(store)

        assert (cycle.state, cycle.outcome) == (CycleState.PROMOTED, "promoted")
        assert topics(store)[-2:] == ["cycle.promoted", "model.promoted"]

    def test_a_promotion_is_done_once_for_a_cycle(self, store: Store) -> None:
        cycle = promoted_cycle(store)
        add_model(store)
        before = topics(store)

        with pytest.raises(CycleConflictError, match="is promoted, not evaluated"):
            store.promote("alpha", 2, row=12, at=53.0, cycle_id=cycle.cycle_id)

        assert store.snapshot("alpha").champion_version == 1
        assert topics(store) == before

    def test_promoting_the_champion_again_changes_nothing(self, store: Store) -> None:
        add_model(store)
        champion = store.promote("alpha", 1, row=20, at=1.0)

        assert store.promote("alpha", 1, row=99, at=2.0) == champion
        assert topics(store) == ["model.promoted"]

    def test_a_cycle_of_another_bot_is_refused(self, store: Store) -> None:
        foreign = evaluated_cycle(store, "beta").cycle_id
        add_model(store)

        with pytest.raises(CycleConflictError, match="of bot 'beta'"):
            store.promote("alpha", 1, row=1, at=1.0, cycle_id=foreign)
        with pytest.raises(CycleConflictError, match="of bot 'beta'"):
            add_model(store, cycle_id=foreign)
        with pytest.raises(StoreError, match="of bot 'beta'"):
            store.settle(entry_for(foreign), expected=CycleState.EVALUATED, outcome="failed")

        assert store.snapshot("alpha").champion_version is None

    def test_rolling_back_goes_further_back_each_time(self, store: Store) -> None:
        for version in (1, 2, 3):
            add_model(store)
            store.promote("alpha", version, row=10 * version, at=1.0)

        assert store.roll_back("alpha", row=40, at=2.0).version == 2
        assert store.roll_back("alpha", row=50, at=3.0).version == 1
        with pytest.raises(UnknownVersionError, match="no former champion"):
            store.roll_back("alpha", row=60, at=4.0)

        assert store.model("alpha", 1).promoted_row == 50
        assert [m.status for m in store.models("alpha", last=9)] == [
            ModelStatus.CHAMPION,
            ModelStatus.ARCHIVED,
            ModelStatus.ARCHIVED,
        ]
        assert topics(store)[-2:] == ["model.rolled_back"] * 2

    def test_rolling_back_skips_a_champion_that_was_rolled_back_before(self, store: Store) -> None:
        for version in (1, 2):
            add_model(store)
            store.promote("alpha", version, row=10, at=1.0)
        store.roll_back("alpha", row=40, at=2.0)
        add_model(store)
        store.promote("alpha", 3, row=50, at=3.0)

        assert store.roll_back("alpha", row=60, at=4.0).version == 1

    def test_a_rollback_can_name_any_former_champion(self, store: Store) -> None:
        for version in (1, 2, 3):
            add_model(store)
            store.promote("alpha", version, row=10 * version, at=1.0)
        add_model(store)

        assert store.roll_back("alpha", to=1, row=40, at=2.0).version == 1
        with pytest.raises(UnknownVersionError, match="never served"):
            store.roll_back("alpha", to=4, row=40, at=2.0)
        with pytest.raises(UnknownVersionError, match="serves already"):
            store.roll_back("alpha", to=1, row=40, at=2.0)
        with pytest.raises(UnknownVersionError, match="no version 9"):
            store.roll_back("alpha", to=9, row=40, at=2.0)

    def test_a_rollback_moves_its_cycle_in_the_same_step(self, store: Store) -> None:
        add_model(store)
        store.promote("alpha", 1, row=1, at=1.0)
        cycle = promoted_cycle(store)
        assert cycle.replaced_version == 1

        store.roll_back("alpha", row=20, at=60.0, cycle_id=cycle.cycle_id)

        assert store.cycle(cycle.cycle_id).state is CycleState.ROLLED_BACK
        assert store.cycle(cycle.cycle_id).outcome == "rolled_back"
        assert store.snapshot("alpha").champion_version == 1
        with pytest.raises(CycleConflictError, match="is rolled_back, not promoted"):
            store.roll_back("alpha", to=2, row=20, at=61.0, cycle_id=cycle.cycle_id)
        assert store.snapshot("alpha").champion_version == 1

    def test_a_promoted_cycle_names_the_champion_that_it_really_replaced(
        self, store: Store
    ) -> None:
        for version in (1, 2):
            add_model(store)
            store.promote("alpha", version, row=version, at=1.0)
        cycle = evaluated_cycle(store)
        assert cycle.replaced_version == 2
        store.promote("alpha", 1, row=5, at=2.0)
        model = add_model(store, cycle_id=cycle.cycle_id)
        store.promote("alpha", model.version, row=11, at=52.0, cycle_id=cycle.cycle_id)

        assert store.cycle(cycle.cycle_id).replaced_version == 1
        assert store.pending_events()[-1].payload["replaced_version"] == 1
        assert store.roll_back("alpha", row=12, at=53.0).version == 1

    def test_a_cycle_whose_model_serves_already_names_what_that_model_replaced(
        self, store: Store
    ) -> None:
        add_model(store)
        store.promote("alpha", 1, row=1, at=1.0)
        cycle = evaluated_cycle(store)
        add_model(store, cycle_id=cycle.cycle_id)
        store.promote("alpha", 2, row=2, at=2.0)
        store.promote("alpha", 2, row=2, at=3.0, cycle_id=cycle.cycle_id)

        assert store.cycle(cycle.cycle_id).replaced_version == 1

    @pytest.mark.parametrize(
        "state",
        [CycleState.DECIDED, CycleState.PATCHING, CycleState.TRAINING, CycleState.EVALUATED],
    )
    def test_a_rollback_fails_the_cycle_that_is_under_way(
        self, store: Store, state: CycleState
    ) -> None:
        add_model(store)
        store.promote("alpha", 1, row=1, at=1.0)
        promoted = promoted_cycle(store)
        under_way = open_cycle(store).cycle_id
        if state is not CycleState.DECIDED:
            store.advance_cycle(under_way, expected=CycleState.DECIDED, state=state, at=2.0)
        others = open_cycle(store, "beta")
        made = add_model(store, cycle_id=under_way)

        store.roll_back("alpha", row=20, at=60.0, cycle_id=promoted.cycle_id)

        failed = store.cycle(under_way)
        assert (failed.state, failed.outcome, failed.ended_at) == ("failed", "failed", 60.0)
        assert failed.error == "rolled back by hand while it was under way"
        assert store.cycle(promoted.cycle_id).state is CycleState.ROLLED_BACK
        assert store.cycle(others.cycle_id) == others
        assert topics(store)[-3:] == ["cycle.rolled_back", "cycle.failed", "model.rolled_back"]
        assert store.snapshot("alpha").open_cycle_id is None
        with pytest.raises(CycleConflictError, match="is failed, not evaluated"):
            store.promote("alpha", made.version, row=21, at=61.0, cycle_id=under_way)
        assert store.snapshot("alpha").champion_version == 1

    def test_a_rollback_that_is_refused_leaves_the_cycle_under_way(self, store: Store) -> None:
        cycle = open_cycle(store)

        with pytest.raises(UnknownVersionError, match="no former champion"):
            store.roll_back("alpha", row=20, at=60.0)
        with pytest.raises(UnknownVersionError, match="no version 9"):
            store.roll_back("alpha", to=9, row=20, at=60.0)

        assert store.cycle(cycle.cycle_id) == cycle

    def test_a_rejected_challenger_leaves_the_champion_serving(self, store: Store) -> None:
        add_model(store)
        store.promote("alpha", 1, row=1, at=1.0)
        add_model(store)
        store.reject("alpha", 2)
        store.reject("alpha", 2)

        assert store.model("alpha", 2).status is ModelStatus.REJECTED
        assert store.snapshot("alpha").champion_version == 1
        with pytest.raises(StoreError, match="is champion"):
            store.reject("alpha", 1)

    def test_models_that_never_served_can_be_left_out(self, store: Store) -> None:
        for version in (1, 2, 3, 4):
            add_model(store)
            if version != 3:
                store.promote("alpha", version, row=version, at=1.0)

        def found(**choice: Any) -> list[int]:
            return [m.version for m in store.models("alpha", **choice)]

        assert found(last=2) == [3, 4]
        assert found(last=2, served_only=True) == [2, 4]
        assert found(last=9, served_only=True) == [1, 2, 4]

    def test_an_unknown_version_is_refused(self, store: Store) -> None:
        for call in (
            lambda: store.model("alpha", 5),
            lambda: store.promote("alpha", 5, row=1, at=1.0),
            lambda: store.reject("alpha", 5),
        ):
            with pytest.raises(UnknownVersionError, match="no version 5"):
                call()

    # Ledger

    def test_a_cycle_is_settled_once(self, store: Store) -> None:
        cycle = promoted_cycle(store)
        entry = entry_for(cycle.cycle_id)

        assert store.settle(entry, expected=CycleState.PROMOTED, outcome="promoted")
        before = topics(store)
        again = dataclasses.replace(entry, gain_usd=99.0)
        assert not store.settle(again, expected=CycleState.PROMOTED, outcome="promoted")

        (written,) = store.ledger("alpha")
        assert dataclasses.replace(written, entry_id=None) == entry
        settled = store.cycle(cycle.cycle_id)
        assert (settled.state, settled.outcome) == (CycleState.SETTLED, "promoted")
        assert before[-1] == "cycle.settled"
        assert topics(store) == before

    def test_a_cycle_in_another_state_is_not_settled(self, store: Store) -> None:
        cycle = open_cycle(store)

        with pytest.raises(CycleConflictError, match="is decided, not promoted"):
            store.settle(
                entry_for(cycle.cycle_id), expected=CycleState.PROMOTED, outcome="promoted"
            )

        assert store.ledger() == []
        assert store.cycle(cycle.cycle_id) == cycle

    def test_the_ledger_is_read_by_bot_by_position_and_by_length(self, store: Store) -> None:
        for bot in ("alpha", "beta", "alpha", "beta", "alpha"):
            cycle = evaluated_cycle(store, bot)
            store.settle(
                entry_for(cycle.cycle_id, bot), expected=CycleState.EVALUATED, outcome="rejected"
            )
        ids = [e.entry_id or 0 for e in store.ledger()]

        def found(bot: str | None = None, **choice: int) -> list[int]:
            return [e.entry_id or 0 for e in store.ledger(bot, **choice)]

        assert ids == sorted(set(ids))
        assert found("alpha") == [ids[0], ids[2], ids[4]]
        assert found("alpha", last=2) == [ids[2], ids[4]]
        assert found("alpha", after=ids[0]) == [ids[2], ids[4]]
        assert found(last=2) == ids[3:]
        assert found(after=ids[1], last=9) == ids[2:]

    # Leases

    def test_a_lease_is_held_by_one_owner_until_it_runs_out(self, store: Store) -> None:
        assert store.lease_owner("alpha") is None
        assert store.acquire_lease("alpha", owner="one", seconds=10.0, now=100.0)
        assert not store.acquire_lease("alpha", owner="two", seconds=10.0, now=109.9)
        assert store.acquire_lease("beta", owner="two", seconds=10.0, now=109.9)
        assert store.acquire_lease("alpha", owner="one", seconds=10.0, now=105.0)
        assert not store.acquire_lease("alpha", owner="two", seconds=10.0, now=114.9)
        assert store.lease_owner("alpha") == "one"

        assert store.acquire_lease("alpha", owner="two", seconds=10.0, now=115.0)
        assert store.lease_owner("alpha") == "two"

    def test_a_lease_is_given_back_by_its_owner_only(self, store: Store) -> None:
        store.acquire_lease("alpha", owner="one", seconds=10.0, now=100.0)
        store.release_lease("alpha", owner="two")
        assert not store.acquire_lease("alpha", owner="two", seconds=10.0, now=101.0)

        store.release_lease("alpha", owner="one")
        assert store.acquire_lease("alpha", owner="two", seconds=10.0, now=101.0)

    # Outbox

    def test_events_are_pending_until_they_are_marked(self, store: Store) -> None:
        for bot in ("alpha", "beta", "alpha"):
            store.add_decision(Decision(bot, False, "policy", 3.0))
        events = store.pending_events()

        assert [e.bot for e in events] == ["alpha", "beta", "alpha"]
        assert [e.event_id for e in store.pending_events(limit=2)] == [
            e.event_id for e in events[:2]
        ]
        assert store.pending_events(bot="beta") == [events[1]]

        store.mark_delivered([events[0].event_id or 0, events[1].event_id or 0])
        store.mark_delivered([])

        assert store.pending_events() == [events[2]]
        assert store.pending_events(bot="beta") == []

    def test_the_number_of_a_delivered_event_never_comes_again(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        numbers: list[int] = []
        for bot in ("alpha", "beta", "alpha", "alpha", "beta"):
            store.add_decision(Decision(bot, False, "policy", 3.0))
            (event,) = store.pending_events()
            numbers.append(event.event_id or 0)
            store.mark_delivered([numbers[-1]])
            store = reopen()

        assert numbers == sorted(set(numbers))

    def test_of_events_that_nobody_takes_the_newest_ten_thousand_of_each_bot_are_kept(
        self, store: Store
    ) -> None:
        def commit(bot: str, first: int, count: int) -> None:
            # Two bots take turns, so that each has every second number.
            events = tuple(
                Event("tick.committed", name, 1.0, {"number": first + k})
                for k in range(count)
                for name in (bot, "beta")
            )
            store.commit_tick(Tick("alpha", 1.0, LoopState(), events=events))

        store.add_bot(dataclasses.replace(ALPHA, name="quiet"))
        store.add_decision(Decision("quiet", False, "policy", 1.0))
        commit("alpha", 0, 10_000)
        for bot in ("alpha", "beta"):
            assert len(store.pending_events(bot=bot, limit=99_999)) == 10_000

        commit("alpha", 10_000, 12_000)

        for bot in ("alpha", "beta"):
            numbers = [
                event.payload["number"] for event in store.pending_events(bot=bot, limit=99_999)
            ]
            assert 10_000 <= len(numbers) < 10_000 + 3_000
            assert numbers == list(range(22_000 - len(numbers), 22_000))
        assert len(store.pending_events(bot="quiet")) == 1

    # Several at once

    def test_of_two_processes_that_open_a_cycle_one_wins(
        self, store: Store, location: StoreLocation, processes: ProcessPoolExecutor
    ) -> None:
        tries = [processes.submit(try_to_open_cycle, location) for _ in range(4)]

        assert sorted(t.result() for t in tries) == [False, False, False, True]
        assert len(store.cycles("alpha", last=9)) == 1

    def test_of_two_processes_that_want_a_lease_one_gets_it(
        self, store: Store, location: StoreLocation, processes: ProcessPoolExecutor
    ) -> None:
        tries = [processes.submit(try_to_lease, location, f"owner-{k}") for k in range(4)]

        assert sorted(t.result() for t in tries) == [False, False, False, True]

    def test_processes_that_write_at_once_lose_nothing(
        self, store: Store, location: StoreLocation, processes: ProcessPoolExecutor
    ) -> None:
        # The ranges overlap: 600 ids are sent, 450 of them differ.
        writers = [
            processes.submit(add_outcomes_in_batches, location, first, 30) for first in (0, 150)
        ]
        for writer in writers:
            writer.result()

        totals = store.snapshot("alpha").totals
        stored = store.outcomes("alpha", last=1000)
        assert len({o.prediction_id for o in stored}) == len(stored) == totals.outcomes == 450
        assert totals.loss_sum == sum(o.loss for o in stored)

    def test_threads_share_a_store(self, store: Store) -> None:
        start = threading.Barrier(8)

        def work(thread: int) -> int:
            start.wait()
            for batch in range(5):
                store.add_outcomes("alpha", outcomes(4, first=100 * thread + 4 * batch))
                store.add_decision(Decision("alpha", False, "policy", 1.0))
                store.snapshot("alpha")
            return thread

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(work, range(8))) == list(range(8))

        assert store.snapshot("alpha").totals.outcomes == 160
        assert len({d.decision_id for d in store.decisions("alpha", last=99)}) == 40

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.close()

        with pytest.raises(StoreError, match="closed"):
            store.bots()
