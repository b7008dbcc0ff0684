"""What ``menace run --autoscale`` does between two looks at the bots."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from menace.errors import CapitalError, MenaceError
from menace.records import ScalingAction

if TYPE_CHECKING:
    from collections.abc import Callable

    from menace.records import Json, Scaling
    from menace.self_improvement_engine import ImprovementEngineRegistry
    from menace.workspace import Workspace

NOT_APPROVED = "it has not been approved"


def first_engines(workspace: Workspace) -> list[str]:
    """Name the bots that get an engine at the start: those of last time, within the bounds.

    Without a last time it is ``min_engines`` of them, by name: growth has to be earned.

    Raises
    ------
    CapitalError
        If there is no capital that could allow anything.
    """
    if workspace.configured_capital_bot is None:
        raise CapitalError(
            "autoscaling spends capital, and there is none.",
            remedy="menace capital deposit USD, or leave --autoscale out",
        )
    settings = workspace.settings.autoscale
    bots = [bot.name for bot in workspace.store.bots()]
    last = workspace.store.scalings(last=1)
    before = last[0].inputs.get("registered", []) if last else []
    kept = [name for name in before if name in bots][: settings.max_engines]
    missing = max(0, settings.min_engines - len(kept))
    return kept + [name for name in bots if name not in kept][:missing]


class Scaler:
    """Lets a registry grow and shrink as the workspace's settings have it.

    Parameters
    ----------
    workspace, registry
        The registry is one of the workspace's.
    """

    def __init__(self, workspace: Workspace, registry: ImprovementEngineRegistry) -> None:
        self._workspace, self._registry = workspace, registry
        values = dataclasses.asdict(workspace.settings.autoscale)
        asks = values.pop("approval") == "person"
        del values["cooldown_seconds"]  # the registry has it
        self._bounds: dict[str, Any] = values
        self._approval = self._asking() if asks else None
        self._told = ""

    def scale(self) -> Scaling:
        """Look once at the number of engines."""
        return self._registry.autoscale(
            capital_bot=self._workspace.capital_bot,
            data_bot=self._workspace.data_bot,
            factory=self._workspace.engine,
            approval_callback=self._approval,
            **self._bounds,
        )

    def news(self) -> list[tuple[str, str, str]]:
        """Look once; returns ``(bot, kind, sentence)`` of what is new.

        An error is told once, and stops nothing.
        """
        try:
            done = self.scale()
        except MenaceError as error:
            told = str(error)
            news = [] if told == self._told else [("engines", "trouble", told)]
            self._told = told
            return news
        waits = done.action is ScalingAction.WAIT
        told = done.reason if waits else ""
        before, self._told = self._told, told
        if not waits:
            return [(str(done.engine), "scaling", scaling_text(done))]
        if told == NOT_APPROVED and before != told:
            return [("engines", "scaling", "one more waits for approval: menace approvals")]
        return []

    def _asking(self) -> Callable[[], bool]:
        from menace.self_improvement_engine.approval import PersonalApproval

        services = self._workspace.services
        return PersonalApproval(services.store, services.clock, inputs=self._facts)

    def _facts(self) -> Json:
        return {
            "engines": len(self._registry.engines),
            "next": self._registry.next_name(),
            "roi_trend": self._workspace.data_bot.long_term_roi_trend(),
        }


def scaling_text(scaling: Scaling) -> str:
    """Say what was done about the number of engines, and why."""
    from menace.report.wording import counted

    inputs = scaling.inputs
    trend = f"{inputs['roi_trend']:+.3g}".replace("-", "−")
    why = (
        f"{scaling.reason} (energy score {inputs['energy_score']:.2f}, ROI trend {trend}; "
        f"{counted(len(inputs['registered']), 'engine')} now)"
    )
    if scaling.action is ScalingAction.WAIT:
        return f"as many engines as before: {why}"
    return f"engine {scaling.action}d: {why}"
