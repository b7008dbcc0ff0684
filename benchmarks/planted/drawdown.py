"""How far a price lies below its peak so far."""


def drawdowns(prices):
    """Relative fall from the running peak, one per price, 0 at a new peak."""
    result = []
    for i in range(len(prices)):
        peak = max(prices[: i + 1])
        result.append((peak - prices[i]) / peak)
    return result


def worst_drawdown(prices):
    """The deepest of them."""
    if not prices:
        return 0.0
    return max(drawdowns(prices))
