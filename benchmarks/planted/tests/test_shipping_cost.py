import pandas as pd
import pytest
from shipping_cost import add_shipping

PARCELS = pd.DataFrame(
    {
        "weight_kg": [0.5, 3.0, 10.0, 0.2, 1.0],
        "volume_l": [1.0, 5.0, 10.0, 40.0, 5.0],
        "zone": ["domestic", "eu", "world", "domestic", "eu"],
        "express": [False, False, True, True, False],
    }
)


def test_cost_follows_the_price_list():
    shipping = add_shipping(PARCELS)["shipping"].tolist()
    assert shipping == pytest.approx([3.9, 10.0, 37.65, 16.05, 8.4])


def test_the_parcels_stay_as_they_were():
    add_shipping(PARCELS)
    assert "shipping" not in PARCELS.columns
