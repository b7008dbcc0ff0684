"""What an engine remembers of its settled cycles, in memory and in a state file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from menace.accounting.roi_tracker import RoiTracker
from menace.errors import DataError, StateFileError
from menace.self_improvement_policy.recipes import GainBook
from menace.state_file import read_state, write_state
from menace.synergy import SynergyMetrics

if TYPE_CHECKING:
    from pathlib import Path

KIND = "engine"
VERSION = 1


@dataclass(slots=True)
class EngineState:
    """ROI deltas, their EMA, and when the last cycle was.

    Attributes
    ----------
    bot
        Whose state it is.
    roi
        The last 1,000 ROI deltas and their EMA, dimensionless.
    last_cycle_at
        POSIX seconds of the last cycle's begin; ``None`` before the first.
    ledger_id
        The newest ledger entry that has been taken in. What the ledger holds beyond it is taken in
        at the next start, so that a kill between the ledger and this file loses nothing and counts
        nothing twice.
    synergy
        What is kept of the synergy metrics between cycles.
    gains
        What settled cycles gained of what was expected of them, by recipe.
    """

    bot: str
    roi: RoiTracker = field(default_factory=RoiTracker)
    last_cycle_at: float | None = None
    ledger_id: int = 0
    synergy: SynergyMetrics = field(default_factory=SynergyMetrics)
    gains: GainBook = field(default_factory=GainBook)

    @classmethod
    def load(cls, path: Path | None, *, bot: str, alpha: float) -> EngineState:
        """Read the file, or begin afresh if there is none.

        Raises
        ------
        StateFileError
            If the file is torn, foreign (of another bot, too) or newer; it is never reset
            silently.
        """
        data = read_state(path, kind=KIND, version=VERSION) if path is not None else None
        if data is None:
            return cls(bot, roi=RoiTracker(alpha=alpha))
        if data.get("bot") != bot:
            raise StateFileError(
                f"the state file {path} is that of bot {data.get('bot')!r}.",
                bot=bot,
                remedy="give every bot a state_path of its own",
            )
        try:
            deltas = [float(delta) for delta in data["roi_deltas"]]
            ema = None if data["roi_delta_ema"] is None else float(data["roi_delta_ema"])
            at = data["last_cycle_at"]
            return cls(
                bot,
                roi=RoiTracker(alpha=alpha, deltas=deltas, ema=ema),
                last_cycle_at=None if at is None else datetime.fromisoformat(at).timestamp(),
                ledger_id=int(data["ledger_id"]),
                # A file of before there were any begins them afresh.
                synergy=SynergyMetrics.from_json(data.get("synergy", {})),
                gains=GainBook.from_json(data.get("gains", {})),
            )
        except (KeyError, TypeError, ValueError, DataError) as error:
            raise StateFileError(
                f"the state file {path} lacks or garbles a field: {error}.",
                remedy=f"look at it; the state before it is in {path}.bak",
            ) from error

    def save(self, path: Path | None) -> None:
        """Write the file atomically; without a path, do nothing."""
        if path is None:
            return
        write_state(
            path,
            kind=KIND,
            version=VERSION,
            data={
                "bot": self.bot,
                "roi_deltas": list(self.roi.deltas),
                "roi_delta_ema": self.roi.ema,
                "last_cycle_at": iso_utc(self.last_cycle_at),
                "ledger_id": self.ledger_id,
                "synergy": self.synergy.to_json(),
                "gains": self.gains.to_json(),
            },
        )


def iso_utc(at: float | None) -> str | None:
    """POSIX seconds as ISO 8601 in UTC, for people and files."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
