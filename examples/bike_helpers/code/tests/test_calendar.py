import pytest
from helpers.calendar import hours_to_rush, is_rush_hour


@pytest.mark.parametrize("hour", [7, 8, 9, 16, 17, 18, 19])
def test_people_ride_to_work_and_home(hour):
    assert is_rush_hour(hour, workingday=True)


@pytest.mark.parametrize("hour", [0, 3, 6, 10, 13, 15, 20, 23])
def test_other_hours_are_quiet(hour):
    assert not is_rush_hour(hour, workingday=True)


@pytest.mark.parametrize("hour", range(24))
def test_nobody_rides_to_work_on_a_day_off(hour):
    assert not is_rush_hour(hour, workingday=False)


@pytest.mark.parametrize(
    ("hour", "ahead"), [(0, 7), (6, 1), (7, 0), (9, 0), (10, 6), (15, 1), (19, 0), (20, 24)]
)
def test_the_next_rush_hour_is_told(hour, ahead):
    assert hours_to_rush(hour, workingday=True) == ahead


def test_there_is_none_on_a_day_off():
    assert hours_to_rush(8, workingday=False) == 24
