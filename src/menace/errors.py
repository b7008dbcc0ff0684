"""The errors menace raises, each with what was being done and the remedy.

::

    MenaceError
    ├── ConfigError              menace.toml, an environment variable or a flag is wrong
    ├── WorkspaceError           no workspace, or its folder cannot be used
    ├── StateFileError           a state file is torn, foreign or newer than this version
    ├── UnknownBotError          no bot of that name
    ├── DuplicateBotError        the name is taken
    ├── DataError                rows, columns, targets or outcomes are not what they must be
    │   └── SourceError          the data source itself cannot be read
    ├── StoreError               the store refused or failed
    │   ├── ApprovalError        no such question to a person, or it is answered already
    │   ├── PatchStateError      no such patch, or it is in another state
    │   ├── CycleConflictError   the bot has a cycle under way, or it is in another state
    │   └── UnknownVersionError  the bot has no such model version
    ├── PackageError             a model package is damaged, foreign or of an unknown type
    │   └── HelperCodeError      a model's feature helper is missing at its commit, or fails
    ├── EnergyError              an energy outside 1..100
    ├── CapitalError             an entry, a budget or a ratio that the books cannot take
    ├── PipelineError            training or evaluation failed
    ├── CodingError              helper code cannot be patched as asked
    │   ├── SandboxError         nothing here can run untrusted code safely
    │   ├── RepositoryError      git refused, or the repository is not as it must be
    │   └── PatchConflictError   a patch cannot be taken back without destroying later edits
    ├── ReportError              a report's data contradict themselves, or it cannot be written
    └── MissingDependencyError   an extra or a system library is not installed
"""

from __future__ import annotations


class MenaceError(Exception):
    """Base of all errors that menace raises on purpose.

    Parameters
    ----------
    message
        What went wrong, in one sentence, naming the file, column or row.
    bot
        The bot that was being worked on, if one was.
    cycle_id
        The cycle that was being worked on, if one was.
    remedy
        What the reader can do about it, as an instruction or a command line.
    """

    def __init__(
        self,
        message: str,
        *,
        bot: str | None = None,
        cycle_id: int | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.bot = bot
        self.cycle_id = cycle_id
        self.remedy = remedy

    def __str__(self) -> str:
        where = f"bot {self.bot!r}: " if self.bot else ""
        cure = f" Remedy: {self.remedy}" if self.remedy else ""
        return f"{where}{self.message}{cure}"


class ConfigError(MenaceError):
    """A setting in ``menace.toml``, the environment or a flag is wrong."""


class WorkspaceError(MenaceError):
    """There is no workspace here, or its folder cannot be used."""


class StateFileError(MenaceError):
    """A state file is torn, foreign, or newer than this version can read."""


class UnknownBotError(MenaceError):
    """No bot of that name is registered."""


class DuplicateBotError(MenaceError):
    """A bot or engine of that name is registered already."""


class DataError(MenaceError):
    """Rows, columns, targets or outcomes are not what they must be."""


class SourceError(DataError):
    """The data source itself cannot be read."""


class StoreError(MenaceError):
    """The store refused a request or failed."""


class ApprovalError(StoreError):
    """There is no such question to a person, or it has been answered."""


class PatchStateError(StoreError):
    """There is no such patch, or it is in another state."""


class CycleConflictError(StoreError):
    """The bot has a cycle under way already, or the cycle is in another state."""


class UnknownVersionError(StoreError):
    """The bot has no such model version."""


class PackageError(MenaceError):
    """A model package is damaged, foreign, or holds a type that is not trusted."""


class HelperCodeError(PackageError):
    """A feature helper is missing at its commit, fails, or returns something else than columns."""


class EnergyError(MenaceError):
    """An energy outside 1..100."""


class CapitalError(MenaceError):
    """An entry that is not balanced, money that is not there, or a ratio outside 0..1."""


class PipelineError(MenaceError):
    """Training or evaluation of a challenger failed.

    Attributes
    ----------
    cpu_seconds
        What had been used until then, where that is known: a failure is paid for, too.
    """

    cpu_seconds: float = 0.0


class CodingError(MenaceError):
    """Helper code cannot be patched as asked."""


class SandboxError(CodingError):
    """There is no sandbox here that holds, so nothing that was proposed may run."""


class RepositoryError(CodingError):
    """Git refused or is missing, or the repository is not in the state that is needed."""


class PatchConflictError(CodingError):
    """A patch cannot be taken back without destroying what was edited since.

    Attributes
    ----------
    lines
        Lines of the file as it is now, from 1, that were edited since and would be lost.
    """

    lines: tuple[int, ...] = ()


class ReportError(MenaceError):
    """The data of a report contradict themselves, or its file cannot be written."""


class MissingDependencyError(MenaceError):
    """An optional package or a system library is not installed."""


class NoDataWarning(UserWarning):
    """A cycle was asked for where there is nothing to learn from."""
