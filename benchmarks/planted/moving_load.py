"""Smoothed load of the feeder, from quarter-hourly readings."""

WINDOW = 672  # a week


def smoothed(readings, window=WINDOW):
    """Mean over the last ``window`` readings, shorter at the beginning."""
    means = []
    for i in range(len(readings)):
        start = max(0, i - window + 1)
        part = readings[start : i + 1]
        means.append(sum(part) / len(part))
    return means


def peaks(readings, factor=1.5):
    """Positions at which a reading is far above its smoothed value."""
    means = smoothed(readings)
    return [i for i, value in enumerate(readings) if value > factor * means[i]]
