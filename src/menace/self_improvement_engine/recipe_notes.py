"""What an ended cycle shows of the recipe it followed: its cost, its lead, and later its gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.self_improvement_policy.recipes import RECENT, RecipeBook

if TYPE_CHECKING:
    from menace.records import Cycle, Json, LedgerEntry, LoopState
    from menace.self_improvement_policy.recipes import GainBook

COST_ALPHA = 0.3
"""Weight of the newest cycle in the expected cycle cost."""


def planned_window(cycle: Cycle) -> str:
    """Say which rows the cycle was to learn from."""
    return str(cycle.details.get("plan", {}).get("window", RECENT))


def model_cost_usd(cycle: Cycle) -> float:
    """Say what making the model cost, USD: what the cycle cost without patching its code."""
    return cycle.cost_usd - float(cycle.details.get("patch", {}).get("cost_usd", 0.0))


def refit_cost_usd(loop: LoopState, cycle: Cycle) -> float | None:
    """Say what a refit on the window is expected to cost, after this cycle, USD.

    What a search or another window costs says little of a refit; what made no model says nothing.
    """
    cost = loop.cycle_cost_usd
    if cycle.energy > 1 or planned_window(cycle) != RECENT or not _worked(cycle):
        return cost
    paid = model_cost_usd(cycle)
    return paid if cost is None else cost + COST_ALPHA * (paid - cost)


def recipes_after(loop: LoopState, cycle: Cycle, *, promotion_usd: float = 0.0) -> Json:
    """Give what is known of the recipes after this cycle, for the loop state.

    Parameters
    ----------
    promotion_usd
        What of the cycle's cost was the price of its promotion, USD ≥ 0.
    """
    metrics: Json = cycle.details.get("metrics", {})
    book = RecipeBook.from_json(loop.recipes)
    window, rows = planned_window(cycle), cycle.details.get("plan", {}).get("work_rows", 0.0)
    if cycle.energy == 1 and window != RECENT and rows > 0 and _worked(cycle):
        cpu_usd = max(0.0, model_cost_usd(cycle) - promotion_usd)
        book.add_cost(window, cost_usd=cpu_usd, work_rows=rows)
    compared = metrics.get("windows")
    if compared:
        book.add_comparison(
            lead=compared["lead"], error=compared["error"], level=compared["recent_loss"]
        )
    found = metrics.get("search")
    if found and found.get("start_loss") and found.get("best_loss") is not None:
        book.add_search((found["start_loss"] - found["best_loss"]) / abs(found["start_loss"]))
    if cycle.version is not None:
        book.note_version(cycle.version, str(metrics.get("window", RECENT)))
    return book.to_json() if loop.recipes or book != RecipeBook() else {}


def note_gain(gains: GainBook, cycle: Cycle, entry: LedgerEntry) -> None:
    """Take a settled cycle into what cycles of its recipe have gained.

    A cycle from which nothing was expected (somebody asked for it) says nothing of how far
    expectations come true; nor does one that failed, or that no row has settled. What a search or
    a comparison taught is not expected of the settled rows: it is due over many cycles.
    """
    plan: Json = cycle.details.get("plan", {})
    expected, horizon = plan.get("refit_gain_usd"), plan.get("horizon_rows", 0.0)
    if expected is None or expected <= 0 or horizon <= 0 or cycle.replaced_version is None:
        return
    window = str(cycle.details.get("metrics", {}).get("window", RECENT))
    if cycle.outcome == "rejected":
        gained = 0.0
    elif entry.rows > 0:
        expected, gained = expected * entry.rows / horizon, entry.gain_usd
    else:
        return
    gains.add(window, expected_usd=expected, gained_usd=gained, cost_usd=entry.cycle_cost_usd)


def _worked(cycle: Cycle) -> bool:
    return cycle.version is not None or model_cost_usd(cycle) > 0
