"""What the loop is for: it costs less than never or always, and nearly the best calendar's least.

The figures repeat to the bit on any machine, because the demonstration charges counted work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from menace.demo import demo_reference, run_demo
from menace.demo.comparison import CALENDARS

if TYPE_CHECKING:
    from pathlib import Path

    from menace.sandbox_runner.reference import Reference

PRICES = (1.0, 3.0, 10.0)
ALLOWED_RATIO = 1.08


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Train the models of all weeks once; they do not depend on the price."""
    return demo_reference(tmp_path_factory.mktemp("economics") / "reference")


@pytest.mark.slow
@pytest.mark.parametrize("price_percent", PRICES)
def test_menace_costs_less_than_never_and_always_and_nearly_as_little_as_the_best_calendar(
    tmp_path: Path, reference: Reference, price_percent: float
) -> None:
    shown = run_demo(tmp_path / "demo", price_percent=price_percent, reference=reference)
    totals = {row.name: row.total_usd for row in shown.strategies}
    assert set(shown.calendars_usd) == set(CALENDARS) == {1, 2, 4, 8, 16}
    assert shown.menace_usd < totals["never retrain"]
    assert shown.menace_usd < totals["always"]
    assert shown.menace_usd <= ALLOWED_RATIO * min(shown.calendars_usd.values())
    assert totals["hindsight optimum"] <= min(shown.calendars_usd.values())
