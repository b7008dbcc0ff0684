"""The workspace: a folder with ``menace.toml``, and the one place that wires concrete classes."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from menace.config import (
    CONFIG_NAME,
    WorkspaceSettings,
    find_workspace,
    read_settings,
    validated_bot,
)
from menace.errors import ConfigError, DataError, WorkspaceError
from menace.interfaces import Services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    import pandas as pd

    from menace.capital_management_bot import CapitalManagementBot
    from menace.data_bot import DataBot
    from menace.interfaces import Clock, CpuMeter, Executor, Pipeline, Store
    from menace.records import BotConfig
    from menace.self_coding_engine import SelfCodingEngine
    from menace.self_improvement_engine import ImprovementEngineRegistry, SelfImprovementEngine

DEFAULT_TOML = """\
# A menace workspace. Every setting has a default; the environment stands above this file
# (MENACE_STORE_URL, MENACE_LOOP__POLL_SECONDS, …).

# store_url = "sqlite:///menace.db"   # relative to this folder
# artifacts = "models"
# state = "state"

[loop]
# poll_seconds = 60.0      # pause of `menace run` between two looks at the sources
# workers = 2              # processes that train; 0 trains in the calling process
# archive_models = 12      # former champions that are scored beside the champion
# issue_severity = 0.9     # an unanswered issue this severe triggers a cycle by itself
# max_history_rows = 20000 # rows of a cycle that learns from all history, at most; 0: never
# search_energy = 0        # 2 or more: the loop may search by itself with this energy
# gate_z = 1.0             # evidence that the gate wants against a challenger, standard errors
# lease_seconds = 900.0
# meter = "measured"       # or "counted": charge CPU time by counted work, repeatable to the bit

# [pipelines.NAME]         # code of your own in place of menace's models: docs/pipelines.md
# kind = "command"         # or "callable", or "object"
# command = ["{python}", "train.py"]

# [coding.BOT]             # helper code that may be patched: docs/self-coding.md
# repository = "bots/alpha"
# targets = ["helpers/*.py"]
# tests = "pytest -q tests"

# [autoscale]              # for `menace run --autoscale`
# max_engines = 5
# approval = "none"        # or "person": menace approvals grant NUMBER
"""

_opened: dict[Path, Workspace] = {}
_opening = threading.Lock()


class Workspace:
    """A folder in which menace keeps its store, its models and its state.

    Use it as a context manager, or call :meth:`close`.

    Parameters
    ----------
    folder
        Holds ``menace.toml``.
    clock, meter, executor
        In place of the system's clock, the configured CPU meter and the configured executor.
    settings
        In place of ``menace.toml`` and the environment, which are not looked at then.

    Raises
    ------
    WorkspaceError
        If the folder is no workspace.
    ConfigError
        If ``menace.toml`` is wrong.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock | None = None,
        meter: CpuMeter | None = None,
        executor: Executor | None = None,
        settings: WorkspaceSettings | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        self.settings = read_settings(self.folder) if settings is None else settings
        self._services = _wire(self.folder, self.settings, clock, meter, executor)

    @classmethod
    def create(cls, folder: Path) -> Path:
        """Write a ``menace.toml`` into ``folder``, which is made if it is missing.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        WorkspaceError
            If there is one already, or the folder cannot be written.
        """
        path = Path(folder) / CONFIG_NAME
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as stream:
                stream.write(DEFAULT_TOML)
        except FileExistsError as error:
            raise WorkspaceError(
                f"{path} exists already.", remedy="use it as it is, or choose another folder"
            ) from error
        except OSError as error:
            raise WorkspaceError(
                f"{path} cannot be written: {error.strerror}.",
                remedy="choose a folder that you may write to",
            ) from error
        return path

    @classmethod
    def find(cls, start: Path | None = None) -> Self:
        """Open the workspace that ``MENACE_HOME`` names, or the one ``start`` lies in.

        Raises
        ------
        WorkspaceError
            If there is none; the remedy is ``menace init``.
        """
        folder = find_workspace(start)
        if folder is None:
            raise WorkspaceError(
                f"there is no {CONFIG_NAME} in {start or Path.cwd()} or above it.",
                remedy="menace init, or name a workspace in MENACE_HOME",
            )
        return cls(folder)

    @property
    def services(self) -> Services:
        """Store, artifacts, sources, executor, bus, clock and meter, wired for this folder."""
        return self._services

    @property
    def store(self) -> Store:
        """The workspace's store."""
        return self._services.store

    @property
    def data_bot(self) -> DataBot:
        """A :class:`~menace.data_bot.DataBot` over the workspace's store, with a robust trend."""
        from menace.data_bot import DataBot

        return DataBot(self.store, clock=self._services.clock, robust_trend=True)

    @property
    def capital_bot(self) -> CapitalManagementBot:
        """A capital bot over the workspace's store, whether or not any money was put in."""
        from menace.capital_management_bot import CapitalManagementBot

        capital = self.settings.capital
        return CapitalManagementBot(
            self.store,
            clock=self._services.clock,
            window_days=capital.window_days,
            runway_scale_days=capital.runway_scale_days,
        )

    @property
    def configured_capital_bot(self) -> CapitalManagementBot | None:
        """The capital bot, if somebody has put money in or set a budget; engines get it then."""
        capital_bot = self.capital_bot
        return capital_bot if capital_bot.is_configured() else None

    def add_bot(self, values: dict[str, Any]) -> BotConfig:
        """Register a bot after a look at its source, so that a mistake shows at once.

        Parameters
        ----------
        values
            The fields of :class:`~menace.records.BotConfig`.

        Raises
        ------
        ConfigError
            Naming the setting that is wrong.
        DataError
            If the source cannot be read or lacks the target or another column.
        DuplicateBotError
            If the name is taken.
        """
        bot = validated_bot(_with_absolute_source(values))
        self._services.pipeline_of(bot)  # so that a wrong name or table shows here
        if bot.source is not None:
            first = self._services.rows_of(bot).read_new(None, max_rows=min(bot.window_rows, 1000))
            if not len(first.frame) and first.position.row == 0:
                raise DataError(
                    f"the source {bot.source.location} has no labelled rows yet.",
                    bot=bot.name,
                    remedy="give a source with at least one row whose target is known",
                )
            if bot.pipeline is None:
                _check_target(bot, first.frame)
        self.store.add_bot(bot)
        return bot

    def engine(self, bot: str, **options: Any) -> SelfImprovementEngine:
        """Make an engine for a bot, on this workspace's services.

        Raises
        ------
        UnknownBotError
            If there is no such bot.
        """
        from menace.self_improvement_engine import SelfImprovementEngine

        self.store.bot(bot)
        options.setdefault("capital_bot", self.configured_capital_bot)
        if bot in self.settings.coding:
            options.setdefault("self_coding_engine", self.coding(bot))
        return SelfImprovementEngine(bot, services=self._services, **options)

    def pipeline(self, bot: str) -> Pipeline:
        """Make the pipeline of a bot, on this workspace's services.

        Raises
        ------
        UnknownBotError
            If there is no such bot.
        ConfigError
            If the bot names a pipeline that ``menace.toml`` does not describe rightly.
        """
        from menace.model_automation_pipeline import ModelAutomationPipeline
        from menace.model_automation_pipeline.window_pipeline import WindowPipeline

        pipeline = self._services.pipeline_of(self.store.bot(bot)) or ModelAutomationPipeline()
        if isinstance(pipeline, WindowPipeline):
            return pipeline.bound_to(self._services)
        return pipeline

    def coding(self, bot: str) -> SelfCodingEngine:
        """Make what patches the helper code of a bot, as ``[coding.BOT]`` describes it.

        Raises
        ------
        UnknownBotError
            If there is no such bot.
        ConfigError
            If ``menace.toml`` has no such table, or a setting in it is wrong.
        """
        from menace.self_coding_engine import SelfCodingEngine, coding_settings
        from menace.self_improvement_engine.patching import cared_bot

        config, table = self.store.bot(bot), self.settings.coding.get(bot)
        if table is None:
            raise ConfigError(
                "menace.toml does not say where its helper code is.",
                bot=bot,
                remedy=f'add a table [coding.{bot}] with repository = "FOLDER"',
            )
        settings = coding_settings(table, where=f"[coding.{bot}]")
        folder = self.folder / settings.repository
        made = SelfCodingEngine(folder, settings=settings, seed=config.seed)
        return made.bound_to(cared_bot(self._services, config))

    def registry(self, names: Sequence[str] | None = None) -> ImprovementEngineRegistry:
        """Make a registry with an engine for every bot of the workspace, or for the named ones.

        Its :meth:`~menace.self_improvement_engine.ImprovementEngineRegistry.autoscale` gives an
        engine to the bot that has gone longest without a decision.

        Raises
        ------
        UnknownBotError
            If a name is that of no bot.
        """
        from menace.self_improvement_engine import ImprovementEngineRegistry

        registry = ImprovementEngineRegistry(
            store=self.store,
            clock=self._services.clock,
            cooldown_seconds=self.settings.autoscale.cooldown_seconds,
            next_name=self._next_bot,
        )
        chosen = [bot.name for bot in self.store.bots()] if names is None else names
        for name in chosen:
            registry.register_engine(name, self.engine(name))
        return registry

    def _next_bot(self, engines: Mapping[str, SelfImprovementEngine]) -> str | None:
        waiting = [bot.name for bot in self.store.bots() if bot.name not in engines]
        return min(waiting, key=self._last_decided, default=None)

    def _last_decided(self, bot: str) -> float:
        decisions = self.store.decisions(bot, last=1)
        return decisions[0].at if decisions else 0.0

    def close(self) -> None:
        """Stop the workers and close the store."""
        self._services.executor.close()
        self._services.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_services(*, store: Store | None = None) -> Services | None:
    """Find what an engine or pipeline runs on that was given nothing.

    Parameters
    ----------
    store
        A store to use in place of the workspace's; then a workspace is not needed.

    Returns
    -------
    Services or None
        Those of the workspace, the same ones at each call; ``None`` outside any workspace.
    """
    folder = find_workspace()
    if folder is None:
        if store is None:
            return None
        wired = _wire(Path.cwd(), WorkspaceSettings(), None, None, None, store=store)
        return dataclasses.replace(wired, state_folder=None)
    with _opening:
        if folder not in _opened:
            _opened[folder] = Workspace(folder)
        services = _opened[folder].services
    return services if store is None else dataclasses.replace(services, store=store)


def _wire(
    folder: Path,
    settings: WorkspaceSettings,
    clock: Clock | None,
    meter: CpuMeter | None,
    executor: Executor | None,
    *,
    store: Store | None = None,
) -> Services:
    from menace.data_sources import rows_of
    from menace.events.in_process_event_bus import InProcessEventBus
    from menace.execution.inline_executor import InlineExecutor
    from menace.execution.process_pool import ProcessPool
    from menace.execution.system import CountedCpu, MeasuredCpu, SystemClock
    from menace.storage.folder_artifact_store import FolderArtifactStore
    from menace.storage.registry import open_store

    workers = settings.loop.workers
    if meter is None:
        meter = CountedCpu() if settings.loop.meter == "counted" else MeasuredCpu()
    if executor is None:
        executor = ProcessPool(workers) if workers > 0 else InlineExecutor()
    return Services(
        store=store if store is not None else open_store(settings.store_url, folder=folder),
        artifacts=FolderArtifactStore(folder / settings.artifacts),
        rows_of=lambda bot: rows_of(bot, folder),
        executor=executor,
        event_bus=InProcessEventBus(),
        clock=clock or SystemClock(),
        meter=meter,
        settings=settings.loop,
        state_folder=folder / settings.state,
        pipeline_of=lambda bot: _named_pipeline(bot, settings, folder),
    )


def _named_pipeline(bot: BotConfig, settings: WorkspaceSettings, folder: Path) -> Pipeline | None:
    from menace.model_automation_pipeline.pipeline_registry import open_pipeline

    if bot.pipeline is None:
        return _helped_pipeline(bot, settings, folder)
    return open_pipeline(bot.pipeline, settings.pipelines, folder=folder, bot=bot.name)


def _helped_pipeline(bot: BotConfig, settings: WorkspaceSettings, folder: Path) -> Pipeline | None:
    """Make the built-in pipeline with the bot's feature helper; ``None`` where it has none."""
    from menace.helper_code import HelperCode
    from menace.model_automation_pipeline import ModelAutomationPipeline
    from menace.self_coding_engine import coding_settings

    table = settings.coding.get(bot.name)
    if table is None:
        return None
    coding = coding_settings(table, where=f"[coding.{bot.name}]")
    if coding.features is None:
        return None
    return ModelAutomationPipeline(
        helpers=HelperCode.parse(folder / coding.repository, coding.features)
    )


def _check_target(bot: BotConfig, rows: pd.DataFrame) -> None:
    """Refuse a task or metric that the target does not fit; one class alone may be too few rows."""
    from menace.model_automation_pipeline.target import Target

    if len(rows) and rows[bot.target].nunique() > 1:
        Target.detect(rows, bot)


def _with_absolute_source(values: dict[str, Any]) -> dict[str, Any]:
    """Read a relative path as meant from the current folder, not from the workspace's."""
    source = values.get("source")
    if not isinstance(source, dict) or source.get("kind") not in {"csv", "parquet"}:
        return values
    # Not resolved: a link that points to a newer file tomorrow is meant as the link it is.
    location = str(Path(str(source["location"])).expanduser().absolute())
    return {**values, "source": {**source, "location": location}}
