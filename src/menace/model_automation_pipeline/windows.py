"""Which rows a cycle learns from: the bot's window, or a sample of all history before it as well.

Of all history the newest :data:`LOOK_BACK` × ``max_history_rows`` rows are looked at, so that time
and memory stay bounded. Where that is more than ``max_history_rows``, the rows before the window
are thinned to every *k*-th, counted back from the window: the same rows for the same position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.self_improvement_policy.recipes import HISTORY, RECENT

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from menace.model_automation_pipeline.evaluation import PairedComparison
    from menace.records import BotConfig, Json

LOOK_BACK = 5
LEAST_MORE = 1.25
"""History counts as more than the window when it has so many times its rows."""

SWITCH_Z = 1.0
"""Standard errors by which all history must lead to be learned from: it costs more to."""


def history_size(bot: BotConfig, labelled_rows: int, most_rows: int) -> int:
    """Say how many rows a cycle over all history would learn from.

    Parameters
    ----------
    labelled_rows
        Rows whose label has been seen.
    most_rows
        ``max_history_rows`` of the settings.

    Returns
    -------
    int
        Those of the window where there is hardly more.

    Examples
    --------
    >>> from menace.records import BotConfig
    >>> bot = BotConfig("alpha", None, "y", window_rows=1000)
    >>> [history_size(bot, rows, 20_000) for rows in (600, 1100, 3000, 90_000)]
    [600, 1000, 3000, 20000]
    """
    recent = min(bot.window_rows, labelled_rows)
    size = min(labelled_rows, most_rows)
    return size if size >= LEAST_MORE * recent else recent


def thinned(older: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Keep every *k*-th row, counted from the newest, so that at most ``rows`` stay."""
    if rows < 1:
        return older.iloc[:0]
    step = math.ceil(len(older) / rows) if len(older) else 1
    return older.iloc[(len(older) - 1) % step :: step]


@dataclass(frozen=True, slots=True)
class WindowComparison:
    """A model made from the window and one made from all history, on rows that neither has seen.

    Attributes
    ----------
    compared
        Paired losses, the window's model in the champion's place.
    history_rows
        Rows that the other one was made from.
    """

    compared: PairedComparison
    history_rows: int

    @property
    def chosen(self) -> str:
        """All history where its model is better by a standard error or more, else the window."""
        good = self.compared.finite and self.compared.z >= SWITCH_Z
        return HISTORY if good else RECENT

    def to_json(self) -> Json:
        """Plain JSON; a figure that is not finite is ``null``."""
        figures = self.compared.to_json()
        return {
            "chosen": self.chosen,
            "rows": self.compared.rows,
            "history_rows": self.history_rows,
            "recent_loss": figures["champion_loss"],
            "history_loss": figures["challenger_loss"],
            "lead": figures["mean_gain"],
            "error": figures["standard_error"],
        }


def compare_windows(
    earlier: pd.DataFrame,
    older: pd.DataFrame,
    *,
    losses: Callable[[pd.DataFrame, pd.DataFrame], npt.NDArray[np.float64]],
) -> WindowComparison:
    """Compare both windows on the newest quarter of the rows before the hold-out.

    These are the rows on which a search compares its trials. The hold-out plays no part, so that
    the gate judges the winner on rows that the choice never saw.

    Parameters
    ----------
    earlier
        The window's rows before the hold-out, in time order.
    older
        The rows of history before the window.
    losses
        ``losses(train, test)`` fits the configuration to refit on ``train`` and gives its losses
        on ``test``, shape (rows,).
    """
    import pandas as pd

    from menace.model_automation_pipeline.evaluation import compare
    from menace.model_automation_pipeline.search import VALIDATION_SHARE

    cut = len(earlier) - max(2, round(len(earlier) * VALIDATION_SHARE))
    train, test = earlier.iloc[:cut], earlier.iloc[cut:]
    history = pd.concat([older, train], ignore_index=True)
    return WindowComparison(compare(losses(train, test), losses(history, test)), len(history))
