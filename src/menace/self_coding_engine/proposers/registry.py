"""The proposers by their short names, loaded when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menace.config import load_dotted
from menace.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from menace.self_coding_engine.proposal import Proposer
    from menace.self_coding_engine.settings import CodingSettings

_ROOM = "menace.self_coding_engine.proposers"
PROPOSERS = {
    "codemods": f"{_ROOM}.codemods:CodemodProposer",
    "feature_code": f"{_ROOM}.feature_code:FeatureCodeProposer",
    "genetic": f"{_ROOM}.genetic:GeneticProposer",
    "implementations": f"{_ROOM}.implementations:ImplementationProposer",
    "language_model": f"{_ROOM}.language_model:LanguageModelProposer",
    "repair": f"{_ROOM}.repair:RepairProposer",
    "tuning": f"{_ROOM}.tuning:TuningProposer",
}
"""Short name → dotted path of its class."""


def open_proposers(names: Sequence[str], settings: CodingSettings) -> list[Proposer]:
    """Make the proposers of these names.

    The language model is left out where no endpoint is set for it.

    Raises
    ------
    ConfigError
        If a name is unknown; the message lists the known ones.
    """
    made: list[Proposer] = []
    for name in names:
        if name not in PROPOSERS:
            raise ConfigError(
                f"there is no proposer {name!r}.",
                remedy=f"known proposers: {', '.join(sorted(PROPOSERS))}",
            )
        if name == "language_model":
            if settings.language_model:
                made.append(_language_model(settings))
        else:
            made.append(load_dotted(PROPOSERS[name])())
    return made


def _language_model(settings: CodingSettings) -> Proposer:
    made: Proposer = load_dotted(PROPOSERS["language_model"]).from_settings(settings.language_model)
    return made
