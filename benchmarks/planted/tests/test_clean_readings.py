import pandas as pd
import pytest
from clean_readings import hourly_mean, to_celsius

READINGS = pd.DataFrame(
    {
        "station": ["n", "n", "s", "s"],
        "unit": ["C", "F", "F", "C"],
        "value": [10.0, 68.0, 500.0, -5.5],
    },
    index=[4, 2, 8, 9],
)


def test_fahrenheit_is_converted():
    assert to_celsius(READINGS)["celsius"].tolist() == pytest.approx([10.0, 20.0, 260.0, -5.5])


def test_impossible_values_are_suspect():
    assert to_celsius(READINGS)["suspect"].tolist() == [False, False, True, False]


def test_means_leave_suspect_values_out():
    assert hourly_mean(READINGS).to_dict() == {"n": 15.0, "s": -5.5}
