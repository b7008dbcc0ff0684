"""Bring the batches of the event queue into one list."""


def flatten(batches):
    """All events in order, each with the number of its batch."""
    events = []
    for number, batch in enumerate(batches):
        numbered = [{"batch": number, **event} for event in batch]
        events = events + numbered
    return events


def per_kind(batches):
    """Number of events of each kind."""
    counts = {}
    for event in flatten(batches):
        kind = event["kind"]
        counts[kind] = counts.get(kind, 0) + 1
    return counts
