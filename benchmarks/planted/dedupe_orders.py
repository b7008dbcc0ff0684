"""Clean the order export before it is loaded."""


def latest_orders(orders):
    """Keep the first row of every order id; the export is newest first."""
    seen_ids = []
    kept = []
    for order in orders:
        order_id = order["order_id"].strip().upper()
        if order_id in seen_ids:
            continue
        seen_ids.append(order_id)
        kept.append({**order, "order_id": order_id})
    return kept
