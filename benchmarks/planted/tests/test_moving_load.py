import pytest
from moving_load import peaks, smoothed


def test_the_window_is_shorter_at_the_beginning():
    assert smoothed([1.0, 3.0, 5.0, 7.0], window=2) == pytest.approx([1.0, 2.0, 4.0, 6.0])


def test_a_window_of_one_changes_nothing():
    assert smoothed([4.0, 2.0], window=1) == pytest.approx([4.0, 2.0])


def test_peaks_are_found():
    assert peaks([1.0] * 50 + [9.0] + [1.0] * 10) == [50]
