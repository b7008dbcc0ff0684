"""Who is asked first: wins per CPU-second, with room for those that are little known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.self_coding_engine.proposer_archive import FORGETTING, ProposerArchive

NAMES = ("repair", "tuning", "genetic")


def first_asked(archive: ProposerArchive, situation: str, draws: int = 400) -> Counter[str]:
    rng = np.random.default_rng(5)
    return Counter(archive.order(situation, NAMES, rng)[0] for _ in range(draws))


def test_without_experience_everybody_is_asked_first_about_as_often() -> None:
    asked = first_asked(ProposerArchive(), "failing tests")
    assert set(asked) == set(NAMES)
    assert min(asked.values()) > 400 / 3 * 0.7


def test_the_one_that_wins_is_asked_first_and_the_others_are_still_tried() -> None:
    archive = ProposerArchive()
    for number in range(4):
        archive.add("failing tests", "repair", won=number != 0, cpu_seconds=2.0)
        archive.add("failing tests", "tuning", won=False, cpu_seconds=2.0)
        archive.add("failing tests", "genetic", won=False, cpu_seconds=2.0)
    asked = first_asked(archive, "failing tests")
    assert 0.85 * 400 < asked["repair"] < 400


def test_of_two_that_win_alike_the_cheaper_one_is_asked_first() -> None:
    archive = ProposerArchive()
    for number in range(20):
        archive.add("plain code", "tuning", won=number % 2 == 0, cpu_seconds=3.0)
        archive.add("plain code", "genetic", won=number % 2 == 0, cpu_seconds=30.0)
        archive.add("plain code", "repair", won=False, cpu_seconds=3.0)
    asked = first_asked(archive, "plain code")
    assert asked["tuning"] > 0.95 * 400


def test_what_is_known_elsewhere_counts_where_nothing_is_known() -> None:
    archive = ProposerArchive()
    for _ in range(30):
        archive.add("failing tests", "repair", won=True, cpu_seconds=1.0)
        archive.add("failing tests", "genetic", won=False, cpu_seconds=1.0)
    asked = first_asked(archive, "plain code")
    assert asked["repair"] > 1.5 * asked["genetic"]


def test_a_win_that_is_taken_back_counts_as_a_loss() -> None:
    once, twice = ProposerArchive(), ProposerArchive()
    for archive in (once, twice):
        archive.add("plain code", "tuning", won=True, cpu_seconds=1.0)
    twice.lost("plain code", "tuning")
    twice.lost("plain code", "tuning")
    twice.lost("plain code", "nobody")
    (_, _, kept), (_, _, lost) = next(iter(once.records())), next(iter(twice.records()))
    assert (kept.won, lost.won) == (1.0, 0.0)
    assert kept.asked == lost.asked == 1.0


def test_old_experience_fades_geometrically() -> None:
    archive = ProposerArchive()
    for _ in range(3):
        archive.add("plain code", "tuning", won=True, cpu_seconds=4.0)
    (_, _, record) = next(iter(archive.records()))
    expected = 1 + FORGETTING + FORGETTING**2
    assert record.asked == pytest.approx(expected)
    assert record.won == pytest.approx(expected)
    assert record.cpu_seconds == pytest.approx(4 * expected)


ATTEMPTS = st.lists(
    st.tuples(
        st.sampled_from(["failing tests", "plain code"]),
        st.sampled_from(NAMES),
        st.booleans(),
        st.floats(0, 1e6),
    ),
    max_size=60,
)


@given(ATTEMPTS, st.integers(0, 2**32 - 1))
def test_it_survives_json_to_the_bit_and_always_orders_all(
    attempts: list[tuple[str, str, bool, float]], seed: int
) -> None:
    archive = ProposerArchive()
    for situation, proposer, won, seconds in attempts:
        archive.add(situation, proposer, won=won, cpu_seconds=seconds)
    again = ProposerArchive.from_json(archive.to_json())
    assert list(again.records()) == list(archive.records())
    orders = [a.order("plain code", NAMES, np.random.default_rng(seed)) for a in (archive, again)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == sorted(NAMES)
    assert all(0.0 <= record.won <= record.asked + 1e-9 for _, _, record in archive.records())


def test_attempts_that_find_nothing_are_followed_by_longer_and_longer_rests() -> None:
    archive = ProposerArchive()
    rests = []
    for _ in range(7):
        archive.attempted(found=False)
        archive = ProposerArchive.from_json(archive.to_json())
        rest = 0
        while archive.rests():
            rest += 1
        rests.append(rest)
    assert rests == [1, 3, 7, 15, 31, 31, 31]
    archive.attempted(found=True)
    assert not archive.rests()
