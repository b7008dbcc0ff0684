import pandas as pd
from customer_report import customer_report

SALES = pd.DataFrame(
    {
        "customer": ["b", "a", "b", "c"],
        "amount": [10.0, 50.0, 30.0, 1.5],
        "day": pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02", "2024-02-01"]),
    }
)


def test_every_customer_has_a_row_best_first():
    report = customer_report(SALES)
    assert report["customer"].tolist() == ["a", "b", "c"]
    assert report["revenue"].tolist() == [50.0, 40.0, 1.5]
    assert report["orders"].tolist() == [1, 2, 1]
    assert report["basket"].tolist() == [50.0, 20.0, 1.5]


def test_the_last_order_is_the_newest():
    assert customer_report(SALES)["last"].iloc[1] == pd.Timestamp("2024-01-03")
