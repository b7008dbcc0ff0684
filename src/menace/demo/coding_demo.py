"""Run the demonstration of self-coding: a bot whose code is patched, beside one left alone."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from menace.config import LoopSettings, WorkspaceSettings
from menace.demo.demo import BOT, SETTLEMENT_TICKS, TICK_ROWS, WINDOW_TICKS, fresh_folder
from menace.demo.stream import Stream, bundled_path
from menace.errors import ConfigError, DataError
from menace.sandbox_runner.live import run_live
from menace.self_coding_engine.git_command import GitCommand
from menace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.patches import Patch
    from menace.records import Json

CODE = Path("examples") / "bike_helpers" / "code"
WEEKS = 60
ENERGY = 30
"""Energy of an attempt at patching: CPU-seconds, since a unit buys one."""

CPU_SECOND_USD = 0.01
PROMOTION_USD = 2.0
"""CPU time at several hundred times its usual price, and somebody who looks at every new model."""


@dataclass(frozen=True, slots=True)
class Lived:
    """What a bot cost over the weeks, USD."""

    name: str
    cycles: int
    loss_usd: float
    cycle_usd: float

    @property
    def total_usd(self) -> float:
        """Losses and cycles together."""
        return self.loss_usd + self.cycle_usd


@dataclass(frozen=True, slots=True)
class CodingDemoResult:
    """What the demonstration came to.

    Attributes
    ----------
    patched, left_alone
        The bot whose code was patched, and the same bot without.
    patches
        All that were tried, oldest first.
    seconds
        Wall time.
    """

    title: str
    folder: Path
    bot: str
    patched: Lived
    left_alone: Lived
    patches: tuple[Patch, ...]
    seconds: float


def run_coding_demo(
    folder: Path,
    *,
    weeks: int = WEEKS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> CodingDemoResult:
    """Show how a bot's code is patched, and what that was worth.

    Parameters
    ----------
    folder
        Where the workspace and the bot's repository are made; an earlier demonstration there is
        replaced.
    weeks
        Weeks that are lived through after the first window.
    seed
        Seed of everything random.
    progress
        Called as ``progress(done, total)``.

    Raises
    ------
    ConfigError
        If the stream has fewer weeks.
    WorkspaceError
        If the folder holds something that is not a demonstration's.
    """
    began = time.monotonic()
    stream = Stream.read(bundled_path(), batch_rows=TICK_ROWS)
    if not 2 <= weeks <= len(stream.batches) - WINDOW_TICKS:
        raise ConfigError(
            f"{weeks} weeks were asked for.",
            remedy=f"give from 2 to {len(stream.batches) - WINDOW_TICKS}",
        )
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, 2 * weeks)

    patched = _live(folder, stream, weeks=weeks, seed=seed, energy=ENERGY, step=step)
    with tempfile.TemporaryDirectory() as aside:
        alone = _live(Path(aside) / "alone", stream, weeks=weeks, seed=seed, energy=0, step=step)
    with Workspace(folder) as workspace:
        patches = tuple(workspace.store.patches(BOT, last=1000))
    return CodingDemoResult(
        title=f"{weeks} weeks of bike rentals, with helper code that menace may patch",
        folder=folder,
        bot=BOT,
        patched=patched,
        left_alone=alone,
        patches=patches,
        seconds=time.monotonic() - began,
    )


def bundled_code() -> Path:
    """Find the bot's code in the checkout that this package is installed from.

    Raises
    ------
    DataError
        If menace was not installed from a checkout.
    """
    for folder in Path(__file__).resolve().parents:
        if (folder / CODE / "helpers").is_dir():
            return folder / CODE
    raise DataError(
        f"{CODE} is not beside this installation.",
        remedy="clone the repository and run ./scripts/demo --coding there",
    )


def _live(
    folder: Path,
    stream: Stream,
    *,
    weeks: int,
    seed: int,
    energy: int,
    step: Callable[[], None],
) -> Lived:
    """Care for the bot over the weeks, with this energy for patching."""
    file = fresh_folder(folder, stream)
    _make_repository(folder / "code")
    coding: Json = {
        "repository": "code",
        "features": "helpers/features.py:features",
        "energy": energy,
        "energy_share": 0.0,
    }
    (folder / "menace.toml").write_text(_TOML.format(energy=energy), encoding="utf-8")
    settings = WorkspaceSettings(loop=LoopSettings(workers=0), coding={BOT: coding})
    with Workspace(folder, settings=settings) as workspace:
        bot = workspace.add_bot(
            {
                "name": BOT,
                "source": {"kind": "csv", "location": str(file.absolute())},
                "target": "busy",
                "drop": ("cnt", "dteday"),
                "tick_rows": TICK_ROWS,
                "window_rows": WINDOW_TICKS * TICK_ROWS,
                "holdout_rows": TICK_ROWS,
                "settlement_rows": SETTLEMENT_TICKS * TICK_ROWS,
                "seed": seed,
                "economics": {
                    "loss_usd": 1.0,
                    "cpu_second_usd": CPU_SECOND_USD,
                    "promotion_usd": PROMOTION_USD,
                },
            }
        )
        lived = run_live(
            workspace.engine(BOT),
            workspace.store,
            bot,
            reveal=lambda batch: stream.reveal(file, batch),
            label=stream.label,
            first=WINDOW_TICKS,
            ticks=WINDOW_TICKS + weeks,
            done=step,
        )
        # The first cycle's too: what was patched before the first week is paid for.
        spent = sum(cycle.cost_usd for cycle in workspace.store.cycles(BOT, last=10_000))
        return Lived(
            name="code patched" if energy else "code left alone",
            cycles=sum(tick.cycles for tick in lived),
            loss_usd=sum(tick.loss_usd for tick in lived),
            cycle_usd=spent,
        )


def _make_repository(folder: Path) -> None:
    """Copy the bot's code and commit it."""
    shutil.copytree(
        bundled_code(), folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache")
    )
    git = GitCommand(folder)
    git.output("init", "--quiet", "--initial-branch=main")
    git.output("add", "--all")
    git.output("commit", "--quiet", "--message", "The bot's code, as it was found")


_TOML = """\
# The workspace of the demonstration of self-coding.
[loop]
workers = 0

[coding.bikes]
repository = "code"
features = "helpers/features.py:features"
energy = {energy}
energy_share = 0.0
"""
