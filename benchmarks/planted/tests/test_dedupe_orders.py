from dedupe_orders import latest_orders


def test_the_first_row_of_an_order_is_kept():
    orders = [
        {"order_id": " a1", "state": "sent"},
        {"order_id": "B2 ", "state": "new"},
        {"order_id": "A1", "state": "new"},
    ]
    assert latest_orders(orders) == [
        {"order_id": "A1", "state": "sent"},
        {"order_id": "B2", "state": "new"},
    ]


def test_nothing_comes_of_nothing():
    assert latest_orders([]) == []
