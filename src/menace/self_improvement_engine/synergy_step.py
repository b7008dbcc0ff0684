"""Measure the synergy of a bot's parts when a cycle is settled, learn from it, and weigh it."""

from __future__ import annotations

from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Protocol

from menace.accounting.module_roi_log import shared
from menace.records import IssueKind, MetricSample
from menace.self_improvement_engine.observation import LOSS
from menace.synergy import SettledCycle, Shock, SynergyMetrics, SynergyWeightLearner, synergy_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from menace.interfaces import Store
    from menace.records import Cycle, Decision, LedgerEntry

KAPPA = 0.1
"""Weight κ of the synergy sum in the policy's reward."""

VOLATILITY_TICKS = 20
SAMPLES = 2000
"""So many newest loss samples, of all models of a bot, are looked through."""


class SynergyLearner(Protocol):
    """Learns how much each synergy metric counts.

    One that has an attribute ``learned_through`` (int, 0 at first) finds there, before each update,
    the ledger entry it is about to learn from. If it keeps that with what it learned, no entry is
    learned from twice, wherever the process is killed.
    """

    @property
    def weights(self) -> Mapping[str, float]:
        """Weights ``roi``, ``efficiency``, ``resilience``, ``antifragility``, each 0..10."""
        ...

    def update(self, roi_delta: float, deltas: Mapping[str, float]) -> object:
        """Learn from a settled cycle: its ROI delta, and the rolling change of each metric."""
        ...


class SynergyStep:
    """The synergy part of learning from a bot's ledger.

    Parameters
    ----------
    store
        Holds cycles and loss samples, and gets a sample per metric and cycle.
    learner
        Gives the bot's learner.
    update
        Has the learner learn from a cycle's ROI delta and the state's newest changes.
    kappa
        Weight κ of the synergy sum in the reward.
    """

    def __init__(
        self,
        store: Store,
        learner: Callable[[], SynergyLearner],
        update: Callable[[float], None],
        *,
        kappa: float = KAPPA,
    ) -> None:
        self._store = store
        self._learner = learner
        self._update = update
        self._kappa = kappa

    def measure(
        self,
        metrics: SynergyMetrics,
        cycle: Cycle,
        entry: LedgerEntry,
        *,
        roi_delta: float,
        modules: list[str] | Mapping[str, float],
    ) -> None:
        """Measure a settled cycle; ``roi_delta`` is that of the entry, bounded."""
        shares = shared(entry.roi_delta, modules)
        if entry.roi_delta != roi_delta:
            scale = roi_delta / entry.roi_delta
            shares = {name: share * scale for name, share in shares.items()}
        shock = Shock(**cycle.details.get("shock", {}))
        metrics.observe(
            SettledCycle(
                entry_id=entry.entry_id or 0,
                roi_delta=roi_delta,
                gain_usd=entry.gain_usd,
                cpu_seconds=cycle.cpu_seconds,
                shares=shares,
                shock=shock,
                loss_settled=None if shock.loss_peak is None else self._loss(cycle, entry),
            )
        )

    def learn(self, metrics: SynergyMetrics, entry: LedgerEntry, roi_delta: float) -> float:
        """Learn from the cycle that was measured last, once; returns what it adds to the reward.

        That is κ · the synergy sum under the weights as they are after the update. A learner that
        keeps the entry with its weights gives the same sum again after a kill.
        """
        learner, number = self._learner(), entry.entry_id or 0
        known = getattr(learner, "learned_through", None)
        if known is None or known < number:
            self._store_samples(metrics, entry)
            if known is not None:
                learner.learned_through = number  # type: ignore[attr-defined]
            self._update(roi_delta)
        return self._kappa * synergy_sum(learner.weights, metrics.deltas())

    def _loss(self, cycle: Cycle, entry: LedgerEntry) -> float | None:
        """Mean loss of the cycle's model over the ticks of its settlement; None if it had none."""
        if cycle.version is None or cycle.ended_at is None:
            return None
        ticks = [
            (sample.value, sample.rows)
            for sample in self._store.samples(cycle.bot, LOSS, last=SAMPLES)
            if sample.version == cycle.version and cycle.ended_at <= sample.at <= entry.at
        ]
        rows = sum(count for _, count in ticks)
        return sum(loss * count for loss, count in ticks) / rows if rows else None

    def _store_samples(self, metrics: SynergyMetrics, entry: LedgerEntry) -> None:
        """Store a sample of each metric, unless that was done before a kill."""
        newest = self._store.samples(entry.bot, "synergy_roi", last=1)
        if newest and newest[0].at >= entry.at:
            return
        self._store.add_samples(
            [
                MetricSample(entry.bot, name, entry.at, value)
                for name, value in metrics.cycles[-1][1].items()
                if value is not None
            ]
        )


def default_learner(state_folder: Path | None, bot: str) -> SynergyWeightLearner:
    """Make the learner of a bot that was given none, kept beside its other state."""
    path = None if state_folder is None else state_folder / f"{bot}.synergy.json"
    return SynergyWeightLearner(path)


def shock_of(store: Store, decision: Decision) -> Shock:
    """Say what the bot suffers at the moment of a decision: its drift, and how its loss swings."""
    champion = decision.inputs.get("champion_version")
    losses = [
        sample.value
        for sample in store.samples(decision.bot, LOSS, last=SAMPLES)
        if sample.version == champion
    ][-VOLATILITY_TICKS:]
    mean = fmean(losses) if losses else 0.0
    drifts = [
        issue
        for issue in decision.inputs.get("issues", ())
        if issue["kind"] == IssueKind.DRIFT.value
    ]
    severest = max(drifts, key=lambda issue: float(issue["severity"]), default=None)
    evidence = {} if severest is None else severest["evidence"]
    return Shock(
        drift_severity=0.0 if severest is None else float(severest["severity"]),
        loss_before=evidence.get("mean_before"),
        loss_peak=evidence.get("mean_after"),
        loss_volatility=pstdev(losses) / mean if len(losses) >= 2 and mean > 0 else 0.0,
    )
