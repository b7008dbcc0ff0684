"""What may be patched, how it is judged, and who proposes; ``[coding.BOT]`` in ``menace.toml``."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from menace.config import validated_settings
from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_PROPOSERS = (
    "repair",
    "implementations",
    "tuning",
    "feature_code",
    "codemods",
    "language_model",
)
"""Who is asked; each has nothing to say where it has nothing to work with. Genetic improvement has
to be asked for by name."""


@dataclass(frozen=True, slots=True)
class CodingSettings:
    """How a bot's helper code may be patched.

    Attributes
    ----------
    repository
        The folder with the code: a git work tree, or a folder in one. Relative to the workspace.
    targets
        Patterns of the files that may change, relative to it, such as ``helpers/*.py``.
    tests
        The command that tests it: ``pytest`` with arguments, run in the repository.
    hidden_tests
        The same for tests that no proposer sees, a folder or file outside of ``targets``.
    measure
        A command that prints a number, lower is better, on its last line; for tuning.
    features
        ``FILE:FUNCTION`` of the bot's feature helper, which is one of the targets.
    allow_imports
        Modules that a patch may import beside those that the code imports already and the harmless
        part of the standard library.
    proposers
        Short names of those who are asked.
    energy_share
        Of a cycle's energy, what patching may use, 0..1; the pipeline has the rest.
    energy
        Energy that an attempt may use also in a cycle that has less, 0..100, charged to it like the
        rest. An attempt that found nothing is followed by 1, 3, 7, … 31 cycles without one.
    least_seconds
        With fewer CPU-seconds than this patching is not begun.
    approval
        ``none``, or ``person``: every patch waits for a person's yes.
    least_mutation_score
        Code whose tests kill a smaller share of its mutants waits for a person's yes, 0..1.
    language_model
        Endpoint, model and budget of a language model; empty: none is asked.
    """

    repository: str = "."
    targets: tuple[str, ...] = ("helpers/*.py",)
    tests: str = "pytest -q tests"
    hidden_tests: str | None = None
    measure: str | None = None
    features: str | None = None
    allow_imports: tuple[str, ...] = ()
    proposers: tuple[str, ...] = DEFAULT_PROPOSERS
    energy_share: float = 0.5
    energy: int = 0
    least_seconds: float = 3.0
    approval: str = "none"
    least_mutation_score: float = 0.6
    language_model: dict[str, Any] = field(default_factory=dict)

    @property
    def feature_file(self) -> str | None:
        """The file of the feature helper."""
        return None if self.features is None else self.features.partition(":")[0]


def coding_settings(values: Mapping[str, Any], *, where: str) -> CodingSettings:
    """Read a table ``[coding.BOT]``.

    Raises
    ------
    ConfigError
        Naming the setting that is unknown or wrong.
    """
    settings: CodingSettings = validated_settings(CodingSettings, values, where=where)
    check_settings(settings, where=where)
    return settings


def check_settings(settings: CodingSettings, *, where: str) -> None:
    """Check what types do not say.

    Raises
    ------
    ConfigError
        Naming the setting, and what may be given.
    """
    _check_targets(settings.targets, where)
    for name in ("tests", "hidden_tests"):
        _check_pytest(getattr(settings, name), f"{where}: {name}")
    if settings.approval not in {"none", "person"}:
        raise ConfigError(
            f"{where}: approval is {settings.approval!r}.", remedy="give 'none' or 'person'"
        )
    for name in ("energy_share", "least_mutation_score"):
        value = getattr(settings, name)
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"{where}: {name} is {value}.", remedy="give a share from 0 to 1")
    if not 0 <= settings.energy <= 100:
        raise ConfigError(f"{where}: energy is {settings.energy}.", remedy="give 0 to 100")
    if not settings.least_seconds >= 0.0:
        raise ConfigError(
            f"{where}: least_seconds is {settings.least_seconds}.", remedy="give seconds ≥ 0"
        )
    _check_measure(settings.measure, where)
    _check_features(settings.features, where)


def _check_targets(targets: Sequence[str], where: str) -> None:
    if not targets:
        raise ConfigError(f"{where}: targets is empty.", remedy='give ["helpers/*.py"]')
    for pattern in targets:
        path = PurePosixPath(pattern)
        if path.is_absolute() or ".." in path.parts or not pattern.endswith(".py"):
            raise ConfigError(
                f"{where}: the target {pattern!r} is not a Python file below the repository.",
                remedy='give patterns relative to the repository, such as "helpers/*.py"',
            )


def _check_features(features: str | None, where: str) -> None:
    if features is None:
        return
    file, _, function = features.partition(":")
    if not file.endswith(".py") or not function.isidentifier():
        raise ConfigError(
            f"{where}: features is {features!r}.",
            remedy='write it as "helpers/features.py:features"',
        )


def _check_measure(command: str | None, where: str) -> None:
    if command is not None and not _words(command, f"{where}: measure"):
        raise ConfigError(f"{where}: measure is empty.", remedy='give "python measure.py"')


def _check_pytest(command: str | None, where: str) -> None:
    if command is None:
        return
    words = _words(command, where)
    if not words or words[0] != "pytest":
        raise ConfigError(
            f"{where} is {command!r}.",
            remedy='give a pytest command, such as "pytest -q tests"; others are not understood',
        )


def _words(command: str, where: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ConfigError(
            f"{where} is {command!r}: {error}.", remedy="write it as a shell would take it"
        ) from error
