"""The one error of the encoding."""

from __future__ import annotations


class UnencodableError(TypeError):
    """A value that is not data of a known kind."""
