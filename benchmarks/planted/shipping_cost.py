"""Shipping cost of parcels, as the carrier's price list has it."""

SURCHARGE = {"domestic": 0.0, "eu": 4.5, "world": 12.0}


def parcel_cost(row):
    weight = max(row["weight_kg"], row["volume_l"] / 5.0)
    if weight <= 1:
        cost = 3.9
    elif weight <= 5:
        cost = 3.9 + (weight - 1) * 0.8
    else:
        cost = 7.1 + (weight - 5) * 1.2
    if row["zone"] == "eu":
        cost = cost + SURCHARGE["eu"]
    elif row["zone"] == "world":
        cost = cost + SURCHARGE["world"]
    if row["express"]:
        return cost * 1.5
    return cost


def add_shipping(parcels):
    """Add a column ``shipping``."""
    result = parcels.copy()
    result["shipping"] = result.apply(lambda row: parcel_cost(row), axis=1)
    return result
