"""Care for the triage of support tickets, and say what that was worth.

Usage: ``python examples/ticket_triage/run.py [FOLDER] [--ticks N]``
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from pathlib import Path

import pandas as pd
from tickets import make_tickets

from menace.workspace import Workspace

HERE = Path(__file__).parent
FIRST_ROWS, TICK_ROWS = 400, 125
BOT = {
    "name": "triage",
    "target": "team",
    "pipeline": "triage",
    "tick_rows": TICK_ROWS,
    "window_rows": FIRST_ROWS,
    "holdout_rows": 100,
    "settlement_rows": 2 * TICK_ROWS,
    # A ticket that goes astray costs a dollar; a CPU-second, dear, a dollar and a half.
    "economics": {"loss_usd": 1.0, "cpu_second_usd": 1.5},
}


def care(folder: Path, ticks: int) -> None:
    """Reveal the tickets tick by tick to a workspace in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("menace.toml", "train_tickets.py"):
        shutil.copyfile(HERE / name, folder / name)
    tickets, served = make_tickets(FIRST_ROWS + ticks * TICK_ROWS), folder / "served.csv"
    with served.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "team"), *tickets[:FIRST_ROWS]])
    with Workspace(folder) as workspace:
        workspace.add_bot({**BOT, "source": {"kind": "csv", "location": str(served)}})
        engine = workspace.engine("triage")
        for tick in range(ticks + 1):
            decision, result = engine.tick()
            told = decision.reason if result is None else f"{result.status}: {result.message}"
            print(f"tick {tick:2}: {told}")
            if tick < ticks:
                first = FIRST_ROWS + tick * TICK_ROWS
                with served.open("a", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows(tickets[first : first + TICK_ROWS])
        tell(workspace, pd.read_csv(served).iloc[FIRST_ROWS:])


def tell(workspace: Workspace, rows: pd.DataFrame) -> None:
    """Compare what was served with the first model, kept for ever, on the very same rows."""
    store = workspace.store
    totals, cycles = store.snapshot("triage").totals, store.cycles("triage", last=1000)
    _, kept = workspace.pipeline("triage").score("triage", 1, rows)
    spent = sum(cycle.cost_usd for cycle in cycles)
    seconds = sum(cycle.cpu_seconds for cycle in cycles)
    print(f"{len(cycles)} cycles took {seconds:.1f} CPU-seconds and cost {spent:.2f} USD")
    print(f"served by menace: {totals.loss_sum:.0f} of {len(rows)} tickets went astray")
    print(f"first model kept: {kept.sum():.0f}")


def main() -> None:
    """Read the arguments."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path, help="by default a temporary one")
    arguments.add_argument("--ticks", type=int, default=16)
    given = arguments.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="ticket-triage-"))
    care(folder, given.ticks)
    print(f"workspace: {folder}")


if __name__ == "__main__":
    main()
