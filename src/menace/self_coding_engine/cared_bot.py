"""What the care for a bot lends to the patching of its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from menace.interfaces import Clock, Store
    from menace.records import BotConfig
    from menace.self_coding_engine.proposers.feature_selection import FeatureJudge


@dataclass(frozen=True, slots=True)
class CaredBot:
    """A bot under care, as its patcher sees it.

    Attributes
    ----------
    bot
        Its configuration.
    store
        Keeps its patches, cycles and questions to people.
    clock
        Tells the time.
    rows
        Reads its newest labelled rows, oldest first; ``None`` where there are none.
    judge
        Judges features on such rows, by forward validation.
    rankings
        Module → sum of its ROI deltas, best first.
    state_path
        File of what was learned about proposers; ``None``: only in memory.
    """

    bot: BotConfig
    store: Store
    clock: Clock
    rows: Callable[[], pd.DataFrame | None]
    judge: FeatureJudge | None
    rankings: Callable[[], list[tuple[str, float]]]
    state_path: Path | None
