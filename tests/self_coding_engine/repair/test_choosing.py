"""Which of several patches is proposed, and what inputs tell them apart."""

from __future__ import annotations

import ast

from menace.self_coding_engine.repair.choosing import Patched, choose
from menace.self_coding_engine.repair.edits import Edit
from menace.self_coding_engine.repair.inputs import further_inputs
from menace.self_coding_engine.testing.observations import Call


def patch(name: str, cost: float, *, literal: bool = False) -> Patched:
    return Patched(name, (Edit("constant", 0, 0, name, 1, cost, literal),), cost)


def test_patches_that_agree_outvote_a_single_likelier_one() -> None:
    patches = [patch("odd", 1.0), patch("one", 1.5), patch("two", 1.5)]
    outcomes = [["0", "0"], ["1", "5"], ["1", "2"], ["1", "2"]]
    choice = choose(patches, outcomes, frozenset({"int"}))
    assert choice.patch.source == "one"
    assert choice.groups == 2
    assert 0.5 < choice.share < 0.6


def test_a_patch_that_crashes_where_the_faulty_program_did_not_is_held_against_it() -> None:
    patches = [patch("crashes", 1.0), patch("answers", 1.5)]
    outcomes = [["0", "0"], ["!IndexError", "!IndexError"], ["3", "4"]]
    assert choose(patches, outcomes, frozenset({"int"})).patch.source == "answers"


def test_a_patch_that_hangs_or_changes_type_is_held_against_it() -> None:
    patches = [patch("hangs", 1.0), patch("strings", 1.0), patch("answers", 2.5)]
    outcomes = [["0"], ["!OutOfTimeError"], ["'a'"], ["3"]]
    assert choose(patches, outcomes, frozenset({"int"})).patch.source == "answers"


def test_an_answer_copied_from_a_test_ranks_last() -> None:
    patches = [patch("copied", 1.0, literal=True), patch("computed", 3.0)]
    assert choose(patches, [["0"], ["1"], ["2"]], frozenset()).patch.source == "computed"


def test_further_inputs_keep_types_signs_and_letters() -> None:
    calls = (Call("f", "([1, 2, 3], 'ab', 2)", "1"), Call("f", "([4], 'b', 1)", "2"))
    inputs = further_inputs(calls, seed=3, most=60)
    assert len(inputs) == len(set(inputs)) == 60
    for function, text in inputs:
        numbers, letters, count = ast.literal_eval(text)
        assert function == "f"
        assert all(isinstance(number, int) and number >= 0 for number in numbers)
        assert set(letters) <= {"a", "b"}
        assert count >= 0
    assert ("f", "([1, 2, 3], 'ab', 2)") not in inputs
    assert further_inputs(calls, seed=3, most=60) == inputs


def test_without_calls_there_are_no_inputs() -> None:
    assert further_inputs(()) == []
    assert further_inputs((Call("f", "()", "1"),)) == []


def test_lists_that_were_always_in_order_stay_in_order() -> None:
    calls = (Call("f", "([1, 4, 9], [2, 2, 1])", "1"), Call("f", "([3, 5], [1])", "2"))
    for _, text in further_inputs(calls):
        ordered, _ = ast.literal_eval(text)
        assert ordered == sorted(set(ordered))
