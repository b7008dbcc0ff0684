"""Whether a bot's model loses less with the features of a new text than with those of the old."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from menace.self_coding_engine.gates import QualityComparison

if TYPE_CHECKING:
    from menace.self_coding_engine.proposers.feature_selection import Folds, Losses

LEAST_Z = 2.0
"""Standard errors that the gain on later rows must be above 0."""


def loss_comparison(before: Losses, after: Losses, folds: Folds) -> QualityComparison:
    """Compare losses of the same rows, of models that were fitted on earlier ones.

    They are compared row by row where that shows small differences, which is the log loss for a
    classifier; in the bot's own metric, in which money is counted, the mean must not rise.
    """
    gain, sharp = folds.compare(before, after), folds.compare_sharply(before, after)
    scale = abs(before.mean) or 1.0
    change = -gain.mean_gain / scale
    half = LEAST_Z * abs(change / gain.z) if gain.z and math.isfinite(gain.z) else 0.0
    better = sharp.z >= LEAST_Z and gain.mean_gain >= 0.0
    found = f"the loss on later rows changes by {change:+.1%}, {sharp.z:+.1f} standard errors"
    return QualityComparison(
        before=before.mean,
        after=after.mean,
        low=change - half,
        high=change + half,
        better=better,
        reason=found if better else f"no sure gain: {found}",
    )
