"""How much each change of a search contributed: the challenger without it, on the settlement rows.

While a search's budget lasts, and as long as it is cheap beside what the cycle has used, the chosen
configuration is fitted once more without each of its changes. These variants are never served. When
the cycle is settled they are scored on the very rows that settled it::

    c_m = (Σ losses without m − Σ losses of the challenger) · loss_usd / (serving + cycle cost)

in units of ROI delta. What has no variant (the window always: the champion's rows are gone) shares
what is left of the gain equally.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from menace.interfaces import Services
    from menace.records import BotConfig, Cycle, LedgerEntry

LARGEST_SHARE = 0.1
"""All variants together may take so much of the CPU time that the cycle has used before."""

MOST_ROWS = 50_000
"""Rows since the training that are read back at most."""


def settlement_rows(
    services: Services, bot: BotConfig, cycle: Cycle, rows: int, *, before: int = 0
) -> pd.DataFrame:
    """Read the rows that settled a cycle again, and up to ``before`` rows that came before them.

    Returns
    -------
    DataFrame
        The first ``rows`` labelled rows after the challenger's window, in time order; fewer, or
        none, where they cannot be had any more.
    """
    import pandas as pd

    store = services.store
    loop = store.snapshot(bot.name).loop
    if cycle.version is None or loop.position is None:
        return pd.DataFrame()
    behind = loop.labelled_rows - store.model(bot.name, cycle.version).row
    if not rows <= behind <= MOST_ROWS:
        return pd.DataFrame()
    look_back = behind
    while True:
        start = store.mark_before(bot.name, loop.position.row - look_back)
        found = services.rows_of(bot).read_window(start, loop.position, rows=behind + before)
        if len(found) == behind + before or (start is None and len(found) >= behind):
            return found.iloc[: len(found) - behind + rows]
        if start is None:
            return pd.DataFrame()
        look_back *= 2


def contributions(
    bot: BotConfig,
    entry: LedgerEntry,
    *,
    modules: Sequence[str],
    challenger: np.ndarray,
    variants: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """Say what each changed module contributed to a settled cycle's gain.

    Parameters
    ----------
    bot, entry
        Prices, gain and costs.
    modules
        All that the cycle changed.
    challenger
        Its losses on the settlement rows, shape ``(rows,)``.
    variants
        Module → losses of the challenger without that change, shape ``(rows,)``.

    Returns
    -------
    dict
        Module → contribution, in units of ROI delta; they add up to the gain where at least one
        module has no variant.
    """
    spent_usd = entry.serving_cost_usd + entry.cycle_cost_usd
    if spent_usd <= 0:
        return {}
    unit = bot.economics.loss_usd / spent_usd
    own = {
        module: float(np.sum(losses - challenger)) * unit
        for module, losses in variants.items()
        if module in modules
    }
    others = [module for module in modules if module not in own]
    left = entry.gain_usd / spent_usd - sum(own.values())
    return {**own, **{module: left / len(others) for module in others}}


def affordable(
    expected_seconds: Callable[[str], float], modules: Sequence[str], *, used: float, left: float
) -> list[str]:
    """Choose the variants that are cheap enough, in order, until the allowance is used.

    Parameters
    ----------
    expected_seconds
        What the variant without a module will take, CPU-seconds.
    used, left
        What the cycle has used, and what is left of its budget, CPU-seconds.

    Examples
    --------
    >>> affordable({"a": 0.2, "b": 0.9, "c": 0.3}.__getitem__, ["a", "b", "c"], used=6.0, left=9.0)
    ['a', 'c']
    """
    allowance = min(LARGEST_SHARE * used, left)
    chosen = []
    for module in modules:
        seconds = expected_seconds(module)
        if seconds <= allowance:
            chosen.append(module)
            allowance -= seconds
    return chosen
