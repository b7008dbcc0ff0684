"""What the demonstration's bot cost under each strategy, at several prices of a fit.

Models do not depend on prices, so every tick's model is trained once per seed; then the live loop
runs at each price, and every calendar, *never* and the hindsight optimum are worked out from the
same models.

Seeds are repetitions only where something is drawn. The demonstration's cycles have energy 1: one
refit of the default configuration, which draws nothing. When all seeds come to the same totals,
the output says so, and they count as one run.

``python -m benchmarks.demo_prices [--prices P …] [--seeds S …] [--ticks N] [--json]``
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menace.demo import demo_reference, run_demo
from menace.demo.comparison import CALENDARS
from menace.sandbox_runner.comparison import MENACE

if TYPE_CHECKING:
    from menace.sandbox_runner.reference import Reference

PRICES = (1.0, 3.0, 10.0)
"""Prices of a reference fit, in percent of a tick's rows being wrong."""

ALLOWED_RATIO = 1.08
"""So much more than the best calendar, chosen in hindsight, menace may cost."""

Totals = dict[str, float]


def measure(prices: tuple[float, ...], seeds: tuple[int, ...], ticks: int | None) -> dict[str, Any]:
    """Run every price and seed."""
    runs = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            reference = demo_reference(
                Path(name) / "reference",
                ticks=ticks,
                seed=seed,
                progress=lambda done, total: _say(f"models: {done} of {total}"),
            )
            for price in prices:
                _say(f"seed {seed}, {price:g} %")
                totals = totals_usd(Path(name) / "demo", price, seed, ticks, reference)
                runs.append(_run(price, seed, totals))
    print(file=sys.stderr)
    ratios = {
        f"{price:g}": [run["menace_over_best"] for run in runs if run["price_percent"] == price]
        for price in prices
    }
    return {
        "runs": runs,
        "menace_over_best": {
            price: {
                "least": min(found),
                "median": round(statistics.median(found), 4),
                "most": max(found),
            }
            for price, found in ratios.items()
        },
        "distinct_seeds": len({json.dumps(_of_seed(runs, seed)) for seed in seeds}),
        "allowed_ratio": ALLOWED_RATIO,
        "reached": all(run["reached"] for run in runs),
    }


def _of_seed(runs: list[dict[str, Any]], seed: int) -> list[Totals]:
    return [run["total_usd"] for run in runs if run["seed"] == seed]


def totals_usd(
    folder: Path, price: float, seed: int, ticks: int | None, reference: Reference
) -> Totals:
    """Run the live loop at a price; strategy → loss and cycles together, USD."""
    shown = run_demo(folder, price_percent=price, ticks=ticks, seed=seed, reference=reference)
    totals = {f"every {weeks}": usd for weeks, usd in shown.calendars_usd.items()}
    named = {row.name: row.total_usd for row in shown.strategies}
    return {
        **totals,
        "never": named["never retrain"],
        "hindsight": named["hindsight optimum"],
        MENACE: named[MENACE],
    }


def _run(price: float, seed: int, totals: Totals) -> dict[str, Any]:
    best = min(totals[f"every {weeks}"] for weeks in CALENDARS)
    own = totals[MENACE]
    return {
        "price_percent": price,
        "seed": seed,
        "total_usd": {name: round(usd, 2) for name, usd in totals.items()},
        "menace_over_best": round(own / best, 4),
        "reached": own < totals["never"]
        and own < totals["every 1"]
        and own <= ALLOWED_RATIO * best,
    }


def _say(text: str) -> None:
    print(f"\r{text:<40}", end="", file=sys.stderr, flush=True)


def _show(figures: dict[str, Any]) -> None:
    names = [*(f"every {weeks}" for weeks in CALENDARS), "never", "hindsight", MENACE]
    print("price  seed" + "".join(f"{name:>11}" for name in names) + "  menace / best calendar")
    for run in figures["runs"]:
        totals = "".join(f"{run['total_usd'][name]:>11,.2f}" for name in names)
        missed = "" if run["reached"] else "  NOT reached"
        ratio = f"{run['menace_over_best']:>12.3f}{missed}"
        print(f"{run['price_percent']:>4g} %{run['seed']:>6}{totals}{ratio}")
    for price, spread in figures["menace_over_best"].items():
        print(
            f"at {price} %: menace / best calendar from {spread['least']:.3f} over "
            f"{spread['median']:.3f} to {spread['most']:.3f}"
        )
    seeds = len({run["seed"] for run in figures["runs"]})
    if figures["distinct_seeds"] < seeds:
        print(f"of {seeds} seeds {figures['distinct_seeds']} differ: the others repeat a run")
    print(f"target: below never and always (every 1), at most {ALLOWED_RATIO} × the best calendar")


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; 1 if the target is missed at any price."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prices", type=float, nargs="+", default=PRICES, help="in percent")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,), help="one row each")
    parser.add_argument("--ticks", type=int, help="reveal so many weeks; by default all")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    figures = measure(tuple(options.prices), tuple(options.seeds), options.ticks)
    if options.json:
        print(json.dumps(figures))
    else:
        _show(figures)
    return 0 if figures["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
