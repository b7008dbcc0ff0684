from __future__ import annotations

import math
from itertools import pairwise
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.report.svg import (
    Scale,
    downsample,
    escape,
    line_path,
    nice_domain,
    nice_step,
    nice_ticks,
    spread,
    tag,
)

amounts = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False)
widths = st.floats(min_value=1e-6, max_value=1e12)
series = st.lists(st.none() | st.floats(min_value=-1e6, max_value=1e6), max_size=400)


@given(low=st.floats(min_value=-1e6, max_value=1e6), width=widths, target=st.integers(2, 12))
def test_ticks_are_round_even_and_within_the_domain(low: float, width: float, target: int) -> None:
    high = low + max(width, abs(low) * 1e-6)
    ticks = nice_ticks(low, high, target)
    assert 1 <= len(ticks) <= target + 1
    step = ticks[1] - ticks[0] if len(ticks) > 1 else nice_step(high - low, target)
    assert all(low - step * 1e-6 <= tick <= high + step * 1e-6 for tick in ticks)
    assert all(
        math.isclose(after - before, step, rel_tol=1e-6, abs_tol=abs(high) * 1e-12)
        for before, after in pairwise(ticks)
    )
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 5, 10)) < 1e-3


@given(span=widths, target=st.integers(1, 20))
def test_a_step_cuts_the_span_into_at_most_the_wanted_parts(span: float, target: int) -> None:
    parts = span / nice_step(span, target)
    assert target * 0.4 * (1 - 1e-6) <= parts <= target * (1 + 1e-6)


@given(low=amounts, high=amounts)
def test_a_nice_domain_holds_what_it_was_made_for(low: float, high: float) -> None:
    start, end = nice_domain(low, high)
    assert start < end
    slack = (end - start) * 1e-6
    assert start - slack <= low
    if high > low:
        assert end + slack >= high


def test_zero_is_written_as_zero_in_ticks_across_it() -> None:
    assert nice_ticks(-0.3, 0.3, 6) == (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)


@given(values=series, buckets=st.integers(1, 50))
def test_downsampling_keeps_ends_and_extremes_and_is_bounded(
    values: list[float | None], buckets: int
) -> None:
    kept = downsample(values, buckets)
    assert kept == sorted(set(kept))
    assert len(kept) <= 2 * buckets + 2
    if not values:
        assert kept == []
        return
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    known = [value for value in values if value is not None]
    shown = [value for at in kept if (value := values[at]) is not None]
    if known:
        assert (min(shown), max(shown)) == (min(known), max(known))


def test_a_short_series_is_kept_whole() -> None:
    assert downsample([1.0, 2.0, 3.0, 4.0], 1) == [0, 1, 2, 3]


def test_a_long_gap_stays_a_gap() -> None:
    values: list[float | None] = [1.0] * 50 + [None] * 50 + [1.0] * 50
    assert any(values[at] is None for at in downsample(values, 10))


@given(
    wanted=st.lists(st.floats(min_value=-50, max_value=450), max_size=12),
    gap=st.floats(min_value=0, max_value=60),
)
def test_spread_labels_keep_their_order_distance_and_bounds(
    wanted: list[float], gap: float
) -> None:
    placed = spread(wanted, gap, 0, 400)
    assert len(placed) == len(wanted)
    room = min(gap, 400 / (len(wanted) - 1)) if len(wanted) > 1 else gap
    assert all(-1e-6 <= place <= 400 + 1e-6 for place in placed)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for before, after in pairwise(order):
        assert placed[after] - placed[before] >= room - 1e-6


def test_labels_that_do_not_touch_stay_where_they_are() -> None:
    assert spread([300.0, 10.0, 100.0], 20, 0, 400) == [300.0, 10.0, 100.0]


def test_labels_that_touch_move_apart_evenly() -> None:
    assert spread([100.0, 100.0], 20, 0, 400) == [90.0, 110.0]


def test_an_empty_domain_maps_to_the_middle() -> None:
    assert Scale(3, 3, 0, 100)(3) == 50


def test_a_scale_maps_its_ends_to_its_range() -> None:
    scale = Scale(0, 10, 200, 0)
    assert (scale(0), scale(10), scale(5)) == (200, 0, 100)


@pytest.mark.parametrize("points", [[], [None, None]])
def test_a_line_without_points_is_empty(points: list[tuple[float, float] | None]) -> None:
    assert line_path(points) == ""


@given(text=st.text())
def test_any_text_makes_well_formed_markup(text: str) -> None:
    said: list[str] = []
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.CharacterDataHandler = said.append
    parser.StartElementHandler = lambda _, attributes: found.append(attributes["data-name"])
    parser.Parse(tag("text", escape(text), data_name=text).encode("utf-8"), True)
    assert len(found) == 1
    if text.isprintable() and text.isascii():
        assert "".join(said) == text
        assert found[0] == text
