"""Differences between two texts of a file, for people and for git."""

from __future__ import annotations

import difflib


def unified_diff(before: str, after: str, target: str) -> str:
    r"""Write what changes in a file, as ``git apply`` reads it.

    Examples
    --------
    >>> print(unified_diff("LIMIT = 1\n", "LIMIT = 2\n", "helpers/limits.py"), end="")
    --- a/helpers/limits.py
    +++ b/helpers/limits.py
    @@ -1 +1 @@
    -LIMIT = 1
    +LIMIT = 2
    """
    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        f"a/{target}",
        f"b/{target}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
