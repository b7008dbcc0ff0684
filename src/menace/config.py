"""Settings: ``menace.toml`` < environment (``MENACE_…``) < arguments; and the late-bound wiring."""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from menace.errors import ConfigError, WorkspaceError
from menace.records import BotConfig, Economics

if TYPE_CHECKING:
    from pydantic import TypeAdapter

CONFIG_NAME = "menace.toml"
HOME_VARIABLE = "MENACE_HOME"
DEFAULT_WIRING = "menace.workspace:open_services"
"""What an engine or a pipeline that was given no store asks for one: see docs/adr/0004."""

_PATH_LOCK = threading.Lock()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_POSITIVE_INTEGERS = (
    "tick_rows",
    "window_rows",
    "holdout_rows",
    "settlement_rows",
    "label_wait_rows",
)


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How the loop decides and spends; ``[loop]`` in ``menace.toml``.

    Attributes
    ----------
    poll_seconds
        Pause of ``menace run`` between two looks at the sources.
    lease_seconds
        After so long without a renewal a bot's lease is free again.
    archive_models
        Former champions that are scored beside the champion, and can be rolled back to.
    issue_severity
        An unanswered issue at or above this triggers a cycle by itself, 0..1.
    max_history_rows
        A cycle that learns from all history uses so many rows at most, sampled evenly from what is
        older than the window; 0 never learns from more than the window.
    search_energy
        Energy of a search that the loop may run by itself where one is judged best; below 2, none.
    gate_z
        Rejection needs so many standard errors of evidence against the challenger.
    workers
        Processes that train; 0 trains in the calling process.
    meter
        ``measured`` charges CPU time as measured, ``counted`` at a published rate per unit of
        work, which repeats to the bit.
    """

    poll_seconds: float = 60.0
    lease_seconds: float = 900.0
    archive_models: int = 12
    issue_severity: float = 0.9
    max_history_rows: int = 20_000
    search_energy: int = 0
    gate_z: float = 1.0
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    meter: str = "measured"


@dataclass(frozen=True, slots=True)
class CapitalSettings:
    """How the capital is judged; ``[capital]`` in ``menace.toml``.

    Attributes
    ----------
    window_days
        Days over which spending, profit trend and volatility are taken, ≥ 1.
    runway_scale_days
        Days of capital that give 63 % of the energy score's runway factor, > 0.
    """

    window_days: int = 30
    runway_scale_days: float = 10.0


@dataclass(frozen=True, slots=True)
class AutoscaleSettings:
    """How ``menace run --autoscale`` grows and shrinks; ``[autoscale]`` in ``menace.toml``.

    Attributes
    ----------
    max_engines, min_engines
        Engines at most and at least, ≥ 0.
    create_energy, remove_energy
        Above the one an engine may be made, at or below the other one is removed; 0..1.
    roi_threshold
        At or below this trend of ROI deltas an engine is removed, above it one may be made.
    cost_per_engine
        Taken off the trend before an engine is made, in its units.
    approval
        ``none``, or ``person``: an engine is made once somebody has granted it.
    cooldown_seconds
        Least time between two changes, s, ≥ 0; it doubles with every reversal of a day.
    """

    max_engines: int = 5
    min_engines: int = 1
    create_energy: float = 0.8
    remove_energy: float = 0.3
    roi_threshold: float = 0.0
    cost_per_engine: float = 0.0
    approval: str = "none"
    cooldown_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """The content of a ``menace.toml``.

    ``pipelines`` are the tables ``[pipelines.NAME]`` and ``coding`` the tables ``[coding.BOT]``;
    what they take is checked where it is used
    (:mod:`menace.model_automation_pipeline.pipeline_registry`,
    :mod:`menace.self_coding_engine.settings`).
    """

    store_url: str = "sqlite:///menace.db"
    artifacts: str = "models"
    state: str = "state"
    loop: LoopSettings = field(default_factory=LoopSettings)
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    coding: dict[str, dict[str, Any]] = field(default_factory=dict)
    capital: CapitalSettings = field(default_factory=CapitalSettings)
    autoscale: AutoscaleSettings = field(default_factory=AutoscaleSettings)


def find_workspace(start: Path | None = None) -> Path | None:
    """Find the folder with ``menace.toml``: ``MENACE_HOME``, or from ``start`` upwards.

    Raises
    ------
    WorkspaceError
        If ``MENACE_HOME`` names a folder that is no workspace.
    """
    home = os.environ.get(HOME_VARIABLE)
    if home:
        folder = Path(home).expanduser()
        if not (folder / CONFIG_NAME).is_file():
            raise WorkspaceError(
                f"{HOME_VARIABLE} names {folder}, where there is no {CONFIG_NAME}.",
                remedy=f"menace init {folder}",
            )
        return folder.resolve()
    folder = (start or Path.cwd()).resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / CONFIG_NAME).is_file():
            return candidate
    return None


def load_dotted(path: str, *, folder: Path | None = None) -> Any:
    """Import ``package.module:attribute``.

    Parameters
    ----------
    path
        The dotted path.
    folder
        Stands at the end of the Python path while the module is imported: one may lie there, and
        hides none that is installed.

    Raises
    ------
    ConfigError
        If the module or the attribute does not exist, naming which.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise ConfigError(
            f"{path!r} is not a dotted path.", remedy="write it as package.module:name"
        )
    try:
        with _on_path(folder):
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{path!r} names a module that cannot be imported: {error}.",
            remedy="check the spelling, and that the module is installed where menace runs",
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise ConfigError(
            f"{path!r}: the module {module_name} has no {attribute!r}.",
            remedy="check the spelling of the name after the colon",
        ) from error


@contextmanager
def _on_path(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    entry = str(folder.resolve())
    sys.path.append(entry)
    try:
        yield
    finally:
        with _PATH_LOCK:
            # The last of its kind: the same folder may have stood further in front before.
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(entry)]


def validated_bot(values: Mapping[str, Any]) -> BotConfig:
    """Build a bot's configuration from plain values, such as a JSON document.

    Raises
    ------
    ConfigError
        Naming the field, what was given, and what is allowed.
    """
    bot: BotConfig = _validated(BotConfig, values)
    if not _NAME.fullmatch(bot.name):
        raise ConfigError(
            f"{bot.name!r} cannot be the name of a bot.",
            remedy="use up to 64 letters, digits, '-', '_', '.', a letter or digit first",
        )
    for name in _POSITIVE_INTEGERS:
        if getattr(bot, name) < 1:
            raise ConfigError(
                f"{name} is {getattr(bot, name)}.", bot=bot.name, remedy="give 1 or more"
            )
    if bot.window_rows < 20 or bot.holdout_rows * 2 > bot.window_rows:
        raise ConfigError(
            f"window_rows is {bot.window_rows} and holdout_rows {bot.holdout_rows}.",
            bot=bot.name,
            remedy="give a window of at least 20 rows and at least twice the hold-out",
        )
    if not 0 < bot.seconds_per_energy < float("inf"):
        raise ConfigError(
            f"seconds_per_energy is {bot.seconds_per_energy}.",
            bot=bot.name,
            remedy="give seconds > 0",
        )
    for item in fields(Economics):
        value = getattr(bot.economics, item.name)
        if not 0 <= value < float("inf"):
            raise ConfigError(
                f"economics.{item.name} is {value}.", bot=bot.name, remedy="give USD ≥ 0"
            )
    return bot


def read_settings(folder: Path) -> WorkspaceSettings:
    """Read ``menace.toml`` in ``folder``, overridden by the environment.

    ``MENACE_STORE_URL``, ``MENACE_LOOP__POLL_SECONDS`` and so on stand above the file.

    Raises
    ------
    ConfigError
        If the file is not TOML or holds an unknown or wrong setting; the message names it.
    """
    import tomllib

    path = folder / CONFIG_NAME
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkspaceError(
            f"{path} cannot be read: {error.strerror}.", remedy=f"menace init {folder}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.", remedy="mend the named line") from error
    merged = _with_environment(document)
    settings: WorkspaceSettings = _validated(WorkspaceSettings, merged, where=str(path))
    _check_loop(settings.loop, str(path))
    _check_capital(settings, str(path))
    return settings


def _check_loop(loop: LoopSettings, where: str) -> None:
    if loop.meter not in {"measured", "counted"}:
        raise ConfigError(
            f"{where}: loop.meter is {loop.meter!r}.", remedy="give 'measured' or 'counted'"
        )
    if not (loop.poll_seconds > 0 and loop.lease_seconds > 0):
        raise ConfigError(
            f"{where}: loop.poll_seconds and loop.lease_seconds must be positive.",
            remedy="give seconds > 0",
        )
    if min(loop.archive_models, loop.max_history_rows, loop.workers) < 0:
        raise ConfigError(
            f"{where}: loop.archive_models, loop.max_history_rows and loop.workers must not be "
            "negative.",
            remedy="give 0 or more",
        )
    if not 0 <= loop.search_energy <= 100:
        raise ConfigError(
            f"{where}: loop.search_energy is {loop.search_energy}.", remedy="give 0 to 100"
        )


def _check_capital(settings: WorkspaceSettings, where: str) -> None:
    """Check what no other part checks; the autoscaler checks its own bounds when it is used."""
    if settings.autoscale.approval not in {"none", "person"}:
        raise ConfigError(
            f"{where}: autoscale.approval is {settings.autoscale.approval!r}.",
            remedy="give 'none' or 'person'",
        )
    capital = settings.capital
    if capital.window_days < 1 or not 0 < capital.runway_scale_days < float("inf"):
        raise ConfigError(
            f"{where}: capital.window_days and capital.runway_scale_days must be positive.",
            remedy="give days ≥ 1 and > 0",
        )


def _with_environment(document: dict[str, Any]) -> dict[str, Any]:
    merged = dict(document)
    hints = _hints(WorkspaceSettings)
    for item in fields(WorkspaceSettings):
        variable = f"MENACE_{item.name.upper()}"
        kind = hints[item.name]
        if is_dataclass(kind):
            given = {f.name: os.environ.get(f"{variable}__{f.name.upper()}") for f in fields(kind)}
            found = {name: value for name, value in given.items() if value is not None}
            if found:
                merged[item.name] = {**merged.get(item.name, {}), **found}
        elif kind is str and variable in os.environ:
            merged[item.name] = os.environ[variable]
    return merged


def _refuse_unknown(cls: type, values: Mapping[str, Any], prefix: str) -> None:
    """Refuse a name that ``cls`` does not have, in nested tables too: pydantic does not."""
    hints = _hints(cls)
    for name, value in values.items():
        if name not in hints:
            raise ConfigError(
                f"{prefix}unknown setting {name!r}.",
                remedy=f"known settings: {', '.join(sorted(hints))}",
            )
        nested = [part for part in (hints[name], *get_args(hints[name])) if is_dataclass(part)]
        if nested and isinstance(value, Mapping) and isinstance(nested[0], type):
            _refuse_unknown(nested[0], value, f"{prefix}{name}: ")


def validated_settings(cls: type, values: Mapping[str, Any], *, where: str) -> Any:
    """Build a record of settings from a table of ``menace.toml``.

    Parameters
    ----------
    cls
        A dataclass whose fields are the settings.
    where
        What messages call the table.

    Raises
    ------
    ConfigError
        Naming the setting that is unknown, missing or wrong.
    """
    return _validated(cls, values, where)


def _validated(cls: type, values: Mapping[str, Any], where: str = "") -> Any:
    from pydantic import ValidationError

    prefix = f"{where}: " if where else ""
    _refuse_unknown(cls, values, prefix)
    try:
        return _adapter(cls).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{prefix}{name}: {first['msg']} (given: {first.get('input')!r}).",
            remedy=f"correct {name}",
        ) from error


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    """Build the validator once: that takes hundreds of times as long as to use it."""
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)
