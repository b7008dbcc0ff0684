from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from menace.events.in_process_event_bus import InProcessEventBus
from menace.records import Event


def event(topic: str) -> Event:
    return Event(topic, "alpha", 1.0)


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("cycle.*", ["cycle.decided", "cycle.settled"]),
        ("cycle.settled", ["cycle.settled"]),
        ("*", ["cycle.decided", "model.promoted", "cycle.settled"]),
        ("*.promoted", ["model.promoted"]),
        ("cycle", []),
        ("CYCLE.*", []),
    ],
)
def test_a_subscriber_hears_the_topics_that_match(pattern: str, heard: list[str]) -> None:
    bus = InProcessEventBus()
    seen: list[str] = []
    bus.subscribe(pattern, lambda e: seen.append(e.topic))

    bus.publish(event(topic) for topic in ("cycle.decided", "model.promoted", "cycle.settled"))

    assert seen == heard


def test_a_subscriber_that_raises_is_logged_and_the_others_are_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = InProcessEventBus()
    seen: list[str] = []

    def broken(_: Event) -> None:
        raise RuntimeError("out of paper")

    bus.subscribe("*", broken)
    bus.subscribe("*", lambda e: seen.append(e.topic))

    with caplog.at_level(logging.ERROR):
        bus.publish([event("a"), event("b")])

    assert seen == ["a", "b"]
    assert [r.levelname for r in caplog.records] == ["ERROR", "ERROR"]
    assert "event a of bot alpha" in caplog.text
    assert "out of paper" in caplog.text


def test_what_ends_the_process_is_not_swallowed() -> None:
    bus = InProcessEventBus()

    def interrupted(_: Event) -> None:
        raise KeyboardInterrupt

    bus.subscribe("*", interrupted)

    with pytest.raises(KeyboardInterrupt):
        bus.publish([event("a")])


def test_an_ended_subscription_hears_nothing() -> None:
    bus = InProcessEventBus()
    seen: list[str] = []
    end_first = bus.subscribe("*", lambda e: seen.append("first"))
    bus.subscribe("*", lambda e: seen.append("second"))

    end_first()
    end_first()
    bus.publish([event("a")])

    assert seen == ["second"]


def test_a_bus_knows_whether_anybody_listens() -> None:
    bus = InProcessEventBus()
    assert not bus.has_subscribers()

    end_first = bus.subscribe("cycle.*", print)
    end_second = bus.subscribe("cycle.*", print)
    end_first()
    end_first()
    assert bus.has_subscribers()

    end_second()
    assert not bus.has_subscribers()


def test_a_function_can_subscribe_twice() -> None:
    bus = InProcessEventBus()
    seen: list[str] = []

    def hear(e: Event) -> None:
        seen.append(e.topic)

    end_first = bus.subscribe("*", hear)
    bus.subscribe("*", hear)
    bus.publish([event("a")])
    end_first()
    bus.publish([event("b")])

    assert seen == ["a", "a", "b"]


def test_a_subscriber_may_unsubscribe_and_publish() -> None:
    bus = InProcessEventBus()
    seen: list[str] = []

    def once(e: Event) -> None:
        seen.append(e.topic)
        end()
        bus.publish([event("second")])

    end = bus.subscribe("*", once)
    bus.subscribe("second", lambda e: seen.append("heard " + e.topic))
    bus.publish([event("first")])

    assert seen == ["first", "heard second"]


def test_threads_share_a_bus() -> None:
    bus = InProcessEventBus()
    seen: list[str] = []

    def work(number: int) -> None:
        end = bus.subscribe(f"topic-{number}", lambda e: seen.append(e.topic))
        for _ in range(50):
            bus.publish([event(f"topic-{number}")])
        end()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    assert sorted(seen) == sorted(f"topic-{number}" for number in range(4) for _ in range(50))


def test_buses_share_nothing() -> None:
    one, two = InProcessEventBus(), InProcessEventBus()
    seen: list[str] = []
    one.subscribe("*", lambda e: seen.append("one"))
    two.subscribe("*", lambda e: seen.append("two"))

    one.publish([event("a")])

    assert seen == ["one"]
