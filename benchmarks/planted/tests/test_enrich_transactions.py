from enrich_transactions import enrich

CUSTOMERS = [
    {"customer_id": 1, "segment": "home", "country": "AT"},
    {"customer_id": 2, "segment": "office"},
    {"customer_id": 1, "segment": "old", "country": "DE"},
]


def test_segment_and_country_are_added():
    rows = enrich([{"customer_id": 2, "amount": 5}, {"customer_id": 1, "amount": 3}], CUSTOMERS)
    assert rows == [
        {"customer_id": 2, "amount": 5, "segment": "office", "country": "??"},
        {"customer_id": 1, "amount": 3, "segment": "home", "country": "AT"},
    ]


def test_unknown_customers_are_left_out():
    assert enrich([{"customer_id": 9, "amount": 5}], CUSTOMERS) == []
