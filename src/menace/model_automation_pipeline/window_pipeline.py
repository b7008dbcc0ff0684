"""What pipelines share whose models are made from a bot's window and kept in the store."""

from __future__ import annotations

import copy
import json
import logging
import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from menace.config import DEFAULT_WIRING, load_dotted
from menace.errors import EnergyError, PackageError, PipelineError, UnknownBotError
from menace.model_automation_pipeline.window_reading import read_rows
from menace.records import AutomationResult, Metric, Package, Task
from menace.self_improvement_policy.recipes import RECENT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from menace.helper_code import HelperCode
    from menace.interfaces import Services
    from menace.model_automation_pipeline.training import TrainingJob, TrainingOutcome
    from menace.records import BotConfig, BotSnapshot, Cycle, Json, LedgerEntry

logger = logging.getLogger(__name__)

MIN_ENERGY, MAX_ENERGY = 1, 100
MOST_TRIALS = 200
"""Trials of earlier searches that a search is told of: the newest so many."""

CHALLENGER = ""
MIN_ROWS = 20
REMEDY = "menace bot add NAME --source FILE --target COLUMN"


class WindowPipeline(ABC):
    """Reads a bot's window, has a challenger made of it, and stores that with the gate's verdict.

    How a challenger is trained and how a model is scored is for the classes that are built on this
    one: :class:`~menace.model_automation_pipeline.ModelAutomationPipeline` for tables,
    :class:`~menace.model_automation_pipeline.CallablePipeline` and
    :class:`~menace.model_automation_pipeline.CommandPipeline` for code of the user's own. Each is a
    :class:`~menace.interfaces.StagedPipeline`.

    Parameters
    ----------
    services
        What it runs on. Without them it asks the workspace around the current folder, when it is
        first used.
    """

    def __init__(self, services: Services | None = None) -> None:
        self._services = services

    def bound_to(self, services: Services) -> Self:
        """Return a pipeline that runs on ``services`` unless this one has its own."""
        if self._services is not None:
            return self
        bound = copy.copy(self)
        bound._services = services
        return bound

    def run(self, bot_name: str, energy: int = 1) -> AutomationResult:
        """Improve a bot, and promote the challenger or reject it.

        Returns
        -------
        AutomationResult
            ``promoted``, ``rejected`` or ``no_data``.

        Raises
        ------
        EnergyError
            If ``energy`` is not an integer in 1..100.
        MenaceError
            Whatever :meth:`improve` raises.
        """
        result = self.improve(bot_name, energy)
        services = self._services
        if services is None or result.package is None:
            return result
        if result.status != "accepted":
            services.store.reject(bot_name, result.package.version)
            return result
        services.store.promote(
            bot_name,
            result.package.version,
            row=services.store.snapshot(bot_name).loop.labelled_rows,
            at=services.clock.now(),
        )
        return replace(result, status="promoted")

    @property
    def helpers(self) -> HelperCode | None:
        """Where the bot's feature helper lies; ``None``: its rows are not extended."""
        return None

    @property
    def windows(self) -> tuple[str, ...]:
        """Which rows it can be told to learn from; see :meth:`improve`."""
        return (RECENT,)

    def improve(
        self,
        bot_name: str,
        energy: int = 1,
        *,
        cycle_id: int | None = None,
        window: str = RECENT,
        commit: str | None = None,
    ) -> AutomationResult:
        """Train, evaluate and package a challenger; it is stored, but does not serve yet.

        Parameters
        ----------
        bot_name
            The bot.
        energy
            Budget, 1..100; one unit buys the bot's ``seconds_per_energy`` CPU-seconds. At 1 the
            champion's configuration is refitted, above 1 there is a search around it.
        cycle_id
            The cycle that this belongs to; a cycle that was resumed does not store a second model.
        window
            One of :attr:`windows`: ``recent`` learns from the bot's window, ``history`` from a
            sample of all rows before it as well, ``either`` from what proves better before the
            hold-out. Where there is hardly more than the window it is all the same.
        commit
            The commit whose feature helper extends the rows, for a pipeline that has one; by
            default the one its repository is on.

        Returns
        -------
        AutomationResult
            ``accepted`` or ``rejected`` by the gate, or ``no_data`` where there is no such bot, no
            source, or fewer than 20 labelled rows. ``roi`` is the expected ROI delta over the
            settlement rows, ``None`` where it is not finite; ``cost_usd`` contains the promotion's
            price where it was accepted.

        Raises
        ------
        EnergyError
            If ``energy`` is not an integer in 1..100.
        PipelineError
            If it knows no such ``window``, or has no feature helper to take at ``commit``.
        HelperCodeError
            If the feature helper is missing at the commit, or fails.
        DataError
            If the window cannot be learned from.
        PackageError
            If the champion was made by a newer version. One whose package is missing or damaged is
            passed over, with a warning in the log.
        """
        if type(energy) is not int or not MIN_ENERGY <= energy <= MAX_ENERGY:
            raise EnergyError(
                f"energy is {energy!r}.",
                bot=bot_name,
                cycle_id=cycle_id,
                remedy=f"give an integer from {MIN_ENERGY} to {MAX_ENERGY}",
            )
        if window not in self.windows:
            raise PipelineError(
                f"the pipeline knows no window {window!r}.",
                bot=bot_name,
                cycle_id=cycle_id,
                remedy=f"give one of {', '.join(self.windows)}",
            )
        services = self._resolved()
        if services is None:
            return _no_data(bot_name, energy, cycle_id, "there is no workspace here")
        try:
            bot = services.store.bot(bot_name)
        except UnknownBotError:
            return _no_data(bot_name, energy, cycle_id, f"there is no bot {bot_name!r}")
        snapshot = services.store.snapshot(bot_name)
        helpers, commit = self._pinned(bot_name, commit)
        looks_back = helpers.at(commit).context_rows if helpers and commit else None
        read = read_rows(services, bot, snapshot, window, context_rows=looks_back)
        rows = 0 if read is None else len(read.window)
        if read is None or rows < MIN_ROWS:
            found = f"the bot has {rows} labelled rows; {MIN_ROWS} are needed"
            return _no_data(bot_name, energy, cycle_id, found, "wait for its source to have more")
        job = self._job(services, bot, snapshot, read.window, energy)
        if helpers is not None:
            job = replace(job, helpers=helpers, commit=commit, context=read.context)
        if read.older is not None:
            job = replace(job, older=read.older, window_choice=window, thin_to=read.thin_to)
        if energy > MIN_ENERGY:
            known = services.store.trials(bot_name, last=MOST_TRIALS, without_cycle=cycle_id)
            job = replace(job, trials=tuple(known))
        return _stored(services, job, self._train(services, job), cycle_id)

    @abstractmethod
    def score(
        self, bot_name: str, version: int, rows: pd.DataFrame
    ) -> tuple[list[str] | list[float], np.ndarray]:
        """Predict labelled rows with one of the bot's models and score them.

        Returns
        -------
        predictions
            Labels as text, or numbers; one for each row.
        losses
            Shape (rows,); those of all models of a bot are in the same units.
        """

    @abstractmethod
    def predict(self, bot_name: str, version: int, rows: pd.DataFrame) -> list[str] | list[float]:
        """Predict rows with one of the bot's models: labels as text, or numbers."""

    def contributions(self, cycle: Cycle, entry: LedgerEntry) -> dict[str, float]:
        """Say what each module contributed that a settled cycle changed.

        The challenger without each change, where the training left such variants, is scored on the
        rows that settled the cycle.

        Returns
        -------
        dict
            Module → contribution, in units of ROI delta; empty where nothing can be said.

        Raises
        ------
        MenaceError
            If rows or packages cannot be read any more.
        """
        from menace.model_automation_pipeline.leave_one_out import contributions, settlement_rows

        metrics = cycle.details.get("metrics", {})
        variants = metrics.get("variants")
        services = self._resolved()
        if services is None or not variants or cycle.version is None or not entry.rows:
            return {}
        bot = services.store.bot(cycle.bot)
        before = self._context_rows(bot.name, cycle.version)
        found = settlement_rows(services, bot, cycle, entry.rows, before=before)
        if not len(found):
            return {}
        context, rows = found.iloc[: -entry.rows], found.iloc[-entry.rows :]
        files = {module: services.artifacts.get(*place) for module, place in variants.items()}
        model = services.store.model(bot.name, cycle.version)
        files[CHALLENGER] = services.artifacts.get(model.artifact, model.sha256)
        losses = {
            module: self._package_losses(bot.name, package, rows, context)
            for module, package in files.items()
        }
        challenger = losses.pop(CHALLENGER)
        return contributions(
            bot, entry, modules=metrics["modules"], challenger=challenger, variants=losses
        )

    def _package_losses(
        self, bot_name: str, files: dict[str, bytes], rows: pd.DataFrame, context: pd.DataFrame
    ) -> np.ndarray:
        """Score rows that follow ``context`` with a package, in the units of :meth:`score`."""
        from menace.model_automation_pipeline.package import load_predictor

        predictor = load_predictor(files, self.helpers)
        return predictor.score(rows, metric=self._metric(bot_name), context=context)[1]

    def _context_rows(self, bot_name: str, version: int) -> int:
        """How many earlier rows a model's features look back on."""
        return 0

    def _pinned(self, bot_name: str, commit: str | None) -> tuple[HelperCode | None, str | None]:
        """Give the helper that a training extends the rows with, and its commit."""
        if self.helpers is None:
            if commit is not None:
                raise PipelineError(
                    "the pipeline has no feature helper.",
                    bot=bot_name,
                    remedy="give it helpers=HelperCode(…), or no commit",
                )
            return None, None
        return self.helpers, self.helpers.head() if commit is None else commit

    @abstractmethod
    def _train(self, services: Services, job: TrainingJob) -> TrainingOutcome:
        """Have a challenger trained, judged and packaged."""

    def _metric(self, bot_name: str) -> Metric | None:
        """Say in which metric models of the bot are compared; ``None``: each in its own."""
        services = self._resolved()
        if services is None:
            return None
        metric = services.store.bot(bot_name).metric
        champion = services.store.snapshot(bot_name).champion_version
        if metric is not None or champion is None:
            return metric
        return Metric(services.store.model(bot_name, champion).manifest["metric"])

    def _resolved(self) -> Services | None:
        if self._services is None:
            self._services = load_dotted(DEFAULT_WIRING)()
        return self._services

    def _job(
        self,
        services: Services,
        bot: BotConfig,
        snapshot: BotSnapshot,
        window: pd.DataFrame,
        energy: int,
    ) -> TrainingJob:
        from menace.model_automation_pipeline.training import TrainingJob
        from menace.model_automation_pipeline.training_seed import training_seed

        champion = None
        if snapshot.champion_version is not None:
            model = services.store.model(bot.name, snapshot.champion_version)
            try:
                champion = services.artifacts.get(model.artifact, model.sha256)
            except PackageError as error:
                # A new model is what mends this, so it must not be what prevents one.
                logger.warning("the challenger is judged as a first model: %s", error)
        row = snapshot.loop.labelled_rows
        return TrainingJob(
            bot=bot,
            window=window,
            row=row,
            champion=champion,
            energy=energy,
            seed=training_seed(bot.seed, row),
            gate_z=services.settings.gate_z,
            counted_budget=services.settings.meter == "counted",
            trends=_trends(services, bot.name) if energy > 1 else {},
        )


def _trends(services: Services, bot: str) -> dict[str, float]:
    """Read which of the bot's modules pay more, or less, than they did."""
    from menace.accounting.module_roi_log import ModuleRoiLog, module_log_path

    if services.state_folder is None:
        return {}
    log = ModuleRoiLog(module_log_path(services.state_folder, bot))
    return {module: trend for module, trend in log.trends().items() if trend is not None}


def _stored(
    services: Services, job: TrainingJob, outcome: TrainingOutcome, cycle_id: int | None
) -> AutomationResult:
    """Store the challenger and say what it is expected to earn."""
    bot, store = job.bot, services.store
    from menace.model_automation_pipeline.target import SURE_ROWS

    fixed = bot.task is not None and bot.metric is not None
    # What a few rows show is a guess: the next training, on more of them, makes it anew.
    if not fixed and (bot.task or len(job.window) >= min(SURE_ROWS, bot.window_rows)):
        _fix_task(services, bot, outcome.manifest)
    artifact, sha256 = services.artifacts.put(bot.name, outcome.files)
    variants = {
        module: services.artifacts.put(bot.name, files)
        for module, files in outcome.variants.items()
    }
    if outcome.search is not None:
        store.add_trials(bot.name, outcome.search.finished, cycle_id=cycle_id)
    model = store.add_model(
        bot.name,
        sha256=sha256,
        artifact=artifact,
        row=job.row,
        at=services.clock.now(),
        cycle_id=cycle_id,
        manifest=outcome.manifest,
    )
    promote = outcome.verdict.promote
    charged_seconds = services.meter.charge(
        measured_seconds=outcome.cpu_seconds, counted_seconds=outcome.counted_seconds
    )
    economics = bot.economics
    cost_usd = charged_seconds * economics.cpu_second_usd
    cost_usd += economics.promotion_usd if promote else 0.0
    gain_usd = outcome.verdict.expected_gain_usd if promote else 0.0
    spent_usd = economics.serving_usd_per_row * bot.settlement_rows + cost_usd
    return AutomationResult(
        status="accepted" if promote else "rejected",
        package=Package(model.version, model.sha256, model.artifact, model.manifest),
        roi=_expected_roi(gain_usd, cost_usd, spent_usd),
        bot=bot.name,
        energy=job.energy,
        cycle_id=cycle_id,
        cpu_seconds=charged_seconds,
        cost_usd=cost_usd,
        metrics={**_metrics(outcome), **_changes(job, outcome), "variants": variants},
        message=outcome.verdict.warning or outcome.verdict.reason,
    )


def _fix_task(services: Services, bot: BotConfig, manifest: Json) -> None:
    # A loss function of the user's own takes any target: there is nothing to be fixed.
    if manifest["metric"] is not None:
        task, metric = Task(manifest["task"]), Metric(manifest["metric"])
        services.store.set_task(bot.name, task=bot.task or task, metric=bot.metric or metric)


def _expected_roi(gain_usd: float, cost_usd: float, spent_usd: float) -> float | None:
    roi = float((gain_usd - cost_usd) / spent_usd) if spent_usd > 0.0 else 0.0
    return roi if math.isfinite(roi) else None


def _metrics(outcome: TrainingOutcome) -> Json:
    return {
        **outcome.comparison.to_json(),
        "gate": outcome.verdict.to_json(),
        "measured_cpu_seconds": outcome.cpu_seconds,
        "counted_cpu_seconds": outcome.counted_seconds,
        "reference_fit_seconds": outcome.reference_fit_seconds,
        "search": None if outcome.search is None else outcome.search.to_json(),
        "family": outcome.manifest["family"],
        "params": outcome.manifest["params"],
        "window": outcome.window,
        "windows": None if outcome.windows is None else outcome.windows.to_json(),
    }


def _changes(job: TrainingJob, outcome: TrainingOutcome) -> Json:
    """Say which modules the challenger changes, against the champion that it would replace."""
    from menace.model_automation_pipeline.changed_modules import changed_modules
    from menace.model_automation_pipeline.package import MANIFEST_FILE

    champion = None if job.champion is None else json.loads(job.champion[MANIFEST_FILE])
    return {"modules": changed_modules(champion, outcome.manifest)}


def _no_data(
    bot: str, energy: int, cycle_id: int | None, why: str, remedy: str | None = None
) -> AutomationResult:
    adding = f"to put a model under care: {REMEDY.replace('NAME', bot)}"
    return AutomationResult(
        status="no_data",
        bot=bot,
        energy=energy,
        cycle_id=cycle_id,
        message=f"{why}; {remedy or adding}",
    )
