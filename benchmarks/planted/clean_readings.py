"""Bring the readings of the weather stations to one unit."""

import pandas as pd


def to_celsius(readings):
    """Add ``celsius`` and ``suspect``; stations report °F or °C."""
    cleaned = readings.reset_index(drop=True)
    celsius = []
    suspect = []
    for _, row in cleaned.iterrows():
        value = row["value"]
        if row["unit"] == "F":
            value = (value - 32) * 5 / 9
        celsius.append(round(value, 2))
        suspect.append(value < -60 or value > 60)
    cleaned["celsius"] = celsius
    cleaned["suspect"] = suspect
    return cleaned


def hourly_mean(readings):
    """Mean temperature per station without suspect readings."""
    cleaned = to_celsius(readings)
    good = cleaned[~cleaned["suspect"].astype(bool)]
    return good.groupby("station")["celsius"].mean().round(3)
