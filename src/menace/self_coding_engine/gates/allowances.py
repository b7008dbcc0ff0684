"""When a new text may give something else than the present one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from menace.patches import Claim
from menace.self_coding_engine.recorded_calls import same

if TYPE_CHECKING:
    from menace.self_coding_engine.gates.candidate import Candidate
    from menace.self_coding_engine.recorded_calls import Outcome

ASKED_FOR = "a mended test asks for it"
FURTHER_COLUMNS = "the same, and further columns"
FEWER_COLUMNS = "the same rows, without columns of generated functions that are gone"
OTHER_CONSTANTS = "only constants of the text are others"
ANOTHER_CHOICE = "another of the implementations that the user has marked"


def allowance(candidate: Candidate, before: Outcome, after: Outcome, *, asked: bool) -> str | None:
    """Say why a difference may be; ``None`` if it may not.

    * A repair may change what a test calls that failed and now passes.
    * An improvement may add columns to a table, or keys to a mapping: rows, their order, and every
      column that was there stay as they were, and so do the arguments.
    * An improvement may leave columns out of a table where it takes a generated function out of the
      text (``GENERATED``, see :mod:`menace.self_coding_engine.proposers.feature_text`).
    * An improvement may change whatever it does by changing numbers, texts and truth values of the
      code, or by choosing another of the implementations that the user has marked as alternatives,
      and nothing else; but give no error where there was a result.
    * What claims to be faster may change nothing.

    Parameters
    ----------
    asked
        Whether a test that the candidate mends makes this call.
    """
    if candidate.claim is Claim.REPAIRS:
        return ASKED_FOR if asked else None
    if candidate.claim is not Claim.IMPROVES or after.unknown:
        return None
    if before.raised is None and after.raised is None:
        untouched = same(before.arguments, after.arguments) and before.printed == after.printed
        if untouched and is_extended(before.result, after.result):
            return FURTHER_COLUMNS
        generated = lost_functions(candidate.before, candidate.after)
        if untouched and generated and has_same_rows(before.result, after.result):
            return FEWER_COLUMNS
    if before.raised is None and after.raised is not None:
        return None
    if only_constants_differ(candidate.before, candidate.after):
        return OTHER_CONSTANTS
    return ANOTHER_CHOICE if is_another_choice(candidate.before, candidate.after) else None


def is_extended(before: Any, after: Any) -> bool:
    """Whether an encoded table or mapping is the other one with further columns or keys.

    Examples
    --------
    >>> is_extended({"!": "dict", "v": [["a", 1]]}, {"!": "dict", "v": [["a", 1], ["b", 2]]})
    True
    >>> is_extended({"!": "dict", "v": [["a", 1]]}, {"!": "dict", "v": [["b", 2]]})
    False
    """
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    if before.get("!") != after.get("!"):
        return False
    if before.get("!") == "pandas.DataFrame":
        if not same(before["index"], after["index"]):
            return False
        return _has_all(_columns(before), _columns(after))
    if before.get("!") == "dict":
        return _has_all(before["v"], after["v"])
    return False


def only_constants_differ(before: str, after: str) -> bool:
    """Whether two texts are the same but for constants of the same kind.

    Examples
    --------
    >>> only_constants_differ("LIMIT = 3  # tune: 1..10", "LIMIT = 7  # tune: 1..10")
    True
    >>> only_constants_differ("LIMIT = 3", "LIMIT = 'a'"), only_constants_differ("x", "y")
    (False, False)
    """
    return _masked(before) == _masked(after)


def has_same_rows(before: Any, after: Any) -> bool:
    """Whether two encoded tables have the same index, and in it the same under the same names."""
    tables = [
        isinstance(one, dict) and one.get("!") == "pandas.DataFrame" for one in (before, after)
    ]
    if not all(tables) or not same(before["index"], after["index"]):
        return False
    now = _columns(after)
    return all(
        same(column, other)
        for name, column in _columns(before)
        for known, other in now
        if same(name, known)
    )


def lost_functions(before: str, after: str) -> tuple[str, ...]:
    """Name the generated functions that the new text no longer has."""
    from menace.self_coding_engine.proposers.feature_text import generated_names

    kept = generated_names(after)
    return tuple(name for name in generated_names(before) if name not in kept)


def is_another_choice(before: str, after: str) -> bool:
    r"""Whether all that differs is which of the marked implementations a name stands for.

    Examples
    --------
    >>> text = "def a(): ...\ndef b(): ...\nf = a  # one of: a, b\n"
    >>> is_another_choice(text, text.replace("= a", "= b"))
    True
    """
    from menace.self_coding_engine.proposers.implementations import choices

    return any(
        choice.with_other(before, other) == after
        for choice in choices(before)
        for other in choice.others
    )


def _columns(frame: dict[str, Any]) -> list[list[Any]]:
    """Pair the names of an encoded frame's columns with what is in them."""
    names = frame["columns"]
    known = list(range(*names["range"])) if "range" in names else names["column"]["v"]
    return [list(pair) for pair in zip(known, frame["v"], strict=True)]


def _has_all(before: list[list[Any]], after: list[list[Any]]) -> bool:
    """Whether all pairs are there, in their order, among others."""
    rest = iter(after)
    return all(
        any(same(name, other) and same(value, found) for other, found in rest)
        for name, value in before
    )


def _masked(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            kind = type(node.value)
            number = kind in {int, float}
            node.value = f"a constant: {'number' if number else kind.__name__}"
    return ast.dump(tree)
