from helpers.weather import hours_since_rain, worst_weather


def test_the_worst_of_the_last_hours_counts():
    assert worst_weather([1, 3, 1, 1, 2], 2) == [1, 3, 3, 3, 2]


def test_with_no_hours_before_it_is_the_weather_itself():
    assert worst_weather([2, 1, 4], 0) == [2, 1, 4]


def test_an_empty_day_has_no_weather():
    assert worst_weather([], 3) == []
    assert hours_since_rain([]) == []


def test_hours_since_rain_are_counted():
    assert hours_since_rain([1, 2, 3, 1, 1, 4, 1]) == [48, 48, 0, 1, 2, 0, 1]


def test_rain_that_is_long_ago_counts_as_longest_ago():
    assert hours_since_rain([3] + [1] * 50)[45:] == [45, 46, 47, 48, 48, 48]
    assert hours_since_rain([4, 1, 1, 1], most=2) == [0, 1, 2, 2]


def test_a_month_of_weather():
    month = [1, 1, 2, 1, 3, 3, 1, 2] * 90
    worst, since = worst_weather(month, 3), hours_since_rain(month)
    assert worst[-8:] == [3, 2, 2, 2, 3, 3, 3, 3]
    assert since[-8:] == [3, 4, 5, 6, 0, 0, 1, 2]
