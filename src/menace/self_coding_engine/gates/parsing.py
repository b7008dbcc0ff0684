"""The gate *parses*: the new text is Python, of a sane size, in the encoding that the file had."""

from __future__ import annotations

import io
import tokenize
from typing import TYPE_CHECKING

from menace.patches import GateReport
from menace.self_coding_engine.nesting import parsed

if TYPE_CHECKING:
    from menace.self_coding_engine.gates.candidate import Candidate

MOST_CHARACTERS = 400_000
GROWTH, GROWTH_CHARACTERS = 3, 20_000
"""A text may be so many times as long as it was, and so much longer in any case."""

_HIDING = frozenset(
    "\u200b\u200c\u200d\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""Characters that make people read another text than Python does."""


class ParseGate:
    """Refuses what is no text of a Python file, or one that people or tools would misread."""

    name = "parses"

    def judge(self, candidate: Candidate) -> GateReport:
        """Parse the new text; nothing is run."""
        trouble = _trouble(candidate.before, candidate.after)
        if trouble is None:
            figures = {"characters": len(candidate.after)}
            return GateReport(self.name, True, "it is valid Python", figures)
        return GateReport(self.name, False, trouble)


def _trouble(before: str, after: str) -> str | None:
    if after == before:
        return "the text is as it was"
    most = min(MOST_CHARACTERS, max(GROWTH * len(before), len(before) + GROWTH_CHARACTERS))
    if len(after) > most:
        return f"{len(after):,} characters are too many: {most:,} at most"
    strange = sorted({character for character in after if _is_strange(character)} - set(before))
    if strange:
        return f"it has characters that hide what it says: {', '.join(map(ascii, strange))}"
    try:
        after.encode()
        declared = tokenize.detect_encoding(io.BytesIO(after.encode()).readline)[0]
        was = tokenize.detect_encoding(io.BytesIO(before.encode()).readline)[0]
        parsed(after)
    except (SyntaxError, ValueError) as error:
        return f"it is no valid Python: {error}"
    if declared != was:
        return f"it declares the encoding {declared}, and the file had {was}"
    return None


def _is_strange(character: str) -> bool:
    control = ord(character) < 32 and character not in "\n\r\t"
    return control or character == "\x7f" or character in _HIDING
