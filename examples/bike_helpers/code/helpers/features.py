"""Features of an hour of bike rentals, made from what is known beforehand."""

import pandas as pd

from helpers.calendar import hours_to_rush, is_rush_hour
from helpers.weather import hours_since_rain, worst_weather

CONTEXT_ROWS = 48


def features(rows):
    """Make the features of each row; the rows before it are its past."""
    made = pd.DataFrame(index=rows.index)
    rush, ahead = [], []
    for _, row in rows.iterrows():
        rush.append(is_rush_hour(int(row["hr"]), bool(row["workingday"])))
        ahead.append(hours_to_rush(int(row["hr"]), bool(row["workingday"])))
    made["rush_hour"] = rush
    made["hours_to_rush"] = ahead
    weather = rows["weathersit"].tolist()
    made["worst_weather"] = worst_weather(weather, 6)
    made["hours_since_rain"] = hours_since_rain(weather)
    return made
