import copy

import pytest
from scenarios import scenario_table

PORTFOLIO = {
    "debt": 50.0,
    "positions": [
        {"class": "equity", "units": 10, "price": 20.0},
        {"class": "bond", "units": 5, "price": 100.0},
    ],
}
SCENARIOS = [
    {"name": "calm", "shocks": {}},
    {"name": "crash", "shocks": {"equity": -0.5, "bond": 0.1}},
]


def test_the_worst_scenario_comes_first():
    table = scenario_table(PORTFOLIO, SCENARIOS)
    assert [row["name"] for row in table] == ["crash", "calm"]
    assert [row["worth"] for row in table] == pytest.approx([600.0, 650.0])
    assert table[0]["change"] == pytest.approx(-50.0)


def test_the_portfolio_stays_as_it_was():
    before = copy.deepcopy(PORTFOLIO)
    scenario_table(PORTFOLIO, SCENARIOS)
    assert before == PORTFOLIO
