"""What every store must do with the trials of searches.

A part of :class:`conformance.store_conformance.StoreConformance`, which gives ``store`` (with the
bots alpha and beta) and ``reopen``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from menace.errors import StoreError, UnknownBotError
from menace.records import Metric, SearchTrial

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.interfaces import Store


def search_trials(count: int, *, first: int = 0) -> list[SearchTrial]:
    """Make trials that can be told apart."""
    return [
        SearchTrial("linear", {"strength": 1.0 + number}, 0.9, Metric.LOG_LOSS, row=number)
        for number in range(first, first + count)
    ]


class TrialsConformance:
    """Behaviour that no backend may lack."""

    def test_trials_are_read_back_oldest_first_by_another_process(
        self, store: Store, reopen: Callable[[], Store]
    ) -> None:
        assert store.add_trials("alpha", search_trials(3)) == 3
        assert store.add_trials("alpha", search_trials(2, first=3)) == 2

        assert reopen().trials("alpha", last=10) == search_trials(5)
        assert store.trials("alpha", last=2) == search_trials(2, first=3)
        assert store.trials("beta", last=10) == []

    def test_a_cycles_trials_are_added_once_and_not_shown_to_itself(self, store: Store) -> None:
        cycle = store.open_cycle(
            "alpha", energy=3, row=10, at=50.0, decision_id=None, details={}
        ).cycle_id
        store.add_trials("alpha", search_trials(1))

        assert store.add_trials("alpha", search_trials(2, first=1), cycle_id=cycle) == 2
        assert store.add_trials("alpha", search_trials(2, first=8), cycle_id=cycle) == 0
        own = [replace(trial, cycle_id=cycle) for trial in search_trials(2, first=1)]
        assert store.trials("alpha", last=9) == [*search_trials(1), *own]
        assert store.trials("alpha", last=9, without_cycle=cycle) == search_trials(1)

    def test_old_trials_are_forgotten_bot_by_bot(self, store: Store) -> None:
        store.add_trials("beta", search_trials(1))
        for first in range(0, 600, 100):
            store.add_trials("alpha", search_trials(100, first=first))

        assert store.trials("alpha", last=1000)[-400:] == search_trials(400, first=200)
        assert store.trials("beta", last=1000) == search_trials(1)

    def test_trials_need_a_bot_and_finite_numbers(self, store: Store) -> None:
        with pytest.raises(UnknownBotError):
            store.add_trials("gamma", search_trials(1))
        with pytest.raises(UnknownBotError):
            store.trials("gamma", last=1)
        wrong = replace(search_trials(1)[0], params={"strength": float("nan")})
        with pytest.raises(StoreError, match="a trial's parameters"):
            store.add_trials("alpha", [*search_trials(1), wrong])
        assert store.trials("alpha", last=9) == []
