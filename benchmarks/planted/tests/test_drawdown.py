import pytest
from drawdown import drawdowns, worst_drawdown


def test_drawdown_is_taken_from_the_peak_so_far():
    assert drawdowns([10.0, 8.0, 12.0, 6.0]) == pytest.approx([0.0, 0.2, 0.0, 0.5])


def test_the_worst_one():
    assert worst_drawdown([10.0, 8.0, 12.0, 6.0]) == pytest.approx(0.5)
    assert worst_drawdown([]) == 0.0
