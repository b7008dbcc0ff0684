"""The pipelines that a workspace names: a kind, a dotted path, loaded when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from menace.config import load_dotted
from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from menace.interfaces import Pipeline

KINDS = {
    "callable": "menace.model_automation_pipeline.callable_pipeline:CallablePipeline",
    "command": "menace.model_automation_pipeline.command_pipeline:CommandPipeline",
    "object": "menace.model_automation_pipeline.pipeline_registry:NamedPipeline",
}
"""Kind → the class that makes it, by ``from_settings(values, *, folder, where)``."""


class NamedPipeline:
    """Finds a pipeline object of the user's own."""

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], *, folder: Path, where: str) -> Pipeline:
        """Import what ``make`` names, and call it unless it is a pipeline already.

        Raises
        ------
        ConfigError
            If ``make`` is missing, cannot be imported, or leads to no pipeline.
        """
        from menace.interfaces import Pipeline

        path = values.get("make")
        if set(values) != {"make"} or not isinstance(path, str):
            raise ConfigError(
                f"{where}: a pipeline of kind 'object' has one more setting, make.",
                remedy='write make = "package.module:Class"',
            )
        found = load_dotted(path, folder=folder)
        made = found() if isinstance(found, type) or not isinstance(found, Pipeline) else found
        if not isinstance(made, Pipeline):
            raise ConfigError(
                f"{where}: {path} leads to a {type(made).__name__}, which has no method run.",
                remedy="name a class, a function without arguments, or an object with "
                "run(bot_name, energy)",
            )
        return made


def open_pipeline(
    name: str, tables: Mapping[str, Mapping[str, Any]], *, folder: Path, bot: str | None = None
) -> Pipeline:
    """Make the pipeline of a name.

    Parameters
    ----------
    name
        As the bot's configuration has it.
    tables
        ``[pipelines.NAME]`` of ``menace.toml``.
    folder
        The workspace: commands run there, and modules may lie there.
    bot
        Whose pipeline it is, for the message.

    Raises
    ------
    ConfigError
        If there is no such table, its kind is unknown, or a setting is wrong.
    """
    table = tables.get(name)
    if table is None:
        known = ", ".join(sorted(tables)) or "none"
        raise ConfigError(
            f"menace.toml describes no pipeline {name!r}.",
            bot=bot,
            remedy=f"add a table [pipelines.{name}]; there are: {known}",
        )
    where = f"[pipelines.{name}]"
    kind = table.get("kind")
    path = KINDS.get(str(kind))
    if path is None:
        raise ConfigError(
            f"{where}: {kind!r} is not a kind of pipeline.",
            bot=bot,
            remedy=f"known kinds: {', '.join(sorted(KINDS))}",
        )
    values = {setting: value for setting, value in table.items() if setting != "kind"}
    made: Pipeline = load_dotted(path).from_settings(values, folder=folder, where=where)
    return made
