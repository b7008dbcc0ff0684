"""Care for the forecast week by week on the bundled stream, and say what that was worth.

Usage: ``python examples/bike_forecast/run.py [FOLDER] [--weeks N]``
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from menace.demo.stream import Stream, bundled_path
from menace.workspace import Workspace

HERE = Path(__file__).parent
WEEK_ROWS = 168
FIRST_WEEKS = 8
BOT = {
    "name": "demand",
    "target": "cnt",
    "drop": ("busy",),  # follows from the target
    "pipeline": "forecast",
    "tick_rows": WEEK_ROWS,
    "window_rows": FIRST_WEEKS * WEEK_ROWS,
    "holdout_rows": WEEK_ROWS,
    "settlement_rows": 4 * WEEK_ROWS,
    # An idle bike costs half a cent an hour. A cycle takes a few hundredths of a CPU-second, but
    # somebody looks at the new plan before it is followed.
    "economics": {"loss_usd": 0.005, "cpu_second_usd": 0.0001, "promotion_usd": 20.0},
}


def care(folder: Path, weeks: int) -> None:
    """Reveal the stream week by week to a workspace in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("menace.toml", "bike_forecast.py"):
        shutil.copyfile(HERE / name, folder / name)
    stream, served = Stream.read(bundled_path(), batch_rows=WEEK_ROWS), folder / "served.csv"
    stream.begin(served)
    for week in range(FIRST_WEEKS):
        stream.reveal(served, week)
    with Workspace(folder) as workspace:
        source = {"kind": "csv", "location": str(served)}
        workspace.add_bot({**BOT, "source": source})
        engine = workspace.engine("demand")
        for week in range(FIRST_WEEKS, FIRST_WEEKS + weeks + 1):
            decision, result = engine.tick(energy=2)
            told = decision.reason if result is None else f"{result.status}: {result.message}"
            print(f"week {week:3} from {stream.label(week - 1)}: {told}")
            if week < FIRST_WEEKS + weeks:
                stream.reveal(served, week)
        tell(workspace, pd.read_csv(served).iloc[FIRST_WEEKS * WEEK_ROWS :])


def tell(workspace: Workspace, rows: pd.DataFrame) -> None:
    """Compare what was served with the first model, kept for ever, on the very same rows."""
    store = workspace.store
    totals = store.snapshot("demand").totals
    usd = workspace.store.bot("demand").economics.loss_usd
    _, kept = workspace.pipeline("demand").score("demand", 1, rows)
    cycles = store.cycles("demand", last=1000)
    spent = sum(cycle.cost_usd for cycle in cycles)
    print(f"{len(cycles)} cycles cost {spent:.2f} USD")
    print(f"served by menace: {totals.loss_sum * usd:,.2f} USD lost, with cycles ", end="")
    print(f"{totals.loss_sum * usd + spent:,.2f} USD")
    print(f"first model kept: {kept.sum() * usd:,.2f} USD lost, its cycle included ", end="")
    print(f"{kept.sum() * usd + cycles[0].cost_usd:,.2f} USD")


def main() -> None:
    """Read the arguments."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path, help="by default a temporary one")
    arguments.add_argument("--weeks", type=int, default=52)
    given = arguments.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="bike-forecast-"))
    care(folder, given.weeks)
    print(f"workspace: {folder}")


if __name__ == "__main__":
    main()
