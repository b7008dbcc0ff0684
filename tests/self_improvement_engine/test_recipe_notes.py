from __future__ import annotations

import pytest

from menace.records import Cycle, CycleState, LedgerEntry, LoopState
from menace.self_improvement_engine.planning import Plan
from menace.self_improvement_engine.recipe_notes import note_gain, recipes_after
from menace.self_improvement_policy.alternatives import Known, value
from menace.self_improvement_policy.recipes import GainBook, RecipeBook


def cycle_of(plan: Plan, *, outcome: str = "promoted", cost_usd: float = 0.0) -> Cycle:
    return Cycle(
        cycle_id=1,
        bot="alpha",
        state=CycleState.SETTLED,
        energy=plan.energy,
        row=1000,
        started_at=0.0,
        replaced_version=1,
        version=2,
        cost_usd=cost_usd,
        outcome=outcome,
        details={"plan": plan.to_json()},
    )


@pytest.mark.parametrize("kind", ["refit recent", "compare windows", "search"])
def test_what_a_cycle_teaches_is_not_missed_in_the_gain_of_its_model(kind: str) -> None:
    table = value(
        Known(
            tick_usd=100.0,
            excess=0.05,
            excess_error=0.01,
            rate=0.01,
            level=0.2,
            cost_usd=5.0,
            recipes=RecipeBook(),
            gains=GainBook(),
            recent_rows=1000,
            history_rows=4000,
            search_energy=5,
            unit_usd=0.1,
        )
    )
    refit = table.rows[1]
    row = next(row for row in table.rows if row.kind == kind)
    assert row.refit_gain_usd == pytest.approx(refit.gain_usd)
    plan = Plan(
        kind,
        row.window or "recent",
        row.energy,
        row.cost_usd,
        gain_usd=row.gain_usd,
        refit_gain_usd=row.refit_gain_usd,
        horizon_rows=100.0,
    )
    gains = GainBook()
    for _ in range(10):
        entry = LedgerEntry(1, "alpha", 0.0, 1.02 * refit.gain_usd, row.cost_usd, 0.0, 100, 0.0)
        note_gain(gains, cycle_of(plan), entry)
    ratio, _ = gains.ratio("recent")
    assert 1.0 < ratio < 1.02


@pytest.mark.parametrize(
    ("outcome", "cost_usd", "promotion_usd"), [("promoted", 5.4, 5.0), ("rejected", 0.4, 0.0)]
)
def test_the_price_of_a_promotion_is_not_learned_as_cpu_time(
    outcome: str, cost_usd: float, promotion_usd: float
) -> None:
    plan = Plan("refit history", "history", 1, cost_usd, work_rows=4000.0)
    cycle = cycle_of(plan, outcome=outcome, cost_usd=cost_usd)
    recipes = recipes_after(LoopState(), cycle, promotion_usd=promotion_usd)
    assert recipes["row_usd"]["history"] == pytest.approx(0.0001)
