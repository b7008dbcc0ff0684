from sensor_log import daily_totals

LINES = [
    "2024-03-01 10:15 flow12 3.5",
    "2024-03-01 23:59 flow12 1.5\n",
    "2024-03-02 00:00 flow12 4",
    "2024-03-01 10:15 inlet3 -2",
    "rubbish",
]


def test_litres_are_summed_per_sensor_and_day():
    totals, _ = daily_totals(LINES)
    assert totals == {("flow12", "2024-03-01"): 5.0, ("flow12", "2024-03-02"): 4.0}


def test_bad_lines_are_counted():
    assert daily_totals(LINES)[1] == 2
    assert daily_totals([]) == ({}, 0)


def test_an_impossible_day_is_an_error():
    try:
        daily_totals(["2024-02-31 10:15 flow12 3.5"])
    except ValueError:
        return
    raise AssertionError("no error")
