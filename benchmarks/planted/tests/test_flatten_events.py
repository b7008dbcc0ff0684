from flatten_events import flatten, per_kind

BATCHES = [[{"kind": "a"}], [], [{"kind": "b"}, {"kind": "a"}]]


def test_events_keep_order_and_know_their_batch():
    assert flatten(BATCHES) == [
        {"batch": 0, "kind": "a"},
        {"batch": 2, "kind": "b"},
        {"batch": 2, "kind": "a"},
    ]


def test_kinds_are_counted():
    assert per_kind(BATCHES) == {"a": 2, "b": 1}
    assert flatten([]) == []
