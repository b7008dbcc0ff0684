"""Learn: take settled cycles into the policy, the ROI deltas and the module log, each once."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from menace.accounting.module_roi_log import ModuleRoiLog
from menace.errors import MenaceError
from menace.self_improvement_engine.recipe_notes import note_gain
from menace.synergy.metrics import KEPT_CYCLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from menace.data_bot import DataBot
    from menace.interfaces import Store
    from menace.records import Cycle, LedgerEntry
    from menace.self_improvement_engine.engine_state import EngineState
    from menace.self_improvement_engine.synergy_step import SynergyStep
    from menace.self_improvement_policy import SelfImprovementPolicy

logger = logging.getLogger(__name__)

LEDGER_MEMORY = 1000
ROI_DELTA = "roi_delta"
"""Name of the metric sample that a :class:`~menace.data_bot.DataBot` gets for every entry."""

RECENT_SAMPLES = 100
UNNAMED_MODULE = "model"
"""What a cycle is taken to have changed whose pipeline does not say."""

LARGEST_REWARD = 5.0
"""Policy and synergy learner see the ROI delta within ± this.

A ratio to a cost has no bound: where CPU time is almost free one windfall is worth millions, and an
average over it would call every cycle good for years.
"""


class ModuleLogger(Protocol):
    """Takes in what each settled cycle brought."""

    def log_cycle(
        self, cycle: int, roi: float, modules: Iterable[str] | Mapping[str, float], reason: str
    ) -> object:
        """Note a cycle's ROI delta, and the modules that it changed.

        Called again for the newest cycles after a kill.
        """
        ...


@runtime_checkable
class ModuleRankings(Protocol):
    """Says which modules pay when they are changed; a module logger may, and need not."""

    def rankings(self) -> list[tuple[str, float]]:
        """Modules and the sums of their ROI deltas, best first."""
        ...

    def diminishing(self, threshold: float | None = None, consecutive: int = 3) -> list[str]:
        """Modules that bring nothing any more, each told once until it moves again."""
        ...


@runtime_checkable
class Attributing(Protocol):
    """Can tell the parts of a settled cycle's gain apart; a pipeline may, and need not."""

    def contributions(self, cycle: Cycle, entry: LedgerEntry) -> Mapping[str, float]:
        """Give module → its own contribution, in units of ROI delta; empty: nothing to say."""
        ...


class Learner:
    """Learns from a bot's ledger.

    Policy, engine state, synergy learner and module log remember how far they have come in the
    ledger, each by itself, so that a kill between two of the files neither loses an entry nor
    counts one twice.

    Parameters
    ----------
    store
        Holds the ledger.
    synergy
        Measures each cycle's synergy, and has it learned from.
    pipeline
        Is asked what each module contributed, if it can tell.
    module_log
        The bot's own log of ROI deltas by module.
    meta_logger
        One more, if given.
    data_bot
        Gets a metric sample ``roi_delta`` for every entry, if given.
    """

    def __init__(
        self,
        store: Store,
        synergy: SynergyStep,
        *,
        pipeline: object = None,
        module_log: ModuleRoiLog | None = None,
        meta_logger: ModuleLogger | None = None,
        data_bot: DataBot | None = None,
    ) -> None:
        self._store = store
        self._synergy = synergy
        self._pipeline = pipeline
        self._module_log = ModuleRoiLog() if module_log is None else module_log
        self._meta_logger = meta_logger
        self._data_bot = data_bot

    def catch_up(
        self, bot: str, policy: SelfImprovementPolicy, state: EngineState
    ) -> Iterator[LedgerEntry]:
        """Take in what the ledger holds beyond what was learned, entry by entry.

        Policy and state are to be saved before the next entry is asked for: what one is worth can
        depend on the weights that the synergy learner has after it, which are saved already.
        """
        if not self._module_log.cycles and state.ledger_id:
            self._recall_modules(bot)
        for entry in self._store.ledger(bot, after=state.ledger_id):
            self._teach(policy, state, entry)
            state.roi.add(entry.roi_delta)
            state.ledger_id = entry.entry_id or state.ledger_id
            yield entry

    def recall(self, bot: str, state: EngineState) -> None:
        """Fill a state that no file holds from the ledger, which is the memory then."""
        entries = self._store.ledger(bot, last=LEDGER_MEMORY)
        for entry in entries:
            state.roi.add(entry.roi_delta)
            state.ledger_id = entry.entry_id or state.ledger_id
        for entry in entries[-KEPT_CYCLES:]:
            cycle = self._store.cycle(entry.cycle_id)
            note_gain(state.gains, cycle, entry)
            self._measure(state, cycle, entry, modules_of(cycle))

    def _teach(self, policy: SelfImprovementPolicy, state: EngineState, entry: LedgerEntry) -> None:
        cycle = self._store.cycle(entry.cycle_id)
        note_gain(state.gains, cycle, entry)
        modules = self._contributions(cycle, entry)
        self._measure(state, cycle, entry, modules)
        reward = bounded(entry.roi_delta)
        reward += self._synergy.learn(state.synergy, entry, reward)
        seen = cycle.details.get("policy_state")
        number = entry.entry_id or 0
        # A bot's first cycle replaced nothing: it says nothing about when to run one.
        replaced = cycle.replaced_version is not None
        if seen is not None and replaced and policy.learned_through < number:
            policy.update(tuple(seen), reward, action="run")
        policy.learned_through = max(policy.learned_through, number)
        if self._data_bot is not None and not self._is_sampled(entry):
            self._data_bot.record_metric(entry.bot, ROI_DELTA, entry.roi_delta, entry.at)
        reason = str(cycle.details.get("reason", ""))
        self._module_log.log_cycle(entry.cycle_id, entry.roi_delta, modules, reason)
        if self._meta_logger is not None:
            self._meta_logger.log_cycle(entry.cycle_id, entry.roi_delta, modules, reason)

    def _measure(
        self,
        state: EngineState,
        cycle: Cycle,
        entry: LedgerEntry,
        modules: list[str] | Mapping[str, float],
    ) -> None:
        roi_delta = bounded(entry.roi_delta)
        self._synergy.measure(state.synergy, cycle, entry, roi_delta=roi_delta, modules=modules)

    def _is_sampled(self, entry: LedgerEntry) -> bool:
        """Whether a process recorded the entry's sample that was killed before it could say so."""
        samples = self._store.samples(entry.bot, ROI_DELTA, last=RECENT_SAMPLES)
        return any(s.at == entry.at and s.value == entry.roi_delta for s in samples)

    def _contributions(self, cycle: Cycle, entry: LedgerEntry) -> list[str] | Mapping[str, float]:
        """Say what the cycle changed, and what each part contributed where that can be told."""
        modules = modules_of(cycle)
        if not isinstance(self._pipeline, Attributing) or len(modules) < 2:
            return modules
        try:
            contributed = self._pipeline.contributions(cycle, entry)
        except MenaceError as error:
            # What is only for knowing better must not keep the bot from learning at all.
            logger.warning("cycle %d: its gain is shared equally: %s", cycle.cycle_id, error)
            return modules
        return contributed if set(contributed) == set(modules) else modules

    def _recall_modules(self, bot: str) -> None:
        """Begin a log that is not there with what the ledger holds already."""
        for entry in self._store.ledger(bot, last=LEDGER_MEMORY):
            cycle = self._store.cycle(entry.cycle_id)
            reason = str(cycle.details.get("reason", ""))
            self._module_log.log_cycle(entry.cycle_id, entry.roi_delta, modules_of(cycle), reason)


def bounded(roi_delta: float) -> float:
    """Bound an ROI delta to ±5, as what learns from it sees it."""
    return max(-LARGEST_REWARD, min(LARGEST_REWARD, roi_delta))


def modules_of(cycle: Cycle) -> list[str] | dict[str, float]:
    """Say what a cycle changed: what its pipeline reports, and the helper code it patched.

    The pipeline's ``metrics["modules"]`` is a list of names, or names with contributions in units
    of ROI delta; a patch may name its ``modules`` too. ``["model"]`` where nobody says anything.
    """
    metrics, patch = cycle.details.get("metrics"), cycle.details.get("patch")
    told = metrics.get("modules") if isinstance(metrics, dict) else None
    patched = patch.get("modules") if isinstance(patch, dict) else None
    if isinstance(told, Mapping) and _are_shares(told) and not patched:
        return {str(name): float(figure) for name, figure in told.items()}
    names = [*_names(told), *_names(patched)]
    if not names and (told or patched):
        logger.warning("cycle %d reports modules that are none: %r", cycle.cycle_id, told)
    return names or [UNNAMED_MODULE]


def _are_shares(told: Mapping[Any, Any]) -> bool:
    return all(
        isinstance(name, str)
        and isinstance(figure, int | float)
        and not isinstance(figure, bool)
        and math.isfinite(figure)
        for name, figure in told.items()
    )


def _names(told: Any) -> list[str]:
    if not isinstance(told, list | tuple | dict):
        return []
    return [name for name in told if isinstance(name, str) and name]
