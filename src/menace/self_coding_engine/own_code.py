"""Whether a repository is menace's own, which may be patched only where somebody asks for it."""

from __future__ import annotations

from pathlib import Path

import menace
from menace.errors import CodingError


def check_own_code(repository: Path, *, optimize_self: bool) -> None:
    """Refuse to patch menace itself unless that is wanted, and anything else if it is.

    Raises
    ------
    CodingError
        If the repository is the checkout that menace runs from and ``optimize_self`` is off, or
        the other way round.
    """
    package = Path(menace.__file__).resolve().parent
    folder = repository.resolve()
    related = package.is_relative_to(folder) or folder.is_relative_to(package)
    own = related and "site-packages" not in package.parts
    if own and not optimize_self:
        raise CodingError(
            f"{repository} holds menace itself, which is not patched unless you ask for it.",
            remedy="give the repository of a bot, or optimize_self=True (docs/self-coding.md)",
        )
    if optimize_self and not own:
        raise CodingError(
            f"optimize_self is on, but menace does not run from a checkout in {repository}.",
            remedy="clone menace, install it with pip install --editable, and name that folder",
        )
