"""What the weather means for a ride."""


def worst_weather(weathersit, hours):
    """Worst weather (1 fair .. 4 storm) of each hour and the ``hours`` before it."""
    worst = []
    for position in range(len(weathersit)):
        seen = []
        for back in range(hours + 1):
            if position - back >= 0:
                seen = seen + [weathersit[position - back]]
        worst.append(max(seen))
    return worst


def hours_since_rain(weathersit):
    """Hours since it last rained (3 or worse); counts from the first row where it never did."""
    since = []
    for position in range(len(weathersit)):
        wet = [past for past in range(position + 1) if weathersit[past] >= 3]
        if wet:
            since.append(position - max(wet))
        else:
            since.append(position + 1)
    return since
