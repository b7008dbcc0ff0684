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


def hours_since_rain(weathersit, most=48):
    """Hours since it last rained (3 or worse), ``most`` where that is longer ago or unknown."""
    since = []
    for position in range(len(weathersit)):
        wet = [past for past in range(position + 1) if weathersit[past] >= 3]
        if wet:
            since.append(min(position - max(wet), most))
        else:
            since.append(most)
    return since
