"""What the portfolio would be worth if the markets moved."""

import copy


def value_of(portfolio, shocks):
    """Worth after relative shocks per asset class."""
    total = 0.0
    for position in portfolio["positions"]:
        shock = shocks.get(position["class"], 0.0)
        total += position["units"] * position["price"] * (1 + shock)
    return total - portfolio["debt"]


def scenario_table(portfolio, scenarios):
    """Name, worth and change of every scenario, worst first."""
    base = value_of(copy.deepcopy(portfolio), {})
    table = []
    for scenario in scenarios:
        shocked = copy.deepcopy(portfolio)
        worth = value_of(shocked, scenario["shocks"])
        table.append({"name": scenario["name"], "worth": worth, "change": worth - base})
    return sorted(table, key=lambda row: row["change"])
