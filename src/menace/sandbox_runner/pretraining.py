"""Pre-train a bot's policy from a replayed history, before the bot goes live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.errors import ConfigError, CycleConflictError, DataError
from menace.sandbox_runner.counterfactuals import counterfactual_evidence
from menace.self_improvement_engine.lease import lease, process_identity
from menace.self_improvement_engine.organs import new_policy, policy_path
from menace.self_improvement_policy import PolicyState, SelfImprovementPolicy
from menace.self_improvement_policy.prior import shipped_prior

if TYPE_CHECKING:
    from pathlib import Path

    from menace.interfaces import Services
    from menace.sandbox_runner.replaying import Replay
    from menace.self_improvement_policy.prior import Cell, LearnedPrior


@dataclass(frozen=True, slots=True)
class CellChange:
    """What the history taught about a cell of debt and age.

    Attributes
    ----------
    debt, age
        Buckets of :class:`~menace.self_improvement_policy.state.PolicyState`.
    ticks
        Different ticks at which a model stood there.
    advantage
        Mean advantage of running over waiting, in cycle costs.
    before, after
        First value of Q(run) there, in ROI delta.
    """

    debt: int
    age: int
    ticks: int
    advantage: float
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What a pre-training came to.

    Attributes
    ----------
    policy
        The file that was written.
    changes
        One for each cell that the history met, in the order of the cells.
    borne_out_ratio
        Share of the evidence, by weight, in which rent-or-buy has the sign of the advantage, 0..1.
    live_states
        States that the policy had learned from live cycles already; they stay as they are.
    """

    policy: Path
    changes: tuple[CellChange, ...]
    borne_out_ratio: float
    live_states: int


def pretrain(services: Services, replayed: Replay, *, force: bool = False) -> Pretraining:
    """Teach a bot's policy what its own history would have paid, under the bot's lease.

    For every model of an archive and every tick, the advantage of running over waiting is known
    after the fact (:mod:`~menace.sandbox_runner.counterfactuals`). Pooled with the prior that ships
    with the package it becomes the bot's own prior, in the policy's state file; doing it again
    replaces what an earlier history taught.

    Parameters
    ----------
    services
        Of the live workspace.
    replayed
        The bot's replay, at its own prices.
    force
        Go on although the policy has learned from live cycles, whose rows may be part of the
        history: they count twice then.

    Raises
    ------
    ConfigError
        If the policy has learned from live cycles and ``force`` is not given, or the workspace
        keeps no state.
    DataError
        If the history shows nothing, because its cycles cost nothing or rows are worth nothing.
    CycleConflictError
        If another process cares for the bot at this moment.
    StateFileError
        If the policy's file is damaged or cannot be written; the old one stays.
    """
    bot = replayed.bot
    if services.state_folder is None:
        raise ConfigError(
            "there is no folder to keep the policy in.", bot=bot.name, remedy="menace init"
        )
    own = _evidence(replayed, models=1 + services.settings.archive_models)
    path = policy_path(services.state_folder, bot.name)
    with lease(
        services.store,
        bot.name,
        owner=f"{process_identity()}/pretraining",
        seconds=services.settings.lease_seconds,
        clock=services.clock,
    ) as held:
        if not held:
            raise CycleConflictError(
                "another process cares for this bot at the moment.",
                bot=bot.name,
                remedy="wait for it to finish, or stop it",
            )
        policy = SelfImprovementPolicy.load(path) if path.exists() else new_policy(0)
        if len(policy) and not force:
            raise ConfigError(
                f"its policy has learned from live cycles already, in {len(policy)} states.",
                bot=bot.name,
                remedy=f"menace replay {bot.name} --train --force; what the cycles taught stays",
            )
        before = {cell: policy.prior_score(_state(cell)) for cell in own.evidence}
        policy.prior = shipped_prior().plus(own)
        policy.save(path)
    return Pretraining(
        policy=path,
        changes=tuple(
            CellChange(
                *cell,
                ticks=int(found.weight),
                advantage=found.advantage,
                before=before[cell],
                after=policy.prior_score(_state(cell)),
            )
            for cell, found in own.evidence.items()
        ),
        borne_out_ratio=_borne_out(own),
        live_states=len(policy),
    )


def _evidence(replayed: Replay, *, models: int) -> LearnedPrior:
    bot = replayed.bot
    tick_usd = bot.tick_rows * bot.economics.loss_usd
    own = None
    if tick_usd > 0:
        own = counterfactual_evidence(replayed.table, tick_usd=tick_usd, models=models)
    if not own:
        raise DataError(
            "its history teaches nothing: its cycles, or its losses, cost nothing.",
            bot=bot.name,
            remedy="give it prices: --cpu-second-usd and --loss-usd of menace bot add",
        )
    return own


def _borne_out(own: LearnedPrior) -> float:
    """Say how much of the evidence has the sign of the rule."""
    rule = SelfImprovementPolicy()
    agreed = sum(
        found.weight
        for cell, found in own.evidence.items()
        if rule.score(_state(cell)) * found.advantage > 0
    )
    return agreed / sum(found.weight for found in own.evidence.values())


def _state(cell: Cell) -> PolicyState:
    """Stand for all states of a cell; the prior does not look at the other figures."""
    return PolicyState(*cell, drift=0, short_mean=2, ema=2, energy=1, module_trend=1)
