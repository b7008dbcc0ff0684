"""One row per customer for the account managers."""

import pandas as pd


def customer_report(sales):
    """Revenue, number of orders, mean basket and last order of every customer."""
    rows = []
    for customer in sales["customer"].unique():
        orders = sales[sales["customer"] == customer]
        revenue = orders["amount"].sum()
        rows.append(
            {
                "customer": customer,
                "revenue": round(float(revenue), 2),
                "orders": len(orders),
                "basket": float(orders["amount"].mean()),
                "last": orders["day"].max(),
            }
        )
    report = pd.DataFrame(rows)
    return report.sort_values("revenue", ascending=False, ignore_index=True)
