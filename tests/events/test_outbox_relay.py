from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from menace.events.in_process_event_bus import InProcessEventBus
from menace.events.outbox_relay import OutboxRelay
from menace.records import BotConfig, Decision, Event
from menace.storage.registry import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from menace.interfaces import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store("sqlite:///menace.db", folder=tmp_path)) as store:
        for name in ("alpha", "beta"):
            store.add_bot(BotConfig(name=name, source=None, target="y"))
        yield store


def decide(store: Store, *reasons: str, bot: str = "alpha") -> None:
    for reason in reasons:
        store.add_decision(Decision(bot, False, reason, 1.0))


def listening_bus() -> tuple[InProcessEventBus, list[str]]:
    bus = InProcessEventBus()
    heard: list[str] = []
    bus.subscribe("decision.made", lambda e: heard.append(e.payload["reason"]))
    return bus, heard


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_committed_events_are_delivered_once_in_order(store: Store, batch: int) -> None:
    bus, heard = listening_bus()
    relay = OutboxRelay(store, bus, batch=batch)
    decide(store, "a", "b", "c")

    assert relay.deliver() == 3
    decide(store, "d")
    assert relay.deliver() == 1
    assert relay.deliver() == 0

    assert heard == ["a", "b", "c", "d"]
    assert store.pending_events() == []


def test_nothing_is_delivered_before_it_is_asked_for(store: Store) -> None:
    _, heard = listening_bus()
    decide(store, "a")

    assert heard == []
    assert len(store.pending_events()) == 1


def test_the_events_of_one_bot_can_be_delivered_alone(store: Store) -> None:
    bus, heard = listening_bus()
    decide(store, "a")
    decide(store, "b", bot="beta")

    assert OutboxRelay(store, bus).deliver(bot="beta") == 1

    assert heard == ["b"]
    assert [e.bot for e in store.pending_events()] == ["alpha"]


def test_a_subscriber_that_raises_does_not_hold_events_back(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bus, heard = listening_bus()

    def broken(_: Event) -> None:
        raise RuntimeError("out of paper")

    bus.subscribe("*", broken)
    decide(store, "a", "b")

    assert OutboxRelay(store, bus).deliver() == 2
    assert heard == ["a", "b"]
    assert store.pending_events() == []
    assert caplog.text.count("out of paper") >= 2


def test_events_of_an_interrupted_delivery_are_delivered_again(store: Store) -> None:
    bus, heard = listening_bus()

    def interrupted(_: Event) -> None:
        raise KeyboardInterrupt

    end = bus.subscribe("*", interrupted)
    decide(store, "a", "b")
    relay = OutboxRelay(store, bus)
    with pytest.raises(KeyboardInterrupt):
        relay.deliver()
    end()

    assert relay.deliver() == 2
    assert heard == ["a", "a", "b"]


def test_events_that_a_subscriber_commits_are_delivered_too(store: Store) -> None:
    bus, heard = listening_bus()
    relay = OutboxRelay(store, bus)

    def answer(event: Event) -> None:
        if event.payload["reason"] == "question":
            decide(store, "answer")

    bus.subscribe("decision.made", answer)
    decide(store, "question")
    relay.deliver()
    relay.deliver()

    assert heard == ["question", "answer"]


def test_engines_with_stores_and_buses_of_their_own_hear_their_own_events_only(
    store: Store, tmp_path: Path
) -> None:
    bus, heard = listening_bus()
    other_bus, other_heard = listening_bus()
    with closing(open_store("sqlite:///other.db", folder=tmp_path)) as other:
        other.add_bot(BotConfig(name="alpha", source=None, target="y"))
        decide(store, "mine")
        decide(other, "theirs")
        OutboxRelay(store, bus).deliver()
        OutboxRelay(other, other_bus).deliver()

    assert (heard, other_heard) == (["mine"], ["theirs"])
