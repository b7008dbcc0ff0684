"""Errors say what went wrong, with whom, and what to do."""

from __future__ import annotations

from menace import errors
from menace.errors import DataError, MenaceError


def test_an_error_reads_as_bot_then_fault_then_remedy() -> None:
    error = DataError("column 'busy' is missing.", bot="alpha", cycle_id=3, remedy="add it")
    assert str(error) == "bot 'alpha': column 'busy' is missing. Remedy: add it"
    assert (error.bot, error.cycle_id, error.remedy) == ("alpha", 3, "add it")


def test_an_error_without_bot_or_remedy_is_its_message() -> None:
    assert str(MenaceError("the disk is full.")) == "the disk is full."


def test_every_error_can_be_caught_as_a_menace_error() -> None:
    types = [item for item in vars(errors).values() if isinstance(item, type)]
    raised = [t for t in types if issubclass(t, Exception) and not issubclass(t, Warning)]
    assert len(raised) > 10
    assert all(issubclass(t, MenaceError) for t in raised)
