"""A pipeline that is a command line: any language, any library, a process of its own."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menace.config import load_dotted, validated_settings
from menace.errors import ConfigError
from menace.model_automation_pipeline.command_exchange import Exchange
from menace.model_automation_pipeline.user_code import LossFunction, Predicted, Trained
from menace.model_automation_pipeline.user_code_pipeline import UserCodePipeline
from menace.supervision.supervised_command import Limits, run_supervised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    import pandas as pd

    from menace.interfaces import Services
    from menace.model_automation_pipeline.user_code import Request
    from menace.records import BotConfig, Json

TRAIN, PREDICT = "train", "predict"
DEFAULT_TIME_LIMIT_SECONDS = 3600.0
DEFAULT_OUTPUT_LIMIT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """``kind = "command"`` in ``menace.toml``.

    Attributes
    ----------
    command
        Program and arguments.
    predict
        The same for predicting; by default the same command.
    loss
        ``package.module:function``, or left out: the bot's metric.
    refit
        Train once more on the whole window.
    time_limit_seconds
        On the clock, for one run of the command, > 0.
    memory_limit_mb
        Resident, of all its processes, in 2²⁰ bytes, > 0.
    """

    command: tuple[str, ...]
    predict: tuple[str, ...] | None = None
    loss: str | None = None
    refit: bool = True
    time_limit_seconds: float = DEFAULT_TIME_LIMIT_SECONDS
    memory_limit_mb: float | None = None


@dataclass(frozen=True, slots=True)
class CommandCode:
    """Two command lines, and what holds them within bounds.

    Attributes
    ----------
    folder
        Where they run.
    """

    train_command: tuple[str, ...]
    predict_command: tuple[str, ...]
    loss_function: LossFunction | str | None
    folder: Path
    limits: Limits

    @property
    def kind(self) -> str:
        """What the manifest calls its models."""
        return "command"

    @property
    def loss(self) -> LossFunction | None:
        """Scores rows in place of the bot's metric, if given."""
        if isinstance(self.loss_function, str):
            function: LossFunction = load_dotted(self.loss_function, folder=self.folder)
            return function
        return self.loss_function

    @property
    def functions(self) -> tuple[object, ...]:
        """What a worker must be able to import."""
        return (self.loss_function,)

    def train(self, rows: pd.DataFrame, request: Request) -> Trained:
        """Have the command make a model of labelled rows.

        Raises
        ------
        PipelineError
            If the command fails, passes a limit, or leaves something else than it should.
        """
        document: Json = {
            "energy": request.energy,
            "seconds": request.seconds,
            "seed": request.seed,
        }
        with _exchange(request.bot) as exchange:
            exchange.prepare(rows, _request(TRAIN, request.bot, document), {})
            used = self._run(self.train_command, exchange, TRAIN, document)
            return Trained(exchange.artifact(), used, exchange.metrics())

    def predict(self, files: Mapping[str, bytes], rows: pd.DataFrame, bot: BotConfig) -> Predicted:
        """Have the command predict rows with a model that :meth:`train` made.

        Raises
        ------
        PipelineError
            If the command fails, passes a limit, or leaves something else than it should.
        """
        with _exchange(bot) as exchange:
            exchange.prepare(rows, _request(PREDICT, bot, {}), files)
            used = self._run(self.predict_command, exchange, PREDICT, {})
            return Predicted(exchange.predictions(len(rows)), used)

    def _run(
        self, command: tuple[str, ...], exchange: Exchange, step: str, document: Json
    ) -> float:
        report = run_supervised(
            command,
            cwd=self.folder,
            environment=_environment(exchange, step, document),
            limits=self.limits,
            bot=exchange.bot,
        )
        return report.cpu_seconds


class CommandPipeline(UserCodePipeline):
    """Makes a bot's models with a command.

    Everything around it is what tables have: window, hold-out, gate on paired losses, artifact
    store, archive, rollback, counterfactual settlement, cycles that go on after a kill. The command
    gets a folder with ``rows.csv`` and ``request.json`` and leaves its model in ``artifact/`` there
    and, if it likes, figures in ``metrics.json``; asked to predict, it finds its model in
    ``artifact/`` and leaves ``predictions.csv``. The environment says the rest:

    ================== ==================================================================
    ``MENACE_STEP``    ``train`` or ``predict``
    ``MENACE_FOLDER``  the folder
    ``MENACE_BOT``     the bot's name
    ``MENACE_ENERGY``  budget of the cycle, 1..100 (training only, as are the next two)
    ``MENACE_SECONDS`` CPU-seconds that this training should take
    ``MENACE_SEED``    of everything random
    ================== ==================================================================

    The CPU time of the command and of every process that stems from it is charged. Ctrl-C, a limit
    that is passed, and the death of menace end all of them. Safe to share between threads and bots.

    Parameters
    ----------
    command
        Program and arguments; no shell reads them. The argument ``{python}`` stands for the Python
        that menace runs on.
    predict
        The same for predicting; by default the same command.
    loss
        ``loss(truth, predictions)``, or its dotted path; by default the bot's metric.
    refit
        Train once more, on the whole window, after the model was judged.
    time_limit_seconds
        On the clock, for one run of the command, > 0.
    memory_limit_mb
        Resident, of all its processes together, in 2²⁰ bytes, > 0; Linux only.
    output_limit_bytes
        Of what it prints, the last so many bytes are kept for the error's message, ≥ 0.
    folder
        Where it runs; by default the current folder.
    services
        What it runs on; by default those of the engine, or of the workspace around the current
        folder.

    Raises
    ------
    ConfigError
        If a command is no list of arguments, or a limit is not positive.

    Examples
    --------
    >>> pipeline = CommandPipeline(["Rscript", "model.R"], time_limit_seconds=600)
    >>> CommandPipeline("Rscript model.R")
    Traceback (most recent call last):
        ...
    menace.errors.ConfigError: the command 'Rscript model.R' is no list of arguments. \
Remedy: write it as ["program", "argument", …]; no shell reads it
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        predict: Sequence[str] | None = None,
        loss: LossFunction | str | None = None,
        refit: bool = True,
        time_limit_seconds: float = DEFAULT_TIME_LIMIT_SECONDS,
        memory_limit_mb: float | None = None,
        output_limit_bytes: int = DEFAULT_OUTPUT_LIMIT_BYTES,
        folder: Path | None = None,
        services: Services | None = None,
    ) -> None:
        for name, limit in (
            ("time_limit_seconds", time_limit_seconds),
            ("memory_limit_mb", memory_limit_mb),
        ):
            if limit is not None and not 0 < limit < float("inf"):
                raise ConfigError(f"{name} is {limit}.", remedy="give a number > 0")
        if output_limit_bytes < 0:
            raise ConfigError(
                f"output_limit_bytes is {output_limit_bytes}.", remedy="give 0 or more"
            )
        memory_bytes = None if memory_limit_mb is None else int(memory_limit_mb * 2**20)
        train_command = _arguments(command)
        code = CommandCode(
            train_command=train_command,
            predict_command=train_command if predict is None else _arguments(predict),
            loss_function=loss,
            folder=(Path.cwd() if folder is None else Path(folder)).absolute(),
            limits=Limits(time_limit_seconds, memory_bytes, output_limit_bytes),
        )
        super().__init__(code, refit=refit, services=services)

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], *, folder: Path, where: str) -> Self:
        """Make the pipeline that a table of ``menace.toml`` describes.

        Raises
        ------
        ConfigError
            If a setting is missing, unknown or wrong.
        """
        settings: CommandSettings = validated_settings(CommandSettings, values, where=where)
        if settings.loss is not None:
            load_dotted(settings.loss, folder=folder)  # now, and not in the middle of a cycle
        return cls(
            settings.command,
            predict=settings.predict,
            loss=settings.loss,
            refit=settings.refit,
            time_limit_seconds=settings.time_limit_seconds,
            memory_limit_mb=settings.memory_limit_mb,
            folder=folder,
        )


@contextmanager
def _exchange(bot: BotConfig) -> Iterator[Exchange]:
    """Give a folder of one's own, gone afterwards whatever the command made of it."""
    with tempfile.TemporaryDirectory(prefix="menace-", ignore_cleanup_errors=True) as folder:
        yield Exchange(Path(folder), bot.name)


def _request(step: str, bot: BotConfig, document: Json) -> Json:
    return {"step": step, "bot": bot.name, "target": bot.target, "time": bot.time, **document}


def _environment(exchange: Exchange, step: str, document: Json) -> dict[str, str]:
    # Settings of menace may hold a database's password; the command is told what it needs.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MENACE_")}
    told = {f"MENACE_{name.upper()}": str(value) for name, value in document.items()}
    return {
        **kept,
        "MENACE_STEP": step,
        "MENACE_FOLDER": str(exchange.folder),
        "MENACE_BOT": exchange.bot,
        **told,
    }


def _arguments(command: Sequence[str]) -> tuple[str, ...]:
    plain = not isinstance(command, str) and all(isinstance(part, str) for part in command)
    if not plain or not command or any("\0" in part for part in command):
        raise ConfigError(
            f"the command {command!r} is no list of arguments.",
            remedy='write it as ["program", "argument", …]; no shell reads it',
        )
    return tuple(command)
