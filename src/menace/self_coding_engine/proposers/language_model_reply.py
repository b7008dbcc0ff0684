"""Reads edits of one file out of a language model's reply: nothing else in it has any effect.

A reply is either of

* one or more blocks ``<<<<<<< SEARCH``, old lines, ``=======``, new lines, ``>>>>>>> REPLACE``;
* one or more fences (three backticks) of Python with whole functions, each of which takes the place
  of the function of its name, and new ones are added.

Whatever stands around them is kept as the explanation, for people. A reply names no file: the one
that it changes was fixed before it was asked for, and a block that says another one is refused.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from menace.self_coding_engine.nesting import parsed
from menace.self_coding_engine.proposers.language_model_endpoint import Fault, LanguageModelError
from menace.self_coding_engine.proposers.language_model_functions import replace_functions

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEARCH = re.compile(r"^<{5,9} ?SEARCH\s*$")
_DIVIDE = re.compile(r"^={5,9}\s*$")
_REPLACE = re.compile(r"^>{5,9} ?REPLACE\s*$")
_FENCE = re.compile(r"^ {0,3}```+\s*([\w+-]*)\s*$")
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_FILE = re.compile(r"^[`*#\s]*(?:file:\s*)?([\w./\\-]+\.\w{1,4})[`*:\s]*$", re.IGNORECASE)

EXPLANATION_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines to look for and lines to put in their place, without line ends."""

    search: tuple[str, ...]
    replace: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EditedText:
    """What became of a file.

    Attributes
    ----------
    form
        ``blocks`` or ``functions``.
    explanation
        The first words of the reply that are no edit, on one line.
    """

    source: str
    form: str
    explanation: str


def apply_reply(text: str, source: str, *, target: str) -> EditedText:
    r"""Apply the edits of a reply to a file's text.

    Parameters
    ----------
    target
        The only file that the reply may be about.

    Raises
    ------
    LanguageModelError
        ``MALFORMED`` with what is wrong, in words that the model can mend it by; ``NO_CHANGE``.

    Examples
    --------
    >>> reply = '''Off by one.
    ... <<<<<<< SEARCH
    ...     return n
    ... =======
    ...     return n + 1
    ... >>>>>>> REPLACE'''
    >>> edited = apply_reply(reply, "def after(n):\n    return n\n", target="helpers/after.py")
    >>> edited.source
    'def after(n):\n    return n + 1\n'
    >>> edited.explanation
    'Off by one.'
    """
    text = _THOUGHT.sub("", text.replace("\r\n", "\n"))
    lines = text.split("\n")
    ending = "\r\n" if "\r\n" in source else "\n"
    plain = source.replace("\r\n", "\n")
    if any(_SEARCH.match(line) for line in lines):
        edits, around = _blocks(lines, target)
        edited, form = apply_edits(plain, edits), "blocks"
    else:
        codes, around = _fences(lines)
        edited, form = replace_functions(plain, codes), "functions"
    try:
        parsed(edited)
    except SyntaxError as error:
        raise malformed(f"with the edits the file is no valid Python: {error}.") from None
    if edited == plain:
        raise LanguageModelError(Fault.NO_CHANGE, "the edits leave the file as it is.")
    return EditedText(edited.replace("\n", ending), form, _explanation(around))


def apply_edits(source: str, edits: Sequence[Edit]) -> str:
    r"""Replace, one edit after the other, the one place that each is about.

    A place is looked for line by line as it is written; if there is none, once more without regard
    to white space at the ends of lines and to how deep the whole block is indented.

    Raises
    ------
    LanguageModelError
        ``MALFORMED``: no such place, or several.

    Examples
    --------
    >>> apply_edits("if a:\n    b = 1\n", [Edit(("b = 1",), ("b = 2", "c = 3"))])
    'if a:\n    b = 2\n    c = 3\n'
    """
    lines = source.split("\n")
    for number, edit in enumerate(edits, 1):
        lines = _apply(lines, edit, number)
    return "\n".join(lines)


def malformed(problem: str) -> LanguageModelError:
    """Make the error of a reply that cannot be applied."""
    return LanguageModelError(Fault.MALFORMED, problem)


def _apply(lines: list[str], edit: Edit, number: int) -> list[str]:
    if not any(line.strip() for line in edit.search):
        raise malformed(f"SEARCH block {number} is empty: it has to quote the lines to replace.")
    size = len(edit.search)
    starts = range(len(lines) - size + 1)
    exact = [at for at in starts if tuple(lines[at : at + size]) == edit.search]
    replacement: list[str] = list(edit.replace)
    found = exact
    if not found:
        wanted = _loose(edit.search)
        found = [at for at in starts if _loose(lines[at : at + size]) == wanted]
        if len(found) == 1:
            replacement = _shifted(edit, lines[found[0] : found[0] + size])
    if not found:
        raise malformed(f"SEARCH block {number} is nowhere in the file.{_nearest(lines, edit)}")
    if len(found) > 1:
        at = ", ".join(str(start + 1) for start in found[:5])
        raise malformed(
            f"SEARCH block {number} is in {len(found)} places (lines {at}): quote more lines."
        )
    return [*lines[: found[0]], *replacement, *lines[found[0] + size :]]


def _loose(lines: Sequence[str]) -> list[str]:
    margin = _margin(lines)
    return [line[len(margin) :].rstrip() if line.strip() else "" for line in lines]


def _margin(lines: Sequence[str]) -> str:
    margins = [line[: len(line) - len(line.lstrip())] for line in lines if line.strip()]
    shortest = min(margins, key=len, default="")
    return shortest if all(margin.startswith(shortest) for margin in margins) else ""


def _shifted(edit: Edit, place: Sequence[str]) -> list[str]:
    """Indent the replacement as the place is, where the block was quoted at another depth."""
    quoted, real = _margin(edit.search), _margin(place)
    return [
        real + line.removeprefix(quoted) if line.strip() else line.strip() for line in edit.replace
    ]


def _nearest(lines: Sequence[str], edit: Edit) -> str:
    first = next(line.strip() for line in edit.search if line.strip())
    stripped = {line.strip(): at for at, line in enumerate(lines, 1) if line.strip()}
    close = difflib.get_close_matches(first, list(stripped), n=1, cutoff=0.5)
    return f" The nearest line to its first is {stripped[close[0]]}: {close[0]!r}." if close else ""


def _blocks(lines: Sequence[str], target: str) -> tuple[list[Edit], list[str]]:
    edits: list[Edit] = []
    around: list[str] = []
    old: list[str] = []
    new: list[str] = []
    part: list[str] | None = None
    for line in lines:
        if _SEARCH.match(line):
            if part is not None:
                raise malformed(f"SEARCH block {len(edits) + 1} is not closed by REPLACE.")
            _check_file(around, target)
            old, new = [], []
            part = old
        elif part is old and part is not None and _DIVIDE.match(line):
            part = new
        elif part is new and part is not None and _REPLACE.match(line):
            edits.append(Edit(tuple(old), tuple(new)))
            part = None
        elif part is not None:
            part.append(line)
        elif not _FENCE.match(line):
            around.append(line)
    if part is not None:
        raise malformed(f"SEARCH block {len(edits) + 1} has no end: ======= or REPLACE is missing.")
    return edits, around


def _check_file(around: Sequence[str], target: str) -> None:
    """Refuse a block that is headed with another file's name."""
    last = next((line for line in reversed(around) if line.strip()), "")
    named = _FILE.match(last)
    if named is None:
        return
    path = named.group(1).replace("\\", "/").removeprefix("./")
    if path != target and not target.endswith(f"/{path}"):
        raise malformed(f"a block is about {path}: only {target} may be changed.")


def _fences(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    codes: list[str] = []
    around: list[str] = []
    inside: list[str] | None = None
    language = ""
    for line in lines:
        fence = _FENCE.match(line)
        if fence and inside is None:
            inside, language = [], fence.group(1).lower()
        elif fence and inside is not None:
            if language in {"", "python", "py", "python3"}:
                codes.append("\n".join(inside) + "\n")
            inside = None
        else:
            (around if inside is None else inside).append(line)
    if inside is not None:
        raise malformed("a fence of code is not closed.")
    if not codes:
        raise malformed("there is neither a SEARCH/REPLACE block nor a fence of Python functions.")
    return codes, around


def _explanation(around: Sequence[str]) -> str:
    words = " ".join(" ".join(around).split())
    printable = "".join(character for character in words if character.isprintable())
    return printable[:EXPLANATION_CHARACTERS]
