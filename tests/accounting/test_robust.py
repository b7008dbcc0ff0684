from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from menace.accounting.robust import winsorized

POINTS = st.lists(st.floats(-1e6, 1e6), max_size=120)


@given(points=POINTS)
def test_only_the_outermost_twentieth_is_moved_and_only_inwards(points: list[float]) -> None:
    held = winsorized(points)
    allowed = 2 * int(0.05 * len(points))
    distinct_moves = [(a, b) for a, b in zip(points, held, strict=True) if a != b]
    assert len(distinct_moves) <= allowed
    assert all(min(points) <= figure <= max(points) for figure in held)


@given(points=st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=120))
def test_a_windfall_counts_no_more_than_the_next_largest(points: list[float]) -> None:
    assert max(winsorized([*points, 1e9])) <= max(points)


@given(points=st.lists(st.floats(-1e6, 1e6), max_size=19))
def test_a_few_points_are_left_as_they_are(points: list[float]) -> None:
    assert winsorized(points) == points
