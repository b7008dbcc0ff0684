"""Inputs of realistic size for the planted functions, from a seeded generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Inputs = Callable[[np.random.Generator], list[tuple[str, tuple[Any, ...]]]]


def _dedupe_orders(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: a day's export: 4,000 rows of 3,000 orders."""
    rows = [
        {"order_id": f" ord-{number:06d}", "state": "sent", "amount": round(float(amount), 2)}
        for number, amount in zip(rng.integers(0, 6000, 4000), rng.gamma(2, 30, 4000), strict=True)
    ]
    return [("latest_orders", (rows,))]


def _sensor_log(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: 40 meters that write at the full minute, for five hours."""
    lines = []
    for minute in range(300):
        for sensor in range(40):
            value = float(rng.gamma(2, 3)) if rng.random() > 0.01 else -1.0
            lines.append(
                f"2024-03-{1 + minute // 60:02d} 10:{minute % 60:02d} flow{sensor} {value:.2f}"
            )
    lines[::500] = ["# restart"] * len(lines[::500])
    return [("daily_totals", (lines,))]


def _shipping_cost(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: a day's 8,000 parcels."""
    import pandas as pd

    rows = 8000
    frame = pd.DataFrame(
        {
            "weight_kg": rng.gamma(2, 2, rows).round(2),
            "volume_l": rng.gamma(2, 6, rows).round(1),
            "zone": rng.choice(["domestic", "eu", "world"], rows, p=[0.7, 0.2, 0.1]),
            "express": rng.random(rows) < 0.1,
        }
    )
    return [("add_shipping", (frame,))]


def _enrich_transactions(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: 3,000 transactions of 1,000 customers."""
    customers = [
        {"customer_id": 10_000 + number, "segment": str(rng.choice(["home", "office"]))}
        | ({"country": "AT"} if rng.random() < 0.8 else {})
        for number in range(1000)
    ]
    transactions = [
        {"customer_id": int(number), "amount": round(float(amount), 2)}
        for number, amount in zip(
            rng.integers(10_000, 11_050, 3000), rng.gamma(2, 40, 3000), strict=True
        )
    ]
    return [("enrich", (transactions, customers))]


def _drawdown(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: twelve years of daily prices."""
    import numpy as np

    prices = (100 * np.exp(np.cumsum(rng.normal(0.0002, 0.01, 3000)))).tolist()
    return [("drawdowns", (prices,)), ("worst_drawdown", (prices[:1500],))]


def _moving_load(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: three months of quarter-hourly readings."""
    readings = rng.gamma(4, 25, 9000).round(1).tolist()
    return [("peaks", (readings,))]


def _word_counts(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: a day's 100 tickets."""
    vocabulary = [f"word{number}" for number in range(1500)] + ["the", "is", "not", "printer"]
    tickets = [
        " ".join(vocabulary[place] for place in (len(vocabulary) * rng.random(25) ** 2).astype(int))
        for _ in range(100)
    ]
    return [("top_words", (tickets,))]


def _flatten_events(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: 1,500 small batches."""
    batches = [
        [{"kind": str(kind)} for kind in rng.choice(["click", "view", "buy"], int(size))]
        for size in rng.integers(0, 12, 1500)
    ]
    return [("flatten", (batches,)), ("per_kind", (batches[:700],))]


def _warehouse_routes(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: 3,000 places in a grid with some aisles closed."""
    width = 60
    neighbours: dict[int, list[int]] = {}
    for place in range(3000):
        around = [place - width, place + width]
        around += [place - 1] if place % width else []
        around += [place + 1] if place % width < width - 1 else []
        neighbours[place] = [p for p in around if 0 <= p < 3000 and rng.random() < 0.9]
    return [("distances", (neighbours, 1530))]


def _clean_readings(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: 6,000 readings of 30 stations."""
    import pandas as pd

    rows = 6000
    frame = pd.DataFrame(
        {
            "station": rng.choice([f"s{number}" for number in range(30)], rows),
            "unit": rng.choice(["C", "F"], rows),
            "value": rng.normal(40, 25, rows).round(1),
        }
    )
    return [("to_celsius", (frame,)), ("hourly_mean", (frame,))]


def _scenarios(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: 120 positions, 150 scenarios."""
    classes = ["equity", "bond", "gold", "cash", "property"]
    portfolio = {
        "debt": 10_000.0,
        "positions": [
            {
                "class": str(rng.choice(classes)),
                "units": int(rng.integers(1, 500)),
                "price": round(float(rng.gamma(3, 20)), 2),
                "tags": ["core", "eur"],
            }
            for _ in range(120)
        ],
    }
    scenarios = [
        {
            "name": f"scenario {number}",
            "shocks": {name: round(float(rng.normal(0, 0.1)), 4) for name in classes},
        }
        for number in range(150)
    ]
    return [("scenario_table", (portfolio, scenarios))]


def _customer_report(rng: np.random.Generator) -> list[tuple[str, tuple[Any, ...]]]:
    """Make: 20,000 sales to 400 customers."""
    import numpy as np
    import pandas as pd

    rows = 20_000
    frame = pd.DataFrame(
        {
            "customer": rng.choice([f"c{number:04d}" for number in range(400)], rows),
            "amount": rng.gamma(2, 30, rows).round(2),
            "day": np.datetime64("2024-01-01")
            + rng.integers(0, 365, rows).astype("timedelta64[D]"),
        }
    )
    return [("customer_report", (frame,))]


INPUTS: dict[str, Inputs] = {
    "dedupe_orders": _dedupe_orders,
    "sensor_log": _sensor_log,
    "shipping_cost": _shipping_cost,
    "enrich_transactions": _enrich_transactions,
    "drawdown": _drawdown,
    "moving_load": _moving_load,
    "word_counts": _word_counts,
    "flatten_events": _flatten_events,
    "warehouse_routes": _warehouse_routes,
    "clean_readings": _clean_readings,
    "scenarios": _scenarios,
    "customer_report": _customer_report,
}
"""Function file → its inputs."""

HELD_OUT = ("warehouse_routes", "scenarios", "customer_report")
"""Written before the rules, and not looked at again while they were made."""
