"""The gate: whether a challenger takes the champion's place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from menace.model_automation_pipeline.evaluation import PairedComparison
    from menace.records import Economics, Json


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate says, and why.

    Attributes
    ----------
    promote
        Whether the challenger is to serve.
    minimum_gain_per_row
        Units of loss per row that pay for the promotion.
    upper_gain_per_row
        ``mean_gain + z · standard_error``: what the gate compares with the minimum.
    expected_gain_usd
        Mean gain over the settlement rows, USD; before any cost.
    reason
        One sentence for people.
    warning
        Set where a model is promoted only because something has to serve.
    """

    promote: bool
    minimum_gain_per_row: float
    upper_gain_per_row: float
    expected_gain_usd: float
    reason: str
    warning: str | None = None

    def to_json(self) -> Json:
        """Plain JSON; a figure that is not finite is ``null``."""
        return {
            "promote": self.promote,
            "minimum_gain_per_row": self.minimum_gain_per_row,
            "upper_gain_per_row": _finite(self.upper_gain_per_row),
            "expected_gain_usd": _finite(self.expected_gain_usd),
            "reason": self.reason,
            "warning": self.warning,
        }


def gate(
    comparison: PairedComparison,
    *,
    economics: Economics,
    settlement_rows: int,
    z: float,
    first: bool = False,
) -> GateVerdict:
    """Decide on a challenger.

    Promote if and only if ``mean_gain + z · standard_error ≥ minimum_gain_per_row``, where
    ``minimum_gain_per_row = promotion_usd / (settlement_rows · loss_usd)`` (0 if either price is
    0). When the gate is asked, the training has been paid for and the price of a mistake is small:
    a promotion is taken back at no training cost. So the burden of proof lies on the rejection: a
    positive ``z`` demands so many standard errors of evidence *against* the challenger, a negative
    one so many *for* it.

    A challenger with a loss that is not finite is rejected whatever its mean.

    Parameters
    ----------
    comparison
        Champion and challenger on rows that neither was fitted on. For the first model of a bot
        the constant prediction stands in for the champion.
    economics, settlement_rows
        What a unit of loss and a promotion are worth, and over how many rows the promotion must
        pay.
    z
        Standard errors of benefit of the doubt; 1.0 by default in the loop's settings.
    first
        There is no champion: something must serve, so that a finite model is promoted even where
        it fails the test, with a warning.

    Examples
    --------
    >>> from menace.model_automation_pipeline.evaluation import PairedComparison
    >>> from menace.records import Economics
    >>> even = PairedComparison(400, 0.11, 0.11, 0.0, 0.01, 0.0, 0.5)
    >>> gate(even, economics=Economics(), settlement_rows=1000, z=1.0).promote
    True
    >>> gate(even, economics=Economics(), settlement_rows=1000, z=-1.0).promote
    False
    """
    worth_usd = settlement_rows * economics.loss_usd
    minimum = economics.promotion_usd / worth_usd if worth_usd > 0.0 else 0.0
    if not comparison.finite:
        return GateVerdict(
            promote=False,
            minimum_gain_per_row=minimum,
            upper_gain_per_row=math.nan,
            expected_gain_usd=math.nan,
            reason="the challenger's losses are not finite",
        )
    upper = comparison.mean_gain + z * comparison.standard_error
    passed = upper >= minimum
    figures = (
        f"gain {comparison.mean_gain:+.4g} ± {comparison.standard_error:.2g} per row over "
        f"{comparison.rows} rows, {'not ' if passed else ''}shown to be below the minimum "
        f"{minimum:.4g} at z = {z:g}"
    )
    return GateVerdict(
        promote=passed or first,
        minimum_gain_per_row=minimum,
        upper_gain_per_row=upper,
        expected_gain_usd=comparison.mean_gain * worth_usd,
        reason=figures,
        warning=(
            "the bot's first model is no better than a constant prediction; it serves because "
            "something must"
            if first and not passed
            else None
        ),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
