"""When people ride: the hours to and from work."""

MORNING = (7, 9)
EVENING = (16, 19)


def is_rush_hour(hour, workingday):
    """Whether people ride to work or home in this hour, of 0..23."""
    if not workingday:
        return False
    in_the_morning = MORNING[0] <= hour <= MORNING[1]
    in_the_evening = EVENING[0] < hour <= EVENING[1]
    return in_the_morning or in_the_evening


def hours_to_rush(hour, workingday):
    """Hours until the next rush hour of the day; 24 where none is left."""
    for later in range(hour, 24):
        if is_rush_hour(later, workingday):
            return later - hour
    return 24
