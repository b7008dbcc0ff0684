"""Who takes part, by the names that the results use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.decision.calendars import NEVER, every, tuned_calendar
from benchmarks.decision.drift_detectors import adwin, ddm, page_hinkley
from benchmarks.decision.error_forecast import error_forecast
from benchmarks.decision.menace_policy import (
    menace,
    menace_archive,
    menace_diagnostics,
    menace_live_only,
)
from benchmarks.decision.rent_or_buy import rent_or_buy, tuned_rent_or_buy
from benchmarks.decision.retrainopt_peer import retrainopt_base, retrainopt_learned
from benchmarks.decision.staleness_threshold import staleness_threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.decision.replay import Past, PolicyMaker, ServingPolicy

MENACE = "menace"

POLICIES: Mapping[str, PolicyMaker] = {
    "never": every(NEVER),
    "always": every(1),
    "every_2": every(2),
    "every_5": every(5),
    "every_10": every(10),
    "every_20": every(20),
    "calendar_tuned": tuned_calendar,
    "adwin": adwin,
    "page_hinkley": page_hinkley,
    "ddm": ddm,
    "rent_or_buy": rent_or_buy,
    "rent_or_buy_tuned": tuned_rent_or_buy,
    "staleness_threshold": staleness_threshold,
    "error_forecast": error_forecast,
    "retrainopt_base": retrainopt_base,
    "retrainopt_learned": retrainopt_learned,
    MENACE: menace,
}
"""The peers, and menace: all play by the same rules."""

VARIANTS: Mapping[str, PolicyMaker] = {
    "menace_live_only": menace_live_only,
    "menace_diagnostics": menace_diagnostics,
}
"""menace with something left out or added; not in the comparison."""

SERVING_VARIANTS: Mapping[str, Callable[[Past, float, int], ServingPolicy]] = {
    "menace_archive": menace_archive,
}
"""Those that may put an archived model back in force, which the comparison does not allow."""
