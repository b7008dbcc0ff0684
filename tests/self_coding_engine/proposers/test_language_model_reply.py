"""Replies are read as edits of one file, exactly, and as nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menace.self_coding_engine.proposers.language_model_endpoint import Fault, LanguageModelError
from menace.self_coding_engine.proposers.language_model_reply import (
    Edit,
    apply_edits,
    apply_reply,
)

SOURCE = '''"""Helpers."""

import math

# The root, rounded down.
@staticmethod
def root(number):
    return math.sqrt(number)


class Basket:
    """Things."""

    limit = 3

    def count(self, things):
        if things:
            return len(things)
        return 0


def twice(number):
    return number + number
'''


def block(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def applied(reply: str, source: str = SOURCE) -> str:
    return apply_reply(reply, source, target="helpers/things.py").source


def problem(reply: str, source: str = SOURCE) -> str:
    with pytest.raises(LanguageModelError) as raised:
        applied(reply, source)
    assert raised.value.fault is Fault.MALFORMED
    return raised.value.message


def test_several_blocks_are_applied_in_order() -> None:
    edited = applied(
        "Two things.\n"
        + block("    limit = 3", "    limit = 4")
        + "and\n"
        + block("    limit = 4", "    limit = 5")
        + block("    return number + number", "    return 2 * number")
    )
    assert edited == SOURCE.replace("limit = 3", "limit = 5").replace(
        "number + number", "2 * number"
    )


def test_blocks_may_stand_in_fences_and_have_marks_of_another_length() -> None:
    reply = block("    limit = 3", "    limit = 4").replace("=======", "=====")
    assert applied(f"```python\n{reply}```\n") == SOURCE.replace("limit = 3", "limit = 4")


def test_a_block_at_another_depth_is_put_where_it_belongs() -> None:
    edited = applied(block("if things:\n    return len(things)", "if things:\n    return 1"))
    assert edited == SOURCE.replace("return len(things)", "return 1")


def test_white_space_at_the_ends_of_lines_does_not_matter() -> None:
    assert applied(block("    limit = 3  ", "    limit = 4")) == SOURCE.replace("= 3", "= 4")


def test_lines_may_be_taken_out() -> None:
    reply = "<<<<<<< SEARCH\n    limit = 3\n\n=======\n>>>>>>> REPLACE"
    assert applied(reply) == SOURCE.replace("    limit = 3\n\n", "")


def test_line_ends_of_the_file_are_kept() -> None:
    windows = SOURCE.replace("\n", "\r\n")
    edited = applied(block("    limit = 3", "    limit = 4\n    least = 1"), windows)
    assert edited == windows.replace("limit = 3", "limit = 4\r\n    least = 1")


def test_what_a_model_thinks_first_is_not_read() -> None:
    thought = f"<think>perhaps\n{block('    limit = 3', '    limit = 9')}</think>\n"
    assert "limit = 4" in applied(thought + block("    limit = 3", "    limit = 4"))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (block("    limit = 33", "x"), "nowhere in the file. The nearest line to its first is 14"),
        (block("", "x"), "is empty"),
        (block("        return 0\n\n", "x") + "<<<<<<< SEARCH\nx", "has no end"),
        (block("limit", "x").replace(">>>>>>> REPLACE", "<<<<<<< SEARCH"), "is not closed"),
        ("<<<<<<< SEARCH\n    limit = 3\n>>>>>>> REPLACE\n", "has no end"),
        (block("    limit = 3", "    limit = ("), "no valid Python"),
        ("I would change the limit.", "neither a SEARCH/REPLACE block nor a fence"),
        ("```python\ndef root(number):\n    return 1\n", "is not closed"),
        ("```python\nlimit = 3\n```", "more than functions"),
        ("```python\ndef root(:\n```", "no valid Python"),
        ("```sh\nrm -r tests\n```", "neither"),
        ("```python\nclass Other:\n    def f(self):\n        pass\n```", "0 classes 'Other'"),
        ("```python\nclass Basket:\n    limit = 9\n```", "may only hold methods"),
        ("tests/test_things.py\n" + block("    limit = 3", "x"), "only helpers/things.py may be"),
        ("`conftest.py`:\n```\n" + block("    limit = 3", "x"), "a block is about conftest.py"),
    ],
)
def test_a_malformed_reply_says_what_is_wrong(reply: str, said: str) -> None:
    assert said in problem(reply)


def test_a_block_that_fits_in_two_places_is_not_guessed() -> None:
    assert "in 2 places (lines 1, 3)" in problem(block("x = 1", "x = 2"), "x = 1\ny = 2\nx = 1\n")


def test_a_block_may_name_the_file_that_it_is_about() -> None:
    assert "= 4" in applied("things.py\n" + block("    limit = 3", "    limit = 4"))


def test_an_edit_that_changes_nothing_is_said() -> None:
    with pytest.raises(LanguageModelError) as raised:
        applied(block("    limit = 3", "    limit = 3"))
    assert raised.value.fault is Fault.NO_CHANGE


def test_a_whole_function_takes_the_place_of_its_namesake_and_nothing_else_moves() -> None:
    edited = applied(
        "Shorter.\n```python\n@staticmethod\ndef root(number):\n    return math.isqrt(number)\n```"
    )
    assert edited == SOURCE.replace("math.sqrt", "math.isqrt")


def test_a_method_is_replaced_within_its_class() -> None:
    reply = (
        "```python\nclass Basket:\n    def count(self, things):\n        return len(things)\n```"
    )
    old = "        if things:\n            return len(things)\n        return 0\n"
    assert applied(reply) == SOURCE.replace(old, "        return len(things)\n")


def test_new_functions_and_imports_are_added() -> None:
    reply = (
        "```python\nimport math\nfrom fractions import Fraction\n\n\n"
        "def half(number):\n    return Fraction(number, 2)\n```"
    )
    edited = applied(reply)
    assert edited.count("import math\n") == 1
    assert "import math\nfrom fractions import Fraction\n" in edited
    assert edited.endswith("\n\n\ndef half(number):\n    return Fraction(number, 2)\n")


def test_the_explanation_is_one_short_printable_line() -> None:
    noise = "Because\x1b[31m\nof this. " + "word " * 200
    edited = apply_reply(
        noise + "\n" + block("    limit = 3", "    limit = 4"), SOURCE, target="helpers/things.py"
    )
    assert edited.explanation.startswith("Because[31m of this. word")
    assert len(edited.explanation) <= 300


@given(
    lines=st.lists(st.text("ab \t=<>#'\"", max_size=6), min_size=1, max_size=8),
    data=st.data(),
)
def test_quoting_lines_that_are_there_once_replaces_exactly_them(
    lines: list[str], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    quoted = tuple(lines[first : last + 1])
    places = [at for at in range(len(lines)) if tuple(lines[at : at + len(quoted)]) == quoted]
    edit = Edit(quoted, ("new",))
    if len(places) == 1 and any(line.strip() for line in quoted):
        expected = "\n".join([*lines[:first], "new", *lines[last + 1 :]])
        assert apply_edits("\n".join(lines), [edit]) == expected
    else:
        with pytest.raises(LanguageModelError):
            apply_edits("\n".join(lines), [edit])


@pytest.mark.parametrize(
    "code",
    [
        f"return {'(' * 5000}1{')' * 5000}",
        f"return {'not ' * 50_000}1",
        f"return {'a.' * 100_000}b",
        f"return {'-' * 200}1",
    ],
)
def test_code_that_is_nested_beyond_reason_does_not_end_the_process(code: str) -> None:
    assert "Python" in problem(f"```python\ndef root(number):\n    {code}\n```")
    assert "Python" in problem(block("    return math.sqrt(number)", f"    {code}"))


def fault_of(reply: str) -> Fault | None:
    try:
        applied(reply)
    except LanguageModelError as error:
        return error.fault
    return None


@given(st.text(max_size=400))
def test_any_reply_is_an_edit_or_a_typed_fault(reply: str) -> None:
    assert fault_of(reply) in {None, Fault.MALFORMED, Fault.NO_CHANGE}
