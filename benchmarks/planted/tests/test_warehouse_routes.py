from warehouse_routes import distances

AISLES = {"gate": ["a", "b"], "a": ["c"], "b": ["c"], "c": ["gate", "d"], "e": ["a"]}


def test_steps_are_counted_along_the_shortest_way():
    assert distances(AISLES, "gate") == {"gate": 0, "a": 1, "b": 1, "c": 2, "d": 3}


def test_a_dead_end_reaches_itself():
    assert distances(AISLES, "d") == {"d": 0}
