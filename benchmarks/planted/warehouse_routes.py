"""Distances in the warehouse, in aisles."""


def distances(neighbours, start):
    """Steps from ``start`` to every place that can be reached."""
    queue = [start]
    visited = [start]
    steps = {start: 0}
    while queue:
        place = queue.pop(0)
        for other in neighbours.get(place, []):
            if other not in visited:
                visited.append(other)
                steps[other] = steps[place] + 1
                queue.append(other)
    return steps
