"""The decision, on differences that are made up."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.self_coding_engine.measuring.paired import (
    PairedSettings,
    judge,
    signed_rank_interval,
)

SETTINGS = PairedSettings()
differences = st.lists(
    st.floats(-2.0, 2.0, allow_subnormal=False).map(lambda x: round(x, 6)), min_size=1, max_size=24
)


def tail_by_enumeration(n: int, total: int) -> float:
    """P(W ≤ total) over all 2ⁿ signs of the ranks 1 … n."""
    hits = sum(
        sum(rank for rank, positive in enumerate(signs, start=1) if positive) <= total
        for signs in itertools.product((False, True), repeat=n)
    )
    return float(hits / 2**n)


@pytest.mark.parametrize("n", [4, 7, 10])
@pytest.mark.parametrize("tail", [0.01, 0.05, 0.2])
def test_the_interval_is_cut_where_the_exact_distribution_says(n: int, tail: float) -> None:
    values = [math.sqrt(prime) for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)][:n]
    walsh = sorted((a + b) / 2 for a, b in itertools.combinations_with_replacement(values, 2))
    outside = sum(tail_by_enumeration(n, total) <= tail for total in range(len(walsh) + 1))
    found = signed_rank_interval(values, tail)
    if outside == 0:
        assert (found.low, found.high) == (-math.inf, math.inf)
    else:
        assert (found.low, found.high) == (walsh[outside - 1], walsh[-outside])
    assert found.centre == statistics.median(walsh)


@given(differences, st.floats(-1.0, 1.0))
def test_a_shift_of_all_differences_shifts_the_interval(values: list[float], by: float) -> None:
    first = signed_rank_interval(values, 0.05)
    second = signed_rank_interval([value + by for value in values], 0.05)
    assert second.centre == pytest.approx(first.centre + by, abs=1e-9)
    if math.isfinite(first.low):
        assert second.low == pytest.approx(first.low + by, abs=1e-9)
        assert second.high == pytest.approx(first.high + by, abs=1e-9)


@given(differences)
def test_exchanging_the_texts_mirrors_the_interval(values: list[float]) -> None:
    first = signed_rank_interval(values, 0.05)
    second = signed_rank_interval([-value for value in values], 0.05)
    assert second.centre == pytest.approx(-first.centre)
    assert (second.low, second.high) == (-first.high, -first.low)


@given(differences)
def test_what_is_called_better_clears_zero_and_the_noise(after: list[float]) -> None:
    again = [0.03 * (-1) ** place for place in range(len(after))]
    verdict = judge(after, again, SETTINGS)
    if verdict.better:
        assert verdict.after.high < -verdict.floor < 0
        assert verdict.floor >= -math.log1p(-SETTINGS.least_gain)


@given(st.lists(st.floats(-0.5, 0.5), min_size=12, max_size=12), st.integers(0, 11))
def test_one_slow_round_of_the_new_text_speaks_against_it(again: list[float], place: int) -> None:
    after = [-0.3] * 12
    faster = judge(after, again, SETTINGS).better
    after[place] = 5.0
    assert not judge(after, again, SETTINGS).better or faster


def test_identical_texts_pass_for_faster_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(7)
    settings = PairedSettings(false_alarm=0.05, least_gain=1e-9, floor_tail=0.5)
    accepted = 0
    for _ in range(400):
        # Heavy tails, and a load that comes and goes: symmetric all the same.
        scale = rng.choice([0.01, 0.3], size=48)
        after, again = (rng.standard_t(2, 48) * scale for _ in range(2))
        accepted += any(judge(after[:n], again[:n], settings).better for n in settings.looks)
    assert accepted / 400 <= 0.05


def test_a_noisy_a_a_run_raises_the_bar() -> None:
    after = [-0.05 + 0.001 * place for place in range(12)]
    quiet, loud = [0.0] * 12, [0.2 * (-1) ** place for place in range(12)]
    assert judge(after, quiet, SETTINGS).better
    assert not judge(after, loud, SETTINGS).better


def test_a_gain_below_the_least_one_is_not_worth_more_blocks() -> None:
    verdict = judge([-0.004] * 12, [0.0] * 12, SETTINGS)
    assert verdict.hopeless
    assert not verdict.better


def test_a_gain_that_needs_more_blocks_gets_them() -> None:
    after = [-0.06, -0.05, 0.03, -0.07, -0.04, -0.05, 0.01, -0.06, -0.05, -0.08, -0.04, -0.05]
    verdict = judge(after, [0.0] * 12, SETTINGS)
    assert not verdict.better
    assert not verdict.hopeless
