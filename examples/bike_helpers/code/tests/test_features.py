import pandas as pd
from helpers.features import features


def day(**columns):
    rows = {"hr": range(24), "workingday": [1] * 24, "weathersit": [1] * 10 + [3] + [1] * 13}
    return pd.DataFrame({**rows, **columns})


def test_every_row_has_its_features():
    made = features(day())
    assert list(made.columns)[:4] == [
        "rush_hour",
        "hours_to_rush",
        "worst_weather",
        "hours_since_rain",
    ]
    assert len(made) == 24
    assert made["rush_hour"].tolist()[5:11] == [False, False, True, True, True, False]
    assert made["hours_to_rush"].tolist()[4:8] == [3, 2, 1, 0]
    assert made["worst_weather"].tolist()[9:18] == [1, 3, 3, 3, 3, 3, 3, 3, 1]
    assert made["hours_since_rain"].tolist()[9:13] == [48, 0, 1, 2]


def test_rows_may_come_with_any_index():
    made = features(day().set_index(pd.Index(range(100, 124))))
    assert made["rush_hour"].sum() == 7
    assert made.index[0] == 100
